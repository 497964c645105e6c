"""Whose is this domain? Key → account, decided when facts are scored and never when they are stored (design 4).

Aliases, merges, personal, platform and suppressed domains and the grouping scope are all looked up here; so a change of
any of them acts on all history, and taking it back restores what was.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from accounts.domains import (
    SHIPPED_PERSONAL,
    SHIPPED_PLATFORMS,
    SHIPPED_VERSION,
    normalize_domain_from_url,
    registrable_domain,
)
from accounts.models import CompanyDomain, ProspectCompany
from registry.values import MAILBOXES, SUPPRESSING, DomainRuleKind, DomainRuleValue


class CannotMerge(Exception):
    """The merge or alias would make no sense; the text says why."""


class MergedElsewhere(CannotMerge):
    """The account is merged into another one: to move it, say so."""


class Resolution(NamedTuple):
    """Where a key's facts go: `domain` is the account's own domain, None when no account may have them and `reason`
    says why (personal, platform); with a domain, a reason is the suppression under which they are not scored."""

    domain: str | None
    reason: str = ""


def with_parents(domain: str) -> list[str]:
    """`a.b.c` → `a.b.c`, `b.c`, `c`."""
    found = [domain]
    while "." in domain:
        domain = domain.partition(".")[2]
        found.append(domain)
    return found


@dataclass(frozen=True)
class DomainRules:
    """The domain rules in force on one day, looked up by canonical domain."""

    by_pattern: Mapping[str, tuple[str, ...]]

    @classmethod
    def in_force(cls, rules: Iterable[DomainRuleValue], as_of: date) -> "DomainRules":
        found: dict[str, list[str]] = defaultdict(list)
        for rule in rules:
            if rule.in_force(as_of):
                found[rule.pattern].append(rule.kind)
        return cls({pattern: tuple(sorted(kinds)) for pattern, kinds in found.items()})

    def kinds(self, domain: str) -> tuple[str, ...]:
        """The kinds the domain is of: its own rules first, then `*.` rules of it and of every parent, nearest first."""
        if not self.by_pattern:
            return ()
        wild = [kind for parent in with_parents(domain) for kind in self.by_pattern.get(f"*.{parent}", ())]
        return (*self.by_pattern.get(domain, ()), *wild)

    def unusable(self, domain: str) -> str:
        """`personal` or `platform` where the domain can be no account, else ''.

        Of personal and not personal the nearest rule decides; without one, the shipped list.
        """
        kinds = self.kinds(domain)
        said = next((kind for kind in kinds if kind in MAILBOXES), None)
        if said == DomainRuleKind.PERSONAL or (said is None and domain in SHIPPED_PERSONAL):
            return DomainRuleKind.PERSONAL
        if DomainRuleKind.PLATFORM in kinds or any(parent in SHIPPED_PLATFORMS for parent in with_parents(domain)):
            return DomainRuleKind.PLATFORM
        return ""

    def suppressed_as(self, domain: str) -> str:
        """The kind under which the account is suppressed, '' when it is not."""
        return next((kind for kind in self.kinds(domain) if kind in SUPPRESSING), "")


class Resolver:
    """All that decides whose a key is, as of one day. Holds the exceptions only (aliases, merges, rules), not the
    accounts, so that its size does not grow with their number."""

    def __init__(self, homes: Mapping[str, str], rules: DomainRules, scope: str) -> None:
        self.homes, self.rules, self.scope = homes, rules, scope
        self._keys: dict[str, list[str]] = defaultdict(list)
        for domain, home in sorted(homes.items()):
            self._keys[home].append(domain)

    def resolve(self, key: str) -> Resolution:
        """The account a canonical key belongs to. What an admin said of the very domain beats every list."""
        home = self.homes.get(key)
        if home is None:
            base = self._grouped(key)
            home = self.homes.get(base, base)
            if home == base:
                unusable = self.rules.unusable(key) or (self.rules.unusable(base) if base != key else "")
                if unusable:
                    return Resolution(None, unusable)
        suppressed = self.rules.suppressed_as(key)
        return Resolution(home, suppressed if suppressed or home == key else self.rules.suppressed_as(home))

    def explicit_keys(self, domain: str) -> list[str]:
        """The account's own domain and those mapped to it by alias or merge, its family."""
        return [domain, *self._keys.get(domain, ())]

    def _grouped(self, key: str) -> str:
        return (registrable_domain(key) or key) if self.scope == "registrable" else key


