"""The registry as a whole: everything that decides a score, and what is wrong with it. Pure.

The database refuses most bad rows and forms refuse the rest. What comes past both (SQL by hand, a database that ignores
checks, a SQLite column that holds any type) is found here, before anything is scored with it.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from registry.rules import (
    NAME_LENGTH,
    RuleSet,
    output_problem,
    points_problem,
    problem,
    text_problem,
    too_large_together,
)
from registry.values import (
    ANY,
    PLACEHOLDER,
    DomainRuleKind,
    DomainRuleValue,
    IntentStage,
    Persona,
    Prompt,
    Rule,
    ScoreParameters,
    Weight,
    Weights,
)

DOMAIN = re.compile(r"(?!\d+(\.\d+)*$)[a-z0-9-]+(\.[a-z0-9-]+)+")
Value = ScoreParameters | Weight | Rule | DomainRuleValue | Prompt


@dataclass(frozen=True)
class Registry:
    """Everything that decides a score, read at one moment.

    `in_force`: read from the tables, for the runs and pages of today. `alarm`: what is wrong with the tables, when this
    is the last good registry in their stead.
    """

    parameters: ScoreParameters
    weights: Weights
    rules: tuple[Rule, ...]
    domain_rules: tuple[DomainRuleValue, ...]
    in_force: bool = field(default=False, compare=False)
    alarm: tuple[str, ...] = field(default=(), compare=False)

    def rule_set(self) -> RuleSet:
        return RuleSet(self.rules)

    def problems(self) -> tuple[str, ...]:
        """What is wrong with a registry whose rows are no longer at hand."""
        weights = [Weight(*key, points) for key, points in self.weights.points.items()]
        rows: list[Value] = [self.parameters, *weights, *self.rules, *self.domain_rules]
        return registry_problems((type(value).__name__, value) for value in rows)


def registry_problems(rows: Iterable[tuple[str, Value]]) -> tuple[str, ...]:
    """Every bad row as `its name: the reason`; all rows are fine when this is empty. A name is table and id."""
    found, rules = [], []
    for name, value in rows:
        why = _problem(value)
        if why:
            found.append(f"{name}: {why}")
        elif isinstance(value, Rule):
            rules.append(value)
    together = too_large_together(rules)
    return (*found, together) if together else tuple(found)


def _problem(value: Value) -> str | None:
    if isinstance(value, Rule):
        return problem(value)
    if isinstance(value, Weight):
        return _weight_problem(value)
    if isinstance(value, DomainRuleValue):
        return _domain_rule_problem(value)
    if isinstance(value, Prompt):
        return _prompt_problem(value)
    return _parameters_problem(value)


def _number(value: object, low: float, high: float, *, whole: bool) -> bool:
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    return fits and math.isfinite(value) and low <= value <= high  # type: ignore[arg-type,operator]


def _parameters_problem(config: ScoreParameters) -> str | None:
    """The ranges of `ScoreConfig`'s constraints."""
    for name, low, high, whole in (
        ("lambda_decay", 0, 10, False),
        ("normalize_k", 1, 1_000_000, True),
        ("cold_max", 0, 98, True),
        ("warm_max", 1, 99, True),
        ("surge_surging_min", 0, math.inf, False),
        ("surge_exploding_min", 0, math.inf, False),
        ("surge_smoothing", 0.0001, 1000, False),
        ("surge_min_raw_7d", 0, 1e9, False),
        ("new_account_days", 0, 90, True),
    ):
        if not _number(getattr(config, name), low, high, whole=whole):
            kind = "whole number" if whole else "number"
            return f"{name} is {getattr(config, name)!r}: no {kind} from {low:g} to {high:g}."
    if config.cold_max >= config.warm_max:
        return "cold_max must be below warm_max."
    if not 0 < config.surge_surging_min <= config.surge_exploding_min:
        return "surge_surging_min must be above 0 and at most surge_exploding_min."
    if not isinstance(config.surge_rebase_prev, bool):
        return "surge_rebase_prev is neither true nor false."
    return None


def _weight_problem(row: Weight) -> str | None:
    return (
        text_problem("event name", row.event_name, NAME_LENGTH, empty=False)
        or text_problem("content type", row.content_type, NAME_LENGTH)
        or text_problem("cta id", row.cta_id, NAME_LENGTH)
        or output_problem("content type", row.content_type)
        or points_problem("weight", row.weight)
    )


def _domain_rule_problem(rule: DomainRuleValue) -> str | None:
    why = text_problem("domain", rule.pattern, 255, empty=False) or text_problem("reason", rule.reason, 255)
    if why:
        return why
    domain = rule.pattern.removeprefix("*.")
    if not DOMAIN.fullmatch(domain) or domain.startswith("www."):
        return f"{rule.pattern!r} is no canonical domain such as example.com or *.example.com."
    if rule.kind not in list(DomainRuleKind):
        return f"unknown kind {rule.kind!r}."
    return None if rule.expires_on is None or isinstance(rule.expires_on, date) else "The last day is no date."


def _prompt_problem(prompt: Prompt) -> str | None:
    why = text_problem("lane", prompt.lane, NAME_LENGTH, empty=False)
    if why or (prompt.lane != ANY and output_problem("lane", prompt.lane)):
        return why or output_problem("lane", prompt.lane)
    if prompt.persona not in [ANY, *Persona]:
        return f"unknown persona {prompt.persona!r}."
    if prompt.intent_stage not in [ANY, *IntentStage]:
        return f"unknown stage {prompt.intent_stage!r}."
    if not isinstance(prompt.user_prompt_template, str) or PLACEHOLDER not in prompt.user_prompt_template:
        return f"{PLACEHOLDER} is missing: the model would see no facts."
    if not isinstance(prompt.system_prompt, str):
        return "The system prompt is no text."
    return None if _number(prompt.max_words, 20, 2000, whole=True) else "max_words is no whole number from 20 to 2000."
