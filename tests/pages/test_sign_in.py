from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.notices import Notice
from portal.models.people import Attempt, Person, Session
from portal.pages import guards
from portal.services import limits, notices, passwords, people, permissions, second_factors, sessions
from portal.services.audit import Actor
from tests.cast import Cast, sign_in

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = "a quiet harbour at dawn é"


@pytest.fixture
def ana(cast: Cast) -> Person:
    cast.ana.password_hash = passwords.hashed(PASSWORD)
    cast.ana.save()
    second_factors.enrol(cast.ana, SECRET)
    return cast.ana


def code(step: int = 0) -> str:
    return pyotp.TOTP(SECRET).at(utc_now() + timedelta(seconds=30 * step))


def token(client: Any) -> str:
    kept = client.get_cookie(guards.cookie_name())
    return kept.value if kept else ""


def give_password(client: Any, person: Person, password: str = PASSWORD, **more: str) -> Any:
    return client.post("/sign-in", data={"email": person.email, "password": password} | more)


def mailed_link(kind: str) -> str:
    notice = Notice.select().where(Notice.kind == kind).order_by(Notice.created_at.desc()).get()
    text, _html = notices.read(notice)
    found = re.search(r"https?://[^/\s]+(/\S+)", text)
    assert found, text
    return found[1]


def test_password_and_code_lead_where_one_wanted_to_go(client: Any, ana: Person) -> None:
    client.set_cookie(guards.cookie_name(), "of a session that has ended")

    first = client.get("/people/someone?x=1")
    asked = client.get(first.location)
    second = give_password(client, ana, next="/people?x=1")
    third = client.post("/sign-in/code", data={"code": code(), "next": "/account"})

    assert first.status_code == 303
    assert first.location == "/sign-in?next=%2Fpeople%2Fsomeone%3Fx%3D1"
    assert 'value="/people/someone?x=1"' in asked.text
    assert second.location == "/sign-in/code?next=%2Fpeople%3Fx%3D1"
    assert (third.status_code, third.location) == (303, "/account")
    assert client.get("/account").status_code == 200


def test_each_stage_has_a_new_token_and_the_old_ones_open_nothing(client: Any, ana: Person) -> None:
    client.set_cookie(guards.cookie_name(), "chosen by somebody else")
    give_password(client, ana)
    half = token(client)
    client.post("/sign-in/code", data={"code": code()})
    full = token(client)
    client.post("/step-up", data={"code": code(1)})
    stepped = token(client)

    assert len({half, full, stepped, "chosen by somebody else"}) == 4
    for dead in ("chosen by somebody else", half, full):
        assert sessions.find(dead, utc_now()) is None
    assert sessions.find(stepped, utc_now()) is not None


def test_a_password_alone_opens_no_page(client: Any, ana: Person) -> None:
    give_password(client, ana)

    for path in ("/account", "/people", "/step-up"):
        answer = client.get(path)
        assert answer.status_code == 303
        assert answer.location.startswith("/sign-in/code"), path
    assert client.get("/second-factor").status_code == 404
    assert client.post("/account/profile", data={"name": "x"}).status_code == 303


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client: Any, ana: Person) -> None:
    given = give_password(client, ana).headers.get_all("Set-Cookie")
    cookie = next(each for each in given if each.startswith("countersign="))

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie


def without_token(page: str, address: str) -> str:
    """The page less what was typed and the form tokens, which carry the second they were made in."""
    return re.sub(r'name="csrf_token" value="[^"]*"', "", page).replace(address, "")


def test_wrong_password_and_unknown_address_are_answered_alike(client: Any, ana: Person) -> None:
    wrong = give_password(client, ana, "not this one at all")
    unknown = client.post("/sign-in", data={"email": "nobody@larkfield.example", "password": "x"})

    assert wrong.status_code == unknown.status_code == 422
    reason = "The mail address or the password is not right."
    assert reason in wrong.text
    assert without_token(wrong.text, ana.email) == without_token(unknown.text, "nobody@larkfield.example")
    assert f'value="{ana.email}"' in wrong.text


