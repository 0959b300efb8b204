from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from portal.errors import Conflict, Invalid, NotFound
from portal.models.audit import AuditEvent
from portal.models.notices import Notice
from portal.models.people import Person, PersonRole
from portal.services import (
    audit_chains,
    notices,
    passwords,
    people,
    permissions,
    person_tokens,
    second_factors,
    sessions,
)
from portal.services.audit import Actor
from tests.cast import Cast
from tests.cast import person as made
from tests.threads import at_once

PASSWORD = "a quiet harbour at dawn é"


def by(person: Person) -> Actor:
    return Actor("person", person.id, person.name, person.email)


def invited(cast: Cast, now: datetime, email: str = "dora@larkfield.example") -> tuple[Person, str]:
    return people.invite(
        email, name="Dora", roles=["owner", "legal"], language="fr", by=by(cast.ada), now=now
    )


def test_an_invitation_is_mailed_in_the_persons_language(cast: Cast, now: datetime) -> None:
    person, token = invited(cast, now)

    notice = Notice.get()
    assert (notice.kind, notice.address, notice.language) == ("invitation", "dora@larkfield.example", "fr")
    assert f"/invitation/{token}" in notices.read(notice)[0]
    assert people.state(person) == "invited"
    assert permissions.roles_of(Person.get_by_id(person.id)) == {"owner", "legal"}
    assert AuditEvent.get().act == "person.invited"
    assert "dora@" not in AuditEvent.get().body


def test_bad_invitations_are_refused(cast: Cast, now: datetime) -> None:
    for email, roles, field in (
        (cast.ana.email.upper(), ["owner"], "email"),
        ("x@larkfield.example", [], "roles"),
        ("x@larkfield.example", ["king"], "roles"),
    ):
        with pytest.raises(Invalid) as refused:
            people.invite(email, name="X", roles=roles, by=by(cast.ada), now=now)
        assert field in refused.value.errors
    with pytest.raises(Invalid):
        people.invite(
            "x@corvid.example",
            name="X",
            roles=["owner"],
            counterparty_id=cast.customer.id,
            by=by(cast.ada),
            now=now,
        )


def test_an_invitation_is_accepted_once_and_within_a_week(cast: Cast, now: datetime) -> None:
    person, token = invited(cast, now)

    def accept(at: datetime, name: str = "Dora", password: str = PASSWORD) -> Person:
        return people.accept(token, name=name, password=password, repeated=password, source="s", now=at)

    with pytest.raises(NotFound):
        accept(now + timedelta(days=7))
    for name, password, field in (("", PASSWORD, "name"), ("Dora", "Password1!", "password")):
        with pytest.raises(Invalid) as refused:
            accept(now, name, password)
        assert field in refused.value.errors
    assert at_once(lambda: accept(now).id, 6, threads=6).count(person.id) == 1
    with pytest.raises(NotFound):
        accept(now)
    assert people.state(Person.get_by_id(person.id)) == "active"


def test_a_second_invitation_ends_the_first(cast: Cast, now: datetime) -> None:
    person, first = invited(cast, now)

    second = people.invite_again(person, by=by(cast.ada), now=now)

    with pytest.raises(NotFound):
        people.find_invitation(first, now)
    assert people.find_invitation(second, now).id == person.id
    with pytest.raises(Conflict):
        people.invite_again(cast.ana, by=by(cast.ada), now=now)


def test_the_command_prints_a_link_for_new_people_and_for_lost_ones(cast: Cast, now: datetime) -> None:
    link = people.invite_from_command(
        "Zoe@larkfield.example", name="", roles=["administrator"], base_url="http://127.0.0.1:8000/", now=now
    )
    again = people.invite_from_command(
        cast.ana.email, name="", roles=["auditor"], base_url="http://127.0.0.1:8000", now=now
    )

    assert link.startswith("http://127.0.0.1:8000/invitation/")
    assert Notice.select().count() == 0
    assert Person.get(Person.email == "zoe@larkfield.example").name == "zoe"
    assert permissions.roles_of(Person.get_by_id(cast.ana.id)) == {"owner", "auditor"}
    second_factors.enrol(cast.ana, second_factors.new_secret())
    accepted = people.accept(
        again.rpartition("/")[2], name="Ana", password=PASSWORD, repeated=PASSWORD, source="s",
        language="fr", now=now,
    )  # fmt: skip
    assert Person.get_by_id(accepted.id).language == "fr"
    assert Person.get_by_id(accepted.id).totp_secret is None
    for email, roles in (("no address", ["owner"]), ("x@y.example", ["king"])):
        with pytest.raises(Invalid):
            people.invite_from_command(email, name="", roles=roles, base_url="http://x", now=now)
    with pytest.raises(Conflict):
        people.invite_from_command(cast.cleo.email, name="", roles=["owner"], base_url="http://x", now=now)


def test_roles_hold_at_once_and_are_in_the_trail(cast: Cast, now: datetime) -> None:
    token = sessions.open_for(cast.ben, stage="full", now=now)

    people.set_roles(cast.ben, ["auditor"], by=by(cast.ada), now=now)

    found = sessions.find(token, now)
    assert found is not None
    assert permissions.roles_of(found.person) == {"auditor"}
    assert (
        '"added":["auditor"],"removed":["owner"]'
        in AuditEvent.get(AuditEvent.act == "person.roles_changed").body
    )
    with pytest.raises(Invalid):
        people.set_roles(cast.ben, [], by=by(cast.ada), now=now)


