"""Account keys: every way of writing a domain, one canonical form."""

import re

import pytest

from accounts.domains import (
    SHIPPED_PERSONAL,
    SHIPPED_PLATFORMS,
    SHIPPED_VERSION,
    email_domain,
    is_personal,
    is_platform,
    normalize_domain_from_email,
    normalize_domain_from_url,
    registrable_domain,
    resolve_account_key,
)

LABEL_63 = "a" * 63
HOST_253 = ".".join([LABEL_63, LABEL_63, LABEL_63, "b" * 57, "com"])

URLS_THAT_NAME_A_DOMAIN = [
    # the plain forms
    ("acmespace.com", "acmespace.com"),
    ("ACMESPACE.COM", "acmespace.com"),
    ("acmespace.com/path", "acmespace.com"),
    ("acmespace.com?utm=1", "acmespace.com"),
    ("acmespace.com#top", "acmespace.com"),
    ("www.acmespace.com", "acmespace.com"),
    ("shop.acmespace.com", "shop.acmespace.com"),
    ("www2.acmespace.com", "www2.acmespace.com"),
    ("wwwacme.com", "wwwacme.com"),
    ("3m.com", "3m.com"),
    ("1-800-flowers.com", "1-800-flowers.com"),
    ("r3---sn-x.acme.com", "r3---sn-x.acme.com"),
    ("ftp://ftp.acme.com/pub", "ftp.acme.com"),
    ("wss://live.acme.com/socket", "live.acme.com"),
    # scheme missing, mistyped, doubled
    ("//acme.com/x", "acme.com"),
    ("///acme.com/x", "acme.com"),
    ("\\\\acme.com\\x", "acme.com"),
    ("http:/acme.com", "acme.com"),
    ("http:acme.com", "acme.com"),
    ("http:\\\\acme.com\\path", "acme.com"),
    ("HTTPS:///acme.com", "acme.com"),
    ("https:/\\/acme.com", "acme.com"),
    ("http://https://acme.com", "acme.com"),
    ("https://http:/acme.com", "acme.com"),
    ("acme.com\\path", "acme.com"),
    # port and user-info
    ("acme.com:8080", "acme.com"),
    ("acme.com:", "acme.com"),
    ("https://acme.com:443/", "acme.com"),
    ("https://user:pw@acme.com:8443/x", "acme.com"),
    ("https://user@evil.com@acme.com/", "acme.com"),
    ("https://acme.com:pw@evil.com/", "evil.com"),
    ("https://acme.com#@evil.com/", "acme.com"),
    ("https://acme.com\\@evil.com/", "acme.com"),
    ("https://acme.com?@evil.com/", "acme.com"),
    ("user:pw@acme.com", "acme.com"),
    ("ann@acme.com", "acme.com"),
    ("mailto:ann@acme.com", "acme.com"),
    # spaces and invisible characters
    ("  https://acme.com  ", "acme.com"),
    ("\u00a0acme.com\u3000", "acme.com"),
    ("\ufeffhttps://acme.com", "acme.com"),
    ("\u200bacme.com\u200e", "acme.com"),
    ("\x00\x1facme.com\x00", "acme.com"),
    ("ac\nme.c\tom\r", "acme.com"),
    ("ht\ntps://acme.com", "acme.com"),
    ("ac\u00adme.com", "acme.com"),
    # dots
    ("acme.com.", "acme.com"),
    ("https://acme.com./x", "acme.com"),
    ("acme.com...", "acme.com"),
    ("www\u3002acme\uff0ecom", "acme.com"),
    ("acme%2Ecom", "acme.com"),
    # percent-encoding
    ("http://%61cme.com/", "acme.com"),
    ("http://b%C3%BCcher.de/", "xn--bcher-kva.de"),
    ("http://acme.com/%zz%00\ud800", "acme.com"),
    # international names
    ("bücher.de", "xn--bcher-kva.de"),
    ("BÜCHER.de", "xn--bcher-kva.de"),
    ("bu\u0308cher.de", "xn--bcher-kva.de"),
    ("xn--bcher-kva.de", "xn--bcher-kva.de"),
    ("XN--BCHER-KVA.DE", "xn--bcher-kva.de"),
    ("straße.de", "xn--strae-oqa.de"),
    ("ａｃｍｅ．ｃｏｍ", "acme.com"),
    ("\u212aacme.com", "kacme.com"),
    ("食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn"),
    ("例え.jp", "xn--r8jz45g.jp"),
    ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
    ("аcme.com", "xn--cme-5cd.com"),  # the first letter is Cyrillic: another domain, not ours to merge
    ("paral·lel.cat", "xn--parallel-koa.cat"),
    # length
    (HOST_253, HOST_253),
    (LABEL_63 + ".com", LABEL_63 + ".com"),
    ("https://acme.com/" + "x" * 5_000, "acme.com"),
    ("https://acme.com" + " " * 5_000, "acme.com"),
    (" " * 5_000 + "https://acme.com/", "acme.com"),
    # `www.` that must stay, or leave more than once
    ("www.www.acme.com", "acme.com"),
    ("www.gov.uk", "www.gov.uk"),
    ("www.www.gov.uk", "www.gov.uk"),
    ("www.com", "www.com"),
    ("www.www.com", "www.com"),
    ("www.github.io", "www.github.io"),
    ("www.ck", "www.ck"),
    # reserved on purpose for examples and tests, so they arrive on purpose
    ("acme.example", "acme.example"),
    ("acme.test", "acme.test"),
]


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        pytest.param("https://www.AcmeSpace.com/path", "acmespace.com", id="spec_2-acceptance"),
        pytest.param("gmail.com", "gmail.com", id="spec_2-urls-know-no-personal-domains"),
        *URLS_THAT_NAME_A_DOMAIN,
    ],
)
def test_a_url_gives_its_canonical_domain(url: str, domain: str) -> None:
    assert normalize_domain_from_url(url) == domain


