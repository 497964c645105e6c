"""Movers: who entered or left Hot, who began to surge, and whose score moved most, since a day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, FilteredRelation, IntegerField, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce

from abm_project.dashboards.one_moment import one_moment
from abm_project.dashboards.trends import newest_date
from accounts.models import ProspectCompany
from registry.values import IntentStage, SurgeLevel
from scoring.models import DailyAccountIntent

MOVERS_SHOWN = 10
Moved = tuple[int, int, UUID]  # by how much, to which score, who


@dataclass(frozen=True, slots=True)
class Mover:
    """An account then and now. Then is None where it had no snapshot: it was not known, and counts as 0 and Cold.

    `why_hot` is of now; empty for one that went quiet, whose `last_seen_at` says since when.
    """

    id: UUID
    domain: str
    name: str
    owner_id: int | None
    score_before: int | None
    intent_score: int
    stage_before: str | None
    intent_stage: str
    surge_before: str | None
    surge_level: str
    is_new: bool
    top_lane: str
    why_hot: tuple[str, ...]
    last_seen_at: datetime | None

    @property
    def change(self) -> int:
        return self.intent_score - (self.score_before or 0)


@dataclass(frozen=True, slots=True)
class Moves:
    """`count` accounts did so; `shown` are those of the highest score, then or now."""

    count: int
    shown: tuple[Mover, ...]


@dataclass(frozen=True, slots=True)
class Movers:
    """From the scores of `since` to what is shown now. `since` is None where there is nothing to compare with.

    `newly_surging` were Normal then, `newly_exploding` anything less; `up` and `down` are the biggest changes.
    """

    since: date | None
    through: date | None
    entered_hot: Moves
    left_hot: Moves
    newly_surging: Moves
    newly_exploding: Moves
    up: tuple[Mover, ...]
    down: tuple[Mover, ...]


NONE = Moves(0, ())


def movers(since: date | None = None, limit: int = MOVERS_SHOWN, owner_id: int | None = None) -> Movers:
    """What moved since the newest scores of `since` or before; without it, of the day before the newest.

    Eleven queries for any number of accounts. Those that look for ids take numbers alone, which the database reads from
    an index, and begin at what is rare: who is Hot or surges now, or was Hot then. Only whose score moved most is asked
    of all. The rows that are shown are read by themselves.
    """
    with one_moment():
        through = newest_date()
        start = through and _scored_by(since or through - timedelta(days=1))
        if start is None:
            return Movers(None, through, NONE, NONE, NONE, NONE, (), ())
        accounts = _then_and_now(start, owner_id)
        turned = [list(accounts.filter(turn).values_list(*TURN, named=True)) for turn in TURNS]
        rose, fell = _risen(accounts, start, owner_id, limit), _moved_most("ASC", start, owner_id, limit)
        return _movers(start, through, accounts, turned, [id for _, _, id in rose], [id for _, _, id in fell], limit)


def _scored_by(day: date) -> date | None:
    whole = DailyAccountIntent.objects.filter(is_provisional=False, date__lte=day).order_by("-date")
    found: date | None = whole.values_list("date", flat=True).first()
    return found


# --- Then and now -----------------------------------------------------------------------------------------------------
# Each by itself: with OR between them the database would look up every account's past.
HOT, NORMAL, SURGING, EXPLODING = IntentStage.HOT, SurgeLevel.NORMAL, SurgeLevel.SURGING, SurgeLevel.EXPLODING
ENTERED = Q(intent_stage=HOT) & (Q(stage_before__isnull=True) | ~Q(stage_before=HOT))
LEFT = Q(stage_before=HOT) & ~Q(intent_stage=HOT)
SURGES = Q(surge_level=SURGING) & (Q(surge_before__isnull=True) | Q(surge_before=NORMAL))
EXPLODES = Q(surge_level=EXPLODING) & (Q(surge_before__isnull=True) | ~Q(surge_before=EXPLODING))
TURNS = (ENTERED, LEFT, SURGES, EXPLODES)
TURN = ("id", "intent_score", "score_before")


def _then_and_now(since: date, owner_id: int | None) -> QuerySet[ProspectCompany]:
    listed = ProspectCompany.objects.listed()
    if owner_id is not None:
        listed = listed.filter(owner_id=owner_id)
    return listed.annotate(earlier=FilteredRelation("snapshots", condition=Q(snapshots__date=since))).annotate(
        score_before=F("earlier__intent_score"),
        stage_before=F("earlier__intent_stage"),
        surge_before=F("earlier__surge_level"),
        moved=_signed(F("intent_score")) - _signed(Coalesce(F("earlier__intent_score"), 0)),
    )


# --- Whose score moved most -------------------------------------------------------------------------------------------
def _risen(accounts: QuerySet[ProspectCompany], since: date, owner_id: int | None, limit: int) -> list[Moved]:
    """Those that had a score then, and those that had none: these rose by all that they have."""
    known = _moved_most("DESC", since, owner_id, limit)
    least = known[-1][0] if len(known) == limit else 1
    new = accounts.filter(earlier__isnull=True, intent_score__gte=least).order_by("-intent_score", "id")
    both = known + [(score, score, id) for score, id in new.values_list("intent_score", "id")[:limit]]
    return sorted(both, key=lambda row: (-row[0], -row[1], row[2]))[:limit]


def _moved_most(order: str, since: date, owner_id: int | None, limit: int) -> list[Moved]:
    """Of the accounts that had a score then: down (ASC) or up (DESC).

    By hand, since the database would begin at the accounts and look for the past of each all over its table: 0.9 s for
    100,000. From the past, which an index holds in the order of the accounts, it is 0.3; and only an outer join, whose
    columns stand in a COALESCE, is certain to begin there.
    """
    owned, params = ("AND account.owner_id = %s", [owner_id]) if owner_id is not None else ("", [])
    before = "CAST(earlier.intent_score AS SIGNED)"
    sql = f"""SELECT COALESCE(CAST(account.intent_score AS SIGNED), {before}) - {before} AS moved,
            account.intent_score, earlier.prospect_company_id
        FROM daily_account_intent earlier
        LEFT JOIN prospect_companies account ON account.id = earlier.prospect_company_id
            AND account.merged_into_id IS NULL AND account.snapshot_date IS NOT NULL
            AND account.suppressed_as = '' {owned}
        WHERE earlier.date = %s
        ORDER BY moved {order}, account.intent_score DESC, earlier.prospect_company_id LIMIT %s"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [*params, since, limit])
        found = cursor.fetchall()
    return [(moved, score, UUID(str(id))) for moved, score, id in found if (moved < 0 if order == "ASC" else moved > 0)]


