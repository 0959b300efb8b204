from __future__ import annotations

from datetime import datetime

import pytest

from portal.errors import NotAllowed
from portal.models.people import Person, PersonRole
from portal.services import permissions
from tests.cast import Cast


def test_every_role_has_a_name_a_meaning_and_permissions() -> None:
    assert set(permissions.ROLES) == set(permissions.PERMISSIONS)
    assert set(permissions.ROLES) >= permissions.APPROVERS
    assert all("contract.read" in held for held in permissions.PERMISSIONS.values())


def test_an_auditor_reads_everything_and_changes_nothing() -> None:
    held = permissions.PERMISSIONS["auditor"]

    assert {name.partition(".")[2] for name in held} <= {"read", "export"}
    assert {name for name in permissions.all_permissions() if name.endswith(".read")} <= held


def test_roles_add_up(cast: Cast) -> None:
    PersonRole.create(person=cast.ana, role="auditor")
    ana = Person.get_by_id(cast.ana.id)

    assert permissions.allows(ana, "contract.send")
    assert permissions.allows(ana, "audit.export")
    assert not permissions.allows(cast.ben, "audit.export")
    with pytest.raises(NotAllowed):
        permissions.demand(cast.ben, "person.edit")


def test_owners_change_their_own_contracts_and_legal_every_one(cast: Cast) -> None:
    PersonRole.create(person=cast.priya, role="legal")

    assert permissions.may_edit(cast.ana, cast.ana.id)
    assert not permissions.may_edit(cast.ben, cast.ana.id)
    assert permissions.may_edit(Person.get_by_id(cast.priya.id), cast.ana.id)
    assert not permissions.may_edit(cast.ada, cast.ana.id)


def test_outside_and_disabled_people_may_nothing(cast: Cast, now: datetime) -> None:
    PersonRole.create(person=cast.cleo, role="administrator")
    cast.ben.disabled_at = now

    for person in (None, cast.ben, Person.get_by_id(cast.cleo.id)):
        assert not any(permissions.allows(person, name) for name in permissions.all_permissions())
