"""Connecting an identity provider: what is taken, kept, tried, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from portal.errors import Conflict, Invalid, NotFound
from portal.models.audit import AuditEvent
from portal.models.people import Person
from portal.models.sign_on import SignOnLink, SignOnProvider
from portal.services import people, sign_on, sign_on_providers
from portal.services.audit import SYSTEM
from tests.cast import Cast
from tests.conftest import NOW
from tests.services.test_sign_on import TYPED, come, connected, google, microsoft, simulator
from tests.simulators.oidc import Provider

__all__ = ["simulator"]


def acts() -> list[str]:
    return [row.act for row in AuditEvent.select().order_by(AuditEvent.number)]


def generic(**changes: Any) -> SignOnProvider:
    values = TYPED | {"issuer": "https://login.larkfield.example", "client_secret": "marked secret"} | changes
    return sign_on_providers.connect("generic", values, by=SYSTEM, now=NOW)


def test_a_secret_is_kept_encrypted_for_its_own_row(cast: Cast) -> None:
    first, second = generic(), generic(issuer="https://other.larkfield.example", client_secret="other")

    assert sign_on_providers.client_of(first).secret == "marked secret"
    row = SignOnProvider.select().where(SignOnProvider.id == first.id).dicts().get()
    assert "marked secret" not in str(row)
    second.client_secret = first.client_secret
    with pytest.raises(Conflict):
        sign_on_providers.client_of(second)


@pytest.mark.parametrize(("changes", "field"), [
    ({"name": ""}, "name"), ({"client_id": ""}, "client_id"), ({"client_secret": ""}, "client_secret"),
    ({"issuer": ""}, "issuer"), ({"issuer": "http://login.larkfield.example"}, "issuer"),
    ({"issuer": "https://a.example/?x=1"}, "issuer"), ({"issuer": "https://u:p@a.example"}, "issuer"),
    ({"issuer": "login.larkfield.example"}, "issuer"), ({"domains": ["larkfield"]}, "domains"),
    ({"domains": ["@larkfield.example"]}, "domains"), ({"hosted_domain": "x y"}, "hosted_domain"),
    ({"scopes": 'a"b'}, "scopes"), ({"role_map": {"legal": ["x"]}}, "role_claim"),
    ({"unknown": "make", "first_role": "owner"}, "domains"),
    ({"unknown": "make", "domains": ["larkfield.example"]}, "first_role"),
    ({"unknown": "make", "domains": ["larkfield.example"], "first_role": "administrator"}, "first_role"),
])  # fmt: skip
def test_what_cannot_be_taken_is_said_beside_its_field(
    cast: Cast, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as raised:
        generic(**changes)

    assert list(raised.value.errors) == [field]
    assert SignOnProvider.select().count() == 0


@pytest.mark.parametrize(
    "tenant", ["common", "organizations", "larkfield.example", "", "8eaef023", "../" * 12]
)
def test_microsoft_must_be_one_tenant_by_its_id(cast: Cast, tenant: str) -> None:
    with pytest.raises(Invalid) as raised:
        microsoft(tenant=tenant)

    assert list(raised.value.errors) == ["tenant"]


def test_one_issuer_is_connected_once(cast: Cast) -> None:
    google()
    generic()

    for again in (google, generic):
        with pytest.raises(Invalid, match="already"):
            again()


def test_the_address_of_the_description_is_taken_for_its_issuer(cast: Cast) -> None:
    made = generic(issuer="https://login.larkfield.example/.well-known/openid-configuration")

    assert made.issuer == "https://login.larkfield.example"


def test_a_change_keeps_the_secret_and_says_which_fields(cast: Cast) -> None:
    provider = generic()
    values = TYPED | {"name": "New name", "client_secret": "", "issuer": "https://evil.example"}

    sign_on_providers.change(provider, values, by=SYSTEM, now=NOW)
    changed = SignOnProvider.get()
    sign_on_providers.change(changed, values | {"client_secret": "new"}, by=SYSTEM, now=NOW)
    sign_on_providers.change(SignOnProvider.get(), values, by=SYSTEM, now=NOW)

    assert (changed.name, changed.issuer) == ("New name", "https://login.larkfield.example")
    assert sign_on_providers.client_of(changed).secret == "marked secret"
    assert sign_on_providers.client_of(SignOnProvider.get()).secret == "new"
    events = [row.body for row in AuditEvent.select().where(AuditEvent.act == "sign_on_provider.changed")]
    assert ['"fields":["name"]' in events[0], '"fields":["client_secret"]' in events[1]] == [True, True]
    assert len(events) == 2


def test_paused_is_no_way_in_and_removed_forgets_the_links(cast: Cast, simulator: Provider) -> None:
    provider = connected(simulator)
    come(provider)

    sign_on_providers.switch(provider, on=False, by=SYSTEM, now=NOW)
    with pytest.raises(NotFound):
        sign_on_providers.active(provider.id)
    sign_on_providers.switch(sign_on_providers.get(provider.id), on=True, by=SYSTEM, now=NOW)
    assert sign_on_providers.active(provider.id)
    sign_on_providers.remove(provider, by=SYSTEM, now=NOW)

    assert SignOnLink.select().count() == 0
    assert Person.get_or_none(Person.id == cast.ana.id) is not None
    assert acts()[-3:] == [f"sign_on_provider.{verb}" for verb in ("paused", "resumed", "removed")]


# --- Trying ------------------------------------------------------------------------------------


def test_a_check_says_what_holds_and_signs_nobody_in(cast: Cast, simulator: Provider) -> None:
    found = sign_on_providers.check(connected(simulator))

    assert [holds for holds, _sentence in found] == [True, True, True]
    assert SignOnLink.select().count() == 0


@pytest.mark.parametrize(("mood", "words"), [
    ("down", "does not answer"), ("lies", "letter by letter"), ("garbage", "letter by letter"),
    ("wrong_client", "client ID and secret. Copy"), ("huge", "does not answer"),
])  # fmt: skip
def test_a_check_says_what_is_missing(cast: Cast, simulator: Provider, mood: str, words: str) -> None:
    provider = connected(simulator)
    simulator.mood = mood

    holds, sentence = sign_on_providers.check(provider)[-1]

    assert not holds
    assert words in sentence


# --- Passwords of staff -----------------------------------------------------------------------------


def test_passwords_can_be_refused_but_for_administrators(cast: Cast, simulator: Provider) -> None:
    with pytest.raises(Conflict):
        sign_on_providers.set_passwords(on=False, by=SYSTEM, now=NOW)
    provider = connected(simulator)
    with pytest.raises(Conflict):  # Ada has no password yet
        sign_on_providers.set_passwords(on=False, by=SYSTEM, now=NOW)
    Person.update(password_hash="set").where(Person.id == cast.ada.id).execute()
    sign_on_providers.set_passwords(on=False, by=SYSTEM, now=NOW)

    opens = [sign_on.opens_by_password(each) for each in (cast.ana, cast.ada, cast.cleo)]
    sign_on_providers.switch(provider, on=False, by=SYSTEM, now=NOW)

    assert opens == [False, True, True]
    assert sign_on.opens_by_password(cast.ana)
    assert people.state(cast.ana) == "active"
