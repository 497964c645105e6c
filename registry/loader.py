"""The registry as frozen values, at most REGISTRY_TTL_SECONDS old: no number of scoring or prompts lives in code.

Jobs load fresh (`load_registry`), so a run never mixes two versions; pages and the API use the cached getters.

A registry with a bad row is not used at all, not even in part: the last good one stays in force as a whole, and an
alarm says which rows are bad. Runs go back to the newest revision that was in force, so a new process does too; pages
keep what they last read. `docs/decisions/0012` says why.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, CharField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Cast
from django.db.models.signals import post_delete, post_save

from registry import revisions
from registry.models import DomainRule, EventRule, PromptTemplate, ScoreConfig, ScoreWeight
from registry.registry import Registry, Value, registry_problems
from registry.rules import RuleSet
from registry.values import ANY, DomainRuleValue, Prompt, ScoreParameters, Weights

NAMED = 20  # bad rows an alarm names
NO_ACTIVE_CONFIG = "No score config is active. Run `manage.py seed_registry`, or activate one in the admin."
UNREADABLE = (ValueError, TypeError, ArithmeticError)  # what a column of SQLite raises that holds another type
logger = logging.getLogger(__name__)
T = TypeVar("T")
Named = list[tuple[str, Any]]


class RegistryUnusable(Exception):
    """The registry has bad rows, and no earlier good one is known. `problems` names each row with the reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        found = tuple(problems)
        self.problems = found[:NAMED] + ((f"and {len(found) - NAMED:,} more",) if len(found) > NAMED else ())
        super().__init__(
            "The registry cannot be used, and no earlier good one is known. Mend or disable these rows in the admin,"
            f" then try again: {' '.join(self.problems)}"
        )


class NoActiveConfig(RegistryUnusable):
    """No score config is active: nothing can be scored. Run `manage.py seed_registry`, or activate one."""

    def __init__(self) -> None:
        super().__init__([NO_ACTIVE_CONFIG])
        self.args = (NO_ACTIVE_CONFIG,)


EXPIRED = float("-inf")
_cache: dict[Any, tuple[float, Any]] = {}
_edits = 0  # of the tables, by this process
_alarms: dict[Any, tuple[str, ...]] = {}  # what is wrong now, by part: a change is logged, a repetition is not
_lock = threading.Lock()


def clear_cache() -> None:
    """Forget every cached value and every alarm, as a new process."""
    with _lock:
        _cache.clear()
        _alarms.clear()


def _expire() -> None:
    """Every cached value is read again when it is next asked for; it stays, should the tables be bad by then."""
    global _edits
    with _lock:
        _edits += 1
        for key, (_, value) in _cache.items():
            _cache[key] = (EXPIRED, value)


def _forget(**kwargs: Any) -> None:
    """What this process edits it sees at once; again after the commit, since a thread may load old rows till then."""
    _expire()
    transaction.on_commit(_expire)


for _model in (ScoreConfig, ScoreWeight, EventRule, PromptTemplate, DomainRule):
    post_save.connect(_forget, sender=_model)
    post_delete.connect(_forget, sender=_model)


def _sound_alarm(part: Any, problems: tuple[str, ...]) -> None:
    with _lock:
        before, _alarms[part] = _alarms.get(part, ()), problems
    if problems and problems != before:
        logger.error("Bad rows in the registry; the last good one stays in force. %s", " ".join(problems))
    if before and not problems:
        logger.warning("The registry is good again and in force.")


def _cached(key: Any, load: Callable[[], T], instead: Callable[[T | None, RegistryUnusable], T] | None = None) -> T:
    """The cached value, or the loaded one. When the tables are bad: `instead` of it, or what was cached before."""
    now = time.monotonic()
    with _lock:
        kept, edits = _cache.get(key), _edits
    if kept is not None and now - kept[0] < settings.REGISTRY_TTL_SECONDS:
        return kept[1]  # type: ignore[no-any-return]
    try:
        value = load()
    except RegistryUnusable as bad:
        if not isinstance(bad, NoActiveConfig):
            _sound_alarm(key, bad.problems)
        if instead is not None:
            value = instead(kept and kept[1], bad)
        elif kept is not None:
            value = kept[1]
        else:
            raise
    else:
        _sound_alarm(key, ())
    with _lock:  # what was edited meanwhile may not be in it: a page reads at one moment
        _cache[key] = (now if edits == _edits else EXPIRED, value)
    return value


