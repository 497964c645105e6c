"""What people changed in the scoring model, told from the history: when, who, what, and why.

Only what could move a score is told: the active config, its weights, and the event rules that counted for it. Drafts
are nobody's business until they are activated.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

from registry.differences import rule_text, weight_name
from registry.models import EventRule, ScoreConfig, ScoreWeight

UNTOLD = frozenset({"updated_at", "created_at", "seed_key", "id", "status"})
MOST = 500  # changes that are told; an import of thousands of rules is one story


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one row. `was` or `becomes` is '' for what did not exist before or after."""

    at: datetime
    by: str
    what: str
    was: str
    becomes: str
    reason: str

    def __str__(self) -> str:
        if self.was and self.becomes:
            return f"{self.what}: {self.was} → {self.becomes}"
        return f"{self.what}: {self.becomes}" if self.becomes else f"{self.what} removed"


def config_changes(since: datetime, until: datetime | None = None) -> list[Change]:
    """The changes that could move a score, oldest first, at most MOST; a query for each of the three tables, one more
    for each that changed and one for all three together."""
    active = _Active()
    found = [change for pair in _versions(ScoreConfig, since, until) for change in _config(*pair)]
    found += [change for pair in _versions(ScoreWeight, since, until) for change in _weight(*pair, active)]
    found += [change for pair in _versions(EventRule, since, until) for change in _rule(*pair, active)]
    return sorted(found, key=lambda change: change.at)[-MOST:]


class _Active:
    """Which config was the active one at a time. Read when it is first asked for: mostly nothing changed."""

    @cached_property
    def _since(self) -> list[tuple[datetime, Any]]:
        rows = ScoreConfig.history.filter(status=ScoreConfig.Status.ACTIVE).order_by("history_date", "history_id")
        return list(rows.values_list("history_date", "id"))

    def at(self, moment: datetime) -> Any:
        place = bisect_right(self._since, moment, key=itemgetter(0))
        return self._since[place - 1][1] if place else None


def _versions(model: Any, since: datetime, until: datetime | None) -> Iterator[tuple[Any, Any]]:
    """(version before or None, version) of every version of this time, of all rows of the table."""
    within = {"history_date__gte": since} | ({"history_date__lte": until} if until else {})
    rows = model.history.filter(**within).select_related("history_user").order_by("id", "history_date", "history_id")
    changed = list(rows[: 4 * MOST])
    if not changed:
        return
    before = {
        row.id: row
        for row in model.history.filter(id__in={row.id for row in changed}, history_date__lt=since).order_by(
            "history_date", "history_id"
        )
    }
    for key, versions in groupby(changed, key=lambda row: row.id):
        last = before.get(key)
        for version in versions:
            yield last, version
            last = version


def _change(version: Any, what: str, was: str, becomes: str) -> Change:
    by = version.history_user.get_username() if version.history_user else ""
    return Change(version.history_date, by, what, was, becomes, version.history_change_reason or "")


def _config(before: Any, version: Any) -> Iterator[Change]:
    was_active = before is not None and before.status == ScoreConfig.Status.ACTIVE
    if version.status != ScoreConfig.Status.ACTIVE or version.history_type == "-":
        return  # of two configs that change places the new one is told
    if not was_active:
        yield _change(version, f"Score config {version.name}", "", "active")
    if before is not None and was_active:
        for field in version.tracked_fields:
            old, new = getattr(before, field.attname), getattr(version, field.attname)
            if field.name not in UNTOLD and old != new:
                yield _change(version, f"{version.name} {field.verbose_name}", str(old), str(new))


def _weight(before: Any, version: Any, active: _Active) -> Iterator[Change]:
    if version.kind != ScoreWeight.Kind.EVENT or version.score_config_id != active.at(version.history_date):
        return
    name = weight_name((version.event_name, version.content_type, version.cta_id))
    was = str(before.weight) if before and before.history_type != "-" else ""
    becomes = str(version.weight) if version.history_type != "-" else ""
    if was != becomes:
        yield _change(version, f"Weight of {name}", was, becomes)


def _rule(before: Any, version: Any, active: _Active) -> Iterator[Change]:
    if version.score_config_id not in (None, active.at(version.history_date)):
        return
    was = _told(before) if before is not None and before.history_type != "-" else ""
    becomes = _told(version) if version.history_type != "-" else ""
    if was != becomes:
        yield _change(version, f"Event rule {version.match_value}", was, becomes)


def _told(version: Any) -> str:
    """A disabled rule counts as none."""
    return rule_text(EventRule.value(version)) if version.enabled else ""
