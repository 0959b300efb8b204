from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pyotp
import pytest
import requests

from portal.channels import oidc
from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.people import Person, Session
from portal.models.sign_on import SignOnLink, SignOnProvider
from portal.pages import guards
from portal.services import passwords, permissions, second_factors, sessions, sign_on_providers
from portal.services.audit import SYSTEM
from tests.cast import Cast, sign_in
from tests.services.test_sign_on import TYPED
from tests.simulators.oidc import Provider, running

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
COOKIE = "countersign-sign-on"


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(oidc, "_kept", {})
    with running(Provider()) as made:
        made.add("ana", email="ana@larkfield.example")
        yield made


@pytest.fixture
def provider(cast: Cast, simulator: Provider) -> SignOnProvider:
    values = TYPED | {"issuer": simulator.issuer, "client_secret": simulator.secret}
    return sign_on_providers.connect("generic", values, by=SYSTEM, now=utc_now())


def press(
    client: Any, provider: SignOnProvider, login: str = "ana", *, second: bool = False, **more: str
) -> Any:
    """The button on the sign-in page, the provider's page, and back."""
    out = client.get(f"/sign-in/with/{provider.id}", query_string=more)
    assert out.status_code == 303, out.text
    return come_back(client, out.location, login, second)


def come_back(client: Any, url: str, login: str = "ana", second: bool = False) -> Any:
    form = {"person": login} | ({"second": "yes"} if second else {})
    there = requests.post(url, data=form, allow_redirects=False, timeout=5)
    back = urlsplit(there.headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def believing(provider: SignOnProvider) -> SignOnProvider:
    SignOnProvider.update(believes_factor=True).where(SignOnProvider.id == provider.id).execute()
    return provider


def administrator(client: Any, cast: Cast) -> None:
    sign_in(client, cast.ada, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()


# --- Signing in ------------------------------------------------------------------------------------


def test_a_button_stands_on_the_sign_in_page_while_the_provider_is_on(
    client: Any, provider: SignOnProvider
) -> None:
    shown = client.get("/sign-in?next=/people").text
    sign_on_providers.switch(provider, on=False, by=SYSTEM, now=utc_now())

    assert "Continue with Larkfield ID" in shown
    assert f'href="/sign-in/with/{provider.id}?next=/people"' in shown
    assert 'name="password"' in shown
    assert "Larkfield ID" not in client.get("/sign-in").text
    assert client.get(f"/sign-in/with/{provider.id}").status_code == 404


def test_our_own_code_follows_and_leads_where_one_wanted_to_go(
    client: Any, cast: Cast, provider: SignOnProvider
) -> None:
    second_factors.enrol(cast.ana, SECRET)

    first = press(client, provider, next="/account")
    second = client.get("/account")
    code = pyotp.TOTP(SECRET).at(utc_now())
    third = client.post("/sign-in/code", data={"code": code, "next": "/account"})

    assert (first.status_code, first.location) == (303, "/sign-in/code?next=%2Faccount")
    assert second.location.startswith("/sign-in/code")
    assert (third.status_code, third.location) == (303, "/account")
    assert client.get("/account").status_code == 200


def test_an_app_is_connected_at_the_first_sign_in(client: Any, cast: Cast, provider: SignOnProvider) -> None:
    Person.update(totp_secret=None).where(Person.id == cast.ana.id).execute()

    first = press(client, provider)
    key = re.search(r'id="key"[^>]*>([^<]+)<', client.get("/second-factor").text)
    assert key is not None
    code = pyotp.TOTP(key[1].replace(" ", "")).at(utc_now())
    done = client.post("/second-factor", data={"code": code})

    assert first.location == "/second-factor"
    assert done.location == "/second-factor/recovery-codes"
    assert client.get("/account").status_code == 200


def test_a_believed_second_factor_opens_everything_at_once(
    client: Any, cast: Cast, provider: SignOnProvider
) -> None:
    answer = press(client, believing(provider), second=True, next="/account")

    assert (answer.status_code, answer.location) == (303, "/account")
    assert client.get("/account").status_code == 200
    session = Session.get(Session.stage == sessions.FULL)
    assert session.stepped_up_at is None


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/nowhere"])
def test_nobody_is_led_to_another_site(
    client: Any, cast: Cast, provider: SignOnProvider, target: str
) -> None:
    assert press(client, believing(provider), second=True, next=target).location == "/"


def test_a_session_from_before_ends_and_its_token_with_it(
    client: Any, cast: Cast, provider: SignOnProvider
) -> None:
    second_factors.enrol(cast.ana, SECRET)
    press(client, provider)
    half = client.get_cookie(guards.cookie_name()).value

    press(client, provider)

    assert sessions.find(half, utc_now()) is None
    assert Session.select().where(Session.person == cast.ana).count() == 1


def test_who_is_signed_in_goes_on(client: Any, cast: Cast, provider: SignOnProvider) -> None:
    sign_in(client, cast.ana, utc_now())

    assert client.get(f"/sign-in/with/{provider.id}?next=/account").location == "/account"


def test_another_site_cannot_send_a_browser_to_the_provider(client: Any, provider: SignOnProvider) -> None:
    answer = client.get(f"/sign-in/with/{provider.id}", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.location == "/sign-in"
    assert client.get_cookie(COOKIE) is None


def test_the_way_back_without_this_browsers_errand_signs_nobody_in(
    client: Any, app: Any, cast: Cast, provider: SignOnProvider
) -> None:
    url = app.test_client().get(f"/sign-in/with/{provider.id}").location  # somebody else's browser

    without = come_back(client, url)
    client.get(f"/sign-in/with/{provider.id}")
    with_another = come_back(client, url)

    assert (without.status_code, with_another.status_code) == (422, 422)
    assert "Begin again" in without.text
    assert Session.select().count() == 0


def test_an_errand_counts_once(client: Any, cast: Cast, provider: SignOnProvider) -> None:
    out = client.get(f"/sign-in/with/{provider.id}")
    cookie = client.get_cookie(COOKIE).value
    given = out.headers["Set-Cookie"]
    there = requests.post(out.location, data={"person": "ana"}, allow_redirects=False, timeout=5)
    back = urlsplit(there.headers["Location"])
    client.get(f"{back.path}?{back.query}")
    client.post("/sign-out")

    assert client.get_cookie(COOKIE) is None
    client.set_cookie(COOKIE, cookie)
    again = client.get(f"{back.path}?{back.query}")

    assert again.status_code == 422
    assert Session.select().count() == 0
    assert ("HttpOnly" in given, "SameSite=Lax" in given, "Max-Age=600" in given) == (True, True, True)


@pytest.mark.parametrize(("mood", "status", "words"), [
    ("down", 503, "does not answer"), ("refuses", 403, "did not sign you in"),
    ("unverified", 403, "mail address is yours"), ("none", 422, "cannot be trusted"),
    ("expired", 422, "cannot be trusted"), ("other_issuer", 422, "cannot be trusted"),
])  # fmt: skip
def test_trouble_is_one_sentence_beside_the_password(
    client: Any, cast: Cast, simulator: Provider, provider: SignOnProvider, mood: str, status: int, words: str
) -> None:
    url = client.get(f"/sign-in/with/{provider.id}").location
    simulator.mood = mood

    answer = come_back(client, url)

    assert answer.status_code == status
    assert words in answer.text
    assert 'name="password"' in answer.text
    assert Session.select().count() == 0


def test_a_provider_that_is_down_is_said_at_once(
    client: Any, simulator: Provider, provider: SignOnProvider
) -> None:
    simulator.mood = "down"

    answer = client.get(f"/sign-in/with/{provider.id}")

    assert answer.status_code == 503
    assert "use your password" in answer.text


def test_outside_people_are_told_their_way(
    client: Any, cast: Cast, simulator: Provider, provider: SignOnProvider
) -> None:
    simulator.add("cleo", email=cast.cleo.email)

    answer = press(client, provider, "cleo")

    assert answer.status_code == 403
    assert "mailed link" in answer.text


# --- Confirming ---------------------------------------------------------------------------------------


def test_the_provider_stands_in_for_the_code_before_sensitive_acts(
    client: Any, cast: Cast, provider: SignOnProvider
) -> None:
    Person.update(totp_secret=None).where(Person.id == cast.ana.id).execute()
    press(client, believing(provider), second=True)
    asked = client.get("/account/password")
    page = client.get(asked.location)
    out = client.get(f"/step-up/with/{provider.id}?next=/account/password")

    alone = come_back(client, out.location)
    out = client.get(f"/step-up/with/{provider.id}?next=/account/password")
    before = client.get_cookie(guards.cookie_name()).value
    both = come_back(client, out.location, second=True)

    assert asked.location.startswith("/step-up")
    assert "Confirm with Larkfield ID" in page.text
    assert 'name="password"' not in page.text
    assert "prompt=login" in out.location
    assert "max_age=0" in out.location
    assert alone.status_code == 403
    assert "Confirm that it is you" in alone.text
    assert both.location == "/account/password"
    assert client.get_cookie(guards.cookie_name()).value != before
    assert client.get("/account/password").status_code == 200


def test_a_provider_that_is_not_believed_confirms_nobody(
    client: Any, cast: Cast, provider: SignOnProvider
) -> None:
    sign_in(client, cast.ana, utc_now())

    assert client.get(f"/step-up/with/{provider.id}").status_code == 404
    assert client.get("/step-up/with/nothing").status_code == 404


def test_a_password_is_refused_where_the_provider_guards(
    client: Any, app: Any, cast: Cast, provider: SignOnProvider
) -> None:
    password = "a quiet harbour at dawn é"
    hashed = passwords.hashed(password)
    Person.update(totp_secret=None, password_hash=hashed).where(Person.id == cast.ana.id).execute()
    press(app.test_client(), believing(provider), second=True)

    answer = client.post("/sign-in", data={"email": cast.ana.email, "password": password})

    assert answer.status_code == 403
    assert "button above" in answer.text
    assert client.get_cookie(guards.cookie_name()) is None


# --- Settings ------------------------------------------------------------------------------------------


GOOD = {
    "name": "Larkfield ID", "client_id": "countersign", "client_secret": "marked-secret", "unknown": "refuse",
    "issuer": "https://login.larkfield.example",
}  # fmt: skip


def test_an_administrator_connects_changes_checks_and_removes_a_provider(
    client: Any, cast: Cast, simulator: Provider
) -> None:
    administrator(client, cast)
    typed = GOOD | {"issuer": simulator.issuer, "client_secret": simulator.secret}

    connected = client.post("/settings/sign-on/new/generic", data=typed | {"map_legal": "", "role_claim": ""})
    page = connected.location
    checked = client.post(f"{page}/check")
    changed = client.post(
        page,
        data=typed | {"client_secret": "", "domains": "Larkfield.example, other.example",
                      "role_claim": "groups", "map_legal": "lawyers\n\n counsel ", "believes_factor": "yes"},
    )  # fmt: skip
    kept = SignOnProvider.get()
    shown = client.get(page).text
    paused = client.post(f"{page}/activity", data={"on": "no"})
    asked = client.get(f"{page}/removal")
    removed = client.post(f"{page}/removal")

    assert checked.status_code == 200
    assert "It takes client ID and secret." in checked.text
    assert changed.location == page
    assert kept.domains == ["larkfield.example", "other.example"]
    assert kept.role_map == {"legal": ["lawyers", "counsel"]}
    assert kept.believes_factor
    assert "counsel" in shown
    assert simulator.secret not in shown + checked.text
    assert "/sign-in/callback" in shown
    assert (paused.status_code, asked.status_code, removed.location) == (303, 200, "/settings/sign-on")
    assert SignOnProvider.select().count() == 0
    acts = [row.act for row in AuditEvent.select().where(AuditEvent.act.startswith("sign_on_provider"))]
    assert [act.partition(".")[2] for act in acts] == ["connected", "changed", "paused", "removed"]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
@pytest.mark.parametrize("kind", ["google", "microsoft", "generic"])
def test_wrong_input_is_answered_beside_its_field_and_nothing_is_lost(
    client: Any, cast: Cast, kind: str, headers: dict[str, str]
) -> None:
    administrator(client, cast)

    answer = client.post(
        f"/settings/sign-on/new/{kind}",
        data={"name": "Kept name", "domains": "not a domain!", "unknown": "make", "map_legal": "lawyers"},
        headers=headers,
    )

    assert answer.status_code == 422
    for field in ("client_id", "client_secret", "domains", "role_claim", "first_role"):
        assert f'id="{field}-reason"' in answer.text, field
    assert 'value="Kept name"' in answer.text
    assert "not\na\ndomain!" in answer.text or "not a domain!" in answer.text
    assert "lawyers" in answer.text


def test_only_administrators_with_a_fresh_code_change_it(
    client: Any, app: Any, cast: Cast, provider: SignOnProvider
) -> None:
    addresses = [
        "/settings/sign-on/new/google", f"/settings/sign-on/{provider.id}",
        f"/settings/sign-on/{provider.id}/removal",
    ]  # fmt: skip
    posts = [*addresses, *(f"/settings/sign-on/{provider.id}/{each}" for each in ("check", "activity")),
             "/settings/sign-on/passwords"]  # fmt: skip
    stale = app.test_client()
    sign_in(stale, cast.ada, utc_now())
    sign_in(client, cast.ana, utc_now())

    assert [client.get(each).status_code for each in addresses] == [403] * 3
    assert [client.post(each).status_code for each in posts] == [403] * 6
    assert all(stale.get(each).location.startswith("/step-up") for each in addresses)
    assert all(stale.post(each).location.startswith("/step-up") for each in posts)
    assert SignOnProvider.select().count() == 1


def test_passwords_of_staff_are_refused_and_allowed_again(
    client: Any, app: Any, cast: Cast, provider: SignOnProvider
) -> None:
    password = "a quiet harbour at dawn é"
    Person.update(password_hash=passwords.hashed(password)).execute()
    administrator(client, cast)

    refused = client.post("/settings/sign-on/passwords", data={"on": "no"})
    ana = app.test_client().post("/sign-in", data={"email": cast.ana.email, "password": password})
    ada = app.test_client().post("/sign-in", data={"email": cast.ada.email, "password": password})
    shown = client.get("/settings/sign-on").text
    client.post("/settings/sign-on/passwords", data={"on": "yes"})
    again = app.test_client().post("/sign-in", data={"email": cast.ana.email, "password": password})

    assert refused.status_code == 303
    assert (ana.status_code, ada.status_code, again.status_code) == (403, 303, 303)
    assert "Only administrators may use a password" in shown


def test_passwords_stay_while_no_administrator_could_come_in_without_the_provider(
    client: Any, cast: Cast, provider: SignOnProvider
) -> None:
    administrator(client, cast)

    answer = client.post("/settings/sign-on/passwords", data={"on": "no"})

    assert answer.status_code == 409
    assert "password and an authenticator app" in answer.text


def test_roles_follow_the_provider_at_each_sign_in(
    client: Any, app: Any, cast: Cast, simulator: Provider, provider: SignOnProvider
) -> None:
    SignOnProvider.update(role_claim="groups", role_map={"auditor": ["audit"]}).execute()
    simulator.people["ana"]["groups"] = ["audit"]
    press(client, believing(provider), second=True)
    given = permissions.roles_of(Person.get_by_id(cast.ana.id))
    simulator.people["ana"]["groups"] = []

    press(app.test_client(), provider, second=True)

    assert given == {"owner", "auditor"}
    assert permissions.roles_of(Person.get_by_id(cast.ana.id)) == {"owner"}
    assert SignOnLink.select().count() == 1
