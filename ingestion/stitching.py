"""Stitching: what known people did before they said who they are counts for their account (design 2).

A contact is known by its PostHog ids. One question per thousand ids asks on which days they came without an account of
their own; a day's own question then gives those few a row of their own, so no event is read twice or counted twice.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from accounts.models import ContactIdentity
from ingestion import queries
from ingestion.days import window_values
from ingestion.posthog import PostHogClient, PostHogError, TooMuch
from ingestion.site import Site


def known_people() -> dict[str, str]:
    """The domain of the account of each person that PostHog knows by an id: {distinct id: domain}.

    Their account's own domain, whatever it is merged into: whose it is now is decided when it is scored.
    """
    ids = ContactIdentity.objects.filter(identity_type=ContactIdentity.Type.POSTHOG_DISTINCT_ID)
    return dict(ids.values_list("identity_value", "contact__prospect_company__domain"))


def find_strangers(client: PostHogClient, site: Site, days: Sequence[date]) -> None:
    """Note in `site.strangers` which of the known people came without an account on which of the days."""
    if not site.people or not days or site.source.kind == "person_email":
        return  # the e-mail address of a person names the account of all that they did
    begin = datetime(days[0].year, days[0].month, days[0].day, tzinfo=UTC)
    end = datetime(days[-1].year, days[-1].month, days[-1].day, tzinfo=UTC) + timedelta(days=1)
    ids, found = sorted(site.people), defaultdict(list)
    for start in range(0, len(ids), queries.IDS):
        for visitor, seen in _seen(client, site, ids[start : start + queries.IDS], begin, end):
            for number in seen:
                found[date(1970, 1, 1) + timedelta(days=number)].append(visitor)
    site.strangers = found


def _seen(
    client: PostHogClient, site: Site, ids: Sequence[str], begin: datetime, end: datetime
) -> Iterator[tuple[str, list[int]]]:
    """Asked in halves where PostHog takes too long."""
    values = window_values(site, begin, end) | {"ids": list(ids)}
    text = queries.strangers(site.source, site.index)
    try:
        rows = client.query("orbit strangers", text, values, queries.STRANGER_COLUMNS, site.meter)
    except TooMuch:
        if len(ids) == 1:
            raise
        yield from _seen(client, site, ids[: len(ids) // 2], begin, end)
        yield from _seen(client, site, ids[len(ids) // 2 :], begin, end)
        return
    for row in rows:
        yield _checked(row)


def _checked(row: Sequence[Any]) -> tuple[str, list[int]]:
    visitor, days = row
    if type(visitor) is not str or type(days) is not list or any(type(day) is not int for day in days):
        raise PostHogError("PostHog's answer about known people has values of another kind than asked for.")
    return visitor, days
