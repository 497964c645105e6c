"""Which addresses Orbit may call, decided before anything is sent (reliability 32)."""

import pytest

from ingestion.outgoing import NotAllowed, checked_origin
from ingestion.posthog import NotConfigured, PostHogClient

LONG_LABEL = "a" * 64 + ".example"


def resolving(*addresses):
    return lambda host, port: addresses


def unresolvable(host, port):
    raise OSError("Name or service not known")


@pytest.mark.parametrize(
    ("url", "address", "origin"),
    [
        ("https://us.posthog.com", "104.18.0.1", "https://us.posthog.com"),
        ("  https://us.posthog.com/\n", "104.18.0.1", "https://us.posthog.com"),
        ("https://posthog.example:8443", "203.0.114.1", "https://posthog.example:8443"),
        ("HTTPS://PostHog.Example", "203.0.114.1", "https://PostHog.Example"),
        ("https://bücher.example", "203.0.114.1", "https://bücher.example"),
        ("https://posthog.internal", "10.1.2.3", "https://posthog.internal"),
        ("https://192.168.1.20", "192.168.1.20", "https://192.168.1.20"),
        ("https://posthog.internal", "fd12::1", "https://posthog.internal"),
        ("https://[2606:4700::1]", "2606:4700::1", "https://[2606:4700::1]"),
        ("https://posthog.internal", "::ffff:10.1.2.3", "https://posthog.internal"),
        ("http://localhost:8010", "127.0.0.1", "http://localhost:8010"),
        ("http://127.0.0.1:8010/", "127.0.0.1", "http://127.0.0.1:8010"),
        ("http://127.9.9.9", "127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8010", "::1", "http://[::1]:8010"),
        ("https://localhost", "::1", "https://localhost"),
    ],
)
def test_an_address_that_may_be_called_becomes_its_origin(url, address, origin):
    assert checked_origin(url, resolving(address)) == origin


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "is no address"),
        ("   ", "is no address"),
        ("us.posthog.com", "is no address"),
        ("//us.posthog.com", "is no address"),
        ("https://", "is no address"),
        ("https:///api", "is no address"),
        ("https:us.posthog.com", "is no address"),
        ("ftp://us.posthog.com", "is no address"),
        ("file:///etc/passwd", "is no address"),
        ("gopher://127.0.0.1", "is no address"),
        ("https://posthog.example:99999", "is no address"),
        ("https://posthog.example:port", "is no address"),
        ("https://[::1", "is no address"),
        ("https://exam℀ple.com", "is no address"),
        ("https://x@127.0.0.1", "user or a password"),
        ("https://x:y@posthog.example", "user or a password"),
        ("https://@posthog.example", "user or a password"),
        ("https://posthog.example\\@127.0.0.1", "user or a password"),
        ("https://posthog.example/api", "goes beyond the host"),
        ("https://posthog.example//", "goes beyond the host"),
        ("https://posthog.example?x=1", "goes beyond the host"),
        ("https://posthog.example#x", "goes beyond the host"),
        ("http://us.posthog.com", "is not encrypted"),
        ("http://10.1.2.3", "is not encrypted"),
        ("http://169.254.169.254", "is not encrypted"),
        ("http://2130706433", "is not encrypted"),
        ("http://localhost.example", "is not encrypted"),
        ("http://127.0.0.1.nip.io", "is not encrypted"),
        ("http://127.1", "is not encrypted"),
    ],
)
def test_an_address_that_says_too_much_or_too_little_is_refused_before_its_name_is_looked_up(url, why):
    def never(host, port):
        raise AssertionError("looked up")

    with pytest.raises(NotAllowed, match=why):
        checked_origin(url, never)


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("::1",),
        ("::ffff:127.0.0.1",),
        ("169.254.169.254",),
        ("::ffff:169.254.169.254",),
        ("fe80::1%eth0",),
        ("0.0.0.0",),
        ("::",),
        ("224.0.0.1",),
        ("ff02::1",),
        ("240.0.0.1",),
        ("255.255.255.255",),
        ("64:ff9b::169.254.169.254",),
        ("203.0.114.1", "127.0.0.1"),
    ],
)
def test_a_public_name_that_leads_somewhere_odd_is_refused(addresses):
    with pytest.raises(NotAllowed, match=r"posthog.example leads to .*, which may not be called"):
        checked_origin("https://posthog.example", resolving(*addresses))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0"])
def test_an_odd_way_to_write_this_machine_is_refused_by_where_it_leads(host):
    with pytest.raises(NotAllowed, match="which may not be called"):
        checked_origin(f"https://{host}")  # by the machine's own resolver


@pytest.mark.parametrize("url", ["https://169.254.169.254", "https://[fe80::1]", "https://0.0.0.0", "https://[::]"])
def test_an_address_written_out_is_held_to_the_same_rules(url):
    with pytest.raises(NotAllowed, match="which may not be called"):
        checked_origin(url)


def test_a_name_of_this_machine_may_not_lead_elsewhere_that_is_odd():
    with pytest.raises(NotAllowed, match="localhost leads to 169"):
        checked_origin("http://localhost", resolving("169.254.169.254"))


def test_a_name_without_an_address_is_refused():
    with pytest.raises(NotAllowed, match="has no address"):
        checked_origin("https://posthog.example", unresolvable)
    with pytest.raises(NotAllowed, match="has no address"):
        checked_origin("https://posthog.example", resolving())


@pytest.mark.parametrize("host", [LONG_LABEL, "a..example", ".example", "a" * 300])
def test_a_name_that_no_resolver_takes_is_refused_in_the_same_way(host):
    with pytest.raises(NotAllowed, match="has no address"):
        checked_origin(f"https://{host}")


@pytest.mark.parametrize(
    "url", ["ftp://u:s3cret@h.example", "https://u:s3cret@h.example", "https://u:s3cret@[h", "http://u:s3cret@h:x"]
)
def test_a_password_in_an_address_is_not_repeated(url):
    with pytest.raises(NotAllowed) as refused:
        checked_origin(url, unresolvable)

    assert "s3cret" not in str(refused.value)


def test_the_client_names_the_setting():
    with pytest.raises(NotConfigured, match=r"^POSTHOG_HOST: 'http://169\.254\.169\.254' is not encrypted"):
        PostHogClient("http://169.254.169.254", "phx_x", "1")