def test_five_wrong_codes_ask_for_the_password_again(client: Any, ana: Person) -> None:
    give_password(client, ana)

    answers = [client.post("/sign-in/code", data={"code": "000000"}) for _try in range(6)]

    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert "Sign in again with your password" in answers[-1].text
    assert sessions.find(token(client), utc_now()) is None
    assert client.post("/sign-in/code", data={"code": code()}).location == "/sign-in"


def test_a_code_counts_once(client: Any, app: Any, ana: Person) -> None:
    right = code()
    give_password(client, ana)
    client.post("/sign-in/code", data={"code": right})
    other = app.test_client()
    give_password(other, ana)

    again = other.post("/sign-in/code", data={"code": right})

    assert again.status_code == 422
    assert "used already" in again.text


NEXT = [
    "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
    "/\\/evil.example", "https:evil.example", "javascript:alert(1)", "data:text/html,x", "evil.example",
    "//evil.example/account", "/%2f/evil.example", "http://localhost/account", "https://localhost@evil.example",
    "/account\r\nX: y", "/account\n", "\t/account", " /account", "/\t/evil.example", "/account\0", "/nowhere",
    "/account/../../evil", "//", "///", "/.evil.example", "/;@evil.example", "/@evil.example", "?x", "#x", "",
    "/sign-in\\..", "https:///evil.example", "http:/evil.example", "/https://evil.example", "//account",
    "/account\u2028", "\u2028/account", "/e\u0301", "/%00", "/%5cevil.example", "/%09/evil.example",
    "/" + "a" * 3000,
]  # fmt: skip


def test_next_leads_nowhere_else(app: Any) -> None:
    with app.test_request_context("/"):
        taken = [wanted for wanted in NEXT if guards.safe_next(wanted) != "/"]

    assert len(NEXT) >= 40
    assert taken == []


def test_next_keeps_a_path_of_ours_with_its_query(app: Any) -> None:
    with app.test_request_context("/"):
        assert guards.safe_next("/account?x=1&y=/z") == "/account?x=1&y=/z"


def test_strangers_get_404_for_one_thing_and_sign_in_for_a_section(client: Any, cast: Cast) -> None:
    assert client.get("/people").location == "/sign-in?next=%2Fpeople"
    assert client.get(f"/people/{cast.ana.id}").status_code == 404
    assert client.get("/people/nobody").status_code == 404
    assert client.post(f"/people/{cast.ana.id}/enable").status_code == 404
    assert client.post("/account/profile").status_code == 404


def test_a_guard_answers_htmx_with_a_header(client: Any, cast: Cast) -> None:
    answer = client.get(
        "/people", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/account"}
    )

    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == "/sign-in?next=%2Faccount"


def test_an_outside_person_is_a_stranger_to_staff_pages(client: Any, cast: Cast) -> None:
    sign_in(client, cast.cleo, utc_now())

    assert client.get("/people").status_code == 404
    assert client.get(f"/people/{cast.ana.id}").status_code == 404
    assert client.get("/account").status_code == 200


def test_staff_without_the_permission_are_told_so(client: Any, cast: Cast) -> None:
    sign_in(client, cast.ben, utc_now())

    assert client.get("/people").status_code == 403


def test_signing_out_ends_the_session_on_the_server(client: Any, ana: Person) -> None:
    sign_in(client, ana, utc_now())
    kept = token(client)

    answer = client.post("/sign-out")
    client.set_cookie(guards.cookie_name(), kept)

    assert answer.location == "/sign-in"
    assert client.get("/account").location.startswith("/sign-in")


