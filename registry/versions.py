"""Back to a registry that was: the config, its weights and the event rules of a stored revision (design 3).

Domain rules stay as they are: they say whose a domain is, act on all history, and are taken back one by one. Points of
the lead score stay too: no revision holds them.
"""

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q

from registry import revisions
from registry.loader import RegistryUnusable, load_proposed, load_registry
from registry.models import REASON_LENGTH, EventRule, RegistryRevision, ScoreConfig, ScoreWeight
from registry.registry import Registry
from registry.values import Rule, ScoreParameters


class CannotRollBack(Exception):
    """Nothing was changed; the text says why."""


def roll_back(revision: RegistryRevision, *, reason: str = "", instead_of: object = None) -> ScoreConfig:
    """Make the registry what the revision says, and its config the active one: all of it or nothing.

    Rules that came since are disabled, not deleted; a deleted one is made again with its id, so that the next scores
    carry the revision's own digest. ActivatedMeanwhile as `ScoreConfig.activate`; CannotRollBack when the revision can
    no longer be used.
    """
    try:
        then = revisions.registry_of(revision)
    except (KeyError, ValueError, TypeError) as error:
        raise CannotRollBack("This revision was written by another version of Orbit and cannot be read.") from error
    said = (f"Rolled back to revision {revision}" + (f": {reason}" if reason else ""))[:REASON_LENGTH]
    with transaction.atomic():
        config = ScoreConfig.objects.select_for_update().filter(pk=then.parameters.id).first()
        if config is None:
            raise CannotRollBack(f"The score config {then.parameters.name} of this revision is gone.")
        _restore_numbers(config, then.parameters, said)
        _restore_weights(config, then, said)
        _restore_rules(config, then.rules, said)
        try:
            load_proposed(config.pk)
        except RegistryUnusable as bad:
            raise CannotRollBack(f"This revision breaks today's checks: {' '.join(bad.problems)}") from bad
        config._change_reason = said
        config.activate(instead_of=instead_of)
    return config


def _save(row: Any, changes: dict[str, Any], reason: str) -> None:
    """Only what differs, so that the history has no empty versions."""
    if row._state.adding or any(getattr(row, name) != value for name, value in changes.items()):
        for name, value in changes.items():
            setattr(row, name, value)
        row._change_reason = reason
        row.save()


def _restore_numbers(config: ScoreConfig, then: ScoreParameters, reason: str) -> None:
    changes: dict[str, Any] = {}
    for field in config._meta.concrete_fields:
        if field.name != "id" and hasattr(then, field.name):
            value = getattr(then, field.name)
            # Columns with places compare by value, and 0.1 stands for what the decimal 0.10 was.
            changes[field.name] = Decimal(repr(value)) if field.get_internal_type() == "DecimalField" else value
    if ScoreConfig.objects.filter(name=then.name).exclude(pk=config.pk).exists():
        del changes["name"]  # renamed since, and another config has the name now
    _save(config, changes, reason)


def _restore_weights(config: ScoreConfig, then: Registry, reason: str) -> None:
    of_events = ScoreWeight.objects.filter(score_config=config, kind=ScoreWeight.Kind.EVENT)
    stored = {(row.event_name, row.content_type, row.cta_id): row for row in of_events.order_by("pk")}
    for key, row in stored.items():
        if key not in then.weights.points:
            row._change_reason = reason
            row.delete()
    for key, points in then.weights.points.items():
        event, content_type, cta_id = key
        row = stored.get(key) or ScoreWeight(
            score_config=config, event_name=event, content_type=content_type, cta_id=cta_id
        )
        _save(row, {"weight": points}, reason)


def _restore_rules(config: ScoreConfig, then: tuple[Rule, ...], reason: str) -> None:
    in_scope = Q(score_config__isnull=True) | Q(score_config=config)
    stored = {str(row.pk): row for row in EventRule.objects.filter(in_scope | Q(pk__in=[rule.id for rule in then]))}
    kept = {rule.id for rule in then}
    for key, row in stored.items():
        if row.enabled and key not in kept:
            _save(row, {"enabled": False}, reason)
    for rule in then:
        row = stored.get(rule.id) or _deleted(rule.id, config)
        scope = row.score_config_id if row.score_config_id in (None, config.pk) else config.pk
        changes = {name: getattr(rule, name) for name in Rule.__slots__ if name != "id"}
        _save(row, changes | {"enabled": True, "score_config_id": scope}, reason)


def _deleted(key: str, config: ScoreConfig) -> EventRule:
    """A rule that is no more, as its history knows it; one that nobody knows is the config's own."""
    last = EventRule.history.filter(id=key).order_by("-history_date", "-history_id").first()
    if last is None:
        return EventRule(id=key, score_config=config)
    scope = ScoreConfig.objects.filter(pk=last.score_config_id).first()
    return EventRule(id=key, score_config=scope, notes=last.notes, seed_key=last.seed_key)


def earlier(most: int = 20) -> list[RegistryRevision]:
    """The revisions that scores were made with and that say otherwise than the registry in force, newest first."""
    marked = RegistryRevision.objects.filter(in_force_at__isnull=False).order_by("-in_force_at", "-pk")
    try:
        present = load_registry()
    except RegistryUnusable:
        return list(marked[:most])
    return [row for row in marked[: most + 1] if not is_same(row, present)][:most]


def is_same(revision: RegistryRevision, registry: Registry) -> bool:
    """In all that a rollback would restore."""
    try:
        then = revisions.registry_of(revision)
    except (KeyError, ValueError, TypeError):
        return False
    return (then.parameters, then.weights, then.rules) == (registry.parameters, registry.weights, registry.rules)
