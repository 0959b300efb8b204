"""Personal data: nothing without a purpose, everything in the export, and what may go goes."""

from __future__ import annotations

import json
from datetime import timedelta

import peewee
import pytest

from portal.errors import Conflict, Invalid
from portal.models import schema
from portal.models.audit import AuditDetail
from portal.models.connections import Connection
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope, Recipient
from portal.models.notices import Notice
from portal.models.parties import Contact, LegalEntity
from portal.models.people import Session
from portal.services import (
    audit,
    audit_chains,
    connections,
    contracts,
    jobs,
    personal_erasure,
    personal_export,
    personal_register,
    regions,
    sessions,
)
from tests.services import signing
from tests.services.drafting import actor, draft

EMAIL = "marc@castellan.example"
# Names of columns that say something about somebody.
LOOKS_PERSONAL = {
    "name", "email", "phone", "address", "user_agent", "signature_path", "recipients", "personal",
    "author_name", "author_email", "first_name", "last_name", "birthday",
}  # fmt: skip
# Such columns that hold nothing about a person, each checked.
OF_NOBODY = {
    "approval_rule.name", "connection.name", "event_receiver.name", "installation_fact.name",
    "legal_entity.address", "legal_entity.email", "legal_entity.name", "legal_entity.phone",
    "library_clause.name", "policy_rule.name", "saved_view.name", "sign_on_provider.name", "template.name",
}  # fmt: skip


def test_every_column_about_people_has_a_purpose():
    known = personal_register.columns() | OF_NOBODY
    found = {
        f"{model._meta.table_name}.{column.column_name}"
        for model in schema.tables()
        for column in model._meta.sorted_fields
        if column.column_name in LOOKS_PERSONAL
    }

    assert found - known == set(), "say in portal/services/personal_register.py why these are held"


def test_the_register_names_columns_that_are_there():
    real = {
        f"{model._meta.table_name}.{column.column_name}"
        for model in schema.tables()
        for column in model._meta.sorted_fields
        if isinstance(column, peewee.Field)
    }

    assert personal_register.columns() - real == set()


@pytest.fixture
def withdrawn(home, cast, now, run_jobs):
    made = draft(cast, now)
    contracts.withdraw(made, reason="Marc left", by=actor(cast.ana), now=now)
    run_jobs(now)
    return Contract.get_by_id(made.id)


@pytest.fixture
def sent(home, cast, now, run_jobs):
    envelope = signing.send(cast, now, signing.ready(cast, now, [signing.theirs(email=EMAIL)]))
    run_jobs(now)
    return envelope


def erase(cast, now, email=EMAIL, reason="Letter of 3 May"):
    return personal_erasure.erase(email, reason=reason, by=actor(cast.ada), now=now)


def test_an_export_holds_what_is_held_and_no_secret(sent, withdrawn, cast, now):
    sessions.open_outside(EMAIL, now=now)

    tables = personal_export.gather("MARC@castellan.example ")

    assert {"recipient", "contact", "notice", "session", "contract.recipients"} <= set(tables)
    said = json.dumps(tables, default=str)
    assert "Delorme" in said
    for word in ("sha256", "password", "totp", "token"):
        assert f'"{word}' not in said
    assert "claire@castellan.example" not in said
    assert personal_export.gather("nobody@nowhere.example") == {}


def test_a_person_of_a_contract_that_came_to_nothing_is_forgotten(withdrawn, cast, now):
    sessions.open_outside(EMAIL, now=now)

    report = erase(cast, now)

    assert report.kept == []
    assert personal_export.gather(EMAIL) == {}
    assert "Delorme" not in json.dumps(Contract.get_by_id(withdrawn.id).recipients)
    assert not Contact.select().where(Contact.email == EMAIL).exists()
    assert not Session.select().where(Session.email == EMAIL).exists()
    assert audit_chains.verify()["valid"]


def test_what_an_open_contract_needs_stays_and_is_named(sent, cast, now):
    reference = Contract.get_by_id(sent.contract.id).reference

    report = erase(cast, now)

    assert report.kept == [reference]
    row = Recipient.get(Recipient.envelope == sent)
    assert row.email == EMAIL
    assert Notice.select().where(Notice.address == EMAIL).exists()


def test_others_lose_nothing(sent, withdrawn, cast, now):
    before = {row.email for row in Contact.select()}
    details = AuditDetail.select().where(AuditDetail.chain == sent.contract.id).count()

    erase(cast, now, "somebody@else.example")

    assert {row.email for row in Contact.select()} == before
    assert AuditDetail.select().where(AuditDetail.chain == sent.contract.id).count() == details


def test_erasing_needs_a_reason_and_nobody_with_an_account(home, cast, now):
    for email, reason in (("", "x"), ("marc", "x"), (EMAIL, "")):
        with pytest.raises(Invalid):
            erase(cast, now, email, reason)
    with pytest.raises(Conflict):
        erase(cast, now, cast.ana.email)


def test_erasing_is_told_to_the_trail_without_the_address(withdrawn, cast, now):
    erase(cast, now)

    event = next(e for e in audit.history(audit.INSTALLATION) if e["act"] == "subject.erased")
    assert EMAIL not in json.dumps(event)


def test_numbers_go_when_their_days_are_over(sent, cast, now, run_jobs):
    Recipient.update(phone="+33612345638").execute()
    personal_erasure.set_phone_days(30, by=actor(cast.ada), now=now)
    jobs.add("forget_phone_numbers", now=now)
    run_jobs(now)
    assert Recipient.get(Recipient.envelope == sent).phone
    Envelope.update(ended_at=now, status="voided").execute()

    for days, expected in ((29, "+33612345638"), (31, "")):
        jobs.add("forget_phone_numbers", now=now + timedelta(days=days))
        run_jobs(now + timedelta(days=days))
        assert Recipient.get(Recipient.envelope == sent).phone == expected


def test_a_company_kept_in_the_eu_sends_through_no_account_elsewhere(home, cast, now):
    made = draft(cast, now)
    account = Connection.create(provider="docusign", name="DocuSign Ohio", status="active", created_at=now)

    assert connections.usable_for(Contract.get_by_id(made.id), account) == []
    regions.keep_within(LegalEntity.get_by_id(made.entity.id), on=True, by=actor(cast.ada), now=now)
    for region in ("", "us", "uk", "other"):
        Connection.update(region=region).execute()
        stops = connections.usable_for(Contract.get_by_id(made.id), Connection.get_by_id(account.id))
        assert len(stops) == 1
        assert "DocuSign Ohio" in stops[0]
        assert str(regions.REGIONS[region]) in stops[0]
    regions.set_region(Connection.get_by_id(account.id), "eu", by=actor(cast.ada), now=now)
    assert connections.usable_for(Contract.get_by_id(made.id), Connection.get_by_id(account.id)) == []
    with pytest.raises(Invalid):
        regions.set_region(account, "mars", by=actor(cast.ada), now=now)
