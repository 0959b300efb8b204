from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from portal import failpoints
from portal.documents import verify
from portal.errors import Conflict
from portal.models.audit import AuditEvent
from portal.models.contracts import Document, RegisteredFile
from portal.models.envelopes import Envelope
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import documents, envelopes, installation, notices, sealing
from portal.services.audit import SYSTEM
from tests.documents import independent
from tests.services.signing import act, actor, consent, ready, recipient, sent, shown
from tests.simulators.tsa import timestamp_server

DRAWN = "M10 60L90 20L160 80M200 40L300 90"


class Killed(BaseException):
    """Stands for `kill -9`: nothing in the product catches it."""


@contextmanager
def killed_at(name: str) -> Iterator[None]:
    def stop(reached: str) -> None:
        if reached == name:
            raise Killed(name)

    failpoints.hook = stop
    try:
        yield
    finally:
        failpoints.hook = None


def completed(cast, now, run_jobs, **values) -> Envelope:
    """Signed by both, one typed and one drawn; the seal job waits."""
    start = now - timedelta(hours=1)
    envelope = sent(cast, start, run_jobs, ready(cast, start, **values) if values else None)
    consent(recipient(envelope, "claire"), start)
    act(envelope, "claire", now - timedelta(minutes=30), drawn=DRAWN)
    act(envelope, "ana", now)
    return Envelope.get_by_id(envelope.id)


def finished(envelope: Envelope) -> tuple[Envelope, bytes]:
    sealed = Envelope.get_by_id(envelope.id)
    return sealed, documents.read(Document.get_by_id(sealed.executed.id))


def take_over(now: datetime) -> None:
    """The lease of whoever was killed has run out."""
    Job.update(lease_until=now - timedelta(seconds=1)).where(Job.status == "running").execute()


def test_the_last_signature_leads_to_one_sealed_file(cast, now, run_jobs, home, tmp_path):
    envelope = completed(cast, now, run_jobs)

    run_jobs(now)

    sealed, content = finished(envelope)
    first = documents.read(shown(envelope))
    assert sealed.seal_status == "sealed"
    assert content.startswith(first)
    assert hashlib.sha256(content[: len(first)]).hexdigest() == sealed.document.sha256
    verdict = verify.check(content, ca_pem=home.authority.bundle)
    assert (verdict.ok, verdict.kind, verdict.reasons) == (True, "executed", ())
    ca = tmp_path / "ca.pem"
    ca.write_bytes(home.authority.ca_pem)
    assert independent.faults(content, ca, tmp_path) == []
    assert RegisteredFile.get_by_id(hashlib.sha256(content).hexdigest()).envelope_id == envelope.id


def test_the_trail_names_the_hash_of_the_sealed_file(cast, now, run_jobs):
    envelope = completed(cast, now, run_jobs)

    run_jobs(now)

    content = finished(envelope)[1]
    events = AuditEvent.select().where(AuditEvent.act == "envelope.sealed")
    assert [json.loads(e.body)["facts"]["sha256"] for e in events] == [hashlib.sha256(content).hexdigest()]


def test_the_evidence_in_the_file_tells_who_did_what_and_checks_by_itself(cast, now, run_jobs, home):
    envelope = completed(cast, now, run_jobs)

    run_jobs(now)

    told = verify.check(finished(envelope)[1], ca_pem=home.authority.bundle).evidence
    assert told["schema"] == "countersign-evidence/1"
    assert told["document"]["sha256"] == envelope.document.sha256
    claire = next(p for p in told["people"] if p["key"] == "claire")
    assert claire["act"]["authority"] == "I am authorised to bind my company."
    assert claire["act"]["document_sha256"] == envelope.document.sha256
    assert claire["consent"]["text_sha256"]
    assert "+33612345638" not in json.dumps(told)
    previous = "0" * 64
    for event in told["trail"]["events"]:
        body = json.loads(event["body"])
        assert hashlib.sha256(event["body"].encode()).hexdigest() == event["hash"]
        assert body["previous"] == previous
        previous = event["hash"]
        for name, value in (event["details"] or {"values": {}})["values"].items():
            salted = f"{event['details']['salt']}:{value}".encode()
            assert hashlib.sha256(salted).hexdigest() == body["personal"][name]
    assert told["trail"]["head"]["hash"] == previous


def test_the_certificate_says_who_how_and_when_in_words(cast, now, run_jobs):
    import pypdfium2

    envelope = completed(cast, now, run_jobs)

    run_jobs(now)

    pdf = pypdfium2.PdfDocument(finished(envelope)[1])
    text = "\n".join(pdf[page].get_textpage().get_text_range() for page in range(len(pdf)))
    pages, first = len(pdf), envelope.document.pages
    pdf.close()
    assert pages > first
    for words in (
        "Certificate of completion", "Claire Aubert", "Code texted to the number ending 38", "192.0.2.7",
        "I am authorised to bind my company.", "I sign this document.", envelope.document.sha256,
        f"head -c {shown(envelope).size_bytes}",
    ):  # fmt: skip
        assert words in " ".join(text.split()), words


def test_everyone_gets_a_copy_by_link_and_attached(cast, now, run_jobs):
    envelope = completed(cast, now, run_jobs)

    run_jobs(now)

    sealed, _content = finished(envelope)
    copies = list(Notice.select().where(Notice.kind == "completed"))
    assert {n.address for n in copies} == {"claire@castellan.example", cast.priya.email}
    assert all(n.attachments == [sealed.executed.id] for n in copies)
    assert all("/sign/" in notices.read(n)[0] for n in copies)
    assert (
        Notice.select().where((Notice.kind == "completed_owner") & (Notice.address == cast.ana.email)).count()
        == 1
    )


