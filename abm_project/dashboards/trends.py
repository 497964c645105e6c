"""How scores moved: the days a sparkline shows, and changes since a day."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from uuid import UUID

from django.db import connection

from scoring.models import DailyAccountIntent

TREND_DAYS = 30
COMPANY = DailyAccountIntent._meta.get_field("prospect_company")


def newest_date() -> date | None:
    """The newest date with the scores of a whole day, in one query."""
    whole = DailyAccountIntent.objects.filter(is_provisional=False).order_by("-date")
    newest: date | None = whole.values_list("date", flat=True).first()
    return newest


@lru_cache(maxsize=8)
def days_to(through: date) -> tuple[date, ...]:
    """The days a sparkline shows, oldest first."""
    return tuple(through - timedelta(days=age) for age in range(TREND_DAYS - 1, -1, -1))


def scores_of(ids: Sequence[UUID], through: date | None) -> dict[UUID, dict[date, int]]:
    """Of one day more than is shown, for the change of the oldest account's row. By bare cursor, with the accounts' ids
    as the database has them: the ORM would make a UUID for each of 31 rows an account, which takes longer than to read
    them."""
    found: dict[UUID, dict[date, int]] = defaultdict(dict)
    if through is None or not ids:
        return found
    stored = {str(COMPANY.get_db_prep_value(id, connection)): id for id in ids}
    marks = ", ".join(["%s"] * len(stored))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT prospect_company_id, date, intent_score FROM daily_account_intent"
            f" WHERE prospect_company_id IN ({marks}) AND date > %s AND date <= %s",
            [*stored, through - timedelta(days=TREND_DAYS + 1), through],
        )
        for company, day, score in cursor.fetchall():
            found[stored[company]][day] = score
    return found


def trend(scores: dict[date, int], through: date | None) -> tuple[int | None, ...]:
    if through is None:
        return ()
    return tuple(scores.get(day) for day in days_to(through))


def change(scores: dict[date, int], day: date | None, days: int) -> int | None:
    """How far the score of `day` is above that of `days` before; None where one of them is missing."""
    if day is None or day not in scores or day - timedelta(days=days) not in scores:
        return None
    return scores[day] - scores[day - timedelta(days=days)]
