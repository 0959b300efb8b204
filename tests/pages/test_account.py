from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from portal.clock import utc_now
from portal.models.people import Person, Session
from portal.pages import guards
from portal.services import passwords, second_factors, sessions
from tests.cast import Cast, sign_in

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = "a quiet harbour at dawn é"
PROFILE = {
    "name": "Ana F.",
    "title": "Sales",
    "language": "fr",
    "zone": "Europe/Paris",
    "phone": "+44 117 496 0182",
}


@pytest.fixture
def ana(client: Any, cast: Cast) -> Person:
    Person.update(password_hash=passwords.hashed(PASSWORD)).where(Person.id == cast.ana.id).execute()
    second_factors.enrol(cast.ana, SECRET)
    sign_in(client, cast.ana, utc_now())
    return cast.ana


def stepped_up(client: Any) -> None:
    answer = client.post("/step-up", data={"code": pyotp.TOTP(SECRET).at(utc_now())})
    assert answer.status_code == 303, answer.text


def test_a_profile_is_saved_and_read_in_its_language(client: Any, ana: Person) -> None:
    client.set_cookie("language", "en")

    answer = client.post("/account/profile", data=PROFILE | {"email": "x@evil.example", "is_sample": "1"})
    page = client.get("/account")

    assert answer.status_code == 303
    assert 'lang="fr"' in page.text
    kept = Person.get_by_id(ana.id)
    assert (kept.name, kept.zone, kept.phone) == ("Ana F.", "Europe/Paris", "+441174960182")
    assert kept.email == ana.email
    assert not kept.is_sample


def test_a_bad_profile_keeps_what_was_typed_beside_the_reason(client: Any, ana: Person) -> None:
    answer = client.post("/account/profile", data=PROFILE | {"name": "", "phone": "12", "title": "Head <of>"})

    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 2
    assert 'value="12"' in answer.text
    assert "Head &lt;of&gt;" in answer.text
    assert client.post("/account/profile", data={}).status_code == 422


def test_the_password_is_changed_behind_a_fresh_code(client: Any, ana: Person) -> None:
    new = {"password": "a new quiet harbour", "repeated": "a new quiet harbour"}

    before = client.post("/account/password", data={"current": PASSWORD} | new)
    stepped_up(client)
    wrong = client.post("/account/password", data={"current": "wrong"} | new)
    different = client.post("/account/password", data={"current": PASSWORD} | new | {"repeated": "x"})
    right = client.post("/account/password", data={"current": PASSWORD} | new)

    assert before.location.startswith("/step-up")
    assert (wrong.status_code, different.status_code, right.status_code) == (422, 422, 303)
    assert "a new quiet harbour" not in wrong.text
    assert passwords.matches("a new quiet harbour", Person.get_by_id(ana.id).password_hash)


def test_the_app_is_replaced_behind_a_fresh_code(client: Any, ana: Person) -> None:
    refused = [client.get("/second-factor"), client.post("/second-factor", data={"code": "1"})]
    assert client.get("/second-factor/picture.svg").status_code == 404
    stepped_up(client)
    page = client.get("/second-factor?next=/account")
    key = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', page.text)
    assert key
    secret = key[1].replace(" ", "")
    answer = client.post(
        "/second-factor", data={"code": pyotp.TOTP(secret).at(utc_now()), "next": "/account"}
    )

    assert all(each.location.startswith("/step-up") for each in refused)
    assert secret != SECRET
    assert answer.location == "/second-factor/recovery-codes?next=%2Faccount"
    kept = Person.get_by_id(ana.id)
    assert second_factors.opened(kept, kept.totp_secret) == secret
    assert client.post("/second-factor/recovery-codes/kept", data={"next": "/account"}).location == "/account"


def test_recovery_codes_are_renewed_behind_a_fresh_code(client: Any, ana: Person) -> None:
    assert client.post("/account/recovery-codes").location.startswith("/step-up")
    stepped_up(client)

    answer = client.post("/account/recovery-codes")

    assert len(re.findall(r"<code>[0-9a-z-]{19}</code>", client.get(answer.location).text)) == 10


def test_sessions_are_listed_and_ended_with_and_without_script(client: Any, ana: Person, cast: Cast) -> None:
    chrome = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
    others = [
        sessions.open_for(ana, stage="full", now=utc_now(), address="192.0.2.7", user_agent=chrome)
        for _number in range(3)
    ]
    names = [sessions.digest(token)[:20] for token in others]
    bens = sessions.digest(sessions.open_for(cast.ben, stage="full", now=utc_now()))[:20]

    page = client.get("/account").text
    plain = client.post(f"/account/sessions/{names[0]}/end")
    swapped = client.post(f"/account/sessions/{names[1]}/end", headers={"HX-Request": "true"})
    gone = client.post(f"/account/sessions/{names[1]}/end")
    foreign = client.post(f"/account/sessions/{bens}/end")

    assert page.count("Chrome, Windows") >= 3
    assert "192.0.2.7" in page
    assert plain.status_code == 303
    assert swapped.text.strip().startswith('<section id="sessions"')
    assert "<html" not in swapped.text
    assert (gone.status_code, foreign.status_code) == (404, 404)
    assert Session.select().count() == 3
    assert client.post("/account/sessions/end").status_code == 303
    assert Session.select().count() == 2
    assert client.get("/account").status_code == 200


def test_ending_the_own_session_signs_out(client: Any, ana: Person) -> None:
    kept = client.get_cookie(guards.cookie_name())
    assert kept is not None

    answer = client.post(f"/account/sessions/{sessions.digest(kept.value)[:20]}/end")

    assert answer.location == "/sign-in"
    assert client.get("/account").location.startswith("/sign-in")


def test_an_outside_account_has_a_longer_password_and_confirms_with_it(client: Any, cast: Cast) -> None:
    Person.update(password_hash=passwords.hashed(PASSWORD), totp_secret=None).where(
        Person.id == cast.cleo.id
    ).execute()
    sign_in(client, cast.cleo, utc_now())

    page = client.get("/step-up?next=/account/password")
    wrong = client.post("/step-up", data={"password": "wrong"})
    right = client.post("/step-up", data={"password": PASSWORD, "next": "/account/password"})
    short = client.post(
        "/account/password", data={"current": PASSWORD, "password": "kv9#mQ2p", "repeated": "kv9#mQ2p"}
    )

    assert 'type="password"' in page.text
    assert (wrong.status_code, right.location, short.status_code) == (422, "/account/password", 422)
    assert "Use at least 15 characters" in short.text
    Session.update(stepped_up_at=utc_now() - timedelta(minutes=16)).execute()
    assert client.post("/account/password", data={}).location.startswith("/step-up")


def test_empty_oversized_and_odd_forms_are_answered_without_an_error(client: Any, ana: Person) -> None:
    stepped_up(client)
    for path in ("/account/profile", "/account/password", "/second-factor", "/step-up", "/language"):
        for body in (
            {},
            {"name": "x" * 100_000, "code": "9" * 5000},
            {"password": "\x00\ud7ff", "zone": "\n"},
        ):
            assert client.post(path, data=body).status_code < 500, path
