"""What must hold for every string: no exception, one canonical form, and the short cut equals the long way."""

import re
from collections.abc import Callable
from urllib.parse import quote

import ada_url
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from accounts import domains
from accounts.domains import (
    email_domain,
    is_personal,
    is_platform,
    normalize_domain_from_email,
    normalize_domain_from_url,
    registrable_domain,
    resolve_account_key,
)

pytestmark = pytest.mark.soak

soak = settings(max_examples=3_000, deadline=None, suppress_health_check=list(HealthCheck))

CANONICAL = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")

PIECES = [
    *("http://", "https:", "HTTP:\\\\", "//", "ftp:/", "file://", "javascript:", "mailto:", "www.", "WWW.", "xn--"),
    *(
        "acme",
        "com",
        "co.uk",
        "gov.uk",
        "github.io",
        "bücher",
        "xn--bcher-kva",
        "食狮",
        "公司",
        "ß",
        "☃",
        "İ",
        "\u212a",
    ),
    *(".", "..", "。", "．", "-", "--", "_", "@", "＠", ":", ":80", "/", "\\", "?", "#", "%", "%2e", "%00", "%C3%BC"),
    *(
        "1",
        "0x7f",
        "127.0.0.1",
        "１",
        "[::1]",
        " ",
        "\t",
        "\n",
        "\x00",
        "\u00a0",
        "\u200b",
        "\u200d",
        "\u00ad",
        "\ufeff",
    ),
    *("\ud800", '"', "<", ">", "(", ")", ",", ";", "localhost", "local", "gmail", "linkedin", "a" * 63, "a" * 64),
]
anything = st.text(st.characters(), max_size=60)
assembled = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)
strings = anything | assembled

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True) | st.sampled_from(["www", "github", "co"])
plain_hosts = st.tuples(
    st.lists(labels, min_size=1, max_size=5), st.sampled_from(["com", "co.uk", "ck", "io", "zz"])
).map(lambda parts: ".".join([*parts[0], parts[1]]))


def in_email(text: str) -> str:
    return f"ann@{text}"


@soak
@given(strings)
@pytest.mark.parametrize(
    "function", [normalize_domain_from_url, email_domain, normalize_domain_from_email, registrable_domain]
)
def test_any_string_gives_a_canonical_domain_or_none(function: Callable[[object], str | None], text: str) -> None:
    for given_text in (text, in_email(text), f"Ann <{in_email(text)}>", f"https://{text}/x"):
        domain = function(given_text)

        assert domain is None or CANONICAL.fullmatch(domain)
        assert normalize_domain_from_url(domain) == domain


@soak
@given(strings)
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalize_domain_from_url(text)
    registrable = registrable_domain(text)

    assert normalize_domain_from_url(once) == once
    assert registrable_domain(registrable) == registrable
    assert registrable_domain(once) == registrable


@soak
@given(strings)
def test_a_canonical_domain_survives_every_dress(text: str) -> None:
    domain = normalize_domain_from_url(text)
    assume(domain)
    assert domain is not None

    for dressed in (
        domain.upper(),
        f"https://{domain}/path?q=a@b#c",
        f"https://u:p@{domain}:8080",
        f"  {domain}.  ",
        f"http:\\\\{domain}\\",
        quote(domain.replace(".", "。")),
    ):
        assert normalize_domain_from_url(dressed) == domain
    assert email_domain(in_email(domain)) == domain
    assert email_domain(f'"Ann, B" <{in_email(domain)}>') == domain


@soak
@given(strings, strings)
def test_any_lead_resolves_to_an_organisation_or_none(website: str, email: str) -> None:
    key = resolve_account_key({"organization_website": website, "work_email": email})

    assert key is None or not (is_personal(key) or is_platform(key))
    assert normalize_domain_from_url(key) == key


@soak
@given(strings)
def test_the_list_checks_never_raise(text: str) -> None:
    assert is_personal(text) in (True, False)
    assert is_platform(text) in (True, False)


@soak
@given(plain_hosts | strings)
@example("www.gov.uk")
@example("ACME.com")
@example("r3---sn-x.acme.com")
@example("acme.0x1f")
def test_the_short_cut_for_plain_hosts_equals_the_long_way(authority: str) -> None:
    assume(not re.search(r"[/\\?#]", authority))  # never part of an authority

    assert domains._host(authority) == domains._host_by_whatwg(authority)


@soak
@given(strings)
def test_the_host_is_the_one_a_browser_would_open(text: str) -> None:
    url = f"http://x@{text.strip(domains._EDGES)}"  # with user-info, no second scheme can be taken off
    try:
        host = ada_url.URL(url).hostname
    except ValueError:
        host = ""

    assert normalize_domain_from_url(url) == normalize_domain_from_url(host)
