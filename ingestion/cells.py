"""What one cell of a fact is made of, the same whether a file or PostHog itself sent the event. Pure.

Everything here is written by visitors, so everything is bounded: no length, character or number of distinct values may
make a row that the database refuses, because one such row would stop the import of all the others.
"""

import hashlib
import re
from collections.abc import Collection
from functools import lru_cache
from typing import TypeAlias

import ada_url

from registry.rules import NAME_LENGTH, slug

PATH_LENGTH = 2_000
CTA_LENGTH = 64  # as long as the weights' column: a longer one could match no weight
MAX_ROW_TEXT = 8_000_000  # MariaDB takes 16 MB in one statement unless it is told otherwise
_SLUGGED = 4 * NAME_LENGTH  # `slug` remembers what it was given: not 65,536 strings of 10 kB
_REMEMBERED_URL = 512
_MAYBE_TOO_LARGE = 300  # cells; fewer of the longest non-ASCII ones stay below MAX_ROW_TEXT

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_PATH = re.compile(r"[?#\x00-\x1f\x7f-\x9f]|[^\x00-\x7f]")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

What: TypeAlias = tuple[str, str, str, str, str]
"""A cell without its count: event, content type, lane, cta id, path."""


def text(value: object) -> str:
    """A property as text. PostHog's own queries give numbers and truth values as text: so do we, whatever the source;
    lists and objects name nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else ""


def stored_name(value: object) -> str:
    """A lane or content type as stored; '' where there is none."""
    return slug(text(value)[:_SLUGGED]) if value != "" else ""


def cta(value: object) -> str:
    return clean(text(value))[:CTA_LENGTH]


def clean(text: str) -> str:
    """Text that every database takes: no control characters, no NUL, no half of a surrogate pair."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return _CONTROL.sub("", text)


def own_hosts(site_hosts: Collection[str]) -> frozenset[str]:
    """Hosts as `page_path` takes them."""
    return frozenset(host.lower().removeprefix("www.") for host in site_hosts)


def page_path(properties: dict[str, object], site_hosts: Collection[str] = ()) -> str:
    """The page of an event, without query and fragment (they carry e-mail addresses and tokens).

    `site_hosts` are the product's own (`own_hosts`); a page elsewhere keeps its host in front: `docs.x.com/api`.
    """
    path = text(properties.get("$pathname")) or _url(properties.get("$current_url"))[1]
    if _NOT_PATH.search(path):
        path = clean(path.partition("?")[0].partition("#")[0])
    if site_hosts:
        path = _foreign_host(properties, site_hosts) + path
    return path[:PATH_LENGTH]


def _foreign_host(properties: dict[str, object], site_hosts: Collection[str]) -> str:
    host = _url(properties.get("$current_url"))[0] or _url(f"http://{properties.get('$host') or ''}/")[0]
    return "" if host.removeprefix("www.") in site_hosts else host


def _url(url: object) -> tuple[str, str]:
    """Host and path of a URL, as a browser's `location` has them; a path alone is a path."""
    if not isinstance(url, str) or not url:
        return "", ""
    if url.isascii():
        # The rest says nothing of host and path, and makes nearly every URL a new one: three times the work.
        page = url.partition("?")[0].partition("#")[0]
        if page and page[-1] > " ":  # the parser drops spaces at the end of a URL, but not those before a query
            url = page
    return _parsed(url) if len(url) <= _REMEMBERED_URL else _parsed.__wrapped__(url)


@lru_cache(maxsize=65_536)
def _parsed(url: str) -> tuple[str, str]:
    if url.startswith("/") and not url.startswith("//"):
        return "", url
    try:
        parsed = ada_url.URL(url)
    except ValueError:  # no URL, or half of a surrogate pair
        return "", ""
    # `mailto:` and `javascript:` have something the parser calls a path, but it is no page.
    return parsed.hostname, parsed.pathname if parsed.pathname.startswith("/") else ""


def person_mark(person_id: object, distinct_id: object) -> str:
    """48 bits that count people without naming them: the random end of a UUID, else of a hash; '' for nobody."""
    if isinstance(person_id, str) and _UUID.fullmatch(person_id):
        return person_id[-12:].lower()
    someone = str(person_id or distinct_id or "")
    return hashlib.sha256(someone.encode("utf-8", "replace")).hexdigest()[:12] if someone else ""


def fit(cells: dict[What, int], limit: int) -> int:
    """Shorten the rarest cells in place until the row is small enough; how many were shortened.

    1. The rarest paths are cut to their first two segments. 2. If that is not enough, to nothing. 3. If a visitor made
    up more lanes or ids than cells are allowed, those go too. Equal counts go by name: the same cells, the same result.
    """
    if len(cells) <= min(limit, _MAYBE_TOO_LARGE):
        return 0
    shortened: set[What] = set()
    cut = 0
    text = sum(map(text_of, cells))
    for shorten in (_two_segments, _no_path, _event_only):
        for what in sorted(cells, key=lambda what: (cells[what], what)):
            if len(cells) <= limit and text <= MAX_ROW_TEXT:
                return cut
            shorter = shorten(what)
            if shorter != what:
                text += (0 if shorter in cells else text_of(shorter)) - text_of(what)
                cells[shorter] = cells.get(shorter, 0) + cells.pop(what)
                cut += what not in shortened  # a cell that is cut twice counts once
                shortened.add(shorter)
    return cut


def text_of(what: What) -> int:
    """At most so many bytes in the stored JSON, where a character beyond ASCII takes up to twelve."""
    return 80 + sum(len(part) if part.isascii() else 12 * len(part) for part in what)


def _two_segments(what: What) -> What:
    return (*what[:4], "/".join(what[4].split("/")[:3]))  # '' or the host, then two


def _no_path(what: What) -> What:
    return (*what[:4], "")


def _event_only(what: What) -> What:
    return (what[0], "", "", "", "")
