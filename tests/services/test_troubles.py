"""Administrators hear of trouble: one mail a day at most, in their language, and none about nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.models.people import Person
from portal.services import handlers, heartbeat, installation, jobs, notices, readiness
from tests.services.test_queues import fail, queue


@pytest.fixture
def told(cast):
    """Let the recurring job run at a time; the mails it has written then. Earlier ones have gone out."""
    handlers.load()

    def tell(at):
        Job.update(status="done").where(Job.status == "ready").execute()
        before = [n.id for n in Notice.select(Notice.id)]
        jobs.add("tell_trouble", now=at)
        jobs.run(jobs.claim("w", at), lambda: at)
        assert not Job.select().where((Job.kind == "tell_trouble") & (Job.last_error != "")).exists()
        return list(Notice.select().where((Notice.kind == "trouble") & Notice.id.not_in(before)))

    return tell


def test_nothing_is_written_when_nothing_is_wrong(told, now):
    assert told(now) == []


def test_failed_work_is_told_to_administrators_alone(told, cast, now):
    fail(queue(now), now)

    mails = told(now)

    assert [mail.address for mail in mails] == [cast.ada.email]
    text, html = notices.read(mails[0])
    assert "1 piece of work has failed." in text
    assert "/settings/operations" in text
    assert "claire@castellan.example" not in text + html


def test_at_most_one_mail_a_day_and_none_once_it_is_told(told, now):
    fail(queue(now), now)
    assert len(told(now)) == 1
    fail(queue(now), now + timedelta(hours=1))

    assert told(now + timedelta(hours=2)) == []
    assert len(told(now + timedelta(hours=25))) == 1
    assert told(now + timedelta(hours=50)) == []


def test_each_administrator_reads_it_in_their_language(told, cast, now):
    Person.update(language="fr").where(Person.id == cast.ada.id).execute()
    fail(queue(now), now)

    mail = told(now)[0]

    assert mail.subject == "Countersign a besoin de vous : 1 point"
    assert "1 tâche a échoué." in notices.read(mail)[0]


def test_a_mail_like_this_that_came_back_is_no_news(told, cast, now):
    fail(queue(now), now)
    mail = told(now)[0]
    fail(mail, now + timedelta(hours=1))
    assert Notice.get_by_id(mail.id).status == "failed"

    assert told(now + timedelta(hours=25)) == []


def test_a_worker_that_comes_back_says_how_long_it_was_away(told, now):
    heartbeat.beat(now - timedelta(hours=9))
    heartbeat.beat(now)

    mails = told(now)

    assert "No worker ran from" in notices.read(mails[0])[0]
    later = now + timedelta(days=2)
    installation.set_fact(heartbeat.SEEN, {"at": later.isoformat()}, later)
    assert told(later) == []


def test_an_old_backup_is_told_daily_and_a_missing_one_never(told, now):
    assert told(now) == []
    made = {"at": (now - timedelta(days=3)).isoformat(), "folder": "/b", "ok": True}
    installation.set_fact(readiness.LAST_BACKUP, made, now)

    assert len(told(now)) == 1
    assert len(told(now + timedelta(days=1))) == 1


def test_a_certificate_that_ends_soon_is_told_once_a_week(told, home):
    now = home.authority.not_after - timedelta(days=60)

    assert len(told(now)) == 1
    assert told(now + timedelta(days=2)) == []
    assert len(told(now + timedelta(days=8))) == 1
