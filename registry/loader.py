"""The registry as frozen values, at most REGISTRY_TTL_SECONDS old: no number of scoring or prompts lives in code.

Jobs load fresh (`load_registry`), so a run never mixes two versions; pages and the API use the cached getters.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_delete, post_save

from registry.models import DomainRule, EventRule, PromptTemplate, ScoreConfig, ScoreWeight
from registry.rules import RuleSet
from registry.values import ANY, DomainRuleValue, Prompt, Rule, ScoreParameters, Weights


class NoActiveConfig(Exception):
    """No score config is active: nothing can be scored. Run `manage.py seed_registry`, or activate one."""

    def __init__(self) -> None:
        super().__init__("No score config is active. Run `manage.py seed_registry`, or activate one in the admin.")


@dataclass(frozen=True)
class Registry:
    """Everything that decides a score, read at one moment."""

    parameters: ScoreParameters
    weights: Weights
    rules: tuple[Rule, ...]
    domain_rules: tuple[DomainRuleValue, ...]

    def rule_set(self) -> RuleSet:
        return RuleSet(self.rules)


_cache: dict[Any, tuple[float, Any]] = {}
_lock = threading.Lock()


def clear_cache() -> None:
    """Forget every cached value."""
    with _lock:
        _cache.clear()


def _forget(**kwargs: Any) -> None:
    """What this process edits it sees at once; again after the commit, since a thread may load old rows till then."""
    clear_cache()
    transaction.on_commit(clear_cache)


for _model in (ScoreConfig, ScoreWeight, EventRule, PromptTemplate, DomainRule):
    post_save.connect(_forget, sender=_model)
    post_delete.connect(_forget, sender=_model)


def _cached(key: Any, load: Callable[[], Any]) -> Any:
    now = time.monotonic()
    with _lock:
        kept = _cache.get(key)
    if kept is not None and now - kept[0] < settings.REGISTRY_TTL_SECONDS:
        return kept[1]
    value = load()
    with _lock:
        _cache[key] = (now, value)
    return value


def get_active_score_config() -> ScoreParameters:
    """The active config's numbers; NoActiveConfig when there is none."""
    return _cached("config", _load_config)  # type: ignore[no-any-return]


def get_weights_map(score_config_id: str) -> Weights:
    """The event weights of a config by (event, content type, cta id)."""
    return _cached(("weights", score_config_id), lambda: _load_weights(score_config_id))  # type: ignore[no-any-return]


def get_event_rules(score_config_id: str | None = None) -> RuleSet:
    """The enabled rules of every config and of this one, compiled; the first match by (priority, id) wins."""
    return _cached(("rules", score_config_id), lambda: RuleSet(_load_rules(score_config_id)))  # type: ignore[no-any-return]


def get_domain_rules() -> tuple[DomainRuleValue, ...]:
    return _cached("domain_rules", _load_domain_rules)  # type: ignore[no-any-return]


def get_prompt_template(*, lane: str, persona: str, stage: str) -> Prompt:
    """The most specific enabled template (spec appendix B); LookupError when not even `*/*/*` exists."""
    prompts: list[Prompt] = _cached("prompts", _load_prompts)
    return select_prompt(prompts, lane=lane, persona=persona, stage=stage)


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


def load_registry() -> Registry:
    """Everything that decides a score, read now and not from the cache."""
    parameters = _load_config()
    return Registry(parameters, _load_weights(parameters.id), _load_rules(parameters.id), _load_domain_rules())


def _load_config() -> ScoreParameters:
    config = ScoreConfig.objects.filter(status=ScoreConfig.Status.ACTIVE).first()
    if config is None:
        raise NoActiveConfig
    return config.parameters()


def _load_weights(score_config_id: str) -> Weights:
    rows = ScoreWeight.objects.filter(score_config_id=score_config_id, kind=ScoreWeight.Kind.EVENT)
    return Weights({(row.event_name, row.content_type, row.cta_id): row.weight for row in rows})


def _load_rules(score_config_id: str | None) -> tuple[Rule, ...]:
    scope = Q(score_config__isnull=True) | Q(score_config_id=score_config_id)
    rows = EventRule.objects.filter(scope, enabled=True).order_by("priority", "id")
    return tuple(row.value() for row in rows)


def _load_domain_rules() -> tuple[DomainRuleValue, ...]:
    return tuple(row.value() for row in DomainRule.objects.filter(enabled=True).order_by("domain", "kind"))


def _load_prompts() -> list[Prompt]:
    return [row.value() for row in PromptTemplate.objects.filter(enabled=True).order_by("id")]
