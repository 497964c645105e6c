"""What accounts are called: an admin's word first, then PostHog's group name, then a lead's organisation, then the
domain (design 4)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from accounts.models import ProspectCompany
from registry.transactions import transact

BATCH = 1_000
NAME_LENGTH = 255


def name_by_group(names: Mapping[str, str], now: datetime, guard: Callable[[], None] = lambda: None) -> int:
    """Give accounts the names of their groups, {domain: name}; how many changed. An admin's edit stays. `guard` is
    called first in every transaction."""
    domains = sorted(names)
    batches = (domains[start : start + BATCH] for start in range(0, len(domains), BATCH))
    return sum(transact(partial(_name, {domain: names[domain] for domain in batch}, now, guard)) for batch in batches)


def _name(names: Mapping[str, str], now: datetime, guard: Callable[[], None]) -> int:
    guard()
    named = ProspectCompany.objects.select_for_update().filter(domain__in=names).order_by("domain")
    changed = []
    for account in named.exclude(name_source=ProspectCompany.NameSource.ADMIN):
        name = names[account.domain][:NAME_LENGTH]
        if account.name != name or account.name_source != ProspectCompany.NameSource.GROUP:
            account.name, account.name_source, account.updated_at = name, ProspectCompany.NameSource.GROUP, now
            changed.append(account)
    ProspectCompany.objects.bulk_update(changed, ["name", "name_source", "updated_at"])
    return len(changed)
