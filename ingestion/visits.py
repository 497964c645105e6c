"""What known people did, by the ids that PostHog knows them by (docs/posthog.md). Nothing of it is stored as a fact."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion import queries
from ingestion.days import window_values
from ingestion.events import Cell
from ingestion.posthog import PostHogClient, PostHogError, TooMuch
from ingestion.site import Site, tracked_cell


@dataclass(frozen=True, slots=True)
class Visit:
    """All that one id did in a time range."""

    distinct_id: str
    cells: tuple[Cell, ...]
    last_seen_at: datetime


def visits(client: PostHogClient, site: Site, ids: Sequence[str], begin: datetime, end: datetime) -> Iterator[Visit]:
    """Those of the ids that were seen: a thousand in a question, and fewer where PostHog takes too long."""
    if not ids:
        return
    if len(ids) <= queries.IDS:
        text = queries.visits(hosts=bool(site.hosts))
        values = window_values(site, begin, end) | {"clicks": site.clicks, "ids": list(ids)}
        try:
            rows = client.query("orbit people", text, values, queries.VISIT_COLUMNS, site.meter)
        except TooMuch:
            if len(ids) == 1:
                raise
        else:
            asked = set(ids)
            for row in rows:
                visit = _visit(row, site)
                if type(visit.distinct_id) is not str or visit.distinct_id not in asked:
                    raise PostHogError("PostHog's answer about people has somebody who was not asked for.")
                yield visit
            return
    middle = len(ids) // 2
    yield from visits(client, site, ids[:middle], begin, end)
    yield from visits(client, site, ids[middle:], begin, end)


def _visit(row: Sequence[Any], site: Site) -> Visit:
    distinct_id, cells, last_second = row
    try:
        kept = tuple(Cell(*tracked_cell(what, site), count) for *what, count in cells)
        return Visit(distinct_id, kept, datetime.fromtimestamp(last_second, UTC))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise PostHogError(f"PostHog's answer about people has values of another kind ({error}).") from error
