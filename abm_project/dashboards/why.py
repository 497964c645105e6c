"""Why is the score what it is? The ledger and the bridge of scoring, as people read them."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from abm_project.dashboards.families import shown_for
from abm_project.dashboards.one_moment import one_moment
from accounts.models import ProspectCompany
from scoring.explain import Bridge
from scoring.ledger import AccountLedger, account_ledger, ledger_of
from scoring.models import DailyAccountIntent

DRIFT_SHOWN = 0.05  # points; less would read as 0.0


@dataclass(frozen=True, slots=True)
class Reason:
    """All events of one kind: count × weight × decay = points. Weight and decay are means where the days differ."""

    category: str
    event: str
    count: int
    weight: float
    decay: float
    points: float
    share: float


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the way from the score before to this one."""

    label: str
    meaning: str
    points: float


@dataclass(frozen=True, slots=True)
class Why:
    """A score taken apart: the reasons sum to `ledger.total`, the steps lead from the snapshot before to `raw`."""

    ledger: AccountLedger
    reasons: tuple[Reason, ...]
    steps: tuple[Step, ...]
    drifted: bool


def explained(id: UUID, as_of: date | None = None) -> Why | None:
    """Why the account's score of a day (default: the one that is shown) is what it is. None: no such account or score.

    The id of a merged account stands for the account it was merged into.
    """
    with one_moment():
        company = shown_for(id)
        day = company and (as_of or company.snapshot_date)
        ledger = company and day and account_ledger(company, day)
        return _why(ledger) if ledger else None


def why_of(company: ProspectCompany, snapshot: DailyAccountIntent) -> Why:
    return _why(ledger_of(company, snapshot))


def _why(ledger: AccountLedger) -> Why:
    worth: dict[tuple[str, str], int] = defaultdict(int)
    for line in ledger.contributions:
        worth[line.category, line.event] += line.count * line.weight
    reasons = []
    for line in ledger.categories:
        undecayed = worth[line.category, line.event]
        weight = undecayed / line.count if line.count else 0.0
        rate = line.points / undecayed if undecayed else 0.0
        reasons.append(Reason(line.category, line.event, line.count, weight, rate, line.points, line.share))
    return Why(ledger, tuple(reasons), _steps(ledger.bridge), abs(ledger.drift) > DRIFT_SHOWN)


def _steps(bridge: Bridge | None) -> tuple[Step, ...]:
    """New activity and decay are always there; the other parts only where they moved something."""
    if bridge is None:
        return ()
    always = (
        Step("New activity", "what happened since", bridge.new),
        Step("Decay", "older days count a little less", bridge.decayed),
    )
    sometimes = (
        Step("Aged out", "days that left the 30-day window", bridge.aged_out),
        Step("Rules or weights changed", "by an admin", bridge.rules_changed),
        Step("Facts restated", "late or corrected activity, aliases, merges", bridge.restated),
    )
    return always + tuple(step for step in sometimes if abs(step.points) > DRIFT_SHOWN)
