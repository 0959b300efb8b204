"""The trail: events link up, hide personal details, and refuse change."""

from __future__ import annotations

import hashlib
import json

import peewee
import pytest

from portal.models.audit import AuditDetail, AuditEvent
from portal.models.base import transaction
from portal.services import audit

ANA = audit.Actor("person", "ana", name="Ana", email="ana@larkfield.example", address="127.0.0.1")


def add(now, count=3):
    for number in range(count):
        with transaction():
            audit.append(
                "contract.drafted", ("contract", "c1"), chain="c1", by=ANA, now=now,
                facts={"number": number}, personal={"note": f"private {number}"},
            )  # fmt: skip


def test_each_event_names_the_hash_of_the_one_before(home, now):
    add(now)

    rows = list(AuditEvent.select().where(AuditEvent.chain == "c1").order_by(AuditEvent.number))
    assert [r.number for r in rows] == [1, 2, 3]
    previous = audit.GENESIS
    for row in rows:
        assert row.previous_hash == previous == json.loads(row.body)["previous"]
        assert row.hash == hashlib.sha256(row.body.encode()).hexdigest()
        previous = row.hash


def test_personal_details_are_only_hashes_in_the_chain(home, now):
    add(now, 1)

    row = AuditEvent.get()
    assert "Ana" not in row.body
    assert "private" not in row.body
    detail = AuditDetail.get()
    assert detail.values["note"] == "private 0"
    assert json.loads(row.body)["personal"]["note"] == audit.salted(detail.salt, "private 0")


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET act = 'x'", "DELETE FROM audit_event"])
def test_the_database_refuses_to_change_or_remove_events(home, now, statement):
    add(now, 1)

    with pytest.raises(peewee.PeeweeException), transaction():
        from portal.models.base import db

        db.execute_sql(statement)

    assert AuditEvent.get().act == "contract.drafted"


def test_a_rolled_back_act_leaves_no_event(home, now):
    with pytest.raises(RuntimeError), transaction():
        audit.append("contract.drafted", ("contract", "c1"), chain="c1", by=ANA, now=now)
        raise RuntimeError

    assert AuditEvent.select().count() == 0
