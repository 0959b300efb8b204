"""Behind a proxy: whose address sessions and limits see, and what is answered to plain http."""

from __future__ import annotations

import dataclasses

import pytest

from portal.app import create_app
from portal.models.people import Session
from portal.proxies import parse_trusted
from portal.services import audit, limits, passwords
from tests.pages.test_wall import HERE, portal

HTTPS = "https://contracts.example.com"
PASSWORD = "a long walk along the harbour"
SPOOFED = {"X-Forwarded-For": "198.51.100.66", "X-Real-IP": "198.51.100.66", "Forwarded": "for=198.51.100.66"}


def behind(home, **changes):
    """A client of the same installation with other settings."""
    made = create_app(dataclasses.replace(home.settings, **changes))
    made.testing = True
    made.config["WTF_CSRF_ENABLED"] = False
    return made.test_client()


@pytest.fixture
def proxied(home):
    return behind(home, base_url=HTTPS, trusted_proxies=parse_trusted("127.0.0.1")[0])


@pytest.fixture
def ana(cast):
    cast.ana.password_hash = passwords.hashed(PASSWORD)
    cast.ana.save()
    return cast.ana


def sign_in(client, ana, headers):
    return client.post("/sign-in", data={"email": ana.email, "password": PASSWORD}, headers=headers)


def test_a_session_remembers_the_address_a_trusted_proxy_names(proxied, ana):
    sign_in(
        proxied,
        ana,
        SPOOFED | {"X-Forwarded-For": "198.51.100.66, 203.0.113.7", "X-Forwarded-Proto": "https"},
    )

    assert [session.address for session in Session.select()] == ["203.0.113.7"]


def test_a_session_remembers_the_peer_where_no_proxy_is_trusted(home, ana):
    sign_in(behind(home), ana, SPOOFED)

    assert [session.address for session in Session.select()] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign/abc?x=%C3%A9&y=%0d%0a", "/contracts/%E2%82%AC", "/verify"]
)
def test_plain_http_is_sent_to_the_same_page_by_https(proxied, path):
    for ask in (proxied.get, proxied.head):
        answer = ask("/", headers={"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"},
                     environ_overrides=raw(path))  # fmt: skip

        assert answer.status_code == 308
        assert answer.headers["Location"] == HTTPS + path
        assert "Strict-Transport-Security" not in answer.headers


def raw(path):
    """The path as a server hands it over, which the test client would tidy up."""
    from urllib.parse import unquote_to_bytes

    name, _mark, query = path.partition("?")
    return {"PATH_INFO": unquote_to_bytes(name).decode("latin-1"), "QUERY_STRING": query}


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_form_sent_unencrypted_is_refused_and_says_where_to_go(proxied, ana, headers):
    answer = sign_in(proxied, ana, headers | {"X-Forwarded-Proto": "http"})

    assert answer.status_code == 400
    assert HTTPS in answer.text
    assert not Session.select().count()


def test_machines_inside_may_ask_plainly_whether_it_lives(proxied):
    assert proxied.get("/healthz", headers={"X-Forwarded-Proto": "http"}).status_code == 200
    assert proxied.get("/readyz", headers={"X-Forwarded-Proto": "http"}).status_code in (200, 503)


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "gopher"}])
def test_nothing_is_redirected_that_no_trusted_proxy_calls_plain(proxied, headers):
    answer = proxied.get("/sign-in", headers=headers)

    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_stranger_cannot_have_pages_redirected(home):
    """Else one forged header in a shared cache would turn people in circles."""
    client = behind(home, base_url=HTTPS)

    assert client.get("/sign-in", headers={"X-Forwarded-Proto": "http"}).status_code == 200


@pytest.mark.parametrize(("base_url", "promised"), [
    (HTTPS, True), ("http://contracts.example.com", False), ("https://localhost:8443", False), ("", False),
])  # fmt: skip
def test_https_is_promised_for_a_public_https_name_alone(home, base_url, promised):
    answer = behind(home, base_url=base_url).get("/sign-in")

    assert ("Strict-Transport-Security" in answer.headers) == promised


def test_a_page_of_ours_may_post_through_the_proxy(proxied, ana):
    """Its Origin is the public name, and Host whatever the proxy calls us."""
    answer = sign_in(proxied, ana, {"X-Forwarded-Proto": "https", "Origin": HTTPS, "Host": "127.0.0.1:8000"})

    assert answer.status_code == 303
    foreign = sign_in(proxied, ana, {"X-Forwarded-Proto": "https", "Origin": "https://evil.example"})
    assert foreign.status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Prefix": "/"},
        {"Via": "1.1 x"},
    ],
)
def test_a_trusted_proxy_opens_no_wall(home, now, headers):
    client = portal(home, TRUSTED_PROXIES="127.0.0.0/8,::1,unix")

    assert client.get("/mailbox", environ_overrides=HERE).status_code == 200
    assert client.get("/mailbox", headers=headers, environ_overrides=HERE).status_code == 404


def test_a_trusted_unix_socket_opens_no_wall(home):
    client = portal(home, TRUSTED_PROXIES="unix")

    assert client.get("/mailbox", environ_overrides=HERE | {"REMOTE_ADDR": ""}).status_code == 404


def test_the_trail_and_the_limits_see_the_client_and_not_the_proxy(proxied, ana):
    def wrong(address):
        return proxied.post(
            "/sign-in",
            data={"email": ana.email, "password": "wrong"},
            headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"},
        ).status_code

    tries = [wrong("2001:db8::9") for _try in range(limits.FREE_FAILURES + 1)]

    assert tries[-1] == 429
    assert wrong("2001:db8:1::9") == 422
    refused = audit.history(audit.INSTALLATION)[0]
    assert refused["act"] == "sign_in.refused"
    assert refused["details"]["by_address"] == "2001:db8::9"