# --- For pages and the API --------------------------------------------------------------------------------------------
def _in_force() -> tuple[Registry, RuleSet]:
    """The registry that pages show, its rules compiled: one value, so that its parts always fit together."""
    return _cached("registry", lambda: _with_rule_set(_read_registry()), _last_shown)


def _last_shown(kept: tuple[Registry, RuleSet] | None, bad: RegistryUnusable) -> tuple[Registry, RuleSet]:
    if kept is None:
        return _with_rule_set(_last_in_force(bad))
    return replace(kept[0], in_force=False, alarm=bad.problems), kept[1]


def _with_rule_set(registry: Registry) -> tuple[Registry, RuleSet]:
    return registry, registry.rule_set()


def _in_force_or_none() -> tuple[Registry, RuleSet] | None:
    try:
        return _in_force()
    except NoActiveConfig:
        return None


def get_active_score_config() -> ScoreParameters:
    """The active config's numbers; NoActiveConfig when there is none."""
    return _in_force()[0].parameters


def get_weights_map(score_config_id: str) -> Weights:
    """The event weights of a config by (event, content type, cta id)."""
    found = _in_force_or_none()
    if found and found[0].parameters.id == score_config_id:
        return found[0].weights
    return _cached(("weights", score_config_id), lambda: _weights(_good(_read_weights(score_config_id))))


def get_lead_points() -> dict[tuple[str, str], int]:
    """The active config's points of a lead score by (what the lead says, which of it); none without a config."""
    return _cached("lead_points", _read_lead_points)


def _read_lead_points() -> dict[tuple[str, str], int]:
    of_active = ScoreWeight.objects.filter(kind=ScoreWeight.Kind.LEAD, score_config__status=ScoreConfig.Status.ACTIVE)
    return {(row.event_name, row.content_type): row.weight for row in of_active}


def get_event_rules(score_config_id: str | None = None) -> RuleSet:
    """The enabled rules of every config and of this one, compiled; the first match by (priority, id) wins."""
    found = _in_force_or_none()
    if found and found[0].parameters.id == score_config_id:
        return found[1]
    return _cached(("rules", score_config_id), lambda: RuleSet(_good(_read_rules(score_config_id))))


def get_domain_rules() -> tuple[DomainRuleValue, ...]:
    found = _in_force_or_none()
    return found[0].domain_rules if found else _cached("domain_rules", lambda: tuple(_good(_read_domain_rules())))


def get_prompt_template(*, lane: str, persona: str, stage: str) -> Prompt:
    """The most specific enabled template (spec appendix B); LookupError when not even `*/*/*` exists."""
    return select_prompt(_prompts(), lane=lane, persona=persona, stage=stage)


def _prompts() -> list[Prompt]:
    return _cached("prompts", lambda: _good(_read_prompts()))


def select_prompt(prompts: list[Prompt], *, lane: str, persona: str, stage: str) -> Prompt:
    """More specific wins, lane before persona before stage.

    Appendix B lists five of the eight combinations; sorting by which of the three a template names, lane first, gives
    its order and places the three it leaves out: lane/*/*, */persona/* and */*/stage.
    """
    fitting = [
        prompt
        for prompt in prompts
        if prompt.lane in (lane, ANY) and prompt.persona in (persona, ANY) and prompt.intent_stage in (stage, ANY)
    ]
    if not fitting:
        raise LookupError(f"No enabled prompt template fits {lane}/{persona}/{stage}; add one for */*/*.")
    return max(fitting, key=lambda p: (p.lane != ANY, p.persona != ANY, p.intent_stage != ANY))


def registry_alarm() -> tuple[str, ...]:
    """What is wrong with the registry's tables, for whoever can mend it; at most REGISTRY_TTL_SECONDS old."""
    found: tuple[str, ...] = ()
    try:
        found = _in_force()[0].alarm
    except RegistryUnusable as bad:
        found = bad.problems
    try:
        _prompts()
    except RegistryUnusable as bad:
        return found + bad.problems
    return found + _alarms.get("prompts", ())


# --- For jobs ---------------------------------------------------------------------------------------------------------
def load_registry() -> Registry:
    """Everything that decides a score, read now and not from the cache; the last that was in force if it is bad."""
    try:
        registry = _read_registry()
    except RegistryUnusable as bad:
        last = _last_in_force(bad)
        _sound_alarm("registry", bad.problems)
        return last
    _sound_alarm("registry", ())
    return registry