def test_a_file_with_phi_is_not_attached(cast, now, run_jobs):
    envelope = completed(cast, now, run_jobs, has_phi=True, title="Oncology CANARY")

    run_jobs(now)

    copies = list(Notice.select().where(Notice.kind == "completed"))
    assert all(n.attachments == [] and "CANARY" not in n.subject + "".join(notices.read(n)) for n in copies)
    assert finished(envelope)[0].seal_status == "sealed"


@pytest.mark.parametrize(
    "point",
    ["seal.before_build", "seal.after_build", "seal.after_store", "seal.before_record", "seal.after_record"],
)
def test_killed_anywhere_there_is_one_seal_in_the_end(cast, now, run_jobs, point):
    envelope = completed(cast, now, run_jobs)

    with killed_at(point), pytest.raises(Killed):
        run_jobs(now)
    base_key = sealing.storage_key(envelope, 1)
    store = installation.current().store
    before = store.get(base_key) if store.exists(base_key) else None
    take_over(now)
    run_jobs(now)

    sealed, content = finished(envelope)
    assert before in (None, content)
    assert Document.select().where(Document.kind == "executed").count() == 1
    assert RegisteredFile.select().count() == 1
    assert AuditEvent.select().where(AuditEvent.act == "envelope.sealed").count() == 1
    assert Notice.select().where(Notice.kind == "completed").count() == 2
    assert sealed.seal_status == "sealed"


def test_a_worker_that_lost_its_job_publishes_nothing(cast, now, run_jobs, home):
    from portal.services import jobs

    envelope = completed(cast, now, run_jobs)
    slow = Job.get(Job.key == f"seal:{envelope.id}")
    context = jobs.Context(slow.id, "gone", 1, lambda: now)

    with pytest.raises(jobs.LostLease):
        sealing.seal_job({"envelope": envelope.id}, context)

    assert Document.select().where(Document.kind == "executed").count() == 0


def test_a_second_executed_version_one_is_refused_by_the_table_itself(cast, now, run_jobs):
    from portal.models.base import peewee, transaction

    envelope = completed(cast, now, run_jobs)
    run_jobs(now)

    with pytest.raises(peewee.IntegrityError), transaction():
        sealing.add_version(Envelope.get_by_id(envelope.id), b"another file", 1, now)
    with pytest.raises(Conflict):
        sealing.record(Envelope.get_by_id(envelope.id), b"another file", is_complete=True, now=now)


def test_a_seal_that_cannot_be_made_is_visible_and_can_be_retried(cast, now, run_jobs, monkeypatch):
    from portal.documents import executed
    from portal.documents.seal import Unsealable

    envelope = completed(cast, now, run_jobs)

    def refuse(*_args, **_more):
        raise Unsealable("The key has expired.")

    with monkeypatch.context() as patch:
        patch.setattr(executed, "build", refuse)
        run_jobs(now, strict=False)
    failed = Envelope.get_by_id(envelope.id)
    assert (failed.seal_status, failed.seal_problem) == ("failed", "The key has expired.")
    assert sealing.backlog(now) == ["1 signed contract could not be sealed."]

    sealing.retry(failed, by=actor(cast.ada), now=now)
    run_jobs(now, strict=False)

    assert Envelope.get_by_id(envelope.id).seal_status == "sealed"
    assert sealing.backlog(now) == []
    with pytest.raises(Conflict):
        sealing.retry(Envelope.get_by_id(envelope.id), by=SYSTEM, now=now)


def test_a_seal_that_nobody_makes_is_in_the_backlog(cast, now, run_jobs):
    completed(cast, now, run_jobs)

    assert sealing.backlog(now + timedelta(minutes=4)) == []
    assert len(sealing.backlog(now + timedelta(minutes=6))) == 1


def test_running_the_job_again_changes_nothing(cast, now, run_jobs):
    envelope = completed(cast, now, run_jobs)
    run_jobs(now)
    Job.update(status="ready", run_at=now).where(Job.kind == "seal_envelope").execute()

    run_jobs(now)

    assert Document.select().where(Document.kind == "executed").count() == 1
    assert envelopes.get(envelope.id).seal_status == "sealed"


def test_with_the_timestamp_authority_away_the_seal_comes_at_once_and_the_time_later(
    cast, now, run_jobs, home
):
    with timestamp_server(now) as tsa:
        home.settings = replace(home.settings, tsa_url=tsa.url)
        tsa.mood = "down"
        envelope = completed(cast, now, run_jobs)
        run_jobs(now)
        first, before = finished(envelope)
        assert (first.seal_status, first.executed.version) == ("incomplete", 1)

        tsa.mood, tsa.now = "well", now + timedelta(hours=1)
        later = now + timedelta(hours=1)
        run_jobs(later)

        second, after = finished(envelope)
    assert (second.seal_status, second.executed.version) == ("sealed", 2)
    assert after.startswith(before)
    assert len(after) > len(before)
    registered = {row.sha256 for row in RegisteredFile.select()}
    assert registered == {hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest()}
    verdict = verify.check(after, ca_pem=home.authority.bundle)
    assert verdict.ok
    assert verdict.timestamp is not None


def test_with_a_timestamp_authority_the_first_version_is_complete(cast, now, run_jobs, home):
    with timestamp_server(now) as tsa:
        home.settings = replace(home.settings, tsa_url=tsa.url)
        envelope = completed(cast, now, run_jobs)
        run_jobs(now)

    sealed, content = finished(envelope)
    assert (sealed.seal_status, sealed.executed.version) == ("sealed", 1)
    assert verify.check(content, ca_pem=home.authority.bundle).timestamp is not None
