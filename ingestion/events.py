"""The frozen values that cross from a source of activity into the store, and from the store into scoring. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


class Cell(NamedTuple):
    """One row of an account's day: how often this event, as sent ('' where the site said nothing), was seen."""

    event: str
    content_type: str
    lane: str
    cta_id: str
    path: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs of a cell


@dataclass(frozen=True, slots=True)
class AccountDay:
    """What one account key did on one UTC day (design 2). `people`: sorted 48-bit person marks, as 12 hex digits."""

    account_key: str
    date: date
    cells: tuple[Cell, ...]
    people: tuple[str, ...]
    last_seen_at: datetime
    paths_cut: int = 0


@dataclass(frozen=True, slots=True)
class LeadMark:
    """What scoring needs of a lead request: when it came and the lane it asked for."""

    submitted_at: datetime
    lane: str = ""
