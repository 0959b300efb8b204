"""Proxies in front of the portal, and how much of what they say is believed.

Only a peer named by TRUSTED_PROXIES is believed, and only in X-Forwarded-For, X-Forwarded-Proto and
X-Forwarded-Host. `Forwarded` (RFC 7239) is not read: a proxy that writes the one family of headers
passes the other on from whoever sent it, so that reading both would believe strangers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Wsgi = Callable[[dict[str, Any], Any], Any]

ARRIVAL = "countersign.arrival"
UNIX = "unix"
MAPPED = IPv6Network("::ffff:0:0/96")
HOST = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|[A-Za-z0-9_][A-Za-z0-9._-]{0,252})(?::(?P<port>[0-9]{1,5}))?"
)
WITH_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?")
BELIEVED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")
# What other proxies leave behind. Never read, but each says that a proxy was there.
TRACES = frozenset({
    "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_X_CLIENT_IP", "HTTP_TRUE_CLIENT_IP",
    "HTTP_CF_CONNECTING_IP",
})  # fmt: skip


@dataclass(frozen=True)
class Trusted:
    """The proxies that are believed: networks, and whoever connects through a unix socket."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False

    def holds(self, address: str) -> bool:
        """Whether this peer, or entry of X-Forwarded-For, is one of them; "" is a unix socket."""
        if not address:
            return self.unix
        return any(ip_address(address) in network for network in self.networks)

    def __str__(self) -> str:
        names = [str(n.network_address) if n.num_addresses == 1 else str(n) for n in self.networks]
        return ",".join(names + [UNIX] * self.unix)


@dataclass(frozen=True)
class Arrival:
    """How one request came in, and what was believed of it."""

    peer: str  # who connected; "" through a unix socket
    address: str  # whose address is recorded
    is_trusted: bool  # the peer is a trusted proxy
    scheme: str  # "http" or "https"
    host: str  # as asked for, with a port where one was given; "" when it is no host name
    said_scheme: str = ""  # the scheme a trusted proxy named
    unreadable: str = ""  # the entry of X-Forwarded-For at which reading stopped
    sent: tuple[tuple[str, str], ...] = ()  # the headers by which a proxy shows itself, as they came

    @property
    def is_known_plain(self) -> bool:
        """A trusted proxy says that this came over http."""
        return self.said_scheme == "http"


def front(inner: Wsgi, trusted: Callable[[], Trusted]) -> Wsgi:
    """The same application, with every request as its trusted proxy saw it and an Arrival in `environ`."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        arrival = arrive(environ, trusted())
        environ[ARRIVAL] = arrival
        environ["REMOTE_ADDR"] = arrival.address
        environ["wsgi.url_scheme"] = arrival.scheme
        if arrival.is_trusted and arrival.host:
            environ["HTTP_HOST"] = arrival.host
        return inner(environ, start_response)

    return application


def arrive(environ: dict[str, Any], trusted: Trusted) -> Arrival:
    """Read one WSGI environ; nothing in it raises."""
    peer = normal(environ.get("REMOTE_ADDR", ""))
    scheme, host = environ.get("wsgi.url_scheme", "http"), host_of(environ.get("HTTP_HOST", ""))
    sent = tuple((header_name(key), environ[key]) for key in sorted(filter(is_trace, environ)))
    if not trusted.holds(peer):
        return Arrival(peer, peer, False, scheme, host, sent=sent)
    told_for, told_scheme, told_host = (environ.get(key, "") for key in BELIEVED)
    address, unreadable = client_of(peer, told_for, trusted)
    said = last(told_scheme).lower()
    said = said if said in ("http", "https") else ""
    return Arrival(
        peer, address, True, said or scheme, host_of(last(told_host)) or host, said, unreadable, sent
    )


def client_of(peer: str, forwarded_for: str, trusted: Trusted) -> tuple[str, str]:
    """Whose address to record, and the entry that nobody can read, if one was met.

    Read from the right, since every proxy adds what it saw at the right end; what stands left of the
    first address that is not a trusted proxy is a stranger's own words.
    """
    address = peer
    for entry in filter(None, (part.strip() for part in reversed(forwarded_for.split(",")))):
        if not trusted.holds(address):
            break
        found = entry_address(entry)
        if not found:
            return address, entry
        address = found
    return address, ""


def entry_address(entry: str) -> str:
    """`192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]:443`; "" for anything else."""
    found = WITH_PORT.fullmatch(entry)
    return normal((found["six"] or found["four"]) if found else entry)


def normal(address: str) -> str:
    """One way to write each address: IPv4 out of its IPv6 form, no zone; "" when it is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or IPv6Address(int(found))
    return str(found)


def host_of(text: str) -> str:
    """The host and port as in a Host header; "" where they cannot be."""
    found = HOST.fullmatch(text)
    if found is None or int(found["port"] or 0) > 65535:
        return ""
    return text if not found["six"] or normal(found["six"]) else ""


def last(listed: str) -> str:
    """The last entry of a list: what the peer itself wrote."""
    return listed.rpartition(",")[2].strip()


def is_trace(key: str) -> bool:
    return key.startswith("HTTP_X_FORWARDED") or key in TRACES


def header_name(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-").title()


def parse_trusted(text: str) -> tuple[Trusted, list[str]]:
    """The setting as typed, and every entry that cannot be used with the reason."""
    networks: list[IPv4Network | IPv6Network] = []
    unix, faults = False, []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        if entry == UNIX:
            unix = True
            continue
        try:
            network = ip_network(entry)
        except ValueError:
            faults.append(f"holds {entry!r}, which is no address, network such as 10.0.0.0/8, or unix.")
            continue
        if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
            mapped = network.network_address.ipv4_mapped
            network = IPv4Network((int(mapped or 0), network.prefixlen - 96))
        if network.prefixlen == 0:
            faults.append(f"holds {entry}, which is everybody: any stranger could then name any address.")
        networks.append(network)
    return Trusted(tuple(networks), unix), faults