def test_an_invited_person_sets_a_password_and_connects_an_app(
    client: Any, cast: Cast, run_jobs: Any
) -> None:
    people.invite(
        "dora@larkfield.example",
        name="Dora",
        roles=["owner"],
        by=Actor("person", cast.ada.id, "Ada"),
        now=utc_now(),
    )
    link = mailed_link("invitation")

    seen = client.get(link)
    weak = client.post(link, data={"name": "Dora Ellis", "password": "Password1!", "repeated": "Password1!"})
    accepted = client.post(link, data={"name": "Dora Ellis", "password": PASSWORD, "repeated": PASSWORD})
    page = client.get(accepted.location)
    picture = client.get("/second-factor/picture.svg")
    key = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', page.text)
    assert key
    secret = key[1].replace(" ", "")
    wrong = client.post("/second-factor", data={"code": "12345"})
    right = client.post("/second-factor", data={"code": pyotp.TOTP(secret).at(utc_now())})
    shown = client.get(right.location)
    codes = re.findall(r"<code>([0-9a-z-]{19})</code>", shown.text)
    client.post("/second-factor/recovery-codes/kept")

    assert "dora@larkfield.example" in seen.text
    assert weak.status_code == 422
    assert "first passwords anybody tries" in weak.text
    assert 'value="Dora Ellis"' in weak.text
    assert accepted.location == "/second-factor"
    assert picture.mimetype == "image/svg+xml"
    assert picture.headers["Cache-Control"] == "no-store"
    assert b"style" not in picture.data
    assert f"secret={secret}" in page.text
    assert wrong.status_code == 422
    assert secret[:4] in wrong.text
    assert len(set(codes)) == 10
    assert client.get("/second-factor/recovery-codes").status_code == 303
    assert client.get("/account").status_code == 200
    assert client.get(link).status_code == 404
    kept = Person.get(Person.email == "dora@larkfield.example")
    assert kept.name == "Dora Ellis"
    assert secret not in kept.totp_secret
    assert kept.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_staff_without_an_app_reach_only_the_page_that_connects_one(client: Any, ana: Person) -> None:
    Person.update(totp_secret=None).where(Person.id == ana.id).execute()

    assert give_password(client, ana).location == "/second-factor"
    assert client.get(client.get("/account").location).location.startswith("/second-factor")


def test_a_mailed_reset_still_asks_for_the_code(client: Any, app: Any, ana: Person) -> None:
    elsewhere = app.test_client()
    sign_in(elsewhere, ana, utc_now())
    client.post("/password-reset", data={"email": ana.email})
    link = mailed_link("password_reset")

    client.get(link)
    answer = client.post(
        link, data={"password": "another quiet harbour", "repeated": "another quiet harbour"}
    )

    assert answer.location == "/sign-in/code"
    assert client.get("/account").location.startswith("/sign-in/code")
    assert elsewhere.get("/account").location.startswith("/sign-in")
    assert client.post("/sign-in/code", data={"code": code()}).status_code == 303
    assert client.get("/account").status_code == 200
    assert client.get(link).status_code == 404


def test_asking_for_a_reset_tells_nobody_who_has_an_account(client: Any, ana: Person) -> None:
    known = client.post("/password-reset", data={"email": ana.email})
    unknown = client.post("/password-reset", data={"email": "nobody@larkfield.example"})

    assert without_token(known.text, ana.email) == without_token(unknown.text, "nobody@larkfield.example")
    assert Notice.select().count() == 1


def test_reset_mails_are_few(client: Any, ana: Person) -> None:
    answers = [client.post("/password-reset", data={"email": ana.email}).status_code for _try in range(5)]

    assert answers == [200, 200, 200, 429, 429]
    assert Notice.select().count() == 3


def test_a_sensitive_page_asks_for_a_fresh_code_and_comes_back(client: Any, cast: Cast) -> None:
    second_factors.enrol(cast.ada, SECRET)
    sign_in(client, cast.ada, utc_now())

    first = client.get("/people/invitation")
    wrong = client.post("/step-up", data={"code": "abc", "next": "/people/invitation"})
    right = client.post("/step-up", data={"code": code(), "next": "/people/invitation"})

    assert first.location == "/step-up?next=%2Fpeople%2Finvitation"
    assert wrong.status_code == 422
    assert right.location == "/people/invitation"
    assert client.get("/people/invitation").status_code == 200
    Session.update(stepped_up_at=utc_now() - timedelta(minutes=6)).execute()
    assert client.get("/people/invitation").status_code == 303


