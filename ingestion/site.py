"""What the settings and PostHog say of the site: where its events name an account, and under which names they come."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial

import orjson
from django.conf import settings

from accounts.domains import email_domain, normalize_domain_from_url
from ingestion import queries
from ingestion.cells import What, cta, own_hosts, page_path, stored_name
from ingestion.posthog import Meter, NotConfigured, PostHogClient, PostHogError, Refused
from ingestion.sources import AccountSource, sent_names
from ingestion.tracking import tracked_events

NOBODY = "00000000-0000-0000-0000-000000000000"  # before the first person


@dataclass
class Site:
    """What the settings and PostHog say of the site: where its events name an account, and under which names they come.

    `domains` and `labels`: of the groups or people that stand for accounts, by what the events carry instead of a
    domain; None where events carry the domain itself. `people`: the domain of each known person; `strangers`: which of
    them came without an account on a day (ingestion.stitching).
    """

    source: AccountSource
    sent: Mapping[str, str]
    hosts: frozenset[str]
    index: int | None = None
    domains: Mapping[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    people: Mapping[str, str] = field(default_factory=dict)
    strangers: Mapping[date, Sequence[str]] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)

    @property
    def clicks(self) -> list[str]:
        return sorted(name for name, tracked in self.sent.items() if tracked == "cta_click")

    def key(self, said: str) -> str | None:
        """The account key of what an event carries, or of the known person who carries nothing."""
        if said.startswith(queries.KNOWN) and said[1:] in self.people:
            return self.people[said[1:]]
        return normalize_domain_from_url(said if self.domains is None else self.domains.get(said))

    def names(self) -> dict[str, str]:
        """What PostHog calls each account: key → name."""
        found = ((self.key(said), label.strip()) for said, label in sorted(self.labels.items()))
        return {key: label for key, label in found if key and label and label != key}


def look_at_site(client: PostHogClient, site: Site) -> None:
    """Ask what must be known before the first day: the group's index, and the groups or people behind the accounts."""
    source = site.source
    if source.kind in ("group", "group_property"):
        site.index = group_index(client, source.name, site.meter)
    if site.index is not None:
        _read_groups(client, site)
    elif source.kind == "group_property":
        raise Refused(f"PostHog has no group type {source.name!r}, so {source} names no account. {_TYPES}", 404)
    if source.kind == "person_email":
        found = _pages(client, queries.persons, queries.PERSON_COLUMNS, NOBODY, site.meter)
        site.domains = {pid: email_domain(plain(email)) or "" for pid, email in found}


_TYPES = "check_posthog lists the group types there are; POSTHOG_ACCOUNT names one."


def group_index(client: PostHogClient, name: str, meter: Meter) -> int | None:
    """By name; the configured one where the key may not read group types; None where there is no such type."""
    try:
        return client.group_types(meter).get(name)
    except Refused as refused:
        if refused.status != 403:
            raise
        configured: int | None = settings.POSTHOG_GROUP_INDEX
        return configured


def _read_groups(client: PostHogClient, site: Site) -> None:
    text = partial(queries.groups, site.index or 0, site.source.property)
    found = list(_pages(client, text, queries.GROUP_COLUMNS, "", site.meter))
    site.labels = {key: plain(label) for key, _, label in found}
    if site.source.kind == "group_property":
        site.domains = {key: plain(domain) for key, domain, _ in found}


def _pages(
    client: PostHogClient, text: Callable[..., str], columns: Sequence[str], after: str, meter: Meter
) -> Iterator[list[str]]:
    """Every row, by keyset: a full page may have been cut."""
    limit = settings.POSTHOG_PAGE_ROWS
    while True:
        rows = client.query(f"orbit {columns[0]}", text(limit=limit), {"after": after}, columns, meter)
        if any(type(value) is not str for row in rows for value in row):
            raise PostHogError(f"PostHog's answer has other values than text for {', '.join(columns)}.")
        yield from rows
        if len(rows) < limit:
            return
        after = rows[-1][0]


def site_of_settings() -> Site:
    """NotConfigured for a setting that says nothing; RegistryUnusable as the loader says."""
    try:
        source = AccountSource.parse(settings.POSTHOG_ACCOUNT)
    except ValueError as error:
        raise NotConfigured(f"POSTHOG_ACCOUNT: {error}") from error
    sent = sent_names(tracked_events(), settings.ACTIVITY_EVENT_ALIASES)
    return Site(source, sent, own_hosts(settings.SITE_HOSTS))


def tracked_cell(what: Sequence[str], site: Site) -> What:
    """A cell as stored, of what PostHog gave of an event: the same as from an export file."""
    name, content_type, lane, click, page, link, server = what
    properties: dict[str, object] = {"$pathname": plain(page), "$current_url": plain(link), "$host": plain(server)}
    return (
        site.sent[name],
        stored_name(plain(content_type)),
        stored_name(plain(lane)),
        cta(plain(click)),
        page_path(properties, site.hosts),
    )


def plain(said: str) -> str:
    """A property as the site sent it: PostHog hands over its JSON text, escapes and all; lists and objects name
    nothing."""
    if said[:1] in ("{", "["):
        try:
            return "" if isinstance(orjson.loads(said), dict | list) else said
        except orjson.JSONDecodeError:
            pass
    if "\\" not in said:
        return said
    try:
        found = orjson.loads(f'"{said}"')
    except orjson.JSONDecodeError:
        return said
    return str(found)
