"""HTTP to an address that an administrator typed: small answers, short waits, no redirects.

The name is resolved once, judged, and that very address is connected to. Private networks are
allowed, since companies run services there; link-local and metadata addresses are not, nor is this
very machine unless it is itself only tried out locally.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from portal.channels import Unavailable

SECONDS = (4, 6)  # to connect, and for each piece of the answer
LONGEST_S = 10.0
LARGEST_ANSWER = 512 * 1024
PIECE = 16 * 1024
# Where clouds tell their machines secrets, beside the link-local 169.254.169.254.
METADATA = frozenset({"100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"})


class Forbidden(ValueError):
    """No request may go to this address."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The object in it. Raises ValueError."""
        found = json.loads(self.body)
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found


def fetch(
    url: str,
    *,
    is_local: bool,
    form: Mapping[str, str] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    is_public: bool = False,
) -> Answer:
    """GET, or POST with `form` or `body`. Raises Forbidden, or Unavailable where no whole answer came.

    `is_local` says that this installation is only tried out on its own machine: then http and
    loopback addresses are taken. `is_public`: private networks are refused as well.
    """
    parts = judge(url, is_local=is_local)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = resolve(host, port, is_local=is_local, is_public=is_public)
    plain = requests.Session()
    verify = plain.merge_environment_settings(url, {}, None, None, None)["verify"]  # a company's own CAs
    with plain as session:
        session.trust_env = False  # no proxy, no passwords from a file
        session.mount(f"{parts.scheme}://", Pinned(address, host))
        try:
            with session.request(
                "GET" if form is None and body is None else "POST",
                url,
                data=form if body is None else body,
                headers={"Accept": "application/json", "Host": parts.netloc, **(headers or {})},
                timeout=SECONDS,
                allow_redirects=False,
                stream=True,
                verify=verify,
            ) as reply:
                return Answer(reply.status_code, read(reply.raw))
        except Unavailable:
            raise
        except (requests.RequestException, OSError) as error:
            raise Unavailable(f"{host} does not answer: {type(error).__name__}") from error
        except Exception as error:  # urllib3 speaks for itself while a body is read
            raise Unavailable(f"{host} broke off: {type(error).__name__}") from error


def read(raw: Any) -> bytes:
    """The whole body, unless it is too large or comes too slowly."""
    body, until = b"", time.monotonic() + LONGEST_S
    while piece := raw.read1(PIECE, decode_content=True):
        body += piece
        if len(body) > LARGEST_ANSWER or time.monotonic() > until:
            raise Unavailable("the answer is too large or too slow")
    return body


class Pinned(HTTPAdapter):
    """Connects to the one address that was judged; the certificate must still be for the name."""

    def __init__(self, address: str, host: str) -> None:
        self.address, self.name = address, host
        super().__init__()

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        where, how = super().build_connection_pool_key_attributes(request, verify, cert)
        where["host"] = self.address
        more = {"server_hostname": self.name} if where["scheme"] == "https" else {}
        return where, {**how, **more}


# --- Which addresses ---------------------------------------------------------------------------


def judge(url: str, *, is_local: bool) -> Any:
    """The parts of an https address without a password in it. Raises Forbidden."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Forbidden("not an address") from error
    if not parts.hostname or parts.username is not None or parts.password is not None or port == 0:
        raise Forbidden("not an address")
    if any(ord(c) < 33 or ord(c) > 126 or c == "\\" for c in url) or parts.fragment:
        raise Forbidden("not an address")
    if parts.scheme != "https" and not (
        parts.scheme == "http" and is_local and names_loopback(parts.hostname)
    ):
        raise Forbidden("not https")
    return parts


def names_loopback(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def resolve(host: str, port: int, *, is_local: bool, is_public: bool = False) -> str:
    """The address to connect to: every one that the name has must be allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"{host} is not known") from error
    addresses = [str(each[4][0]) for each in found]
    loopback = is_local and names_loopback(host)
    for each in addresses:
        if not is_allowed(each, loopback=loopback, public=is_public):
            raise Forbidden(f"{host} lies at {each}")
    if not addresses:
        raise Unavailable(f"{host} is not known")
    return addresses[0]


def is_allowed(address: str, *, loopback: bool = False, public: bool = False) -> bool:
    """Whether a request may go there; addresses wrapped in IPv6 are judged as what they reach.

    `public`: only where the whole world could go.
    """
    try:
        found = unwrapped(ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if found.is_loopback:
        return loopback
    refused = found.is_link_local or found.is_multicast or found.is_unspecified
    if isinstance(found, IPv4Address):
        refused = refused or found.is_reserved
    if public and not found.is_global:
        return False
    return not refused and str(found) not in METADATA


def unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if wrapped is None and address.packed[:12] in (bytes.fromhex("0064ff9b") + bytes(8), bytes(12)):
        wrapped = IPv4Address(address.packed[12:])  # NAT64, and the old compatible form
    return address if wrapped is None or address in (IPv6Address("::1"), IPv6Address("::")) else wrapped