def test_outside_people_get_a_link_to_their_contracts(client: Any, cast: Cast) -> None:
    answer = client.post("/access", data={"email": cast.claire.email})
    link = mailed_link("access")

    looked = client.get(link)
    before = Session.select().count()
    used = client.post(link)

    assert answer.status_code == 200
    assert looked.status_code == 200
    assert before == 0
    assert used.location == "/mine"
    found = sessions.find(token(client), utc_now())
    assert found is not None
    assert (found.stage, found.email) == ("outside", cast.claire.email)
    assert client.post(link).status_code == 404
    assert client.get("/people").status_code in (303, 404)


def test_no_access_link_for_strangers_and_staff(client: Any, cast: Cast) -> None:
    for email in ("nobody@nowhere.example", cast.ana.email):
        assert client.post("/access", data={"email": email}).status_code == 200
    assert Notice.select().count() == 0


def test_language_is_changed_by_a_button_only(client: Any, cast: Cast) -> None:
    sign_in(client, cast.ana, utc_now())

    assert client.get("/language").status_code == 405
    answer = client.post("/language", data={"language": "fr", "next": "/account"})

    assert answer.location == "/account"
    assert Person.get_by_id(cast.ana.id).language == "fr"
    assert 'lang="fr"' in client.get("/account").text
    assert client.post("/language", data={"language": "xx"}).status_code == 404


def test_forms_without_their_token_are_refused(app: Any, ana: Person) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    client = app.test_client()

    assert give_password(client, ana).status_code == 400
    assert client.post("/sign-out").status_code == 400
    app.config["WTF_CSRF_ENABLED"] = False
    crossing = client.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"})
    assert crossing.status_code == 400


def test_the_owner_gets_in_while_a_hundred_places_attack(client: Any, ana: Person) -> None:
    """S-31: failures from elsewhere shut out strangers, not the place the owner signed in from."""
    give_password(client, ana)
    subject = sessions.digest(f"address:{ana.email}")[:32]
    rows = [
        {
            "scope": "password",
            "subject": subject,
            "source": f"198.51.100.{n}",
            "succeeded": False,
            "at": utc_now(),
        }
        for n in range(100)
    ]
    Attempt.insert_many(rows).execute()

    stranger = client.post(
        "/sign-in",
        data={"email": ana.email, "password": PASSWORD},
        environ_base={"REMOTE_ADDR": "203.0.113.9"},
    )
    owner = [give_password(client, ana).status_code for _time in range(3)]
    client.post("/password-reset", data={"email": ana.email}, environ_base={"REMOTE_ADDR": "203.0.113.9"})
    link = mailed_link("password_reset")
    travelling = client.post(
        link, data={"password": PASSWORD, "repeated": PASSWORD}, environ_base={"REMOTE_ADDR": "203.0.113.9"}
    )

    assert stranger.status_code == 429
    assert owner == [303] * 3
    assert travelling.location == "/sign-in/code"
    assert limits.is_known("password", subject, "203.0.113.9", utc_now())


def test_every_permission_a_page_asks_for_exists(app: Any) -> None:
    asked = {getattr(view, "required_permission", None) for view in app.view_functions.values()} - {None}

    assert asked <= permissions.all_permissions()


def test_signing_in_is_in_the_trail(client: Any, ana: Person) -> None:
    give_password(client, ana)
    client.post("/sign-in/code", data={"code": code()})
    client.post("/sign-out")

    acts = [event.act for event in AuditEvent.select().order_by(AuditEvent.number)]
    assert acts == ["session.opened", "session.ended"]
