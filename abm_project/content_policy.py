"""One Content-Security-Policy for every answer, written once."""

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import cached_property


class ContentPolicyMiddleware(CSPMiddleware):
    """django-csp for a product none of whose views has a nonce or a policy of its own.

    The library asks each answer for its exceptions and writes the header anew: of a lead, a twentieth of all the work.
    """

    def process_request(self, request: HttpRequest) -> None:
        """No nonce: nothing is inline."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault(HEADER, self.policy)
        return response

    @cached_property
    def policy(self) -> str:
        return build_policy()
