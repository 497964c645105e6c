"""Which addresses Orbit may call: a mistyped or hostile setting must not make it talk to the machine it runs on, or to
the metadata service of its cloud (reliability 32). Pure but for the look-up of the name, which is an argument."""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotAllowed(ValueError):
    """The address may not be called; the text says why."""


def addresses(host: str, port: int) -> Iterable[str]:
    """What the name stands for now."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def checked_origin(url: str, resolve: Callable[[str, int], Iterable[str]] = addresses) -> str:
    """`https://host[:port]` of a URL that names nothing else. Plain http only to this machine by its own names.

    NotAllowed for another scheme, a user, a path, a query, a name that resolves to nothing, to this machine, or to an
    address that is no host's (link-local, multicast, unspecified).
    """
    if "@" in url:  # first: no other message may repeat a password
        raise NotAllowed("The address may not contain a user or a password.")
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotAllowed(f"{url!r} is no address: {error}.") from error
    if parts.scheme not in ("https", "http") or not host:
        raise NotAllowed(f"{url!r} is no address: write https://host.")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise NotAllowed(f"{url!r} goes beyond the host: write https://{host} alone.")
    own = is_own_name(host)
    if parts.scheme == "http" and not own:
        raise NotAllowed(f"{url!r} is not encrypted: write https://{host}.")
    try:
        found = list(resolve(host, port or (443 if parts.scheme == "https" else 80)))
    except (OSError, UnicodeError) as error:  # the latter for a label that is empty or too long
        raise NotAllowed(f"{host} has no address ({error}).") from error
    if not found:
        raise NotAllowed(f"{host} has no address.")
    for address in found:
        refuse_odd(host, address, own=own)
    return f"{parts.scheme}://{parts.netloc}"


def is_own_name(host: str) -> bool:
    """Whether it names this machine openly; a public name that leads here is a trick (DNS rebinding)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_odd(host: str, address: str, *, own: bool) -> None:
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback and own:
        return
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        raise NotAllowed(f"{host} leads to {ip}, which may not be called.")


def checked_url(url: str) -> str:
    """The host of a whole address that somebody entered: https, no user, no odd port. NotAllowed says why not.

    Where the host leads is looked at when it is called (`refuse_private`), since that may change at any time.
    """
    if "@" in url.partition("?")[0]:  # first: no other message may repeat a password
        raise NotAllowed("The address may not contain a user or a password.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotAllowed("This is no address.") from error
    if parts.scheme != "https" or not host or url != url.strip():
        raise NotAllowed("Write an address that begins with https://.")
    if port not in (None, 443) and port < 1024:
        raise NotAllowed(f"Port {port} belongs to something that is no web server.")
    return host


def refuse_private(host: str, address: str) -> None:
    """NotAllowed unless the address is one of the public internet, whatever it is wrapped in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = [ip, *_wrapped(ip)]
    if not all(each.is_global and not each.is_multicast for each in inner):
        raise NotAllowed(f"{host} leads to {ip}, which is not public.")


def _wrapped(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 address inside an IPv6 one: mapped, 6to4, Teredo, NAT64."""
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in NAT64:
        found.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return [each for each in found if each is not None]
