"""What was changed about a row, told from its history: who, when, what it said before and after, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

UNTOLD = frozenset({"updated_at", "created_at", "seed_key", "id"})
KINDS = {"+": "created", "~": "changed", "-": "deleted"}


@dataclass(frozen=True, slots=True)
class FieldChange:
    field: str
    was: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Version:
    at: datetime
    by: str
    kind: str
    reason: str
    changes: tuple[FieldChange, ...]


def versions(rows: Sequence[Any]) -> list[Version]:
    """Rows of one row's history, newest first and without a gap; one query for what the oldest one changed."""
    if not rows:
        return []
    oldest = rows[-1]
    earlier = type(oldest).objects.filter(id=oldest.id, history_date__lte=oldest.history_date)
    before = earlier.exclude(pk__in=[row.pk for row in rows]).order_by("-history_date", "-history_id").first()
    return [_version(row, previous) for row, previous in zip(rows, [*rows[1:], before], strict=True)]


def _version(row: Any, before: Any) -> Version:
    by = row.history_user.get_username() if row.history_user else ""
    changes = () if row.history_type == "-" else tuple(_changes(row, before))
    return Version(row.history_date, by, KINDS[row.history_type], row.history_change_reason or "", changes)


def _changes(row: Any, before: Any) -> list[FieldChange]:
    found = []
    for field in row.tracked_fields:
        was, becomes = (said(getattr(side, field.attname)) if side is not None else "" for side in (before, row))
        if field.name not in UNTOLD and was != becomes:
            found.append(FieldChange(field.name, was, becomes))
    return found


def said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
