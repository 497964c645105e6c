"""Two registries side by side: what differs, in words. Pure."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from registry.registry import Registry
from registry.values import DomainRuleValue, Rule, ScoreParameters

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Difference:
    """`was` or `becomes` is '' where there is no such thing."""

    part: str  # numbers, weights, event rules, domain rules
    name: str
    was: str
    becomes: str


def differences(before: Registry, after: Registry) -> list[Difference]:
    """From `before` to `after`: numbers, then weights, rules and domain rules in order of their names."""
    numbers = [field.name for field in fields(ScoreParameters) if field.name != "id"]
    was, becomes = ({name: getattr(side.parameters, name) for name in numbers} for side in (before, after))
    return [
        *_differences("numbers", was, becomes, str),
        *_differences("weights", before.weights.points, after.weights.points, str, weight_name),
        *_rules(before.rules, after.rules),
        *_domain_rules(before.domain_rules, after.domain_rules),
    ]


def weight_name(key: tuple[str, str, str]) -> str:
    """`page_view · pricing`."""
    return " · ".join(filter(None, key))


def rule_text(rule: Rule) -> str:
    """`100 page_view path_prefix /pricing → pricing, lane desks, weight 40`."""
    gives = [rule.content_type, f"lane {rule.lane}" * bool(rule.lane)]
    gives.append("" if rule.weight_override is None else f"weight {rule.weight_override}")
    said = ", ".join(filter(None, gives)) or "nothing"
    return f"{rule.priority} {rule.event_name} {rule.match_type} {rule.match_value} → {said}"


def _rules(before: Iterable[Rule], after: Iterable[Rule]) -> Iterator[Difference]:
    was, becomes = ({rule.id: rule for rule in side} for side in (before, after))
    for found in _differences("event rules", was, becomes, rule_text):
        rule = becomes.get(found.name) or was[found.name]
        yield Difference(found.part, rule.match_value, found.was, found.becomes)


def _domain_rules(before: Iterable[DomainRuleValue], after: Iterable[DomainRuleValue]) -> Iterator[Difference]:
    was, becomes = ({(rule.pattern, rule.kind): rule for rule in side} for side in (before, after))
    return _differences("domain rules", was, becomes, _domain_rule, lambda key: key[0])


def _domain_rule(rule: DomainRuleValue) -> str:
    until = f" until {rule.expires_on}" if rule.expires_on else ""
    return f"{rule.pattern}: {rule.kind}{until}"


def _differences(
    part: str,
    before: Mapping[V, object],
    after: Mapping[V, object],
    text: Callable[..., str],
    name: Callable[[V], str] = str,
) -> Iterator[Difference]:
    for key in sorted({**before, **after}, key=_order):
        was, becomes = (text(side[key]) if key in side else "" for side in (before, after))
        if was != becomes:
            yield Difference(part, name(key), was, becomes)


def _order(key: Hashable) -> str:
    return repr(key)
