"""A stand-in for Anthropic's API, on the wire: `with Anthropic() as api:`, and settings point to `api.url`.

It refuses what the real API refuses: another path or method, no or a wrong bearer token, no `anthropic-version`, a body
that is no JSON, unknown fields, missing or wrong ones, roles that are none, a model it has not, a body of more than
32 MB. What it refuses it says in the API's own shape. `POST /v1/messages` is answered with the text that `api.writes`
makes of the facts in the user's message, `GET /v1/models/NAME` with what the API knows of a model, unless a fault of
`tests.anthropic_standin.faults` waits in `api.faults`: the first one meets the next request. `api.requests` is what
came, in its order.
"""

from tests.anthropic_standin import faults
from tests.anthropic_standin.server import Anthropic, Request

__all__ = ["Anthropic", "Request", "faults"]
