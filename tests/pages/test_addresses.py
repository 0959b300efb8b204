"""Address and proxy: an administrator sees what arrives, what is believed, and confirms their address."""

from __future__ import annotations

import dataclasses

import pytest

from portal.clock import utc_now
from portal.proxies import parse_trusted
from portal.services import addresses, installation
from tests.cast import person, sign_in

PAGE, CONFIRM = "/settings/address", "/settings/address/confirmation"
FROM_PROXY = {"X-Forwarded-For": "198.51.100.66, 203.0.113.7", "X-Forwarded-Proto": "https"}


@pytest.fixture
def ada(client, cast):
    sign_in(client, cast.ada, utc_now())
    return client


@pytest.fixture
def proxied(ada, app):
    """The same portal, which trusts whoever comes from this machine."""
    given = dataclasses.replace(app.config["COUNTERSIGN"], trusted_proxies=parse_trusted("127.0.0.1")[0])
    installation.open_installation(given)
    app.config["COUNTERSIGN"] = given
    return ada


def test_the_settings_page_leads_there(ada):
    assert PAGE in ada.get("/settings").text


def test_a_proxy_that_is_not_trusted_is_named_with_the_line_to_set(ada):
    text = ada.get(PAGE, headers=FROM_PROXY).text

    assert "COUNTERSIGN_TRUSTED_PROXIES=127.0.0.1" in text
    assert "127.0.0.1 is not in TRUSTED_PROXIES" in text
    assert 'data-copy="line-1"' in text
    assert "that is my address" not in text
    assert ada.post(CONFIRM, data={"address": "127.0.0.1"}, headers=FROM_PROXY).status_code == 409


def test_a_trusted_proxy_is_believed_and_the_address_is_the_visitors(proxied):
    text = proxied.get(PAGE, headers=FROM_PROXY | {"X-Forwarded-Host": "contracts.example.com"}).text

    assert 'name="address" value="203.0.113.7"' in text
    assert "the trusted proxy 127.0.0.1 says so" in text
    assert "yes, https" in text
    assert "COUNTERSIGN_BASE_URL=https://contracts.example.com" in text


def test_what_a_stranger_wrote_into_a_header_stays_text(ada):
    text = ada.get(PAGE, headers={"X-Forwarded-For": "<script>alert(1)</script>", "Via": "x" * 5000}).text

    assert "<script>alert" not in text
    assert "x" * 300 not in text


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_confirming_ones_address_is_remembered(proxied, cast, headers):
    answer = proxied.post(CONFIRM, data={"address": "203.0.113.7"}, headers=FROM_PROXY | headers)

    assert answer.status_code == (204 if headers else 303)
    assert addresses.confirmation(installation.current().settings).address == "203.0.113.7"
    text = " ".join(proxied.get(PAGE, headers=FROM_PROXY).text.split())
    assert "Ada confirmed 203.0.113.7 on" in text


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
@pytest.mark.parametrize("typed", ["192.0.2.1", "", "x" * 5000])
def test_another_address_is_refused_with_the_present_one(proxied, headers, typed):
    answer = proxied.post(CONFIRM, data={"address": typed}, headers=FROM_PROXY | headers)

    assert answer.status_code == 409
    assert "Meanwhile your address is 203.0.113.7" in answer.text
    assert addresses.confirmation(installation.current().settings) is None


def test_reading_the_page_keeps_nothing(ada, database_url):
    ada.get(PAGE, headers=FROM_PROXY)

    assert installation.fact(addresses.CONFIRMED) is None


def test_an_auditor_looks_but_does_not_confirm(client, cast, now):
    sign_in(client, person("Audrey", now, ("auditor",)), utc_now())

    answer = client.get(PAGE)

    assert answer.status_code == 200
    assert "that is my address" not in answer.text
    assert client.post(CONFIRM, data={"address": "127.0.0.1"}).status_code == 403


def test_owners_and_strangers_do_not_see_it(client, cast):
    assert client.get(PAGE).status_code == 303
    assert client.post(CONFIRM).status_code == 404
    sign_in(client, cast.ana, utc_now())
    assert client.get(PAGE).status_code == 403
    assert client.post(CONFIRM, data={"address": "127.0.0.1"}).status_code == 403
