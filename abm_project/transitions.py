"""Which accounts changed for the better with a published night, and the words for it. HTTP-free.

A change is judged by stored snapshots alone: an account is news when it is Hot (or Exploding) now and was not on any
published day of the week up to the last message. So an account that swings about a threshold is told once, a missed
night is made up for, and asking twice gives the same answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, Subquery

from registry.values import IntentStage, SurgeLevel
from scoring.models import DailyAccountIntent

LISTED = 20  # accounts of one message
HOT, EXPLODING = IntentStage.HOT.value, SurgeLevel.EXPLODING.value


@dataclass(frozen=True, slots=True)
class Change:
    """An account that became Hot or Exploding. `score_before`: of the last published day before, if there is one."""

    company_id: UUID
    domain: str
    name: str
    owner: str
    owner_id: int | None
    lane: str
    score: int
    score_before: int | None
    stage: str
    surge: str
    surge_ratio: float
    became_hot: bool
    became_exploding: bool
    reasons: tuple[str, ...]

    @property
    def words(self) -> str:
        """`became Hot: 78 after 61; 2× Pricing, 1× Form Submitted; lane office`."""
        became = [
            *(["Hot"] if self.became_hot else []),
            *([f"Exploding (×{self.surge_ratio:.1f} in a week)"] if self.became_exploding else []),
        ]
        score = f"{self.score}" + (f" after {self.score_before}" if self.score_before is not None else ", seen first")
        reasons = ", ".join(self.reasons) or "no reason of the last 7 days"
        return f"became {' and '.join(became)}: {score}; {reasons}; lane {self.lane}"

    def as_json(self) -> dict[str, Any]:
        kept = asdict(self) | {"reasons": list(self.reasons), "words": self.words}
        return {name: value for name, value in kept.items() if name not in ("company_id", "owner_id")}


def changes(as_of: date, told_until: date, quiet_days: int) -> list[Change]:
    """What became Hot or Exploding since the message about `told_until`, the best score first. One query."""
    published = DailyAccountIntent.objects.filter(is_provisional=False)
    before = published.filter(prospect_company=OuterRef("prospect_company"), date__lte=told_until)
    lately = before.filter(date__gt=told_until - timedelta(days=quiet_days))
    rows = (
        published.filter(date=as_of, prospect_company__suppressed_as="", prospect_company__merged_into__isnull=True)
        .filter(Q(intent_stage=HOT) | Q(surge_level=EXPLODING))
        .annotate(
            was_hot=Exists(lately.filter(intent_stage=HOT)),
            was_exploding=Exists(lately.filter(surge_level=EXPLODING)),
            score_before=Subquery(before.order_by("-date").values("intent_score")[:1]),
        )
        .filter(Q(intent_stage=HOT, was_hot=False) | Q(surge_level=EXPLODING, was_exploding=False))
        .select_related("prospect_company__owner")
        .order_by("-intent_score", "-raw_score_30d", "prospect_company__domain")
    )
    return [_change(row) for row in rows]


def _change(row: Any) -> Change:
    company = row.prospect_company
    return Change(
        company_id=company.pk,
        domain=company.domain,
        name=" ".join(company.name.split()),
        owner=company.owner.get_username() if company.owner else "",
        owner_id=company.owner_id,
        lane=row.top_lane,
        score=row.intent_score,
        score_before=row.score_before,
        stage=row.intent_stage,
        surge=row.surge_level,
        surge_ratio=row.surge_ratio,
        became_hot=row.intent_stage == HOT and not row.was_hot,
        became_exploding=row.surge_level == EXPLODING and not row.was_exploding,
        reasons=tuple(map(str, row.why_hot_json)),
    )


# --- The words of a message -------------------------------------------------------------------------------------------
def content(found: Iterable[Change], as_of: date) -> dict[str, Any]:
    """What a message says, as it is stored: who reads it later reads what was true that night."""
    every = list(found)
    return {"as_of": str(as_of), "count": len(every), "accounts": [change.as_json() for change in every[:LISTED]]}


def subject(said: dict[str, Any]) -> str:
    hot = sum(account["became_hot"] for account in said["accounts"])
    exploding = sum(account["became_exploding"] for account in said["accounts"])
    parts = [f"{number} {word}" for number, word in ((hot, "became Hot"), (exploding, "Exploding")) if number]
    return f"Orbit, {said['as_of']}: " + ", ".join(parts)


def link(account: dict[str, Any], public_url: str) -> str:
    return f"{public_url}/accounts/{quote(account['domain'])}" if public_url else ""


def lines(said: dict[str, Any], public_url: str) -> Sequence[str]:
    """A paragraph an account, as plain text."""
    told = []
    for account in said["accounts"]:
        called = account["name"] if account["name"] == account["domain"] else f"{account['name']} ({account['domain']})"
        owner = f"; owner {account['owner']}" if account["owner"] else ""
        told.append("\n".join(filter(None, [f"{called} {account['words']}{owner}.", link(account, public_url)])))
    if said["count"] > len(said["accounts"]):
        told.append(f"And {said['count'] - len(said['accounts'])} more.")
    return told
