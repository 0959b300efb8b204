from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pypdfium2
import pytest

from portal import failpoints
from portal.documents import verify
from portal.errors import Conflict, Invalid, NotAllowed, NotFound
from portal.models.base import transaction
from portal.models.contracts import Contract, Document, RegisteredFile
from portal.models.jobs import Job
from portal.models.lives import Letter
from portal.models.notices import Notice
from portal.services import (
    audit,
    documents,
    existing,
    following,
    installation,
    jobs,
    letters,
    lives,
    verification,
)
from tests.services import existing as samples
from tests.services import signing
from tests.services.drafting import actor


class Killed(BaseException):
    """As the process ends."""


@pytest.fixture
def contract(cast, now):
    return existing.register(samples.said(cast), samples.pdf(), "x.pdf", by=actor(cast.ana), now=now)


TYPESET = letters.typeset


@pytest.fixture(autouse=True)
def plain_letters(monkeypatch):
    """Typeset once: what a letter looks like is tried by one test alone."""
    monkeypatch.setattr(letters, "typeset", lambda letter: signing.printed(1, 2).pdf)


def words_of(pdf):
    with pypdfium2.PdfDocument(pdf) as document:
        return "".join(page.get_textpage().get_text_range() for page in document)


def asked(cast, **changes):
    return letters.Asked(**({"kind": "end", "signatory_id": cast.signatory.id} | changes))


def sign(letter, cast, now, **changes):
    letters.sign(letter, **({"name": "Priya", "is_meant": True} | changes), by=actor(cast.priya), now=now)


def test_notice_is_signed_sealed_kept_and_mailed_and_the_contract_ends_with_its_term(
    contract, cast, now, run_jobs
):
    letter = letters.draft(contract, asked(cast), by=actor(cast.ana), now=now)
    sign(letter, cast, now)
    run_jobs(now)

    letter = Letter.get_by_id(letter.id)
    content = documents.read(letter.executed)
    assert letter.state == "sealed"
    assert verify.check(content, ca_pem=verification.own_ca()).ok
    assert RegisteredFile.get_by_id(letter.executed.sha256).kind == "letter"
    mails = Notice.select().where(Notice.kind == "notice_letter")
    assert {(mail.address, tuple(mail.attachments)) for mail in mails} == {
        ("claire@castellan.example", (letter.executed.id,)),
        ("marc@castellan.example", (letter.executed.id,)),
    }  # fmt: skip
    life = lives.of(contract)
    assert (life.notice_given_on, life.ends_on) == (now.date(), date(2026, 12, 31))
    assert [e["act"] for e in audit.history(contract.id)][:3] == [
        "notice.given",
        "letter.signed",
        "letter.drafted",
    ]
    with transaction():
        following.follow(Contract.get_by_id(contract.id), now=datetime(2027, 1, 1, 9, tzinfo=UTC))
    assert Contract.get_by_id(contract.id).state == "expired"


def test_termination_rests_on_a_ground_and_ends_on_its_day(contract, cast, now, run_jobs):
    with pytest.raises(Invalid) as refused:
        letters.draft(contract, asked(cast, kind="termination"), by=actor(cast.ana), now=now)
    assert "reason" in refused.value.errors
    with pytest.raises(Invalid):
        past = asked(cast, kind="termination", reason="Clause 9", effective_on=date(2026, 1, 1))
        letters.draft(contract, past, by=actor(cast.ana), now=now)

    ground = asked(cast, kind="termination", reason="Clause 9: unpaid", effective_on=date(2026, 11, 30))
    sign(letters.draft(contract, ground, by=actor(cast.ana), now=now), cast, now)
    run_jobs(now)
    with transaction():
        following.follow(Contract.get_by_id(contract.id), now=datetime(2026, 12, 1, 9, tzinfo=UTC))

    assert Contract.get_by_id(contract.id).state == "terminated"
    event = audit.history(contract.id, limit=1)[0]
    assert event["details"]["reason"] == "Clause 9: unpaid"


