"""Whose account it is that comes from a provider, with which roles, and who stays out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from portal.channels import oidc
from portal.errors import Conflict, Invalid, NotAllowed, TooMany, Unavailable
from portal.models.audit import AuditDetail, AuditEvent
from portal.models.people import Person, PersonToken
from portal.models.sign_on import SignOnLink, SignOnProvider
from portal.services import installation, people, permissions, sessions, sign_on, sign_on_providers
from portal.services.audit import SYSTEM
from tests.cast import Cast, person
from tests.conftest import NOW
from tests.simulators.oidc import Provider, running

TYPED = {
    "name": "Larkfield ID", "client_id": "countersign", "scopes": "", "hosted_domain": "", "domains": [],
    "role_claim": "", "role_map": {}, "unknown": "refuse", "first_role": "",
    "believes_factor": False, "acr": "",
}  # fmt: skip


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(oidc, "_kept", {})
    with running(Provider(clock=lambda: NOW)) as made:
        made.add("ana", email="Ana@Larkfield.example")
        yield made


def connected(simulator: Provider, **changes: Any) -> SignOnProvider:
    values = TYPED | {"issuer": simulator.issuer, "client_secret": simulator.secret} | changes
    return sign_on_providers.connect("generic", values, by=SYSTEM, now=NOW)


def go(url: str, login: str, second: bool = False) -> dict[str, str]:
    """To the provider as a browser goes, and what it brings back."""
    form = {"person": login} | ({"second": "yes"} if second else {})
    answer = requests.post(url, data=form, allow_redirects=False, timeout=5)
    return {name: each[0] for name, each in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def come(provider: SignOnProvider, login: str = "ana", *, second: bool = False) -> sign_on.Entered:
    url, cookie = sign_on.begin(provider, target="/", now=NOW)
    errand = sign_on.read_errand(cookie, NOW)
    claims = sign_on.answer(provider, errand, go(url, login, second), source="192.0.2.1", now=NOW)
    return sign_on.enter(provider, claims, address="192.0.2.1", user_agent="Firefox", now=NOW)


def enter(provider: SignOnProvider, **claims: Any) -> sign_on.Entered:
    """As if the provider had said this."""
    said = {"sub": "s-1", "email": "ana@larkfield.example", "email_verified": True} | claims
    return sign_on.enter(provider, said, address="", user_agent="", now=NOW)


def acts() -> list[str]:
    return [row.act for row in AuditEvent.select().order_by(AuditEvent.number)]


# --- Whose account ------------------------------------------------------------------------------


def test_a_verified_address_links_once_and_the_subject_counts_from_then_on(
    cast: Cast, simulator: Provider
) -> None:
    provider = connected(simulator)

    first = come(provider)
    simulator.people["ana"]["email"] = "ben@larkfield.example"
    again = come(provider)

    assert first.person.id == again.person.id == cast.ana.id
    assert not first.is_proved
    link = SignOnLink.get()
    assert (link.issuer, link.subject, link.seen_at) == (simulator.issuer, "subject-ana", NOW)
    assert acts().count("sign_on.linked") == 1
    assert acts().count("sign_on.used") == 2


def test_a_new_account_with_the_address_of_somebody_linked_takes_nothing_over(
    cast: Cast, simulator: Provider
) -> None:
    provider = connected(simulator)
    come(provider)
    simulator.add("eve", email="ana@larkfield.example")

    with pytest.raises(NotAllowed, match="linked"):
        come(provider, "eve")

    assert SignOnLink.select().count() == 1


@pytest.mark.parametrize(
    "claims",
    [{"email_verified": False}, {"email_verified": "false"}, {"email_verified": None},
     {"email_verified": "yes"}, {"email": None}, {"email": ""}, {"email": ["ana@larkfield.example"]},
     {"email": "ana@x@larkfield.example"}],
)  # fmt: skip
def test_an_address_that_the_provider_does_not_vouch_for_links_nobody(
    cast: Cast, simulator: Provider, claims: dict[str, Any]
) -> None:
    provider = connected(simulator)

    with pytest.raises(NotAllowed):
        enter(provider, **claims)

    assert SignOnLink.select().count() == 0
    assert acts()[-1] == "sign_on.refused"


def test_an_unverified_address_is_refused_even_of_somebody_linked(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    come(provider)
    simulator.mood = "unverified"

    with pytest.raises(NotAllowed):
        come(provider)


def test_strangers_outside_people_and_disabled_ones_stay_out(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    people.disable(cast.ben, why="left", by=SYSTEM, now=NOW)

    for email in ("nobody@larkfield.example", cast.cleo.email, cast.ben.email):
        with pytest.raises(NotAllowed):
            enter(provider, email=email)

    assert SignOnLink.select().count() == 0
    assert acts().count("sign_on.refused") == 3
    kept = [detail.values for detail in AuditDetail.select()]
    assert any(values.get("subject") == "s-1" for values in kept)


def test_who_was_linked_and_is_disabled_stays_out(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    come(provider)
    people.disable(cast.ana, why="left", by=SYSTEM, now=NOW)

    with pytest.raises(NotAllowed, match="disabled"):
        come(provider)


def test_an_open_invitation_is_accepted_and_its_link_dead(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    invited, _token = people.invite(
        "ines@larkfield.example", name="Ines", roles=["owner"], by=SYSTEM, now=NOW
    )

    entered = enter(provider, email="ines@larkfield.example")

    assert entered.person.id == invited.id
    assert people.state(Person.get_by_id(invited.id)) == "active"
    assert not PersonToken.select().where(PersonToken.person == invited).exists()


def test_somebody_unknown_is_made_only_of_a_named_domain(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator, unknown="make", first_role="auditor", domains=["larkfield.example"])

    made = enter(provider, email="New@Larkfield.example", name="Nell Aubry", locale="fr-FR").person

    assert (made.email, made.name, made.language) == ("new@larkfield.example", "Nell Aubry", "fr")
    assert permissions.roles_of(Person.get_by_id(made.id)) == {"auditor"}
    assert made.is_staff
    assert "person.joined" in acts()
    for other in ("new@elsewhere.example", "new@sub.larkfield.example", "new@larkfield.example.evil.example"):
        with pytest.raises(NotAllowed):
            enter(provider, sub=other, email=other)


def test_a_domain_list_holds_for_everybody_at_each_sign_in(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    come(provider)
    SignOnProvider.update(domains=["other.example"]).execute()

    with pytest.raises(NotAllowed):
        come(SignOnProvider.get())


def google(**changes: Any) -> SignOnProvider:
    values = TYPED | {"client_secret": "x"} | changes
    return sign_on_providers.connect("google", values, by=SYSTEM, now=NOW)


def test_google_answers_for_mail_it_keeps_and_the_domain_it_manages(cast: Cast) -> None:
    provider = google(hosted_domain="larkfield.example")

    for claims in ({}, {"hd": "elsewhere.example"}, {"hd": "LARKFIELD.example"}):
        with pytest.raises(NotAllowed):
            enter(provider, **claims)

    assert enter(provider, hd="larkfield.example").person == cast.ana


def test_google_does_not_answer_for_addresses_kept_elsewhere(cast: Cast) -> None:
    provider = google()

    with pytest.raises(NotAllowed):
        enter(provider)


TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"


def microsoft(**changes: Any) -> SignOnProvider:
    values = TYPED | {"client_secret": "x", "tenant": TENANT.upper()} | changes
    return sign_on_providers.connect("microsoft", values, by=SYSTEM, now=NOW)


def test_microsoft_is_one_tenant_and_its_mail_claim_alone_proves_nothing(cast: Cast) -> None:
    provider = microsoft()
    mail = {"email": "ana@larkfield.example", "email_verified": None, "tid": TENANT}

    assert provider.issuer == f"https://login.microsoftonline.com/{TENANT}/v2.0"
    for claims in (
        mail, mail | {"preferred_username": "eve@elsewhere.example"}, mail | {"xms_edov": False},
        mail | {"xms_edov": True, "tid": "9" + TENANT[1:]}, mail | {"xms_edov": True, "tid": None},
    ):  # fmt: skip
        with pytest.raises(NotAllowed):
            enter(provider, **claims)

    assert enter(provider, **mail, xms_edov=True).person == cast.ana
    named = enter(provider, sub="s-2", email=None, tid=TENANT, preferred_username="ben@larkfield.example")
    assert named.person == cast.ben


def test_two_browsers_of_one_new_person_make_one_account(
    cast: Cast, simulator: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = connected(simulator)
    come(provider)
    simulator.people["ana"]["email"] = "ben@larkfield.example"
    monkeypatch.setattr(sign_on, "link_of", lambda *_asked: None)  # as the slower one sees it

    with pytest.raises(Conflict):
        come(provider)

    assert [link.person for link in SignOnLink.select()] == [cast.ana]
    assert acts().count("sign_on.linked") == 1


# --- Roles ------------------------------------------------------------------------------------------


MAP = {"role_claim": "groups", "role_map": {"legal": ["lawyers"], "administrator": ["admins", "root"]}}


def roles_after(provider: SignOnProvider, **claims: Any) -> frozenset[str]:
    return permissions.roles_of(Person.get_by_id(enter(provider, **claims).person.id))


def test_mapped_roles_come_and_go_and_others_stay(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator, **MAP)

    assert roles_after(provider, groups=["lawyers", "tennis"]) == {"owner", "legal"}
    assert roles_after(provider, groups="root") == {"owner", "administrator"}
    assert roles_after(provider, groups=[]) == {"owner"}
    assert roles_after(provider, groups=["Lawyers", None, 7, {}]) == {"owner"}
    assert roles_after(provider) == {"owner"}
    assert acts().count("person.roles_changed") == 3


def test_a_claim_inside_another_is_found(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator, **MAP | {"role_claim": "realm_access.roles"})

    assert "legal" in roles_after(provider, realm_access={"roles": ["lawyers"]})
    assert "legal" not in roles_after(provider, realm_access="lawyers")


def test_a_claim_with_points_in_its_name_is_found(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator, **MAP | {"role_claim": "https://larkfield.example/roles"})

    assert "legal" in roles_after(provider, **{"https://larkfield.example/roles": ["lawyers"]})


def test_the_last_administrator_stays_one(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator, **MAP)

    assert roles_after(provider, email=cast.ada.email, groups=[]) == {"administrator"}
    other = person("Otto", NOW, ("administrator",))
    assert roles_after(provider, email=cast.ada.email, groups=[]) == set()
    assert permissions.roles_of(Person.get_by_id(other.id)) == {"administrator"}


def test_groups_that_did_not_fit_into_the_token_change_nothing(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator, **MAP)
    roles_after(provider, groups=["lawyers"])

    kept = roles_after(provider, _claim_names={"groups": "src1"}, _claim_sources={"src1": {"endpoint": "x"}})

    assert kept == {"owner", "legal"}


def test_groups_in_userinfo_alone_are_read(cast: Cast, simulator: Provider) -> None:
    simulator.people["ana"]["groups"] = ["lawyers"]
    simulator.in_userinfo = ("groups",)

    entered = come(connected(simulator, **MAP))

    assert permissions.roles_of(entered.person) == {"owner", "legal"}


# --- Second factor ---------------------------------------------------------------------------------


def test_the_second_factor_there_counts_only_when_it_is_believed(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    doubted = come(provider, second=True)
    SignOnProvider.update(believes_factor=True).execute()

    believed = come(SignOnProvider.get(), second=True)
    alone = come(SignOnProvider.get())

    assert (doubted.is_proved, believed.is_proved, alone.is_proved) == (False, True, False)


def stepping(provider: SignOnProvider, who: Person, login: str, second: bool = True, hours: int = 0) -> None:
    token = sessions.open_for(who, stage=sessions.FULL, now=NOW)
    session = sessions.find(token, NOW)
    assert session is not None
    url, cookie = sign_on.begin(provider, target="/", now=NOW, session=session)
    if hours:
        url = url.replace("prompt=login", "prompt=none")
    errand = sign_on.read_errand(cookie, NOW)
    claims = sign_on.answer(provider, errand, go(url, login, second), source="", now=NOW)
    assert errand.session == session.sha256
    sign_on.confirm(session, provider, claims, errand.at)


def test_stepping_up_asks_for_both_factors_of_the_same_person_just_now(
    cast: Cast, simulator: Provider
) -> None:
    simulator.add("ben", email=cast.ben.email)
    provider = connected(simulator, believes_factor=True)
    come(provider)
    come(provider, "ben")

    stepping(provider, cast.ana, "ana")
    for login, second, hours in (("ben", True, 0), ("ana", False, 0), ("ana", True, 1)):
        with pytest.raises(NotAllowed):
            stepping(provider, cast.ana, login, second, hours)


def test_a_password_does_not_open_what_the_provider_guards(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator, believes_factor=True)
    Person.update(totp_secret=None).where(Person.id == cast.ana.id).execute()
    ana = come(provider, second=True).person

    assert not sign_on.opens_by_password(ana)
    sign_on_providers.switch(provider, on=False, by=SYSTEM, now=NOW)
    assert sign_on.opens_by_password(ana)


def test_a_lost_phone_ends_the_link(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    ana = come(provider).person

    people.reset_factor(ana, why="lost her phone", by=SYSTEM, now=NOW)

    assert SignOnLink.select().count() == 0


# --- On the way --------------------------------------------------------------------------------------


def test_an_errand_belongs_to_this_browser_and_ten_minutes(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    _url, cookie = sign_on.begin(provider, target="/people", now=NOW)

    assert sign_on.read_errand(cookie, NOW + timedelta(minutes=9)).target == "/people"
    for wrong, at in (
        ("", NOW), ("x", NOW), (cookie[:-3], NOW), (cookie, NOW + timedelta(minutes=10)),
        (cookie, NOW - timedelta(minutes=1)), (installation.current().box.seal("{}"), NOW),
        (installation.current().box.seal("[]"), NOW), (installation.current().box.seal("x"), NOW),
    ):  # fmt: skip
        with pytest.raises(Invalid):
            sign_on.read_errand(wrong, at)


def test_a_changed_state_is_refused_before_the_provider_is_asked(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    url, cookie = sign_on.begin(provider, target="/", now=NOW)
    back = go(url, "ana")

    with pytest.raises(Invalid):
        sign_on.answer(provider, sign_on.read_errand(cookie, NOW), back | {"state": "x"}, source="", now=NOW)

    assert "POST /token" not in simulator.requests


@pytest.mark.parametrize(
    ("mood", "error"),
    [("down", Unavailable), ("refuses", NotAllowed), ("wrong_nonce", Invalid), ("wrong_client", Invalid),
     ("names_another", Invalid), ("none", Invalid), ("garbage", Invalid), ("other_key", Invalid)],
)  # fmt: skip
def test_a_provider_in_trouble_signs_nobody_in_and_says_so(
    cast: Cast, simulator: Provider, mood: str, error: type[Exception]
) -> None:
    provider = connected(simulator)
    url, cookie = sign_on.begin(provider, target="/", now=NOW)
    simulator.mood = mood

    with pytest.raises(error) as raised:
        sign_on.answer(
            provider, sign_on.read_errand(cookie, NOW), go(url, "ana"), source="192.0.2.1", now=NOW
        )

    assert "Larkfield ID" in str(raised.value)
    assert SignOnLink.select().count() == 0


def test_an_issuer_that_is_down_is_said_before_anybody_leaves(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    simulator.mood = "down"

    with pytest.raises(Unavailable):
        sign_on.begin(provider, target="/", now=NOW)


def test_failures_from_one_place_are_counted(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    _url, cookie = sign_on.begin(provider, target="/", now=NOW)
    errand = sign_on.read_errand(cookie, NOW)

    for _try in range(60):
        with pytest.raises(Invalid):
            sign_on.answer(provider, errand, {}, source="192.0.2.1", now=NOW)
    with pytest.raises(TooMany):
        sign_on.answer(provider, errand, {}, source="192.0.2.1", now=NOW)

    assert come_from_elsewhere(provider)


def come_from_elsewhere(provider: SignOnProvider) -> bool:
    url, cookie = sign_on.begin(provider, target="/", now=NOW)
    errand = sign_on.read_errand(cookie, NOW)
    return bool(sign_on.answer(provider, errand, go(url, "ana"), source="192.0.2.2", now=NOW))


def test_no_secret_code_or_token_reaches_a_log_or_the_trail(
    cast: Cast, simulator: Provider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    marked: list[str] = [simulator.secret]
    real = oidc.ask_token

    def watched(client: oidc.Client, code: str, verifier: str) -> dict[str, Any]:
        marked.extend((code, verifier))
        found = real(client, code, verifier)
        marked.extend((found["id_token"], found["access_token"]))
        return found

    monkeypatch.setattr(oidc, "ask_token", watched)
    provider = connected(simulator)
    for mood in ("well", "wrong_nonce", "other_key", "wrong_client", "unverified", "other_userinfo", "down"):
        simulator.mood = mood
        oidc._kept.clear()
        try:
            come(provider)
        except (Invalid, NotAllowed, Unavailable):
            continue
    said = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    said += "".join(row.body for row in AuditEvent.select())
    said += str([row.values for row in AuditDetail.select()])

    assert len(marked) > 10
    assert "sign_on.failed" in said
    assert [mark for mark in marked if mark in said] == []