def load_resolver(
    domain_rules: Iterable[DomainRuleValue], as_of: date, instead: Mapping[str, str | None] = MappingProxyType({})
) -> Resolver:
    """The resolver of today's aliases and merges with these domain rules, as of a day (rules can expire).

    `instead`: what is only proposed, {domain: the account it shall belong to, or None to stand on its own}.
    """
    merged = dict(
        ProspectCompany.objects.filter(merged_into__isnull=False).values_list("domain", "merged_into__domain")
    )
    aliases = dict(CompanyDomain.objects.values_list("domain", "prospect_company__domain"))
    for domain, owner in instead.items():
        merged.pop(domain, None)
        aliases.pop(domain, None)
        if owner is not None:
            merged[domain] = owner
    roots = {domain: root_of(parent, merged) for domain, parent in merged.items()}
    homes = roots | {domain: roots.get(owner, owner) for domain, owner in aliases.items()}
    return Resolver(homes, DomainRules.in_force(domain_rules, as_of), settings.ACCOUNT_KEY_SCOPE)


def root_of(domain: str, merged: Mapping[str, str]) -> str:
    """The account at the end of the chain of merges."""
    for _ in range(len(merged) + 1):
        if domain not in merged:
            return domain
        domain = merged[domain]
    raise CannotMerge(f"{domain} is merged into itself through a chain; un-merge one of them.")


def resolution_settings() -> dict[str, str]:
    """What decides a key's account besides the registry; part of every registry revision."""
    return {"scope": settings.ACCOUNT_KEY_SCOPE, "shipped_lists": SHIPPED_VERSION}


def merge(company: ProspectCompany, into: ProspectCompany, *, move: bool = False) -> None:
    """Point `company` at `into`: nothing moves, its domains count for the other account from the next scores on.

    MergedElsewhere when it points at a third account, unless it shall `move`.
    """
    with transaction.atomic():
        one_merge_at_a_time()
        merges = dict(ProspectCompany.objects.filter(merged_into__isnull=False).values_list("pk", "merged_into"))
        present = merges.get(company.pk)
        above: Any = into.pk
        while above is not None:
            if above == company.pk:
                raise CannotMerge(f"{into.domain} belongs to {company.domain} already.")
            above = merges.pop(above, None)
        if present not in (None, into.pk) and not move:
            elsewhere = ProspectCompany.objects.get(pk=present)
            raise MergedElsewhere(f"{company.domain} is merged into {elsewhere.domain} already: take that back first.")
        company.merged_into = into
        company.save(update_fields=["merged_into", "updated_at"])


def one_merge_at_a_time() -> None:
    """Wait for other merges, until the transaction ends. Locks on the accounts alone would not do: merges of quite
    different accounts can close a ring together, through those that were merged before."""
    table = ContentType.objects.get_for_model(ProspectCompany)  # a row that is always there, and nobody else locks
    ContentType.objects.select_for_update().get(pk=table.pk)


def unmerge(company: ProspectCompany) -> None:
    """Take a merge back: everything is as it was, from the next scores on."""
    company.merged_into = None
    company.save(update_fields=["merged_into", "updated_at"])


def add_alias(company: ProspectCompany, text: str, *, move: bool = False) -> None:
    """Make a further domain count for the account. A domain that is an account already is merged instead; `move`: also
    one that is merged into another account."""
    domain = normalize_domain_from_url(text)
    if domain is None:
        raise CannotMerge(f"{text!r} is no domain.")
    other = ProspectCompany.objects.filter(domain=domain).first()
    if other is not None:
        merge(other, company, move=move)
        return
    alias, created = CompanyDomain.objects.get_or_create(domain=domain, defaults={"prospect_company": company})
    if not created and alias.prospect_company_id != company.pk:
        raise CannotMerge(f"{domain} is a domain of {alias.prospect_company} already.")


def remove_alias(company: ProspectCompany, domain: str) -> None:
    """Take an alias back, whether it was a further domain or a merge."""
    CompanyDomain.objects.filter(prospect_company=company, domain=domain).delete()
    for merged in ProspectCompany.objects.filter(merged_into=company, domain=domain):
        unmerge(merged)