def load_proposed(score_config_id: Any) -> Registry:
    """The registry as it would be if this config were active: its numbers, weights and rules, and what counts for all.

    Read now. RegistryUnusable when a row in it is bad; ScoreConfig.DoesNotExist when the config is gone.
    """
    chosen = _read(ScoreConfig.objects.filter(pk=score_config_id), ScoreConfig.parameters)
    if not chosen:
        raise ScoreConfig.DoesNotExist("There is no such score config; perhaps somebody deleted it.")
    return _read_registry_of(chosen)


def _last_in_force(bad: RegistryUnusable) -> Registry:
    """The registry of the newest revision that was in force, with the alarm; raises `bad` again when none will do."""
    revision = revisions.last_in_force()
    try:
        last = revisions.registry_of(revision) if revision else None
    except (KeyError, *UNREADABLE):  # a content of another version, or edited by hand
        last = None
    if last is None or last.problems() or not ScoreConfig.objects.filter(pk=last.parameters.id).exists():
        raise bad
    return replace(last, alarm=bad.problems)


# --- Reading the tables: (table and id, value) of every row that counts -----------------------------------------------
def _read_registry() -> Registry:
    """The tables as a registry; RegistryUnusable when any row in it is bad."""
    configs = _read(ScoreConfig.objects.filter(status=ScoreConfig.Status.ACTIVE), ScoreConfig.parameters)
    if not configs:
        raise NoActiveConfig
    if len(configs) > 1:
        raise RegistryUnusable(f"{name}: More than one config is active." for name, _ in configs)
    return replace(_read_registry_of(configs), in_force=True)


def _read_registry_of(configs: Named) -> Registry:
    """With the one config that was read already."""
    parameters: ScoreParameters = configs[0][1]
    rows = {
        "weights": _read_weights(parameters.id),
        "rules": _read_rules(parameters.id),
        "domain_rules": _read_domain_rules(),
    }
    _good([*configs, *(row for part in rows.values() for row in part)])
    return Registry(
        parameters,
        _weights(value for _, value in rows["weights"]),
        tuple(value for _, value in rows["rules"]),
        tuple(value for _, value in rows["domain_rules"]),
    )


def _good(rows: Named) -> list[Any]:
    """The values of these rows; RegistryUnusable when one is bad."""
    problems = registry_problems(rows)
    if problems:
        raise RegistryUnusable(problems)
    return [value for _, value in rows]


def _weights(rows: Iterable[Any]) -> Weights:
    return Weights({(row.event_name, row.content_type, row.cta_id): row.weight for row in rows})


def _read_weights(score_config_id: str) -> Named:
    rows = ScoreWeight.objects.filter(score_config_id=score_config_id, kind=ScoreWeight.Kind.EVENT)
    return _read(rows, ScoreWeight.value)


def _read_rules(score_config_id: str | None) -> Named:
    scope = Q(score_config__isnull=True) | Q(score_config_id=score_config_id)
    return _read(EventRule.objects.filter(scope, enabled=True).order_by("priority", "id"), EventRule.value)


def _read_domain_rules() -> Named:
    endless = ExpressionWrapper(Q(expires_on__isnull=True), output_field=BooleanField())
    rows = DomainRule.objects.filter(enabled=True).annotate(endless=endless).order_by("domain", "kind")
    return _read(rows, _domain_rule)


def _domain_rule(row: Any) -> DomainRuleValue:
    if row.expires_on is None and not row.endless:  # SQLite gives a text that is no date as None: "for good"
        raise ValueError("its last day is no date")
    return row.value()  # type: ignore[no-any-return]


def _read_prompts() -> Named:
    return _read(PromptTemplate.objects.filter(enabled=True).order_by("id"), PromptTemplate.value)


def _read(rows: QuerySet[Any], value: Callable[[Any], Value]) -> Named:
    table = rows.model._meta.db_table
    try:
        return [(f"{table} {row.pk}", value(row)) for row in rows]
    except UNREADABLE:
        raise RegistryUnusable(_unreadable(rows, value)) from None


def _unreadable(rows: QuerySet[Any], value: Callable[[Any], Value]) -> list[str]:
    """Which rows cannot even be read, one by one; keys are compared as texts, since a key may be what is wrong."""
    table, found = rows.model._meta.db_table, []
    rows = rows.annotate(key_text=Cast("pk", CharField()))
    for key in rows.values_list("key_text", flat=True):
        try:
            value(rows.get(key_text=key))
        except UNREADABLE as error:
            found.append(f"{table} {key}: cannot be read: {type(error).__name__}: {error}.")
    return found
