"""Whose address is recorded: what a trusted proxy says, and never what a stranger writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.proxies import Trusted, arrive, client_of, entry_address, normal, parse_trusted

PROXY, CLIENT = "10.0.0.5", "203.0.113.7"
TRUSTED = parse_trusted("10.0.0.0/24, 2001:db8:1::/64, unix")[0]
words = st.text(alphabet=st.characters(codec="latin-1"), max_size=60)


def environ(peer: str = PROXY, **more: str) -> dict[str, str]:
    return {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http", "HTTP_HOST": "127.0.0.1:8000"} | more


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        (CLIENT, CLIENT),
        (f"198.51.100.1, {CLIENT}", CLIENT),
        (f"127.0.0.1,{CLIENT}", CLIENT),
        (f"{CLIENT}, 10.0.0.9", CLIENT),
        (f"198.51.100.1, {CLIENT}, 10.0.0.9 ,10.0.0.8", CLIENT),
        (f"10.0.0.77, {CLIENT}, 10.0.0.9", CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        ("2001:DB8:2::0:1", "2001:db8:2::1"),
        ("[2001:db8:2::1]", "2001:db8:2::1"),
        ("[2001:db8:2::1]:443", "2001:db8:2::1"),
        (f"::ffff:{CLIENT}", CLIENT),
        (f"[::ffff:{CLIENT}]:443", CLIENT),
        (f"{CLIENT}, ::ffff:10.0.0.9", CLIENT),
        (f"{CLIENT}, 2001:db8:1::9", CLIENT),
        ("fe80::1%eth0", "fe80::1"),
        (f",, {CLIENT} ,,", CLIENT),
        ("10.0.0.7, 10.0.0.8", "10.0.0.7"),
        ("", PROXY),
        (" , ", PROXY),
    ],
)
def test_the_address_is_the_last_one_that_is_no_trusted_proxy(forwarded_for, address):
    assert client_of(PROXY, forwarded_for, TRUSTED) == (address, "")


@pytest.mark.parametrize(
    "entry",
    ["unknown", "_hidden", "localhost", "203.0.113", "203.0.113.7.8", "203.0.113.007", "0x7f.1", "1.2.3.4:x",
     "[::1", "::1]", "[::1]x", "2001:db8::1:99999999", "for=203.0.113.7", "<b>", "²03.0.113.7", "1" * 9000],
)  # fmt: skip
def test_reading_stops_at_what_nobody_can_read(entry):
    """What stands left of it may be anybody's words; the proxy that let it through is recorded."""
    assert client_of(PROXY, f"{CLIENT}, {entry}, 10.0.0.9", TRUSTED) == ("10.0.0.9", entry)
    assert client_of(PROXY, entry, TRUSTED) == (PROXY, entry)


@given(st.lists(words, max_size=6))
def test_nothing_a_stranger_writes_moves_the_address(written):
    """The proxy adds what it saw at the right end, behind whatever came."""
    forwarded_for = ",".join([*written, f" {CLIENT}"])

    assert client_of(PROXY, forwarded_for, TRUSTED) == (CLIENT, "")


@given(words, words, words, words)
def test_no_header_raises_and_what_is_recorded_is_an_address(peer, forwarded_for, proto, host):
    for who in (PROXY, "", peer):
        arrival = arrive(
            environ(who, HTTP_X_FORWARDED_FOR=forwarded_for, HTTP_X_FORWARDED_PROTO=proto,
                    HTTP_X_FORWARDED_HOST=host, HTTP_HOST=host), TRUSTED
        )  # fmt: skip

        assert arrival.address == normal(arrival.address)
        assert arrival.scheme in ("http", "https")
        assert not set(arrival.host) & set(" /\\@#?<>\r\n,")


def test_scheme_and_host_come_from_a_trusted_proxy():
    arrival = arrive(
        environ(HTTP_X_FORWARDED_PROTO="http, HTTPS", HTTP_X_FORWARDED_HOST="evil.example, a.example.com"),
        TRUSTED,
    )  # fmt: skip

    assert (arrival.scheme, arrival.said_scheme) == ("https", "https")
    assert arrival.host == "a.example.com"
    assert arrival.is_trusted


