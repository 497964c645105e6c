"""What a decision about domains would do, before it is taken: domain rules, aliases and merges. No HTTP, no writes.

Everything is asked of the same code that scores: a resolver with the proposal in it, and the engine over stored facts.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db.models import Q, QuerySet

from accounts.models import Contact, ProspectCompany
from accounts.resolution import DomainRules, Resolver, load_resolver
from ingestion.models import LeadRequest
from registry.loader import NoActiveConfig, Registry, load_registry
from registry.models import DomainRule
from registry.values import DomainRuleValue
from scoring import evidence
from scoring.engine import MONTH, AccountScore, Classifier, score_account
from scoring.rollup import first_seen_earlier, scored_date

BEST = 20  # accounts that an impact names
SUMMED = 5_000  # keys whose events are summed; a wildcard over half the internet says "more than"
CHUNK = 500
T = TypeVar("T")


# --- Domain rules -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Touched:
    """An account that a rule would change; its score is the last one it had."""

    domain: str
    name: str
    score: int
    stage: str
    was: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Impact:
    """What changes with the next scores. `becomes` counts accounts by their new state, "" is scored."""

    accounts: int = 0
    keys: int = 0
    events: int = 0
    all_events: bool = True
    opened: int = 0  # accounts that are none yet
    becomes: tuple[tuple[str, int], ...] = ()
    best: tuple[Touched, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.accounts or self.keys)


def rules_in_force() -> list[DomainRuleValue]:
    return [row.value() for row in DomainRule.objects.filter(enabled=True).order_by("domain", "kind")]


def impact_of_rule(proposed: DomainRule, now: datetime) -> Impact:
    """Of saving this rule, new or changed, enabled or not."""
    stored = DomainRule.objects.filter(pk=proposed.pk).first()
    return impact_of([stored] if stored else [], [proposed], now)


def impact_of_removal(rules: Collection[DomainRule], now: datetime) -> Impact:
    return impact_of(rules, [], now)


def impact_of(removed: Collection[DomainRule], added: Collection[DomainRule], now: datetime) -> Impact:
    """Of taking these rules away and putting those in their place, as of today, the next date a night scores.

    1. the domains they could speak of: keys of the last 30 days, accounts, further domains; 2. each is resolved with
    the rules of now and with the proposed ones; 3. those that come out otherwise are counted.
    """
    out = {rule.pk for rule in (*removed, *added)}
    kept = [row.value() for row in DomainRule.objects.filter(enabled=True).exclude(pk__in=out)]
    before = load_resolver([*kept, *(row.value() for row in removed if row.enabled)], now.date())
    # The aliases and merges are the same: they need not be read again.
    rules = DomainRules.in_force([*kept, *(row.value() for row in added if row.enabled)], now.date())
    after = Resolver(before.homes, rules, before.scope)
    if before.rules == after.rules:
        return Impact()
    first, last = now.date() - timedelta(days=MONTH), now.date()
    patterns = {rule.domain for rule in (*removed, *added)}
    keys = {key for key in keys_under(patterns, before, first, last) if state(key, before) != state(key, after)}
    return _impact(keys, before, after, accounts_under(patterns, before), first, last)


def state(key: str, resolver: Resolver) -> str:
    """Why the key's facts are not scored; '' when they are. One suppressed by itself counts in no account."""
    return resolver.resolve(key).reason


def _impact(
    keys: Collection[str], before: Resolver, after: Resolver, accounts: Iterable[str], first: date, last: date
) -> Impact:
    moved = {domain for domain in accounts if state(domain, before) != state(domain, after)}
    best = heads(moved).order_by("-intent_score", "-score_30d_raw", "domain")
    homes = {after.resolve(key).domain for key in keys} - {None}
    known = {domain for some in chunks(homes) for domain in heads(some).values_list("domain", flat=True)}
    summed = sorted(keys)[:SUMMED]
    days = (day for some in chunks(summed) for day in evidence.facts(some, first, last))
    return Impact(
        accounts=len(moved),
        keys=len(keys),
        events=sum(cell.count for day in days for cell in day.cells),
        all_events=len(summed) == len(keys),
        opened=len(homes - known),
        becomes=tuple(sorted(Counter(state(domain, after) for domain in moved).items())),
        best=tuple(
            Touched(
                row.domain,
                row.name,
                row.intent_score,
                row.intent_stage,
                state(row.domain, before),
                state(row.domain, after),
            )
            for row in best[:BEST]
        ),
    )


def keys_under(patterns: Iterable[str], resolver: Resolver, first: date, last: date) -> set[str]:
    """Keys seen on these days that a rule for one of these patterns could speak of: below the pattern, or in the
    family of an account that is."""
    found: set[str] = set()
    for rows in evidence.in_days(first, last):
        for pattern in patterns:
            asked = rows.filter(below("account_key", pattern, resolver)).order_by()
            found |= set(asked.values_list("account_key", flat=True).distinct())
    family = {key for home in accounts_under(patterns, resolver) for key in resolver.explicit_keys(home)} - found
    for some in chunks(family):
        found |= set(evidence.seen(some, first, last))
    return found


