from __future__ import annotations

from typing import Any

import pytest

from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.notices import Notice
from portal.models.people import Person, Session
from portal.services import permissions, sessions
from tests.cast import Cast, sign_in


@pytest.fixture
def ada(client: Any, cast: Cast) -> Cast:
    sign_in(client, cast.ada, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()
    return cast


def test_people_are_listed_for_administrators_and_auditors(client: Any, cast: Cast) -> None:
    from tests.cast import person

    auditor = person("Otto", utc_now(), ("auditor",))
    sign_in(client, auditor, utc_now())

    page = client.get("/people")

    assert page.status_code == 200
    assert cast.ana.email in page.text
    assert cast.cleo.email not in page.text
    assert "/people/invitation" not in page.text
    assert client.get(f"/people/{cast.ana.id}").status_code == 200
    for path in ("roles", "disable", "factor"):
        assert client.get(f"/people/{cast.ana.id}/{path}").status_code == 403
        assert client.post(f"/people/{cast.ana.id}/{path}").status_code == 403


def test_somebody_is_invited_with_roles(client: Any, ada: Cast) -> None:
    form = {"name": "Dora", "email": "dora@larkfield.example", "language": "fr", "role_owner": "yes"}

    bad = client.post("/people/invitation", data={"name": "Dora", "email": "dora@", "language": "en"})
    good = client.post("/people/invitation", data=form | {"role_legal": "yes", "role_king": "yes"})
    again = client.post("/people/invitation", data=form)

    assert bad.status_code == 422
    assert 'value="Dora"' in bad.text
    assert "Choose at least one role." in bad.text
    person = Person.get(Person.email == "dora@larkfield.example")
    assert good.location == f"/people/{person.id}"
    assert permissions.roles_of(person) == {"owner", "legal"}
    assert (again.status_code, Notice.select().count()) == (422, 1)
    assert "has an account already" in again.text
    assert client.post(f"/people/{person.id}/invitation").status_code == 303
    assert Notice.select().count() == 2
    assert client.post(f"/people/{ada.ana.id}/invitation").status_code == 409


def test_roles_are_changed_behind_a_fresh_code(client: Any, ada: Cast) -> None:
    page = client.get(f"/people/{ada.ben.id}/roles")
    saved = client.post(f"/people/{ada.ben.id}/roles", data={"role_finance": "yes"})
    none = client.post(f"/people/{ada.ben.id}/roles", data={})
    last = client.post(f"/people/{ada.ada.id}/roles", data={"role_owner": "yes"})
    Session.update(stepped_up_at=None).execute()
    unproved = client.post(f"/people/{ada.ben.id}/roles", data={"role_owner": "yes"})

    assert 'name="role_owner" value="yes" checked' in page.text
    assert saved.status_code == 303
    assert (none.status_code, last.status_code) == (422, 409)
    assert "last administrator" in last.text
    assert unproved.location == f"/step-up?next=%2Fpeople%2F{ada.ben.id}%2Froles"
    assert permissions.roles_of(Person.get_by_id(ada.ben.id)) == {"finance"}


def test_an_account_is_disabled_with_a_reason_and_enabled(client: Any, ada: Cast) -> None:
    token = sessions.open_for(ada.ben, stage="full", now=utc_now())

    without = client.post(f"/people/{ada.ben.id}/disable", data={"reason": ""})
    done = client.post(f"/people/{ada.ben.id}/disable", data={"reason": "has left"})
    oneself = client.post(f"/people/{ada.ada.id}/disable", data={"reason": "me"})

    assert (without.status_code, done.status_code, oneself.status_code) == (422, 303, 409)
    assert sessions.find(token, utc_now()) is None
    assert "Enable" in client.get(f"/people/{ada.ben.id}").text
    assert client.post(f"/people/{ada.ben.id}/enable").status_code == 303
    assert Person.get_by_id(ada.ben.id).disabled_at is None


def test_a_lost_phone_is_reset_with_a_reason(client: Any, ada: Cast) -> None:
    without = client.post(f"/people/{ada.ben.id}/factor", data={"reason": " "})
    done = client.post(f"/people/{ada.ben.id}/factor", data={"reason": "called her back"})

    assert (without.status_code, done.status_code) == (422, 303)
    assert Person.get_by_id(ada.ben.id).totp_secret is None
    assert AuditEvent.select().where(AuditEvent.act == "factor.reset").count() == 1


def test_refused_codes_are_allowed_again(client: Any, ada: Cast) -> None:
    assert client.post(f"/people/{ada.ben.id}/codes").status_code == 409
    Person.update(factor_failures=50).where(Person.id == ada.ben.id).execute()

    assert "Allow codes again" in client.get(f"/people/{ada.ben.id}").text
    assert client.post(f"/people/{ada.ben.id}/codes").status_code == 303
    assert Person.get_by_id(ada.ben.id).factor_failures == 0


def test_outside_and_unknown_people_are_not_found(client: Any, ada: Cast) -> None:
    for who in (ada.cleo.id, "nobody", "0" * 500):
        for path in ("", "/roles", "/disable", "/factor"):
            assert client.get(f"/people/{who}{path}").status_code == 404
        for path in ("/roles", "/disable", "/enable", "/factor", "/codes", "/invitation"):
            assert client.post(f"/people/{who}{path}").status_code == 404


def test_colleagues_may_not(client: Any, cast: Cast) -> None:
    sign_in(client, cast.ben, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()

    assert client.get("/people").status_code == 403
    assert client.post("/people/invitation", data={}).status_code == 403
    assert client.post(f"/people/{cast.ana.id}/disable", data={"reason": "x"}).status_code == 403
