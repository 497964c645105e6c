"""What is right and wrong between Orbit and PostHog, and the exact settings that would mend it. Reads only."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings

from accounts.domains import is_personal, normalize_domain_from_url
from ingestion import queries
from ingestion.days import instant
from ingestion.posthog import Meter, PostHogClient, PostHogError, Refused
from ingestion.site import NOBODY, site_of_settings
from ingestion.sources import AccountSource

DAYS = 7
PAGE_VIEW, PAGEVIEW = "page_view", "$pageview"
FEW = 0.05  # of events, or of accounts: less is called few
LISTED = 10
IGNORED_EVENT = "ignored"  # an alias that is no tracked event: what is sent under it is left out


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `good`: None where it is neither good nor bad."""

    text: str
    good: bool | None = None


@dataclass
class Diagnosis:
    """`settings`: what to change, {variable: value}; empty where nothing is to change."""

    findings: list[Finding] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        return all(finding.good is not False for finding in self.findings)

    def good(self, text: str) -> None:
        self.findings.append(Finding(text, True))

    def bad(self, text: str, **change: str) -> None:
        self.findings.append(Finding(text, False))
        self.settings |= change

    def note(self, text: str) -> None:
        self.findings.append(Finding(text))


@dataclass(frozen=True, slots=True)
class Arriving:
    """How many events of a name came, and how many of them carry what Orbit looks for."""

    events: int
    with_account: int
    with_content_type: int
    with_lane: int


