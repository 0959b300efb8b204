"""Where an address that an administrator typed may lead: S-16 by the row."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from portal.channels import Unavailable, web
from tests.simulators import oidc as simulator

REFUSED = [
    "http://login.example.com", "http://127.0.0.1.example.com", "ftp://login.example.com", "file:///etc/passwd",
    "gopher://login.example.com", "//login.example.com", "login.example.com", "", "https://", "https:///x",
    "https://user@login.example.com", "https://user:pass@login.example.com", "https://@login.example.com",
    "https://login.example.com\\@127.0.0.1", "https://login.example.com#@127.0.0.1", "https://[::1", "https://a:99999",
    "https://login.example.com:0", "https://login.example.com/ x", "https://login.example.com/\r\nHost: x",
    "https://lögin.example.com", "javascript:alert(1)", "https://login.example.com:x",
]  # fmt: skip
# Ways to write this machine, link-local and metadata addresses that a resolver or a socket may take.
TRICKS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.255.255.254",
    "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "169.254.170.2", "2852039166",
    "0xa9fea9fe", "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]",
    "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "[ff02::1]", "localhost", "localhost.",
    "LOCALHOST", "127.0.0.1.",
]  # fmt: skip


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every attempt to connect is noted, and none gets through."""
    tried: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        tried.append(address)
        raise OSError("not in this test")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name lies at these addresses."""
    family = {True: socket.AF_INET6, False: socket.AF_INET}
    found = [(family[":" in each], socket.SOCK_STREAM, 6, "", (each, 443)) for each in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_asked, **_more: found)


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_no_plain_https_address_is_never_asked(url: str, no_connection: list[Any]) -> None:
    with pytest.raises(web.Forbidden):
        web.fetch(url, is_local=False)

    assert no_connection == []


@pytest.mark.parametrize("host", TRICKS)
def test_no_spelling_reaches_this_machine_or_a_metadata_service(host: str, no_connection: list[Any]) -> None:
    with pytest.raises((web.Forbidden, Unavailable)):
        web.fetch(f"https://{host}/", is_local=False)

    assert no_connection == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1"])
def test_a_name_that_leads_there_is_refused_even_beside_a_good_address(
    address: str, no_connection: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    named(monkeypatch, "192.0.2.7", address)

    for is_local in (False, True):
        with pytest.raises(web.Forbidden):
            web.fetch("https://login.example.com/", is_local=is_local)

    assert no_connection == []


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.7.7", "172.20.0.9", "203.0.113.9", "fd12:3456::7"])
def test_private_networks_are_reached_at_the_address_that_was_judged(
    address: str, no_connection: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    named(monkeypatch, address)

    with pytest.raises(Unavailable):
        web.fetch("https://login.example.com/", is_local=False)

    assert {each[0] for each in no_connection} == {address}


def test_this_machine_is_reached_where_the_portal_is_only_tried_out() -> None:
    with simulator.running(simulator.Provider()) as provider:
        answer = web.fetch(f"{provider.issuer}/jwks", is_local=True)
        with pytest.raises(web.Forbidden):
            web.fetch(f"{provider.issuer}/jwks", is_local=False)

    assert answer.status == 200
    assert answer.json()["keys"]
    assert len(provider.requests) == 1


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with simulator.running(simulator.Provider(mood="redirects")) as provider:
        answer = web.fetch(f"{provider.issuer}/jwks", is_local=True)

    assert answer.status == 302
    assert provider.requests == ["GET /jwks"]


def test_large_and_slow_answers_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SECONDS", (1, 0.2))
    for mood in ("huge", "slow"):
        with simulator.running(simulator.Provider(mood=mood)) as provider, pytest.raises(Unavailable):
            web.fetch(f"{provider.issuer}/jwks", is_local=True)


def test_a_body_that_trickles_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(web.time, "monotonic", lambda: float(next(ticks)))

    class Trickle:
        def read1(self, _most: int, decode_content: bool) -> bytes:
            return b"x"

    with pytest.raises(Unavailable):
        web.read(Trickle())
    assert next(ticks) < 20
