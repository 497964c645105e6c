"""What somebody decides about a domain in one word: the rule that says so is made or enabled, what contradicts it is
disabled. Never deleted, so that every decision can be taken back and its history stays."""

from collections.abc import Mapping
from datetime import date

from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from registry.models import DomainRule
from registry.values import MAILBOXES, SUPPRESSING

BATCH = 500


def decide(wanted: Mapping[str, tuple[str, str]], today: date) -> set[str]:
    """Let these rules be in force, {canonical domain: (kind, reason)}; the domains for which something changed.

    A rule that is in force keeps its expiry, and its reason where no other is given. Rules with wildcards above stay:
    the nearest rule decides.
    """
    stored: dict[str, list[DomainRule]] = {domain: [] for domain in wanted}
    for row in DomainRule.objects.select_for_update().filter(domain__in=wanted).order_by("domain", "kind"):
        stored[row.domain].append(row)
    made, changed = [], []
    for domain, (kind, reason) in wanted.items():
        same = next((row for row in stored[domain] if row.kind == kind), None)
        if same is None:
            made.append(DomainRule(domain=domain, kind=kind, reason=reason))
        elif not is_in_force(same, today) or (reason and reason != same.reason):
            if not is_in_force(same, today):
                same.enabled, same.expires_on = True, None
            same.reason = reason or same.reason
            changed.append(same)
        for row in stored[domain]:
            if row.enabled and contradict(row.kind, kind):
                row.enabled = False
                changed.append(row)
    bulk_create_with_history(made, DomainRule, batch_size=BATCH)
    bulk_update_with_history(changed, DomainRule, ["enabled", "expires_on", "reason"], batch_size=BATCH)
    return {row.domain for row in (*made, *changed)}


def is_in_force(row: DomainRule, today: date) -> bool:
    return row.enabled and row.value().in_force(today)


def contradict(one: str, other: str) -> bool:
    """Two kinds that say the opposite, or two reasons to suppress: of one domain the last word counts."""
    return one != other and any({one, other} <= kinds for kinds in (SUPPRESSING, MAILBOXES))