def _signed(score: Combinable) -> Cast:
    """Both are stored unsigned, and MySQL refuses a difference below 0 of such."""
    return Cast(score, IntegerField())


def _movers(
    since: date,
    through: date | None,
    accounts: QuerySet[ProspectCompany],
    turned: Sequence[Sequence[Any]],
    rose: Sequence[UUID],
    fell: Sequence[UUID],
    limit: int,
) -> Movers:
    groups = [(len(rows), [row.id for row in sorted(rows, key=_highest)[:limit]]) for rows in turned]
    shown = {*rose, *fell, *(id for _, ids in groups for id in ids)}
    reasons = dict(
        DailyAccountIntent.objects.filter(
            prospect_company__in=shown, date=F("prospect_company__snapshot_date")
        ).values_list("prospect_company", "why_hot_json")
    )
    rows = accounts.in_bulk(shown)

    def told(ids: Iterable[UUID]) -> tuple[Mover, ...]:
        return tuple(_mover(rows[id], tuple(reasons.get(id, ()))) for id in ids if id in rows)

    entered, left, surging, exploding = (Moves(count, told(ids)) for count, ids in groups)
    return Movers(since, through, entered, left, surging, exploding, told(rose), told(fell))


def _highest(row: Any) -> tuple[int, UUID]:
    return -max(row.intent_score, row.score_before or 0), row.id


def _mover(row: Any, why_hot: tuple[str, ...]) -> Mover:
    return Mover(
        id=row.id,
        domain=row.domain,
        name=row.name,
        owner_id=row.owner_id,
        score_before=row.score_before,
        intent_score=row.intent_score,
        stage_before=row.stage_before,
        intent_stage=row.intent_stage,
        surge_before=row.surge_before,
        surge_level=row.surge_level,
        is_new=row.is_new,
        top_lane=row.top_lane,
        why_hot=why_hot,
        last_seen_at=row.last_seen_at,
    )
