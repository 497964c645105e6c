"""The HogQL that is sent to PostHog (docs/posthog.md). Pure: texts only, values travel beside them.

Days are instants that end in Z, because PostHog reads a bare date in the project's own time zone. No OFFSET: PostHog
refuses it. Properties come as PostHog keeps them, JSON escapes and all; `ingestion.pull` has the last word on each.
"""

from ingestion.sources import AccountSource

IDS = 1_000  # distinct ids in one question

DAY_COLUMNS = ("account", "cells", "people", "last_seen_unix")
COUNT_COLUMNS = ("events",)
GROUP_COLUMNS = ("group_key", "domain", "label")
PERSON_COLUMNS = ("pid", "email")
VISIT_COLUMNS = ("visitor", "cells", "last_seen_unix")
STRANGER_COLUMNS = ("visitor", "days")
EVENT_COLUMNS = ("sent", "events", "with_account", "with_content_type", "with_lane")
ACCOUNT_COLUMNS = ("account", "events")
PROPERTY_COLUMNS = ("json",)

WINDOW = "timestamp >= toDateTime({from}) AND timestamp < toDateTime({to})"
# Without query and fragment: they make nearly every URL a new one, and carry e-mail addresses and tokens.
CUT = "replaceRegexpOne({}, '([^ ])[?#].*$', '\\\\1')"
ORIGIN = "replaceRegexpOne({}, '^([a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]+).*$', '\\\\1/')"
# What surely has a host; where a link does not, `$host` may tell.
LINK = "^https?://([a-zA-Z0-9-]+[.])*[a-zA-Z][a-zA-Z0-9-]*(:[0-9][0-9]?[0-9]?[0-9]?)?([/?#]|$)"
# The host of a URL or of a domain with a path; `accounts.domains` does the rest, exactly.
HOST = "lower(replaceRegexpOne(trim({}), '^((?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//)?([^/?#]*).*$', '\\\\1\\\\2'))"


def account(source: AccountSource, index: int | None) -> str:
    """Where an event names its account. `index`: of the group type, None where the project has no such type: then
    only `$groups` of the event itself is looked at, which the site sends also without paid group analytics."""
    if source.kind == "person_email":
        return "toString(person_id)"
    if source.kind == "property":
        return HOST.format(f"coalesce(properties.{quoted(source.name)}, '')")
    column = f"nullIf($group_{index}, ''), " if index is not None else ""
    key = f"coalesce({column}properties.$groups.{quoted(source.name)}, '')"
    return HOST.format(key) if source.kind == "group" else key


def quoted(name: str) -> str:
    """A property's name in HogQL. AccountSource takes none with a backtick: HogQL's grammar has no escape for it."""
    return f"`{name}`"


KNOWN = "@"  # before the id of a known person who names no account; no domain begins so


def events(of: str, *, hosts: bool) -> str:
    """One row per event: `of` is what it counts for. `hosts`: the hosts of pages are wanted too."""
    link, server = "coalesce(properties.$current_url, '')", "''"
    page = CUT.format("coalesce(properties.$pathname, '')")
    if hosts:
        server = f"if(match({link}, '{LINK}'), '', coalesce(properties.$host, ''))"
    kept = f"if(page != '', {ORIGIN.format(link) if hosts else repr('')}, {CUT.format(link)})"
    return f"""SELECT {of} AS of, event AS name, coalesce(properties.content_type, '') AS ct,
    coalesce(properties.service_lane, '') AS lane, if(event IN {{clicks}}, coalesce(properties.cta_id, ''), '') AS cta,
    {page} AS page, {kept} AS link, {server} AS server,
    substring(toString(person_id), 25, 12) AS who, toUnixTimestamp(timestamp) AS at
    FROM events WHERE {WINDOW} AND event IN {{events}}"""


