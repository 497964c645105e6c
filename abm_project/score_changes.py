"""Which days of an account's timeline were the first to be scored after a change of the scoring model. Reads only."""

from bisect import bisect_left
from datetime import date
from uuid import UUID

from registry.changes import Change, config_changes
from scoring.models import DailyAccountIntent


def changes_by_day(company_id: UUID, first: date, last: date) -> dict[date, list[Change]]:
    """The changes that show for the first time in the snapshot of a day; those that no snapshot shows yet are left out.

    By when each snapshot was made: a change at noon shows in the next night's scores, whose date is that very day.
    """
    rows = DailyAccountIntent.objects.filter(prospect_company=company_id, date__gte=first, date__lte=last)
    made = list(rows.order_by("date").values_list("date", "updated_at"))
    found: dict[date, list[Change]] = {}
    if len(made) < 2:
        return found  # nothing was scored before
    # The earliest day that was made at a time or later: of dates that were made again the first one is meant.
    latest, times = None, []
    for _, at in made:
        latest = at if latest is None else max(latest, at)
        times.append(latest)
    for change in config_changes(times[0]):
        place = bisect_left(times, change.at)
        if place < len(made):
            found.setdefault(made[place][0], []).append(change)
    return found


def mark(changes: list[Change]) -> tuple[str, ...]:
    """What the timeline says of a day; at most a line."""
    if not changes:
        return ()
    text = f"Scoring changed: {changes[0]}"
    return (text + (f" and {len(changes) - 1} more" if len(changes) > 1 else ""),)