def test_the_last_administrator_stays(cast: Cast, now: datetime) -> None:
    people.invite("b@larkfield.example", name="B", roles=["administrator"], by=by(cast.ada), now=now)

    with pytest.raises(Conflict):
        people.set_roles(cast.ada, ["owner"], by=by(cast.ada), now=now)
    with pytest.raises(Conflict):
        people.disable(cast.ada, why="left", by=by(cast.ana), now=now)
    made("Bea", now, ("administrator",))
    people.set_roles(cast.ada, ["owner"], by=by(cast.ada), now=now)


def test_two_administrators_cannot_remove_each_other_at_once(cast: Cast, now: datetime) -> None:
    bea = made("Bea", now, ("administrator",))
    pairs = [(cast.ada, bea), (bea, cast.ada)]

    def remove() -> str:
        actor, leaving = pairs.pop()
        people.disable(Person.get_by_id(leaving.id), why="left", by=by(actor), now=now)
        return "done"

    answers = at_once(remove, 2, threads=2)

    assert sum(answer == "done" for answer in answers) == 1
    assert any(isinstance(answer, Conflict) for answer in answers)


def test_disabling_ends_sessions_and_links_and_enabling_opens_the_account(cast: Cast, now: datetime) -> None:
    Person.update(password_hash=passwords.hashed(PASSWORD)).where(Person.id == cast.ben.id).execute()
    token = sessions.open_for(cast.ben, stage="full", now=now)
    link = person_tokens.issue("password_reset", email=cast.ben.email, person=cast.ben, now=now)

    people.disable(cast.ben, why="has left", by=by(cast.ada), now=now)

    assert sessions.find(token, now) is None
    assert person_tokens.find(link, "password_reset", now) is None
    assert people.state(people.get(cast.ben.id)) == "disabled"
    people.enable(cast.ben, by=by(cast.ada), now=now)
    assert people.state(people.get(cast.ben.id)) == "active"
    assert sessions.find(token, now) is None
    with pytest.raises(Conflict):
        people.disable(cast.ada, why="me", by=by(cast.ada), now=now)


def test_a_reset_factor_leaves_nothing_that_opens_the_account(cast: Cast, now: datetime) -> None:
    second_factors.enrol(cast.ben, second_factors.new_secret())
    second_factors.make_recovery_codes(cast.ben)
    Person.update(password_hash=passwords.hashed(PASSWORD)).where(Person.id == cast.ben.id).execute()
    token = sessions.open_for(cast.ben, stage="full", now=now)

    with pytest.raises(Invalid):
        people.reset_factor(cast.ben, why=" ", by=by(cast.ada), now=now)
    with pytest.raises(Conflict):
        people.reset_factor(cast.ada, why="me", by=by(cast.ada), now=now)
    people.reset_factor(cast.ben, why="lost phone, seen in person", by=by(cast.ada), now=now)

    kept = Person.get_by_id(cast.ben.id)
    assert (kept.totp_secret, kept.password_hash) == (None, None)
    assert second_factors.codes_left(kept) == 0
    assert sessions.find(token, now) is None
    assert Notice.get().kind == "factor_reset"
    event = AuditEvent.get(AuditEvent.act == "factor.reset")
    assert "lost phone" not in event.body


def test_a_profile_is_checked_and_only_its_fields_change(cast: Cast, now: datetime) -> None:
    good = {
        "name": "Ana F.",
        "title": "Sales",
        "language": "fr",
        "zone": "Europe/Paris",
        "phone": "+33612345678",
    }

    for field, value in (("name", " "), ("language", "xx"), ("zone", "Mars/Olympus")):
        with pytest.raises(Invalid) as refused:
            people.change_profile(cast.ana, **(good | {field: value}), by=by(cast.ana), now=now)
        assert field in refused.value.errors
    people.change_profile(cast.ana, **good, by=by(cast.ana), now=now)
    people.change_profile(cast.ana, **good, by=by(cast.ana), now=now)

    kept = Person.get_by_id(cast.ana.id)
    assert {field: getattr(kept, field) for field in good} == good
    assert kept.email == cast.ana.email
    assert AuditEvent.select().count() == 1
    assert "Ana F." not in AuditEvent.get().body


def test_staff_are_listed_with_their_roles_and_outside_people_are_not(cast: Cast, now: datetime) -> None:
    PersonRole.create(person=cast.ana, role="legal")

    names = {person.name: permissions.roles_of(person) for person in people.staff()}

    assert names["Ana"] == {"owner", "legal"}
    assert "Cleo" not in names
    assert {person.name for person in people.holding("contract.send")} == {"Ana", "Ben"}
    with pytest.raises(NotFound):
        people.get(cast.cleo.id)


def test_the_trail_of_people_holds(cast: Cast, now: datetime) -> None:
    _person, token = invited(cast, now)
    people.accept(token, name="Dora", password=PASSWORD, repeated=PASSWORD, source="s", now=now)
    people.set_roles(cast.ben, ["auditor"], by=by(cast.ada), now=now)

    assert audit_chains.verify()["valid"]