@pytest.mark.parametrize(
    "url",
    [
        # nothing
        "",
        " ",
        "\x00",
        ".",
        "...",
        "-",
        "n/a",
        "n.a",
        "N.A.",
        "none",
        "http://",
        "https:///",
        "http://?x",
        "http://user@/",
        # no web address
        "/index.html",
        "\\index.html",
        "?q=acme.com",
        "#acme.com",
        "file:///etc/passwd",
        "file://server.acme.com/share",
        "app://acme.com",
        "chrome-extension://acme.com/x",
        "postgres://db.acme.com/x",
        "javascript:alert(1)",
        "javascript://acme.com/%0aalert(1)",
        "data:text/html,acme.com",
        "about:blank",
        "tel:+4930123456",
        # single labels and ids
        "localhost",
        "localhost:3000",
        "acme",
        "com",
        "acme.",
        "01a194e6-46e2-0000-4d45-31be88869d3c",
        "12345",
        # IP addresses in any notation
        "1.2.3.4",
        "1.2.3.4.",
        "http://1.2.3.4:80/",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "１.２.３.４",
        "http://%31.2.3.4/",
        "1。2。3。4",
        "1.2.3.4.5",
        "acme.0x1f",
        "acme.123",
        "[::1]",
        "http://[::1]:8080/",
        "http://[2001:db8::1]/",
        "http://[::ffff:1.2.3.4]/",
        "::1",
        # bare public suffixes
        "co.uk",
        "gov.uk",
        "github.io",
        "wixsite.com",
        "公司.cn",
        # machines and private networks
        "x.(none)",
        "web1.localdomain",
        "foo.local",
        "printer.lan",
        "nas.home",
        "dc1.corp",
        "api.internal",
        "wiki.intranet",
        "app.localhost",
        "no.invalid",
        "duckduckgo.onion",
        "4.3.2.1.in-addr.arpa",
        # no host name
        "foo_bar.com",
        "_dmarc.acme.com",
        "-acme.com",
        "acme-.com",
        "acme.-com",
        ".acme.com",
        "acme..com",
        "acme,com",
        "acme!.com",
        "*.acme.com",
        "acme .com",
        "acme.com, acme.org",
        "acme.com or acme.org",
        "http:// acme.com/",
        "http://acme.com\x00/",
        "http://acme%00.com/",
        "http://acme%2fcom/",
        "http://acme%.com/",
        "http://acme.com:99999/",
        "http://acme.com:abc/",
        "http://<acme>.com/",
        "\ud800.com",
        # international names that nobody can register
        "xn--.com",
        "xn--a.com",
        "xn--acme-.com",
        "xn--zzzzzzz99999.com",
        "☃.net",
        "xn--n3h.net",
        "i❤.ws",
        "a\u200db.com",
        "\u0301acme.com",
        "אabc.com",
        # length
        "a" * 64 + ".com",
        "b" + HOST_253,
        "a." * 200 + "com",
        "ü" * 60 + ".com",
        "http://" + "u" * 3_000 + "@acme.com/",
        "a" * 1_000_000,
        "acme.co" + "\t" * 2_041 + "mmunity.com",
    ],
)
def test_what_names_no_organisation_gives_none(url: str) -> None:
    assert normalize_domain_from_url(url) is None