class Doctor:
    """The examination of one site over the last seven days up to `now`."""

    def __init__(self, client: PostHogClient, now: datetime) -> None:
        self.client, self.site, self.meter = client, site_of_settings(), Meter()
        self.window = {"from": instant(now - timedelta(days=DAYS)), "to": instant(now)}
        self.found = Diagnosis()

    def examine(self) -> Diagnosis:
        """PostHogError where not even the first question is answered; its text says what to do."""
        self._ask("count", queries.count(), queries.COUNT_COLUMNS, **self._ours())  # the cheapest question there is
        self.found.good(
            f"{settings.POSTHOG_HOST} answers, and the key may query project {settings.POSTHOG_PROJECT_ID}."
        )
        self.group_types()
        arriving = self._ask("arriving", queries.arriving(self.site.source, self.site.index), queries.EVENT_COLUMNS)
        events = {name: Arriving(*counts) for name, *counts in arriving}
        self.events(events)
        ours = {name: events[name] for name in self.site.sent if name in events}
        if ours:
            self.accounts(ours)
            self.hints(ours)
        return self.found

    def _ask(self, what: str, text: str, columns: Iterable[str], **values: object) -> list[list[Any]]:
        return self.client.query(f"orbit check {what}", text, self.window | values, tuple(columns), self.meter)

    def group_types(self) -> None:
        source = self.site.source
        if source.kind not in ("group", "group_property"):
            return
        try:
            types = self.client.group_types(self.meter)
        except Refused as refused:
            self.found.bad(
                f"The group types cannot be read. {refused} Without that scope, POSTHOG_GROUP_INDEX says which of the"
                " five columns $group_0 to $group_4 is meant."
            )
            self.site.index = settings.POSTHOG_GROUP_INDEX
            return
        self.site.index = types.get(source.name)
        if self.site.index is not None:
            self.found.good(f"Group type {source.name} is there (index {self.site.index}).")
        elif types:
            self.found.bad(f"There is no group type {source.name}. There are: {', '.join(sorted(types))}.")
            self._propose(AccountSource("group", name) for name in sorted(types))
        else:
            self.found.note(
                "The project has no group types: group analytics is a paid add-on. Orbit then reads"
                f" $groups.{source.name} of the events themselves, if the site sends it."
            )

    def events(self, events: Mapping[str, Arriving]) -> None:
        """Which of our events arrive, and page views under both names."""
        if not events:
            self.found.bad(f"No event at all arrived in the last {DAYS} days. Look at the site's snippet.")
            return
        for sent, tracked in self.site.sent.items():
            if sent in events:
                named = "" if sent == tracked else f", counted as {tracked}"
                self.found.good(f"{sent}: {events[sent].events:,} events in {DAYS} days{named}.")
        missing = set(self.site.sent.values()) - {self.site.sent[name] for name in self.site.sent if name in events}
        for tracked in sorted(missing):
            self.found.note(f"{tracked}: none arrived.")
        views = [name for name, tracked in self.site.sent.items() if tracked == PAGE_VIEW and name in events]
        if len(views) > 1:
            kept = max(views, key=lambda name: (events[name].events, name))
            others = {name: IGNORED_EVENT for name in views if name != kept}
            self.found.bad(
                f"Page views arrive as {' and as '.join(views)}: each visit counts twice. Let the site send one of"
                " them, or count one.",
                ACTIVITY_EVENT_ALIASES=aliased(others),
            )
        elif not views and PAGEVIEW in events:
            self.found.bad(
                f"{events[PAGEVIEW].events:,} {PAGEVIEW} arrive and are not counted.",
                ACTIVITY_EVENT_ALIASES=aliased({PAGEVIEW: PAGE_VIEW}),
            )
        others = [f"{name} {found.events:,}" for name, found in events.items() if name not in self.site.sent]
        if others:
            self.found.note(f"Not tracked: {', '.join(others[:LISTED])}" + (" …" if len(others) > LISTED else "") + ".")

    def accounts(self, ours: Mapping[str, Arriving]) -> None:
        """How many events name an account, and whether what they name is a domain."""
        source = self.site.source
        if source.kind == "person_email":
            self._emails()
            return
        events, named = total(ours, "events"), total(ours, "with_account")
        said = f"{share(named, events)} name an account by {source}."
        if named < FEW * events:
            self.found.bad(f"Only {said}" if named else f"Of {events:,} events none names an account by {source}.")
            self._propose(self._elsewhere())
            return
        self.found.good(said)
        if source.kind == "group_property":
            return
        keys = self._ask("accounts", queries.busiest(source, self.site.index), queries.ACCOUNT_COLUMNS, **self._ours())
        domains = [key for key, _ in keys if normalize_domain_from_url(key)]
        if len(domains) < len(keys) / 2:
            self.found.bad(f"Only {len(domains)} of the {len(keys)} commonest accounts are domains: the rest are ids.")
            self._propose(self._elsewhere())
        else:
            self.found.good(f"{len(domains)} of the {len(keys)} commonest accounts are domains.")

    def _ours(self) -> dict[str, object]:
        return {"events": list(self.site.sent)}

    def _emails(self) -> None:
        known = self._emails_of_companies()
        if known:
            self.found.good(f"{known:,} of the first people with an e-mail address have one of a company.")
        else:
            self.found.bad("No person has an e-mail address of a company, so person_email names no account.")
            self._propose(self._elsewhere())

    def _emails_of_companies(self) -> int:
        text = queries.persons(limit=1_000)
        rows = self.client.query("orbit check persons", text, {"after": NOBODY}, queries.PERSON_COLUMNS, self.meter)
        found = [email.rpartition("@")[2] for _, email in rows if "@" in email]
        return sum(bool(normalize_domain_from_url(domain)) and not is_personal(domain) for domain in found)

    def _elsewhere(self) -> Iterator[AccountSource]:
        """Other places where domains are, the best first."""
        try:
            types = self.client.group_types(self.meter)
        except PostHogError:
            types = {}
        for name, index in sorted(types.items(), key=lambda item: item[1]):
            source = AccountSource("group", name)
            keys = self._ask("accounts", queries.busiest(source, index), queries.ACCOUNT_COLUMNS, **self._ours())
            if keys and sum(bool(normalize_domain_from_url(key)) for key, _ in keys) >= len(keys) / 2:
                yield source
            elif keys and (prop := self._property("groups", queries.group_properties(index))):
                yield AccountSource("group_property", name, prop)
        if prop := self._property("events", queries.event_properties(), **self._ours()):
            yield AccountSource("property", prop)
        if self._emails_of_companies():
            yield AccountSource("person_email")

    def _property(self, what: str, text: str, **values: object) -> str:
        return domain_property(self._ask(what, text, queries.PROPERTY_COLUMNS, **values))

    def _propose(self, sources: Iterable[AccountSource]) -> None:
        best = next((source for source in sources if source != self.site.source), None)
        if best is not None:
            self.found.settings["POSTHOG_ACCOUNT"] = str(best)

    def hints(self, ours: Mapping[str, Arriving]) -> None:
        """Content type and lane: what is missing is filled by event rules."""
        events = total(ours, "events")
        for name, column in (("content_type", "with_content_type"), ("service_lane", "with_lane")):
            with_it = total(ours, column)
            said = f"{share(with_it, events)} carry {name}"
            self.found.note(f"{said}; event rules fill it where it is missing." if with_it < events else f"{said}.")


def total(events: Mapping[str, Arriving], column: str) -> int:
    return sum(getattr(found, column) for found in events.values())


def share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} events ({part / whole:.0%})" if whole else "none"


def aliased(changes: Mapping[str, str]) -> str:
    """ACTIVITY_EVENT_ALIASES with these changes."""
    aliases = settings.ACTIVITY_EVENT_ALIASES | dict(changes)
    return ",".join(f"{sent}={tracked}" for sent, tracked in sorted(aliases.items()))


def domain_property(rows: Iterable[list[Any]]) -> str:
    """The property that most often holds a domain that differs from row to row; '' where none does in half of them.

    A property that is the same everywhere is the site's own host. PostHog's own ($…) and campaigns name no account.
    """
    values: dict[str, Counter[str]] = {}
    rows = list(rows)
    for (text,) in rows:
        try:
            found = orjson.loads(text) if isinstance(text, str) else text
        except orjson.JSONDecodeError:
            continue
        for name, value in found.items() if isinstance(found, dict) else ():
            if name != "utm_source" and not name.startswith("$") and isinstance(value, str) and "/" not in value:
                domain = normalize_domain_from_url(value)
                if domain and not is_personal(domain):
                    values.setdefault(name, Counter())[domain] += 1
    often = {name: seen.total() for name, seen in values.items() if len(seen) > 1 and seen.total() >= len(rows) / 2}
    return max(sorted(often), key=lambda name: often[name], default="")
