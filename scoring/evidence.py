"""The stored facts and lead requests of accounts, as the values the engine takes. Reads only."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connection
from django.db.models import Min, QuerySet
from orjson import loads

from accounts.resolution import Resolution, Resolver
from ingestion.events import AccountDay, Cell, LeadMark
from ingestion.models import ActivityDay, LeadRequest
from registry.rules import slug

REACH = 30  # days before the scored one: age 30 is read so that an account that just aged out is written once more


@dataclass
class Evidence:
    """One account's facts (of all its domains) and lead requests."""

    days: list[AccountDay] = field(default_factory=list)
    leads: list[LeadMark] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.days or self.leads)

    def earliest(self) -> date:
        return min([day.date for day in self.days] + [lead.submitted_at.date() for lead in self.leads])


def read(keys_of: Mapping[str, Iterable[str]], first: date, last: date) -> dict[str, Evidence]:
    """Evidence of the days `first`..`last` for accounts given as {account: its keys}; accounts without any left out."""
    account_of = {key: account for account, keys in keys_of.items() for key in keys}
    found: dict[str, Evidence] = defaultdict(Evidence)
    for day in facts(list(account_of), first, last):
        found[account_of[day.account_key]].days.append(day)
    for key, lead in lead_marks(list(account_of), first, last):
        found[account_of[key]].leads.append(lead)
    return found


def facts(keys: Sequence[str], first: date, last: date) -> Iterator[AccountDay]:
    """By bare cursor: the ORM's converters and the standard library's JSON decoder would take most of a run's time."""
    if not keys:
        return
    marks = ", ".join(["%s"] * len(keys))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_key, date, cells_json, people_json, last_seen_at, paths_cut FROM activity_days"
            f" WHERE account_key IN ({marks}) AND date BETWEEN %s AND %s",
            [*keys, first, last],
        )
        for key, day, cells, people, last_seen_at, paths_cut in cursor:
            yield AccountDay(
                key,
                day,
                tuple(map(Cell._make, loads(cells))),
                tuple(loads(people)),
                last_seen_at.replace(tzinfo=UTC),
                paths_cut,
            )


def lead_marks(keys: Sequence[str], first: date, last: date) -> Iterable[tuple[str, LeadMark]]:
    rows = LeadRequest.objects.filter(
        account_key__in=keys, submitted_at__gte=midnight(first), submitted_at__lt=midnight(last + timedelta(days=1))
    ).values_list("account_key", "submitted_at", "lane")
    for key, submitted_at, lane in rows:
        yield key, LeadMark(submitted_at, slug(lane))


def first_seen(keys_of: Mapping[str, Iterable[str]], before: date) -> dict[str, date]:
    """The first day of activity or lead earlier than `before`, for the accounts that have one."""
    account_of = {key: account for account, keys in keys_of.items() for key in keys}
    found: dict[str, date] = {}
    days = ActivityDay.objects.filter(account_key__in=account_of, date__lt=before).values("account_key")
    leads = LeadRequest.objects.filter(account_key__in=account_of, submitted_at__lt=midnight(before)).values(
        "account_key"
    )
    for key, day in days.annotate(day=Min("date")).order_by().values_list("account_key", "day"):
        found[account_of[key]] = min(day, found.get(account_of[key], day))
    for key, moment in leads.annotate(moment=Min("submitted_at")).order_by().values_list("account_key", "moment"):
        found[account_of[key]] = min(moment.date(), found.get(account_of[key], moment.date()))
    return found


def key_batches(first: date, last: date, size: int) -> Iterator[list[str]]:
    """Every account key with facts or lead requests on the days `first`..`last`, in order, by keyset."""
    for rows in in_days(first, last):
        keys = rows.order_by("account_key").values_list("account_key", flat=True).distinct()
        after = ""
        while page := list(keys.filter(account_key__gt=after)[:size]):
            yield page
            after = page[-1]


def in_days(first: date, last: date) -> tuple[QuerySet[Any], QuerySet[Any]]:
    """The facts and the lead requests of these days."""
    end = midnight(last + timedelta(days=1))
    return (
        ActivityDay.objects.filter(date__gte=first, date__lte=last),
        LeadRequest.objects.filter(submitted_at__gte=midnight(first), submitted_at__lt=end),
    )


def keys_of(domain: str, resolver: Resolver, first: date, last: date) -> list[str]:
    """The keys whose facts count for one account: its family's domains and, where grouped, all below them."""
    family = resolver.explicit_keys(domain)
    candidates = set(family)
    if resolver.scope == "registrable":
        for rows in in_days(first, last):
            for name in family:
                candidates |= set(rows.filter(account_key__endswith=f".{name}").values_list("account_key", flat=True))
    return sorted(key for key in candidates if counts_for(key, domain, resolver))


def seen(keys: Sequence[str], first: date, last: date) -> list[str]:
    """Those of the keys that have facts or lead requests on these days."""
    found: set[str] = set()
    for rows in in_days(first, last):
        found |= set(rows.filter(account_key__in=keys).values_list("account_key", flat=True))
    return sorted(found)


def counts_for(key: str, domain: str, resolver: Resolver) -> bool:
    """Whether the key's facts are this account's; one suppressed by itself is left out of an account that is not."""
    return is_evidence(resolver.resolve(key), resolver) == domain


def is_evidence(resolution: Resolution, resolver: Resolver) -> str | None:
    """The account whose score the key's facts count in, if any."""
    home, reason = resolution
    return home if home is not None and (not reason or resolver.rules.suppressed_as(home)) else None


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