def test_notice_after_the_last_day_ends_the_next_term(contract, cast, now):
    late = datetime(2026, 12, 1, 9, tzinfo=UTC)

    letter = letters.draft(contract, asked(cast), by=actor(cast.ana), now=late)

    assert letter.effective_on == date(2027, 12, 31)


def test_only_the_signatory_signs_with_their_name_on_the_day(contract, cast, now):
    letter = letters.draft(contract, asked(cast), by=actor(cast.ana), now=now)

    with pytest.raises(NotAllowed):
        letters.sign(letter, name="Priya", is_meant=True, by=actor(cast.ana), now=now)
    for wrong in ({"name": "Prya"}, {"is_meant": False}):
        with pytest.raises(Invalid):
            sign(letter, cast, now, **wrong)
    with pytest.raises(Conflict, match="another day"):
        sign(letter, cast, now + timedelta(days=1))
    sign(letter, cast, now)
    with pytest.raises(Conflict):
        sign(Letter.get_by_id(letter.id), cast, now)


def test_a_new_draft_takes_the_place_of_the_former_and_notice_is_given_once(contract, cast, now, run_jobs):
    first = letters.draft(contract, asked(cast), by=actor(cast.ana), now=now)
    second = letters.draft(contract, asked(cast), by=actor(cast.ana), now=now)
    with pytest.raises(Conflict):
        sign(Letter.get_by_id(first.id), cast, now)
    sign(second, cast, now)
    run_jobs(now)

    with pytest.raises(Conflict, match="Notice was given"):
        letters.draft(contract, asked(cast), by=actor(cast.ana), now=now)


@pytest.mark.parametrize("point", ["letter.after_store", "letter.before_commit"])
def test_killed_while_sealing_one_letter_is_kept_and_mailed_once(
    contract, cast, now, run_jobs, point, monkeypatch
):
    sign(letters.draft(contract, asked(cast), by=actor(cast.ana), now=now), cast, now)

    def die(name):
        if name == point:
            raise Killed

    monkeypatch.setattr(failpoints, "hook", die)
    while (job := jobs.claim("doomed", now)).kind != "seal_letter":
        jobs.run(job, lambda: now)
    with pytest.raises(Killed):
        jobs.run(job, lambda: now)
    monkeypatch.setattr(failpoints, "hook", None)
    Job.update(lease_until=now.replace(year=2020)).where(Job.id == job.id).execute()
    run_jobs(now)

    assert Document.select().where(Document.kind == "notice_letter").count() == 1
    assert Notice.select().where(Notice.kind == "notice_letter").count() == 2
    assert len(list(installation.current().store.keys("letter-"))) == 1


def test_with_protected_data_nothing_is_attached(contract, cast, now, run_jobs):
    Contract.update(has_phi=True).where(Contract.id == contract.id).execute()
    contract = Contract.get_by_id(contract.id)

    sign(letters.draft(contract, asked(cast), by=actor(cast.ana), now=now), cast, now)
    run_jobs(now)

    assert {tuple(mail.attachments) for mail in Notice.select().where(Notice.kind == "notice_letter")} == {()}


def test_a_letter_is_read_by_its_signer_and_by_whoever_reads_the_contract(contract, cast, now):
    letter = letters.draft(contract, asked(cast), by=actor(cast.ana), now=now)

    for who in (cast.ana, cast.ben, cast.priya):
        assert letters.get(contract.reference, letter.id, who).id == letter.id
    for who, reference in (
        (cast.cleo, contract.reference),
        (cast.ana, "LF-2026-9999"),
        (None, contract.reference),
    ):
        with pytest.raises(NotFound):
            letters.get(reference, letter.id, who)


def test_the_letter_is_typeset_in_each_language_of_the_contract(contract, cast, now):
    Contract.update(languages=["fr", "en"]).where(Contract.id == contract.id).execute()
    contract = Contract.get_by_id(contract.id)
    letter = letters.draft(contract, asked(cast), by=actor(cast.ana), now=now)
    letter.name, letter.signed_at = "Priya", now

    text = " ".join(words_of(TYPESET(letter)).split())

    assert contract.reference in text
    assert "31 décembre 2026" in text
    assert "31 December 2026" in text
    assert "Castellan Pharma SA" in text