def day(
    source: AccountSource, index: int | None, *, hosts: bool, limit: int, further: bool, known: bool = False
) -> str:
    """One row per account between {from} and {to}: its cells, person marks and last second.

    Events without an account come as one row '' that holds their number alone; with `known`, those of the people of
    {known} come as a row of each person. `further`: a page after the account {after}. Values: from, to, events, clicks,
    and known and after.
    """
    of = account(source, index)
    if known:
        of = f"if({of} = '' AND distinct_id IN {{known}}, concat('{KNOWN}', distinct_id), {of})"
    names = ("name", "ct", "lane", "cta", "page", "link", "server")
    kept = ", ".join(f"if(of = '', '', {name}) AS {name}_kept" for name in names)
    cell = ", ".join(f"{name}_kept" for name in names)
    return f"""SELECT of AS account, groupArray(tuple({cell}, n)) AS cells,
  arrayDistinct(arrayFlatten(groupArray(marks))) AS people, max(last_at) AS last_seen_unix
FROM (
  SELECT of, {kept},
  groupUniqArray(if(of = '', '', who)) AS marks, count() AS n, max(at) AS last_at
  FROM (
    {events(of, hosts=hosts)}
  )
  GROUP BY of, {cell}
)
{"WHERE of > {after} " if further else ""}GROUP BY of ORDER BY of LIMIT {limit}"""


def count() -> str:
    """How many events a day must hold."""
    return f"SELECT count() AS events FROM events WHERE {WINDOW} AND event IN {{events}}"


def groups(index: int, prop: str, *, limit: int) -> str:
    """Domain and name of each group after {after}; the name of a group keyed by its domain comes along too."""
    domain = f"coalesce(properties.{quoted(prop)}, '')" if prop else "''"
    return (
        f"SELECT key AS group_key, {domain} AS domain, coalesce(properties.name, '') AS label FROM groups"
        f" WHERE index = {index} AND key > {{after}} ORDER BY key LIMIT {limit}"
    )


def persons(*, limit: int) -> str:
    """The e-mail address of each person after {after}. Not `person.properties` on events: that reads all of them."""
    return (
        "SELECT toString(id) AS pid, lower(coalesce(properties.email, '')) AS email FROM persons"
        f" WHERE coalesce(properties.email, '') != '' AND id > toUUID({{after}}) ORDER BY id LIMIT {limit}"
    )


def strangers(source: AccountSource, index: int | None) -> str:
    """On which UTC days, counted from 1970, the people of {ids} came without an account between {from} and {to}."""
    return (
        "SELECT distinct_id AS visitor, groupUniqArray(intDiv(toUnixTimestamp(timestamp), 86400)) AS days FROM events"
        f" WHERE {WINDOW} AND event IN {{events}} AND distinct_id IN {{ids}} AND {account(source, index)} = ''"
        f" GROUP BY visitor ORDER BY visitor LIMIT {IDS}"
    )


def visits(*, hosts: bool) -> str:
    """What the people of {ids} did between {from} and {to}: at most as many rows as ids."""
    names = ("name", "ct", "lane", "cta", "page", "link", "server")
    return f"""SELECT of AS visitor, groupArray(tuple({", ".join(names)}, n)) AS cells, max(last_at) AS last_seen_unix
FROM (
  SELECT of, {", ".join(names)}, count() AS n, max(at) AS last_at
  FROM (
    {events("distinct_id", hosts=hosts)} AND distinct_id IN {{ids}}
  )
  GROUP BY of, {", ".join(names)}
)
GROUP BY of ORDER BY of LIMIT {IDS}"""


def arriving(source: AccountSource, index: int | None) -> str:
    """For the doctor: every event name between {from} and {to}, and how many carry what Orbit looks for."""
    return (
        f"SELECT event AS sent, count() AS events, countIf({account(source, index)} != '') AS with_account,"
        " countIf(coalesce(properties.content_type, '') != '') AS with_content_type,"
        " countIf(coalesce(properties.service_lane, '') != '') AS with_lane"
        f" FROM events WHERE {WINDOW} GROUP BY event ORDER BY events DESC, sent LIMIT 200"
    )


def busiest(source: AccountSource, index: int | None) -> str:
    """For the doctor: the commonest of what {events} between {from} and {to} carry as their account."""
    return (
        f"SELECT {account(source, index)} AS account, count() AS events FROM events"
        f" WHERE {WINDOW} AND event IN {{events}} AND account != '' GROUP BY account ORDER BY events DESC LIMIT 100"
    )


def event_properties() -> str:
    """For the doctor: the properties of a few events, to find one that holds a domain."""
    return f"SELECT properties AS json FROM events WHERE {WINDOW} AND event IN {{events}} LIMIT 100"


def group_properties(index: int) -> str:
    return f"SELECT properties AS json FROM groups WHERE index = {index} LIMIT 100"