@pytest.mark.parametrize("proto", ["ftp", "", "https;", "on", "1", "https http"])
def test_another_scheme_is_as_good_as_none(proto):
    arrival = arrive(environ(HTTP_X_FORWARDED_PROTO=proto), TRUSTED)

    assert (arrival.scheme, arrival.said_scheme) == ("http", "")


@pytest.mark.parametrize(
    "host", ["a b", "evil.example/x", "user@evil.example", "evil.example:x", "[::1", "é.example", ""]
)
def test_what_is_no_host_name_is_not_taken_for_one(host):
    assert arrive(environ(HTTP_X_FORWARDED_HOST=host), TRUSTED).host == "127.0.0.1:8000"


@pytest.mark.parametrize("peer", [CLIENT, "10.0.1.5", "::ffff:10.0.1.5", "2001:db8:2::1", "127.0.0.1"])
def test_from_any_other_peer_every_such_header_is_ignored(peer):
    arrival = arrive(
        environ(peer, HTTP_X_FORWARDED_FOR="198.51.100.1", HTTP_X_FORWARDED_PROTO="https",
                HTTP_X_FORWARDED_HOST="evil.example", HTTP_FORWARDED="for=198.51.100.2;proto=https",
                HTTP_X_REAL_IP="198.51.100.3"), TRUSTED
    )  # fmt: skip

    assert arrival.address == arrival.peer == normal(peer)
    assert (arrival.scheme, arrival.host, arrival.said_scheme) == ("http", "127.0.0.1:8000", "")
    assert [name for name, _value in arrival.sent] == [
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
    ]  # fmt: skip


def test_forwarded_and_its_cousins_are_not_read_even_from_a_trusted_proxy():
    arrival = arrive(
        environ(HTTP_FORWARDED="for=198.51.100.2;proto=https;host=evil.example", HTTP_X_REAL_IP=CLIENT),
        TRUSTED,
    )  # fmt: skip

    assert (arrival.address, arrival.scheme, arrival.host) == (PROXY, "http", "127.0.0.1:8000")


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.5", "10.0.0.5"])
def test_an_ipv4_peer_on_an_ipv6_socket_is_the_same_peer(peer):
    assert arrive(environ(peer, HTTP_X_FORWARDED_FOR=CLIENT), TRUSTED).address == CLIENT


def test_a_unix_socket_is_trusted_only_by_name():
    told = environ("", HTTP_X_FORWARDED_FOR=CLIENT)

    assert arrive(told, Trusted(unix=True)).address == CLIENT
    assert arrive(told, Trusted()).address == ""
    assert arrive(environ(PROXY, HTTP_X_FORWARDED_FOR=CLIENT), Trusted(unix=True)).address == PROXY


def test_the_setting_takes_addresses_networks_and_the_unix_socket():
    trusted, faults = parse_trusted(" 10.0.0.0/8 ,2001:db8::7, ::ffff:192.0.2.0/120,unix, ")

    assert not faults
    assert str(trusted) == "10.0.0.0/8,2001:db8::7,192.0.2.0/24,unix"
    assert trusted.holds("192.0.2.44")
    assert not trusted.holds("192.0.3.1")
    assert parse_trusted("") == (Trusted(), [])


@pytest.mark.parametrize(
    "text",
    ["10.0.0.5/8", "10.0.0", "proxy.example.com", "10.0.0.0/33", "*", "0.0.0.0/0", "::/0", "::ffff:0:0/96"],
)  # fmt: skip
def test_what_cannot_be_a_proxy_is_refused_with_its_reason(text):
    _trusted, faults = parse_trusted(f"192.0.2.1,{text}")

    assert len(faults) == 1
    assert text in faults[0]


def test_an_entry_with_a_port_is_the_address_alone():
    assert entry_address("192.0.2.7:65535") == "192.0.2.7"
    assert entry_address("192.0.2.7:123456") == ""