@pytest.mark.parametrize("value", [None, 0, 1.5, True, b"acme.com", ["acme.com"], {"acme.com": 1}, object()])
def test_what_is_no_string_gives_none_and_never_raises(value: object) -> None:
    assert normalize_domain_from_url(value) is None
    assert email_domain(value) is None
    assert normalize_domain_from_email(value) is None
    assert registrable_domain(value) is None


@pytest.mark.parametrize(
    ("email", "domain"),
    [
        ("ann@acme.com", "acme.com"),
        ("Ann.Lee+x@ACME.com", "acme.com"),
        ("ann@sales.acme.co.uk", "sales.acme.co.uk"),
        ("ann@www.acme.com", "acme.com"),
        ("ann@acme.com.", "acme.com"),
        ("  ann@acme.com\r\n", "acme.com"),
        ("ann @ acme.com", "acme.com"),
        ("\ufeffann@acme.com\u200b", "acme.com"),
        ("ann@acme.com;", "acme.com"),
        ("ann@acme.com, ", "acme.com"),
        ("<ann@acme.com>", "acme.com"),
        ("Ann <ann@acme.com>", "acme.com"),
        ('"Ann, B" <a@x.com>', "x.com"),
        ("Lee, Ann <ann@acme.com>", "acme.com"),
        ("ann@gmail.com <ann@acme.com>", "acme.com"),
        ('"Ann <ann@gmail.com>" <ann@acme.com>', "acme.com"),
        ("Ann < ann@acme.com >", "acme.com"),
        ("Ann <ann@acme.com> (office)", "acme.com"),
        ("ann@acme.com (Ann Lee)", "acme.com"),
        ("mailto:ann@acme.com", "acme.com"),
        ("MAILTO:ann@acme.com?subject=a@b.com", "acme.com"),
        ("mailto:ann%40acme.com", "acme.com"),
        ("<mailto:ann@acme.com>", "acme.com"),
        ('"a@b"@acme.com', "acme.com"),
        ('"a b"@acme.com', "acme.com"),
        (r'"a\"b"@acme.com', "acme.com"),
        ("o'neil@acme.com", "acme.com"),
        ("a..b.@acme.com", "acme.com"),
        ("jürgen@bücher.de", "xn--bcher-kva.de"),
        ("ann＠ａｃｍｅ．ｃｏｍ", "acme.com"),
        ("user%gmail.com@acme.com", "acme.com"),
        ("2886c62cefc4@gmail.com", "gmail.com"),
        ("a@acme.example", "acme.example"),
    ],
)
def test_an_email_address_gives_its_canonical_domain(email: str, domain: str) -> None:
    assert email_domain(email) == domain


