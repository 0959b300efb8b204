"""The identity token and its provider: what is believed, and each way it can be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from portal.channels import Unavailable, oidc, web
from tests.simulators.oidc import Provider, running

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
REDIRECT = "http://127.0.0.1:8000/sign-in/callback"


@pytest.fixture(params=["rsa", "ec"])
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(oidc, "_kept", {})
    with running(Provider(clock=lambda: NOW, kind=request.param)) as made:
        made.add("ana", email="ana@larkfield.example")
        yield made


def client_of(provider: Provider) -> oidc.Client:
    return oidc.Client(provider.issuer, provider.client_id, provider.secret, REDIRECT, is_local=True)


def walk(provider: Provider, attempt: oidc.Attempt, person: str = "ana", **more: str) -> dict[str, str]:
    """To the provider as a browser goes, and what it brings back."""
    url = oidc.way_out(client_of(provider), attempt, scope="openid email", **more)
    answer = requests.post(url, data={"person": person, "second": "yes"}, allow_redirects=False, timeout=5)
    assert answer.headers["Location"].startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def enter(provider: Provider, now: datetime = NOW) -> dict[str, Any]:
    attempt = oidc.Attempt.new()
    back = walk(provider, attempt)
    oidc.demand_ours(client_of(provider), attempt, back["state"], back["iss"])
    return oidc.claims(client_of(provider), attempt, back["code"], now)


@pytest.mark.parametrize("posts_secret", [True, False])
def test_a_code_becomes_the_claims_of_a_person(provider: Provider, posts_secret: bool) -> None:
    provider.posts_secret = posts_secret

    said = enter(provider)

    assert (said["sub"], said["email"], said["email_verified"]) == (
        "subject-ana", "ana@larkfield.example", True,
    )  # fmt: skip
    assert "GET /userinfo" not in provider.requests


def test_what_leaves_with_the_browser_is_no_secret(provider: Provider) -> None:
    attempt = oidc.Attempt.new()

    url = oidc.way_out(client_of(provider), attempt, scope="openid")

    assert provider.secret not in url
    assert attempt.verifier not in url
    assert parse_qs(urlsplit(url).query)["code_challenge_method"] == ["S256"]
    for hidden in (attempt.verifier, attempt.state, attempt.nonce, provider.secret):
        assert hidden not in repr((attempt, client_of(provider)))


WRONG = {
    "wrong_nonce": "nonce", "wrong_audience": "somebody else", "two_audiences": "given to somebody else",
    "expired": "ended", "future": "not good yet", "old": "old", "none": "proves nothing",
    "hmac": "proves nothing", "other_key": "signature", "unknown_key": "unknown key",
    "other_issuer": "another issuer", "wrong_at_hash": "access token",
}  # fmt: skip


@pytest.mark.parametrize("mood", WRONG)
def test_a_token_that_is_wrong_in_one_thing_is_not_believed(provider: Provider, mood: str) -> None:
    oidc.metadata(client_of(provider))
    provider.mood = mood

    with pytest.raises(oidc.Untrusted, match=WRONG[mood]):
        enter(provider)


def test_clocks_may_differ_by_a_minute(provider: Provider) -> None:
    assert enter(provider, NOW + timedelta(seconds=359))["sub"]
    assert enter(provider, NOW - timedelta(seconds=59))["sub"]
    for wrong in (timedelta(seconds=361), timedelta(seconds=-61)):
        with pytest.raises(oidc.Untrusted):
            enter(provider, NOW + wrong)


def test_a_new_key_is_read_once_and_the_old_one_no_longer_believed(provider: Provider) -> None:
    enter(provider)
    provider.rotate()
    before = provider.requests.count("GET /jwks")

    enter(provider)
    enter(provider)

    assert provider.requests.count("GET /jwks") == before + 1


def test_a_code_counts_once_and_for_its_own_attempt(provider: Provider) -> None:
    attempt, other = oidc.Attempt.new(), oidc.Attempt.new()
    code = walk(provider, attempt)["code"]

    with pytest.raises(oidc.Untrusted):
        oidc.claims(client_of(provider), other, code, NOW)
    oidc.claims(client_of(provider), attempt, code, NOW)
    with pytest.raises(oidc.Untrusted):
        oidc.claims(client_of(provider), attempt, code, NOW)


def test_another_state_or_another_provider_is_refused(provider: Provider) -> None:
    attempt, client = oidc.Attempt.new(), client_of(provider)
    for state, issuer in (
        ("", provider.issuer), ("another", provider.issuer), (attempt.state, "https://elsewhere.example"),
        (attempt.state, ""), ("é", provider.issuer),
    ):  # fmt: skip
        with pytest.raises(oidc.Untrusted):
            oidc.demand_ours(client, attempt, state, issuer)


def test_userinfo_is_asked_for_what_is_missing_and_believed_about_the_same_person(provider: Provider) -> None:
    provider.in_userinfo = ("email", "email_verified")

    said = enter(provider)
    provider.mood = "other_userinfo"

    assert said["email"] == "ana@larkfield.example"
    with pytest.raises(oidc.Untrusted):
        enter(provider)


def test_userinfo_cannot_say_what_only_the_signed_token_may(provider: Provider) -> None:
    provider.in_userinfo = ("email", "amr", "acr", "auth_time")
    provider.people["ana"] |= {"amr": ["mfa"], "acr": "phr", "auth_time": 1, "sub": "subject-ana"}

    said = enter(provider)

    assert not {"amr", "acr", "auth_time"} & said.keys()


@pytest.mark.parametrize(("mood", "error"), [
    ("lies", oidc.Untrusted), ("garbage", oidc.Untrusted), ("down", Unavailable), ("huge", Unavailable),
    ("redirects", Unavailable),
])  # fmt: skip
def test_discovery_that_cannot_be_used_is_refused(
    provider: Provider, mood: str, error: type[Exception]
) -> None:
    provider.mood = mood

    with pytest.raises(error):
        oidc.metadata(client_of(provider))


def test_discovery_may_not_lead_to_an_address_that_is_not_allowed(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, where in (
        ("token_endpoint", "http://169.254.169.254/latest"), ("jwks_uri", "http://internal.example/keys"),
        ("userinfo_endpoint", "file:///etc/passwd"), ("authorization_endpoint", "javascript:alert(1)"),
        ("token_endpoint", None), ("jwks_uri", 7),
    ):  # fmt: skip
        found = web.fetch(provider.issuer + oidc.DISCOVERY, is_local=True).json() | {name: where}
        monkeypatch.setattr(oidc, "object_from", lambda *_asked, found=found: found)
        with pytest.raises(oidc.Untrusted):
            oidc.discover(client_of(provider))
        monkeypatch.undo()


def test_client_id_and_secret_that_are_not_taken_say_so(provider: Provider) -> None:
    provider.mood = "wrong_client"

    with pytest.raises(oidc.WrongClient):
        enter(provider)


def test_only_public_signing_keys_of_good_length_are_used(provider: Provider) -> None:
    mine = provider.keys[0].public()
    weak = {"kty": "RSA", "n": "sXchx2m2", "e": "AQAB", "kid": "weak"}
    shared = {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}

    found = oidc.signing_keys([mine, weak, shared, mine | {"use": "enc", "kid": "enc"}, "x", {"kty": "EC"}])

    assert [key.kid for key in found.keys] == [mine["kid"]]
    for nothing in ([weak, shared], [], None, {}):
        with pytest.raises(oidc.Untrusted):
            oidc.signing_keys(nothing)


@pytest.mark.parametrize(("said", "acr", "proved"), [
    ({"amr": ["mfa"]}, "", True), ({"amr": ["pwd", "otp"]}, "", True), ({"amr": ["hwk"]}, "", True),
    ({"amr": ["fido"]}, "", True), ({"amr": ["swk"]}, "", True), ({"amr": ["pin", "fpt"]}, "", True),
    ({"amr": ["pwd", "sms"]}, "", True), ({"amr": ["pwd"]}, "", False), ({"amr": ["otp"]}, "", False),
    ({"amr": ["pwd", "pin"]}, "", False), ({"amr": ["pwd", "user"]}, "", False), ({"amr": "mfa"}, "", False),
    ({"amr": None}, "", False), ({}, "", False), ({"acr": "phr"}, "", True), ({"acr": "gold"}, "gold", True),
    ({"acr": "gold"}, "", False), ({"acr": ""}, "", False), ({"acr": "1"}, "2", False),
])  # fmt: skip
def test_two_factors_are_two_of_different_kinds(said: dict[str, Any], acr: str, proved: bool) -> None:
    assert oidc.is_multi_factor(said, acr) is proved


@pytest.mark.parametrize(("at", "fresh"), [
    (NOW.timestamp(), True), (NOW.timestamp() - 59, True), (NOW.timestamp() - 61, False), (None, False),
    (True, False), ("1", False),
])  # fmt: skip
def test_a_fresh_proof_has_its_time(at: Any, fresh: bool) -> None:
    assert oidc.is_fresh({"auth_time": at}, NOW) is fresh


def test_a_provider_that_does_not_answer_is_left_alone_for_a_moment(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, provider.mood = client_of(provider), "down"
    for _try in range(3):
        with pytest.raises(Unavailable):
            oidc.metadata(client)
    asked = len(provider.requests)
    provider.mood = "well"

    with pytest.raises(Unavailable):
        oidc.metadata(client)
    monkeypatch.setattr(oidc, "AWAY_S", 0.0)

    assert asked == 1
    assert oidc.metadata(client).token
