"""Each mistake with BASE_URL and proxies is found, with the line that mends it; and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import settings
from portal.errors import Conflict
from portal.proxies import arrive
from portal.services import addresses, audit, installation
from portal.services.audit import Actor

PROXY, CLIENT, NAME = "10.0.0.5", "203.0.113.7", "contracts.example.com"
HTTPS = f"https://{NAME}"
GOOD = {"X_FORWARDED_FOR": CLIENT, "X_FORWARDED_PROTO": "https"}


def set_to(folder, base_url="", trusted=""):
    values = {"DATA_DIR": str(folder), "BASE_URL": base_url, "TRUSTED_PROXIES": trusted}
    return settings.read({f"COUNTERSIGN_{name}": value for name, value in values.items()})


def came(given, peer=PROXY, host=NAME, scheme="http", **headers):
    environ = {"REMOTE_ADDR": peer, "HTTP_HOST": host, "wsgi.url_scheme": scheme}
    return arrive(environ | {f"HTTP_{name}": v for name, v in headers.items()}, given.trusted_proxies)


def keys(given, arrival=None):
    return [finding.key for finding in addresses.findings(given, arrival)]


@pytest.mark.parametrize(
    ("base_url", "host"),
    [(HTTPS, NAME), (HTTPS, f"{NAME}:443"), (f"{HTTPS}:8443", f"{NAME}:8443"), (f"{HTTPS}:443", NAME),
     ("https://Contracts.Example.Com", "CONTRACTS.example.com")],
)  # fmt: skip
def test_behind_a_proxy_that_says_all_nothing_is_wrong(tmp_path, base_url, host):
    given = set_to(tmp_path, base_url, PROXY)

    assert keys(given, came(given, host=host, **GOOD)) == []


def test_a_trial_on_this_machine_has_nothing_to_correct(tmp_path):
    given = set_to(tmp_path)

    assert keys(given) == []
    assert keys(given, came(given, "127.0.0.1", "127.0.0.1:8000")) == []
    assert keys(given, came(given, "::1", "localhost:8000")) == []


@pytest.mark.parametrize(
    ("base_url", "key", "line"),
    [
        ("http://contracts.example.com", "base_url_plain", f"COUNTERSIGN_BASE_URL={HTTPS}"),
        ("http://contracts.example.com:8000", "base_url_plain", f"COUNTERSIGN_BASE_URL={HTTPS}"),
        ("https://192.0.2.7", "base_url_address", f"COUNTERSIGN_BASE_URL={HTTPS}"),
        ("https://[2001:db8::7]:8443", "base_url_address", f"COUNTERSIGN_BASE_URL={HTTPS}"),
        ("https://portal.local", "base_url_inside", f"COUNTERSIGN_BASE_URL={HTTPS}"),
        ("https://portal", "base_url_inside", f"COUNTERSIGN_BASE_URL={HTTPS}"),
        ("https://portal.corp", "base_url_inside", f"COUNTERSIGN_BASE_URL={HTTPS}"),
        ("http://localhost:8000", "base_url_local", f"COUNTERSIGN_BASE_URL={HTTPS}"),
        ("http://127.0.0.1", "base_url_local", f"COUNTERSIGN_BASE_URL={HTTPS}"),
    ],
)
def test_a_wrong_address_is_seen_before_anybody_comes(tmp_path, base_url, key, line):
    (found,) = addresses.findings(set_to(tmp_path, base_url))

    assert (found.key, found.line) == (key, line)
    assert found.sentence
    assert found.remedy


@pytest.mark.parametrize("name", ["localhost.example.com", "a.locale", "internal.example.com"])
def test_public_names_that_only_look_alike_are_fine(tmp_path, name):
    assert keys(set_to(tmp_path, f"https://{name}")) == []


@pytest.mark.parametrize(
    ("base_url", "trusted", "arrival", "expected"),
    [
        ("", "", {"peer": CLIENT, "host": "contracts.example.com:8000"},
         {"base_url_missing": f"BASE_URL={HTTPS}"}),
        ("", PROXY, GOOD, {"base_url_missing": f"BASE_URL={HTTPS}"}),
        (HTTPS, "", GOOD, {"proxy_not_trusted": f"TRUSTED_PROXIES={PROXY}"}),
        (HTTPS, "10.9.9.9", GOOD, {"proxy_not_trusted": f"TRUSTED_PROXIES=10.9.9.9,{PROXY}"}),
        (HTTPS, "", {"VIA": "1.1 proxy"}, {"proxy_not_trusted": f"TRUSTED_PROXIES={PROXY}"}),
        (HTTPS, "", GOOD | {"peer": ""}, {"proxy_not_trusted": "TRUSTED_PROXIES=unix"}),
        (HTTPS, PROXY, {"X_FORWARDED_PROTO": "https"}, {"proxy_silent": ""}),
        (HTTPS, PROXY, GOOD | {"X_FORWARDED_FOR": "unknown"}, {"forwarded_unreadable": ""}),
        (HTTPS, "10.0.0.0/8", GOOD | {"X_FORWARDED_FOR": "10.1.1.1"},
         {"visitor_trusted": f"TRUSTED_PROXIES={PROXY}"}),
        (HTTPS, PROXY, GOOD | {"host": "other.example.com"},
         {"base_url_other_host": "BASE_URL=https://other.example.com"}),
        (HTTPS, PROXY, GOOD | {"host": "127.0.0.1:8000"},
         {"base_url_other_host": "BASE_URL=https://127.0.0.1:8000"}),
        (f"{HTTPS}:8443", PROXY, GOOD, {"base_url_other_port": f"BASE_URL={HTTPS}"}),
        ("http://contracts.example.com", PROXY, GOOD,
         {"base_url_plain": f"BASE_URL={HTTPS}", "base_url_not_https": f"BASE_URL={HTTPS}"}),
        (HTTPS, PROXY, {"X_FORWARDED_FOR": CLIENT}, {"proxy_names_no_scheme": ""}),
        (HTTPS, "", {"peer": CLIENT}, {"arrived_plain": ""}),
        (HTTPS, "", {"peer": "127.0.0.1"}, {"arrived_plain": ""}),
    ],
)  # fmt: skip
def test_each_mistake_of_the_way_in_is_found_with_the_line_that_mends_it(
    tmp_path, base_url, trusted, arrival, expected
):
    given = set_to(tmp_path, base_url, trusted)

    found = {finding.key: finding.line for finding in addresses.findings(given, came(given, **arrival))}

    assert found.keys() == expected.keys()
    for key, line in expected.items():
        if line:
            assert found[key] == f"COUNTERSIGN_{line}"


def test_the_line_that_is_offered_mends_the_fault(tmp_path):
    """Set one after the other, as an administrator would, until nothing is left."""
    chosen = {"base_url": "", "trusted": ""}
    for _step in range(3):
        given = set_to(tmp_path, **chosen)
        lines = [f.line for f in addresses.findings(given, came(given, **GOOD)) if f.line]
        if not lines:
            break
        name, _equals, value = lines[0].removeprefix("COUNTERSIGN_").partition("=")
        chosen["base_url" if name == "BASE_URL" else "trusted"] = value

    assert chosen == {"base_url": HTTPS, "trusted": PROXY}
    assert keys(given, came(given, **GOOD)) == []


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from([HTTPS, "", "http://localhost"]))
def test_nothing_that_arrives_raises(tmp_path_factory, host, told, base_url):
    given = set_to(tmp_path_factory.getbasetemp(), base_url, PROXY)
    for name in (host, f"{NAME}:{told}", f"[{host}]", "x:99999", "[::::]"):
        arrival = came(given, host=name, X_FORWARDED_FOR=told, X_FORWARDED_HOST=host, X_FORWARDED_PROTO=told)

        assert all(finding.sentence for finding in addresses.findings(given, arrival))
        assert len(addresses.headers(arrival)) == 3


def test_each_header_is_judged_with_its_reason(tmp_path):
    trusting, doubting = set_to(tmp_path, HTTPS, PROXY), set_to(tmp_path, HTTPS)
    sent = GOOD | {"X_FORWARDED_HOST": NAME, "X_REAL_IP": CLIENT, "FORWARDED": f"for={CLIENT}"}

    believed = {h.name: h.is_believed for h in addresses.headers(came(trusting, **sent))}

    assert believed == {
        "Forwarded": False, "X-Forwarded-For": True, "X-Forwarded-Host": True, "X-Forwarded-Proto": True,
        "X-Real-Ip": False,
    }  # fmt: skip
    assert not any(h.is_believed for h in addresses.headers(came(doubting, **sent)))
    broken = {"X_FORWARDED_FOR": "me", "X_FORWARDED_HOST": "a b", "X_FORWARDED_PROTO": "gopher"}
    assert not any(h.is_believed for h in addresses.headers(came(trusting, **broken)))


def test_a_confirmed_address_is_kept_with_who_said_so_until_settings_change(home, now, tmp_path):
    given = set_to(tmp_path, HTTPS, PROXY)
    by = Actor("person", "p1", "Ada", "ada@larkfield.example", CLIENT)

    addresses.confirm(given, came(given, **GOOD), CLIENT, by=by, now=now)

    said = addresses.confirmation(given)
    assert said == addresses.Confirmation("p1", CLIENT, now, True)
    assert not addresses.confirmation(set_to(tmp_path, HTTPS, "10.0.0.6")).holds
    event = audit.history(audit.INSTALLATION)[0]
    assert (event["act"], event["by"]["id"]) == ("address.confirmed", "p1")
    assert event["details"]["address"] == CLIENT
    assert CLIENT not in str(event["facts"])


@pytest.mark.parametrize("shown", ["198.51.100.1", "", "unix"])
def test_another_address_than_the_present_one_is_not_confirmed(home, now, tmp_path, shown):
    given = set_to(tmp_path, HTTPS, PROXY)

    with pytest.raises(Conflict, match=CLIENT):
        addresses.confirm(given, came(given, **GOOD), shown, by=audit.SYSTEM, now=now)

    assert addresses.confirmation(given) is None
    assert not audit.history(audit.INSTALLATION)


@pytest.mark.parametrize(
    ("trusted", "peer", "headers"),
    [("", PROXY, GOOD), ("", "", GOOD), ("unix", "", {}), (PROXY, PROXY, {"X_FORWARDED_FOR": "me"})],
)
def test_an_address_that_a_proxy_hides_is_not_confirmed(home, now, tmp_path, trusted, peer, headers):
    given = set_to(tmp_path, HTTPS, trusted)

    with pytest.raises(Conflict, match="of the proxy"):
        addresses.confirm(given, came(given, peer, **headers), peer, by=audit.SYSTEM, now=now)

    assert installation.fact(addresses.CONFIRMED) is None
