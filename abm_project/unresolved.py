"""What came in and is nobody's: keys that are personal or a platform, and values that are no domain. Reads only."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from abm_project.consequences import chunks, rules_in_force
from accounts.resolution import load_resolver
from ingestion.models import ActivityPull
from ingestion.sources import NOT_A_DOMAIN
from scoring import evidence
from scoring.engine import WEEK
from scoring.rollup import scored_date

SHOWN = 20
PAGE = 20_000  # keys at a time: each page walks all of the days' index


@dataclass(frozen=True, slots=True)
class UnscoredKey:
    """An account key with activity that belongs to no account: why, and how much there was."""

    domain: str
    reason: str
    events: int
    days: int


@dataclass(frozen=True, slots=True)
class Unresolved:
    first: date
    last: date
    keys: tuple[UnscoredKey, ...]
    count: int  # of all such keys
    no_domains: tuple[tuple[str, int], ...]  # examples that the pulls kept, with their events


def unresolved(now: datetime) -> Unresolved:
    """Of the seven days up to the newest scored one."""
    last = scored_date(now)
    first = last - timedelta(days=WEEK - 1)
    keys = unscored_keys(first, last)
    return Unresolved(first, last, tuple(keys[:SHOWN]), len(keys), tuple(no_domains(first, last)[:SHOWN]))


def unscored_keys(first: date, last: date) -> list[UnscoredKey]:
    """By traffic. The keys are walked all, the facts read of those alone that no account has."""
    resolver = load_resolver(rules_in_force(), last)
    reasons = {}
    for page in evidence.key_batches(first, last, PAGE):
        for key in page:
            home, reason = resolver.resolve(key)
            if home is None:
                reasons[key] = reason
    events, days = Counter[str](), Counter[str]()
    for some in chunks(reasons):
        for day in evidence.facts(some, first, last):
            events[day.account_key] += sum(cell.count for cell in day.cells)
            days[day.account_key] += 1
    found = [UnscoredKey(key, reason, events[key], days[key]) for key, reason in reasons.items()]
    return sorted(found, key=lambda key: (-key.events, key.domain))


def no_domains(first: date, last: date) -> list[tuple[str, int]]:
    """Examples of what the site sent as an account and is no domain; read as what they are, JSON of any version."""
    found: Counter[str] = Counter()
    pulls = ActivityPull.objects.filter(date__gte=first, date__lte=last).values_list("unresolved_json", flat=True)
    for left_out in pulls:
        reason = left_out.get(NOT_A_DOMAIN) if isinstance(left_out, dict) else None
        examples = reason.get("examples") if isinstance(reason, dict) else None
        for value, events in (examples if isinstance(examples, dict) else {}).items():
            found[str(value)] += events if isinstance(events, int) else 0
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
