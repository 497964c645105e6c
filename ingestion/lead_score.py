"""The lead score: how promising one request is by what it says of itself, 0 to 100. Pure.

The points are registry rows of kind `lead` (docs/scoring.md); the parts are kept with the lead, so that the number can
be read back.
"""

from collections.abc import Mapping
from typing import Any

FULL = 100
SAID = ("title", "phone", "budget", "timeline", "quantity", "location", "message")


def lead_score(
    lead: Mapping[str, object], *, company_known: bool, points: Mapping[tuple[str, str], int]
) -> tuple[int, list[dict[str, Any]]]:
    """The score and its parts, [{"criterion", "points"}] in a fixed order; they add up to the score, or beyond 100.

    `lead`: the canonical fields. `points`: by (criterion, value), value '' where only its being there counts.
    """
    found = [("company_known", "")] if company_known else []
    found.append(("request_type", str(lead.get("request_type") or "")))
    found += [(field, "") for field in SAID if lead.get(field) not in ("", None)]
    worth = [(":".join(filter(None, what)), points.get(what, 0)) for what in found]
    parts = [{"criterion": name, "points": value} for name, value in worth if value]
    return min(FULL, sum(part["points"] for part in parts)), parts
