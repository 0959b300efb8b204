"""A message on its way: tried again as long as it is of use, then delivered, returned or given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from portal.models.audit import AuditEvent
from portal.models.envelopes import Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import deliveries, notices
from tests.services.signing import sent

AWAY = "smtp://127.0.0.1:9"


def queue(now, **values):
    return notices.queue(
        "expired", **{"address": "claire@castellan.example", "language": "en", "now": now, "name": "Claire",
                      "context": {"sender": "Ana", "reference": "LF-1", "title": "Support"}, **values},
    )  # fmt: skip


def run_for(run_jobs, start, length, step=timedelta(minutes=5)):
    for number in range(1, int(length / step) + 1):
        run_jobs(start + number * step, strict=False)


def test_six_hours_without_a_mail_server_lose_nothing_and_the_reason_stands_there(home, now, run_jobs):
    home.settings = replace(home.settings, mail_url=AWAY)
    waiting = [queue(now) for _ in range(3)]
    run_for(run_jobs, now, timedelta(hours=6))

    kept = [Notice.get_by_id(each.id) for each in waiting]
    assert {each.status for each in kept} == {"queued"}
    assert all("refused" in each.failure for each in kept)

    home.settings = replace(home.settings, mail_url="mailbox:")
    run_for(run_jobs, now + timedelta(hours=6), timedelta(minutes=20))
    kept = [Notice.get_by_id(each.id) for each in waiting]
    assert [(each.status, each.failure) for each in kept] == [("sent", "")] * 3


def test_a_code_that_has_died_is_sent_no_more(home, now, run_jobs):
    home.settings = replace(home.settings, mail_url=AWAY)
    notice = queue(now, useful_until=now + timedelta(minutes=10))
    run_for(run_jobs, now, timedelta(minutes=12), timedelta(seconds=30))

    home.settings = replace(home.settings, mail_url="mailbox:")
    run_jobs(now + timedelta(hours=1), strict=False)

    kept = Notice.get_by_id(notice.id)
    assert kept.status == "failed"
    assert "refused" in kept.failure
    assert Job.get(Job.kind == "deliver_notice").status == "failed"


def test_a_receipt_then_a_return_mark_the_person_once(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    notice = Notice.get(Notice.recipient_id.is_null(False))

    assert deliveries.report(notice.id, deliveries.DELIVERED, now=now)
    assert not deliveries.report(notice.id, deliveries.DELIVERED, now=now)
    assert deliveries.report(notice.id, deliveries.RETURNED, reason="550 no such user", now=now)
    assert not deliveries.report(notice.id, deliveries.RETURNED, reason="550 again", now=now)
    assert not deliveries.report(notice.id, deliveries.DELIVERED, now=now)

    kept = Notice.get_by_id(notice.id)
    assert (kept.status, kept.failure, kept.settled_at) == ("returned", "550 no such user", now)
    assert Recipient.get_by_id(notice.recipient_id).problem == "undelivered"
    marks = AuditEvent.select().where(
        (AuditEvent.act == "recipient.undelivered") & (AuditEvent.chain == envelope.contract_id)
    )
    assert marks.count() == 1


@pytest.mark.parametrize("outcome", [deliveries.DELIVERED, deliveries.RETURNED])
def test_a_report_about_no_message_changes_nothing(home, now, outcome):
    assert not deliveries.report("nothing", outcome, now=now)
