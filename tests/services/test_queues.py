"""Queues: what failed is seen with its reason, and starts again once however often it is asked to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal import i18n
from portal.errors import NotFound
from portal.models.audit import AuditEvent
from portal.models.base import transaction
from portal.models.envelopes import Envelope, Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import audit_chains, handlers, jobs, notices, queues, sealing
from portal.services.audit import SYSTEM
from tests.services.signing import actor
from tests.services.test_sealing import completed, recipient, sent


def queue(now, **values):
    given = {"address": "claire@castellan.example", "language": "en", "now": now, "name": "Claire",
             "context": {"sender": "Ana", "reference": "LF-1", "title": "Support"}, **values}  # fmt: skip
    with transaction():
        return notices.queue(given.pop("kind", "expired"), **given)


def fail(notice, now, reason="550 no such mailbox"):
    Job.update(status="running", lease_owner="w", attempts=1).where(
        Job.key == f"deliver:{notice.id}"
    ).execute()
    job = Job.get(Job.key == f"deliver:{notice.id}")
    jobs.fail(job, reason, now)
    return job


def look(name, now):
    return next(each for each in queues.overview(now) if each.name == name)


def test_each_job_stands_in_one_queue(home, now):
    queue(now)
    queue(now, channel="sms", kind="signing_code", address="+33612345638",
          context={"code": "123456", "minutes": 10, "host": "x", "reference": "LF-1"})  # fmt: skip
    jobs.add("seal_envelope", {"envelope": "e"}, now=now)
    jobs.add("remind", now=now)

    assert [(each.name, each.waiting) for each in queues.overview(now)] == [
        ("mail", 1), ("sms", 1), ("seals", 1), ("rest", 1),
    ]  # fmt: skip
    assert look("mail", now).oldest == now


def test_every_kind_of_work_has_a_name_for_people():
    """Whoever adds a kind says in `queues.WORK` what it does; a page shows it when it fails."""
    handlers.load()
    known = {kind for kind, handler in jobs.HANDLERS.items() if handler.__module__.startswith("portal.")}

    assert known - set(queues.WORK) == {queues.DELIVERY}


def test_work_put_back_says_why_and_when_it_is_tried_next(home, now):
    queue(now)
    jobs.put_back(jobs.claim("w", now), "ConnectionRefusedError: [Errno 111]", now, timedelta(minutes=3))

    found = look("mail", now)

    assert (found.waiting, found.put_back) == (0, 1)
    row = found.put_back_rows[0]
    assert row.next_at == now + timedelta(minutes=3)
    assert row.reason == "The other side cannot be reached."
    assert "claire@castellan.example" in row.title


def test_a_failed_message_is_shown_with_whom_it_was_for_and_never_with_its_words(home, cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    run_jobs(now)
    claire = recipient(envelope, "claire")
    notice = queue(now, contract=envelope.contract, recipient_id=claire.id)
    fail(notice, now)

    row = look("mail", now).failed_rows[0]

    assert row.title == "Mail to claire@castellan.example"
    assert row.reference == envelope.contract.reference
    assert row.reason == "The mail server does not take mail for this address."
    assert row.exact == "550 no such mailbox"
    assert row.may_retry
    assert "the time to sign" not in repr(row)


def test_trying_again_queues_the_message_and_clears_its_reader_once(home, cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    run_jobs(now)
    claire = recipient(envelope, "claire")
    notice = queue(now, contract=envelope.contract, recipient_id=claire.id)
    job = fail(notice, now)
    assert Recipient.get_by_id(claire.id).problem == "undelivered"

    assert queues.retry(job.id, by=actor(cast.ada), now=now)
    assert not queues.retry(job.id, by=actor(cast.ada), now=now)

    assert Notice.get_by_id(notice.id).status == "queued"
    assert Recipient.get_by_id(claire.id).problem == ""
    assert AuditEvent.select().where(AuditEvent.act == "job.retried").count() == 1
    run_jobs(now)
    assert Notice.get_by_id(notice.id).status == "sent"


def test_trying_a_failed_seal_again_seals(home, cast, now, run_jobs, monkeypatch):
    monkeypatch.setattr(sealing, "stored_or_built", lambda *_: (_ for _ in ()).throw(jobs.GiveUp("no room")))
    envelope = completed(cast, now, run_jobs)
    run_jobs(now, strict=False)
    assert Envelope.get_by_id(envelope.id).seal_status == "failed"
    monkeypatch.undo()

    job = look("seals", now).failed_rows[0]
    assert job.reference == envelope.contract.reference
    assert queues.retry(job.job_id, by=actor(cast.ada), now=now)

    assert Envelope.get_by_id(envelope.id).seal_status == "pending"
    run_jobs(now)
    assert Envelope.get_by_id(envelope.id).seal_status == "sealed"
    assert AuditEvent.select().where(AuditEvent.act == "seal.retried").count() == 1


@pytest.mark.parametrize(
    ("kind", "channel", "age", "may"),
    [
        ("signing_code", "sms", timedelta(minutes=9), True),
        ("signing_code", "sms", timedelta(minutes=11), False),
        ("access", "mail", timedelta(minutes=31), False),
        ("expired", "mail", timedelta(days=20), True),
    ],
)
def test_a_message_whose_code_or_link_has_ended_is_not_sent_late(home, now, kind, channel, age, may):
    context = {"code": "123456", "minutes": 10, "host": "x", "reference": "LF-1", "link": "http://x/access/abcdef",
               "sender": "Ana", "title": "Support"}  # fmt: skip
    notice = queue(now - age, kind=kind, channel=channel, context=context)
    job = fail(notice, now)

    row = look(channel, now).failed_rows[0]

    assert row.may_retry is may
    assert bool(row.why_not) is not may
    assert queues.retry(job.id, by=SYSTEM, now=now) is may


def test_a_request_that_has_ended_is_not_asked_for_again(home, cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    asked = Notice.get(Notice.kind == "sign_request")
    notice = queue(now, kind="expired", contract=envelope.contract, recipient_id=asked.recipient_id)
    Notice.update(kind="reminder").where(Notice.id == notice.id).execute()
    fail(notice, now)
    assert look("mail", now).failed_rows[0].may_retry

    Envelope.update(status="voided").where(Envelope.id == envelope.id).execute()

    assert not look("mail", now).failed_rows[0].may_retry


def test_trying_all_again_starts_each_failed_one_of_its_queue_only(home, now):
    for number in range(3):
        fail(queue(now, address=f"n{number}@castellan.example"), now)
    jobs.add("remind", now=now)
    jobs.fail(jobs.claim("w", now), "boom", now)

    assert queues.retry_all("mail", by=SYSTEM, now=now) == 3
    assert queues.retry_all("mail", by=SYSTEM, now=now) == 0
    assert look("rest", now).failed == 1


def test_what_is_set_aside_is_out_of_sight_and_told_to_the_trail(home, now):
    job = fail(queue(now), now)

    assert queues.set_aside(job.id, by=SYSTEM, now=now)
    assert not queues.set_aside(job.id, by=SYSTEM, now=now)

    assert look("mail", now).failed == 0
    assert Notice.get().status == "failed"
    assert AuditEvent.select().where(AuditEvent.act == "job.set_aside").count() == 1
    jobs.sweep(now + timedelta(days=8))
    assert Job.select().count() == 0


def test_failures_older_than_thirty_days_are_not_counted(home, now):
    fail(queue(now), now)

    assert look("mail", now + timedelta(days=29)).failed == 1
    assert look("mail", now + timedelta(days=31)).failed == 0


@pytest.mark.parametrize("job_id", [999_999, 2**40, 2**70])
def test_a_job_that_is_not_there_is_not_found(home, now, job_id):
    with pytest.raises(NotFound):
        queues.retry(job_id, by=SYSTEM, now=now)


def test_reasons_are_told_in_french(home, now):
    with i18n.use("fr"):
        assert queues.plainly("TimeoutError: timed out") == "L’autre côté ne répond pas à temps."


def test_secrets_in_a_reason_do_not_reach_the_queue(home, now):
    queue(now)

    jobs.put_back(jobs.claim("w", now), "GET https://u:geheim99@host/x?token=kanarie42 failed", now, None)

    kept = Job.get().last_error
    assert "geheim99" not in kept
    assert "kanarie42" not in kept
    assert "failed" in kept


def test_the_history_is_checked_once_however_often_it_is_asked_for(home, cast, now, run_jobs):
    sent(cast, now, run_jobs)
    audit_chains.ask_for_check(now)
    audit_chains.ask_for_check(now)
    assert audit_chains.is_checking()

    run_jobs(now)

    assert not audit_chains.is_checking()
    checked = home and audit_chains.installation.fact(audit_chains.LAST_CHECK)
    assert checked["valid"]
    assert checked["events"] == AuditEvent.select().count()
