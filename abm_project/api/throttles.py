"""How often strangers may knock. Counters live in Redis; without it everybody is let in, since a lead that is turned
away is lost and a flood is not (reliability 13 and 14)."""

import logging

from django.conf import settings
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

log = logging.getLogger(__name__)


class FailOpenThrottle(SimpleRateThrottle):
    """A rate that lets everything through while its store is away; one failing call is all a request waits for."""

    def get_rate(self) -> str | None:
        rate: str | None = settings.API_RATES[self.scope]
        return rate

    def allow_request(self, request: Request, view: APIView) -> bool:
        if getattr(request, "throttle_store_is_away", False):
            return True
        try:
            return bool(super().allow_request(request, view))
        except (RedisError, OSError) as error:
            request.throttle_store_is_away = True  # type: ignore[attr-defined]
            log.warning("Requests are not counted: Redis does not answer (%s).", type(error).__name__)
            return True


class LeadsFromAddress(FailOpenThrottle):
    """Of one client, by the address that the trusted proxies saw; never by the first X-Forwarded-For."""

    scope = "lead_per_address"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"throttle:{self.scope}:{self.get_ident(request)}"


class LeadsUnsigned(LeadsFromAddress):
    """Harder, for forms in a browser where a secret is set: they cannot keep one."""

    scope = "lead_unsigned_per_address"


class LeadsInAll(FailOpenThrottle):
    scope = "lead_in_all"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"throttle:{self.scope}"
