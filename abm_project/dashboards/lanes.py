"""Service lane intent (spec 8.1): one card for each lane."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Avg, Count, Q, Sum

from abm_project.dashboards.one_moment import one_moment
from abm_project.dashboards.trends import days_to, newest_date
from accounts.models import ProspectCompany
from registry.values import IntentStage, SurgeLevel
from scoring.models import DailyAccountIntent

BEFORE_DAYS = 7


@dataclass(frozen=True, slots=True)
class LaneCard:
    """The accounts whose top lane for the range this is: unsuppressed and not merged, so the list shows as many.

    `average_score` is over scores above 0; None where there is none. What is `…_before` is of the snapshots of seven
    days before, as they were made then; None where that day has none. The trend is `hot_change`: so many hot accounts
    more than then, which anybody can check by counting. `hot_trend` is their number on each of 30 days, oldest first.
    """

    lane: str
    accounts: int
    hot: int
    surging: int
    exploding: int
    average_score: float | None
    hot_before: int | None
    average_score_before: float | None
    hot_trend: tuple[int | None, ...]

    @property
    def hot_change(self) -> int | None:
        return None if self.hot_before is None else self.hot - self.hot_before

    @property
    def average_change(self) -> float | None:
        if self.average_score is None or self.average_score_before is None:
            return None
        return self.average_score - self.average_score_before


@dataclass(frozen=True, slots=True)
class LaneCards:
    """`through` is the newest date with scores of all accounts, `before` the one the trend is measured from."""

    cards: tuple[LaneCard, ...]
    through: date | None
    before: date | None


@dataclass(slots=True)
class _Tally:
    accounts: int = 0
    hot: int = 0
    surging: int = 0
    exploding: int = 0
    scored: int = 0
    points: int = 0

    @property
    def average(self) -> float | None:
        return self.points / self.scored if self.scored else None


def lane_cards(range: str = "7d") -> LaneCards:
    """Every lane that is the top lane of an account, the hottest first. Five queries, whatever the lanes."""
    column = "top_lane" if range == "7d" else "top_lane_30d"
    with one_moment():
        now = _now(column)
        through = newest_date()
        if through is None:
            return LaneCards(tuple(_card(lane, tally) for lane, tally in sorted(now.items())), None, None)
        before = through - timedelta(days=BEFORE_DAYS)
        averages = _averages(column, before)
        hot = _hot_by_day(column, through)
    there = before in hot
    cards = [
        _card(
            lane,
            tally,
            hot_before=hot[before].get(lane, 0) if there else None,
            average_score_before=averages.get(lane),
            hot_trend=tuple(hot[day].get(lane, 0) if day in hot else None for day in days_to(through)),
        )
        for lane, tally in now.items()
    ]
    return LaneCards(tuple(sorted(cards, key=_heat)), through, before if there else None)


def _card(
    lane: str,
    tally: _Tally,
    hot_before: int | None = None,
    average_score_before: float | None = None,
    hot_trend: tuple[int | None, ...] = (),
) -> LaneCard:
    return LaneCard(
        lane=lane,
        accounts=tally.accounts,
        hot=tally.hot,
        surging=tally.surging,
        exploding=tally.exploding,
        average_score=tally.average,
        hot_before=hot_before,
        average_score_before=average_score_before,
        hot_trend=hot_trend,
    )


def _heat(card: LaneCard) -> tuple[Any, ...]:
    return (-card.hot, -card.exploding, -card.surging, -(card.average_score or 0), -card.accounts, card.lane)


def _now(column: str) -> dict[str, _Tally]:
    """One pass over the accounts that lists show, in the order of the index `company_for_counts`."""
    found: dict[str, _Tally] = defaultdict(_Tally)
    groups = ProspectCompany.objects.listed().values_list("intent_stage", "surge_level", column)
    scored = Count("id", filter=Q(intent_score__gt=0))
    counted = groups.annotate(accounts=Count("id"), scored=scored, points=Sum("intent_score")).order_by()
    for stage, surge, lane, accounts, scored, points in counted:
        tally = found[lane]
        tally.accounts += accounts
        tally.hot += accounts * (stage == IntentStage.HOT)
        tally.surging += accounts * (surge == SurgeLevel.SURGING)
        tally.exploding += accounts * (surge == SurgeLevel.EXPLODING)
        tally.scored += scored
        tally.points += int(points)
    return found


def _averages(column: str, day: date) -> dict[str, float]:
    scored = DailyAccountIntent.objects.filter(date=day, intent_score__gt=0)
    return dict(scored.values_list(column).annotate(average=Avg("intent_score")).order_by())


def _hot_by_day(column: str, through: date) -> dict[date, dict[str, int]]:
    """The hot accounts of each day and lane; a day without snapshots is not in it."""
    rows = DailyAccountIntent.objects.filter(date__gte=days_to(through)[0], date__lte=through)
    found: dict[date, dict[str, int]] = {day: {} for day in rows.values_list("date", flat=True).distinct().order_by()}
    hot = rows.filter(intent_stage=IntentStage.HOT).values_list("date", column)
    for day, lane, accounts in hot.annotate(Count("id")).order_by():
        found[day][lane] = accounts
    return found