@pytest.mark.parametrize(
    "email",
    [
        "",
        "@",
        "ann",
        "acme.com",
        "@acme.com",
        "ann@",
        "a@b@c",
        "a@b.com@c.com",
        "ann@acme.com, bob@bolt.com",
        "ann@acme.com; bob@bolt.com",
        "ann@acme.com bob@bolt.com",
        "Ann <ann@acme.com>, Bob <bob@bolt.com>",
        "mailto:ann@acme.com,bob@bolt.com",
        "ann@acme.com\nBcc: bob@bolt.com",
        "Ann <ann@acme.com",
        "Ann <>",
        "ann lee@acme.com",
        "https://ann@acme.com",
        "ann@acme.com/path",
        "ann@acme.com:25",
        "ann@acme.com?x",
        "ann@acme%2ecom",
        "ann@ac\tme.com",
        "ann@acme.com\x00x",
        "a\x00nn@acme.com",
        '"ann@acme.com',
        "ann@[1.2.3.4]",
        "ann@[IPv6:2001:db8::1]",
        "ann@1.2.3.4",
        "root@localhost",
        "root@web1.localdomain",
        "root@web1.(none)",
        "ann@foo_bar.com",
        "ann@acme",
        "ann@acme..com",
        "ann@.acme.com",
        "ann@co.uk",
        "ann@github.io",
        "undisclosed-recipients:;",
        "ann@\ud800.com",
        "a" * 2_000 + "@acme.com",
        '"' * 1_024,
        '"\\' * 500,
        "(" * 1_024,
        "<" * 1_024,
    ],
)
def test_what_is_not_one_email_address_gives_none(email: str) -> None:
    assert email_domain(email) is None


@pytest.mark.parametrize(
    ("email", "domain"),
    [
        pytest.param("name@gmail.com", None, id="spec_2-acceptance"),
        pytest.param("name@yahoo.com", None, id="spec_2-yahoo"),
        pytest.param("name@outlook.com", None, id="spec_2-outlook"),
        pytest.param("name@hotmail.com", None, id="spec_2-hotmail"),
        ("Name <NAME@GMail.com.>", None),
        ("name@googlemail.com", None),
        ("name@duck.com", None),
        ("name@tutanota.com", None),
        ("name@hey.com", None),
        ("name@kakao.com", None),
        ("x@privaterelay.appleid.com", None),
        ("x@users.noreply.github.com", None),
        ("x@guerrillamail.com", None),
        ("name@acme.com", "acme.com"),
        ("name@apple.com", "apple.com"),
        ("name@alibaba.com", "alibaba.com"),
        ("name@corp.mail.ru", "corp.mail.ru"),
        ("name@firma.seznam.cz", "firma.seznam.cz"),
        ("name@nowhere", None),
    ],
)
def test_a_personal_mailbox_groups_to_no_account(email: str, domain: str | None) -> None:
    assert normalize_domain_from_email(email) == domain


def test_the_personal_list_is_an_argument() -> None:
    assert normalize_domain_from_email("name@gmail.com", personal=frozenset()) == "gmail.com"
    assert normalize_domain_from_email("name@acme.com", personal={"acme.com"}) is None


@pytest.mark.parametrize(
    ("website", "email", "key"),
    [
        pytest.param("https://www.AcmeSpace.com/path", "ann@other.com", "acmespace.com", id="spec_2-website-first"),
        pytest.param(None, "ann@acme.com", "acme.com", id="spec_2-email-second"),
        pytest.param("https://acme.com", "ann@gmail.com", "acme.com", id="spec_2-website-beside-personal-email"),
        pytest.param(None, "name@gmail.com", None, id="spec_2-personal-email-alone"),
        ("", "ann@acme.com", "acme.com"),
        ("n/a", "ann@acme.com", "acme.com"),
        ("http://192.168.0.1/", "ann@acme.com", "acme.com"),
        ("gmail.com", "ann@acme.com", "acme.com"),
        ("ann@gmail.com", "ann@acme.com", "acme.com"),
        ("https://www.linkedin.com/company/acme", "ann@acme.com", "acme.com"),
        ("https://de.linkedin.com/company/acme", "ann@acme.com", "acme.com"),
        ("facebook.com/acme", "ann@acme.com", "acme.com"),
        ("https://acme.wixsite.com/home", "ann@acme.com", "acme.com"),
        ("https://www.wixsite.com", "ann@acme.com", "acme.com"),
        ("https://sites.google.com/view/acme", "ann@acme.com", "acme.com"),
        ("https://acme.wordpress.com", "ann@gmail.com", None),
        ("https://linkedin.com/in/ann", "ann@linkedin.com", None),
        ("https://acme.github.io", "ann@gmail.com", "acme.github.io"),
        (42, ["ann@acme.com"], None),
    ],
)
def test_a_lead_is_keyed_by_its_website_then_its_email(website: object, email: object, key: str | None) -> None:
    assert resolve_account_key({"organization_website": website, "work_email": email}) == key