def accounts_under(patterns: Iterable[str], resolver: Resolver) -> set[str]:
    """Accounts that are under one of the patterns by their own domain."""
    asked = Q()
    for pattern in patterns:
        asked |= below("domain", pattern, resolver)
    return set(ProspectCompany.objects.filter(asked, merged_into__isnull=True).values_list("domain", flat=True))


def below(column: str, pattern: str, resolver: Resolver) -> Q:
    """The pattern's domain and, for a wildcard or where subdomains are grouped, everything below it."""
    domain = pattern.removeprefix("*.")
    asked = Q(**{column: domain})
    if pattern != domain or resolver.scope == "registrable":
        asked |= Q(**{f"{column}__endswith": f".{domain}"})
    return asked


def heads(domains: Collection[str]) -> QuerySet[ProspectCompany]:
    return ProspectCompany.objects.filter(domain__in=domains, merged_into__isnull=True)


# --- Aliases and merges -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Score:
    score: int
    stage: str
    surge: str
    raw_30d: float
    people_7d: int

    @classmethod
    def of(cls, found: AccountScore) -> "Score":
        return cls(
            found.intent_score,
            found.intent_stage,
            found.surge_level,
            found.raw_score_30d,
            found.unique_people_7d,
        )


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: what is known of it today, and its score now and then. No score: it is not scored by itself."""

    domain: str
    name: str
    is_account: bool
    days: int
    events: int
    contacts: int
    leads: int
    now: Score | None
    then: Score | None


@dataclass(frozen=True, slots=True)
class FamilyChange:
    """What it would do to let `other` belong to `head`, or to let it stand on its own again."""

    joins: bool
    head: Side
    other: Side
    as_of: date
    merged_elsewhere: str  # the account that `other` is merged into now, when it is a third one
    no_scores: str  # why no score can be computed, or ''
    unusable: str  # personal or platform, when `other` is, and joins all the same

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.head, self.other

    @property
    def is_merge(self) -> bool:
        return self.other.is_account


def family_change(head: ProspectCompany, domain: str, joins: bool, now: datetime) -> FamilyChange:
    """Computed by the engine over the stored facts of the newest scored date; nothing is written."""
    as_of = scored_date(now)
    other = ProspectCompany.objects.select_related("merged_into").filter(domain=domain).first()
    try:
        registry, no_scores = load_registry(), ""
    except NoActiveConfig as none:
        registry, no_scores = None, str(none)
    rules = registry.domain_rules if registry else rules_in_force()
    present = load_resolver(rules, as_of)
    apart = load_resolver(rules, as_of, {domain: None})
    proposed = load_resolver(rules, as_of, {domain: head.domain}) if joins else apart
    both = (head.domain, domain)
    scores = [_scores(both, resolver, registry, as_of) for resolver in (present, proposed)] if registry else [{}, {}]
    sides = [
        _side(name, account, apart, as_of, *(found.get(name) for found in scores))
        for name, account in zip(both, (head, other), strict=True)
    ]
    third = other.merged_into if other and other.merged_into_id != head.pk else None
    elsewhere = third.domain if third and joins else ""
    return FamilyChange(joins, *sides, as_of, elsewhere, no_scores, apart.rules.unusable(domain) if joins else "")


def _scores(domains: Iterable[str], resolver: Resolver, registry: Registry, as_of: date) -> dict[str, Score]:
    """Of those that are accounts of their own there, and not suppressed."""
    first = as_of - timedelta(days=evidence.REACH)
    own = [domain for domain in domains if resolver.resolve(domain) == (domain, "")]
    keys_of = {domain: evidence.keys_of(domain, resolver, first, as_of) for domain in own}
    found = evidence.read(keys_of, first, as_of)
    earlier = first_seen_earlier(found, keys_of, registry.parameters.new_account_days, as_of)
    classifier = Classifier(registry.rule_set(), registry.weights)
    return {
        domain: Score.of(
            score_account(seen.days, seen.leads, classifier, registry.parameters, as_of, first_seen=earlier.get(domain))
        )
        for domain in own
        for seen in [found.get(domain, evidence.Evidence())]
    }


def _side(
    domain: str,
    account: ProspectCompany | None,
    apart: Resolver,
    as_of: date,
    now: Score | None,
    then: Score | None,
) -> Side:
    """What the domain and its own family bring, without the other one."""
    family = apart.explicit_keys(domain)
    facts = list(evidence.facts(family, as_of - timedelta(days=MONTH - 1), as_of))
    return Side(
        domain=domain,
        name=account.name if account else domain,
        is_account=account is not None,
        days=len({day.date for day in facts}),
        events=sum(cell.count for day in facts for cell in day.cells),
        contacts=Contact.objects.filter(prospect_company__domain__in=family).count(),
        leads=LeadRequest.objects.filter(account_key__in=family).count(),
        now=now,
        then=then,
    )


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while some := list(islice(rest, CHUNK)):
        yield some
