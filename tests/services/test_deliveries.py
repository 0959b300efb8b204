"""A message on its way: tried again as long as it is of use, then delivered, returned or given up."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import cycle

import pytest

from portal import failpoints
from portal.models.audit import AuditEvent
from portal.models.base import db
from portal.models.envelopes import Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import deliveries, jobs, mail_senders, notices
from tests.services.signing import sent
from tests.simulators.smtp import Post, running

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


class Killed(BaseException):
    """Ends a worker where it stands: nothing of its own code runs any more."""


class Fate:
    """Kills the worker at one moment in four that matter, and counts the kills after a yes."""

    def __init__(self, seed):
        self.chance, self.after_yes = random.Random(seed), 0

    def __call__(self, name):
        if name.startswith(("notice.", "job.")) and self.chance.random() < 0.25:
            self.after_yes += name == "notice.after_gateway"
            raise Killed


def work(at):
    """A worker, and a new one wherever it is killed, until nothing is due."""
    while True:
        try:
            jobs.run_due("worker", lambda: at)
            return
        except Killed:
            while db.in_transaction():
                db.rollback()


TROUBLES = (
    {"hello": "drop"}, {"hello": "421 4.3.2 down"}, {"mail": "451 4.3.0 later"}, {"rcpt": "450 4.2.0 busy"},
    {"data": "452 4.3.1 no space"}, {"rcpt": "drop"}, {"data": "drop"}, {"mail": "550 5.7.1 not you"},
)  # fmt: skip


@pytest.mark.parametrize("seed", [3, 7])
def test_six_bad_hours_with_workers_killed_lose_nothing_and_repeat_only_after_a_kill(
    home, now, monkeypatch, seed
):
    from portal.services import handlers

    handlers.load()
    fate = Fate(seed)
    monkeypatch.setattr(
        deliveries.random, "uniform", random.Random(seed).uniform
    )  # the same waits at every run
    with running(Post(is_grey=True)) as post:
        home.settings = replace(home.settings, mail_url=f"smtp://127.0.0.1:{post.port}")
        waiting = [queue(now, address=f"c{number}@castellan.example") for number in range(12)]
        monkeypatch.setattr(failpoints, "hook", fate)
        for minute, mood in zip(range(10, 370, 10), cycle(TROUBLES), strict=False):
            post.moods = mood
            work(now + timedelta(minutes=minute))
        assert post.mails == []
        assert {Notice.get_by_id(each.id).status for each in waiting} == {"queued"}
        assert all(Notice.get_by_id(each.id).failure for each in waiting)

        post.moods = {}
        for minute in range(370, 400):
            work(now + timedelta(minutes=minute))

    arrived = Counter(mail["X-Countersign-Id"] for mail in post.mails)
    assert set(arrived) == {each.id for each in waiting}, "a mail was lost"
    assert sum(arrived.values()) - len(arrived) <= fate.after_yes, "a mail was repeated without a kill"
    assert {Notice.get_by_id(each.id).status for each in waiting} == {"sent"}
    assert {mail["Message-ID"] for mail in post.mails} == {f"<{each.id}@localhost>" for each in waiting}
    assert fate.after_yes > 0


def test_a_line_that_breaks_after_the_text_repeats_under_the_same_number(home, now, run_jobs):
    with running(Post(moods={"data": "cut"})) as post:
        home.settings = replace(home.settings, mail_url=f"smtp://127.0.0.1:{post.port}")
        notice = queue(now)
        run_jobs(now, strict=False)
        assert "may have taken" in Notice.get_by_id(notice.id).failure
        post.moods = {}
        run_jobs(now + timedelta(minutes=5), strict=False)

    assert [mail["X-Countersign-Id"] for mail in post.mails] == [notice.id, notice.id]
    kept = Notice.get_by_id(notice.id)
    assert (kept.status, kept.failure, kept.remote_id) == ("sent", "", "Q000000002")


def test_a_delay_told_later_is_shown_and_changes_no_outcome(home, now, run_jobs):
    notice = queue(now)
    assert not deliveries.note_delay(notice.id, "4.4.1 no answer"), "not handed over yet"
    run_jobs(now)

    assert deliveries.note_delay(notice.id, "4.4.1 no answer")
    assert not deliveries.note_delay(notice.id, "4.4.1 no answer")
    assert (Notice.get_by_id(notice.id).status, Notice.get_by_id(notice.id).failure) == (
        "sent",
        "4.4.1 no answer",
    )


# --- In whose name --------------------------------------------------------------------------------


def test_a_mail_about_a_contract_comes_from_its_company_and_answers_reach_the_owner(
    cast, now, run_jobs, home
):
    cast.entity.sender_name, cast.entity.sender_address = "Larkfield, Contracts", "sign@larkfield.example"
    cast.entity.save()
    with running(Post()) as post:
        home.settings = replace(home.settings, mail_url=f"smtp://127.0.0.1:{post.port}")
        sent(cast, now, run_jobs)

    mail = post.mails[0]
    assert mail["From"].addresses[0].addr_spec == "sign@larkfield.example"
    assert mail["From"].addresses[0].display_name == "Larkfield, Contracts"
    assert mail["Reply-To"].addresses[0].addr_spec == cast.ana.email
    assert mail["Message-ID"].endswith("@larkfield.example>")


def test_a_mail_to_the_owner_asks_for_no_answer_from_the_owner(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    notice = queue(now, address=cast.ana.email, contract=envelope.contract)

    assert mail_senders.of(notice, "").reply_to == ""


def test_the_logo_is_made_small_by_a_job_and_travels_in_the_mail(cast, now, run_jobs, home):
    from portal.models.parties import LegalEntity
    from portal.services import entities
    from portal.services.audit import SYSTEM
    from tests.security.world import LOGO

    entities.set_logo(cast.entity, LOGO, by=SYSTEM, now=now)
    run_jobs(now)
    small = bytes(LegalEntity.get_by_id(cast.entity.id).logo_mail)
    assert (small[:8], small[16:24]) == (b"\x89PNG\r\n\x1a\n", (64).to_bytes(4) * 2)

    with running(Post()) as post:
        home.settings = replace(home.settings, mail_url=f"smtp://127.0.0.1:{post.port}")
        sent(cast, now, run_jobs)

    picture = next(part for part in post.mails[0].walk() if part["Content-ID"] == "<logo>")
    assert picture.get_content() == small
    html = next(part for part in post.mails[0].walk() if part.get_content_type() == "text/html").get_content()
    assert '<img src="cid:logo" width="32" height="32"' in html
    assert "http" not in "".join(line for line in html.splitlines() if "<img" in line)


def test_a_logo_that_cannot_be_drawn_is_left_out(cast, now, run_jobs):
    from portal.models.parties import LegalEntity
    from portal.services import mail_logos

    broken = {"logo": b"no picture", "logo_type": "image/png"}
    LegalEntity.update(broken).where(LegalEntity.id == cast.entity.id).execute()
    mail_logos.ask(now)
    run_jobs(now)

    assert LegalEntity.get_by_id(cast.entity.id).logo_mail is None
    assert notices.company()["logo_url"] == ""