def test_a_lead_without_the_two_fields_has_no_key() -> None:
    assert resolve_account_key({}) is None
    assert resolve_account_key({"name": "Acme"}) is None


def test_the_lists_of_a_lead_are_arguments() -> None:
    lead = {"organization_website": "https://shop.bolt.com", "work_email": "ann@gmail.com"}

    assert resolve_account_key(lead, platforms={"bolt.com"}) is None
    assert resolve_account_key(lead, personal=frozenset(), platforms={"bolt.com"}) == "gmail.com"
    assert resolve_account_key(lead, personal={"shop.bolt.com", "gmail.com"}) is None


@pytest.mark.parametrize(
    ("domain", "registrable"),
    [
        ("acme.com", "acme.com"),
        ("a.b.acme.com", "acme.com"),
        ("WWW.Acme.COM", "acme.com"),
        ("acme.co.uk", "acme.co.uk"),
        ("a.acme.co.uk", "acme.co.uk"),
        ("www.gov.uk", "www.gov.uk"),
        # private section: every tenant is its own
        ("acme.github.io", "acme.github.io"),
        ("docs.acme.github.io", "acme.github.io"),
        # wildcard rules and their exceptions
        ("a.b.c.np", "b.c.np"),
        ("www.ck", "www.ck"),
        ("www.www.ck", "www.ck"),
        ("x.city.kawasaki.jp", "city.kawasaki.jp"),
        ("x.y.z.kawasaki.jp", "y.z.kawasaki.jp"),
        # unknown top-level domains
        ("example.example", "example.example"),
        ("b.example.example", "example.example"),
        # international
        ("www.食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn"),
        ("www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),
        # nothing registrable
        ("com", None),
        ("COM", None),
        ("co.uk", None),
        ("c.np", None),
        ("github.io", None),
        ("公司.cn", None),
        ("", None),
        (".acme.com", None),
        (".com", None),
        ("1.2.3.4", None),
        ("localhost", None),
    ],
)
def test_the_registrable_domain_follows_the_public_suffix_list(domain: str, registrable: str | None) -> None:
    assert registrable_domain(domain) == registrable


@pytest.mark.parametrize(
    ("domain", "platform"),
    [
        ("linkedin.com", True),
        ("uk.linkedin.com", True),
        ("LinkedIn.com.", True),
        ("wixsite.com", True),
        ("acme.wixsite.com", True),
        ("notlinkedin.com", False),
        ("linkedin.com.acme.com", False),
        ("acme.com", False),
        ("com", False),
        ("", False),
        ("...", False),
    ],
)
def test_a_platform_covers_its_subdomains(domain: str, platform: bool) -> None:
    assert is_platform(domain) is platform


@pytest.mark.parametrize(
    ("domain", "personal"),
    [
        ("gmail.com", True),
        ("GMAIL.com.", True),
        ("corp.mail.ru", False),
        ("mail.ru", True),
        ("acme.com", False),
        ("", False),
        ("com", False),
    ],
)
def test_a_personal_domain_does_not_cover_its_subdomains(domain: str, personal: bool) -> None:
    assert is_personal(domain) is personal


def test_every_shipped_personal_domain_is_canonical() -> None:
    assert [d for d in SHIPPED_PERSONAL if normalize_domain_from_url(d) != d] == []


def test_every_shipped_platform_is_a_lower_case_host_name() -> None:
    assert [d for d in SHIPPED_PLATFORMS if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", d)] == []


def test_the_version_of_the_shipped_lists_is_a_short_hash() -> None:
    assert re.fullmatch("[0-9a-f]{12}", SHIPPED_VERSION)


def test_a_canonical_domain_stays_as_it_is() -> None:
    domains = [domain for _, domain in URLS_THAT_NAME_A_DOMAIN]

    assert [normalize_domain_from_url(d) for d in domains] == domains
    assert [email_domain(f"ann@{d}") for d in domains] == domains
