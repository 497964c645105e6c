"""How rows of the registry are changed, from the admin and the API alike: checked by the same code, and never over
somebody else's change."""

import hashlib
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Count, Max, Model, Q, QuerySet

from registry.models import REASON_LENGTH, EventRule, ScoreConfig, all_rules_problem
from registry.rules import problem
from registry.shadowing import shadowed_by

Row = TypeVar("Row", bound=Model)


class Stale(Exception):
    """The row was changed after it was read: nothing was written. `row` is as it is now."""

    def __init__(self, row: Any) -> None:
        who = last_editor(row)
        super().__init__(
            f"{who or 'Somebody'} changed this at {row.updated_at:%Y-%m-%d %H:%M:%S} UTC, after you opened it. Nothing"
            " was saved: look at what it says now, and change it again."
        )
        self.row = row


def last_editor(row: Any) -> str:
    last = row.history.select_related("history_user").order_by("-history_date", "-history_id").first()
    return last.history_user.get_username() if last and last.history_user else ""


# --- Which version somebody saw ---------------------------------------------------------------------------------------
def with_versions(rows: QuerySet[Row]) -> QuerySet[Row]:
    """With what `version_of` needs, so that a list asks for it once."""
    if rows.model is not ScoreConfig:
        return rows
    return rows.annotate(weights_number=Count("weights"), weights_at=Max("weights__updated_at"))


def version_of(row: Any) -> str:
    """A word for the row's present content; a config's weights belong to it."""
    marks = [str(row.pk), row.updated_at.isoformat()]
    if isinstance(row, ScoreConfig):
        if "weights_at" not in row.__dict__:
            found = row.weights.aggregate(weights_number=Count("pk"), weights_at=Max("updated_at"))
            row.__dict__.update(found)
        marks += [str(row.weights_number), str(row.weights_at and row.weights_at.isoformat())]  # type: ignore[attr-defined]
    return hashlib.sha256(" ".join(marks).encode()).hexdigest()[:20]


def lock(model: type[Row], key: Any, seen: str) -> Row:
    """The row, locked until the transaction ends; Stale when it is not the version that somebody saw. DoesNotExist."""
    row = model._default_manager.select_for_update().get(pk=key)
    if version_of(row) != seen:
        raise Stale(row)
    return row


# --- What may be saved ------------------------------------------------------------------------------------------------
def check(row: Any) -> None:
    """Everything that forms and the API demand of a row; ValidationError."""
    row.full_clean()
    check_together(row)


def check_together(row: Any) -> None:
    """One rule may be fine and still be too much beside the others."""
    if isinstance(row, EventRule) and row.enabled:
        others = EventRule.objects.filter(enabled=True).exclude(pk=row.pk)
        if why := all_rules_problem([*others, row]):
            raise ValidationError({"match_value": why})


def warnings(row: Any) -> list[str]:
    """What is allowed and perhaps not meant."""
    if not isinstance(row, EventRule) or not row.enabled or problem(row.value()):
        return []
    scope = Q(score_config__isnull=True) | Q(score_config=row.score_config_id)
    others = EventRule.objects.filter(scope, enabled=True, priority__lte=row.priority).exclude(pk=row.pk)
    earlier = shadowed_by(row.value(), (other.value() for other in others))
    if earlier is None:
        return []
    return [
        f"This rule can never win: rule {earlier.priority} {earlier.event_name} {earlier.match_type}"
        f" {earlier.match_value} is tried earlier and matches whatever this one does. Give this one a lower priority"
        f" number than {earlier.priority}, or make the other one narrower."
    ]


def because(row: Any, reason: str) -> None:
    """Keep why, in the history."""
    row._change_reason = reason[:REASON_LENGTH] or None
