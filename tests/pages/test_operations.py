"""The operations page: for who oversees; acts for administrators, the same with and without htmx."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.clock import utc_now
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.models.people import PersonRole
from portal.services import audit_chains, heartbeat, installation, jobs, queues
from tests.cast import sign_in
from tests.services.test_queues import fail, queue

PAGE = "/settings/operations"


@pytest.fixture
def failed(cast):
    """A mail that came back, and the job that carried it."""
    now = utc_now()
    return fail(queue(now, address="marc@castellan.example"), now)


def test_an_administrator_sees_what_failed_for_whom_and_why(client, cast, failed):
    sign_in(client, cast.ada, utc_now())

    page = client.get(PAGE).text

    assert "Mail to marc@castellan.example" in page
    assert "The mail server does not take mail for this address." in page
    assert "550 no such mailbox" in page
    assert "Larkfield Software Ltd" in page  # whose seal it is
    assert "No backup has been made yet." in page
    assert "countersign backup" in page


def test_a_backup_that_was_made_is_shown_with_where_it_lies(client, cast):
    now = utc_now()
    made = {"at": (now - timedelta(hours=5)).isoformat(), "folder": "/srv/backup/1", "ok": True}
    installation.set_fact("last_backup", made, now)
    sign_in(client, cast.ada, now)

    page = client.get(PAGE).text

    assert "/srv/backup/1" in page
    assert "None yet" not in page


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_trying_again_queues_the_message(client, cast, failed, headers):
    sign_in(client, cast.ada, utc_now())

    answer = client.post(f"{PAGE}/jobs/{failed.id}/retry", headers=headers)

    assert answer.status_code == (200 if headers else 303)
    assert Job.get_by_id(failed.id).status == "ready"
    assert Notice.get().status == "queued"
    if headers:
        assert answer.text.strip().startswith('<div id="state"')
        assert "It is tried again." in answer.text
        assert "It is tried again." not in client.post(f"{PAGE}/jobs/{failed.id}/retry", headers=headers).text


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_setting_aside_and_trying_all_again(client, cast, failed, headers):
    sign_in(client, cast.ada, utc_now())
    other = fail(queue(utc_now(), address="other@castellan.example"), utc_now())

    client.post(f"{PAGE}/jobs/{failed.id}/set-aside", headers=headers)
    client.post(f"{PAGE}/queues/mail/retry", headers=headers)

    assert Job.get_by_id(failed.id).status == "set_aside"
    assert Job.get_by_id(other.id).status == "ready"


def test_checking_the_history_is_done_by_the_worker_and_its_outcome_stays(client, cast, run_jobs):
    sign_in(client, cast.ada, utc_now())

    page = client.post(f"{PAGE}/history", headers={"HX-Request": "true"}).text
    assert "The history is being checked." in page
    assert 'hx-trigger="load delay:3s"' in page
    run_jobs(utc_now())

    page = client.get(PAGE).text
    assert "The trail is whole" in page
    assert "hx-trigger" not in page


def test_a_history_that_does_not_hold_is_said_here_and_makes_the_portal_unready(client, cast):
    now = utc_now()
    fault = {"chain": "installation", "number": 3, "reason": "it does not continue the event before"}
    report = {"valid": False, "chains": 1, "events": 5, "erased": 0, "faults": [fault], "at": now.isoformat()}
    installation.set_fact(audit_chains.LAST_CHECK, report, now)
    sign_in(client, cast.ada, now)

    assert "Chain installation, event 3" in client.get(PAGE).text
    assert "found an entry that does not hold" in client.get("/readyz").json["reasons"][0]


def test_the_page_asks_again_only_while_a_worker_could_change_it(client, cast):
    now = utc_now()
    queue(now)
    sign_in(client, cast.ada, now)
    assert "hx-trigger" in client.get(PAGE).text

    heartbeat.beat(now - timedelta(minutes=10))

    assert "hx-trigger" not in client.get(PAGE).text


def test_an_auditor_reads_it_and_changes_nothing(client, cast, failed):
    PersonRole.create(person=cast.ben, role="auditor")
    sign_in(client, cast.ben, utc_now())

    page = client.get(PAGE)

    assert page.status_code == 200
    assert "Try again" not in page.text
    assert client.post(f"{PAGE}/jobs/{failed.id}/retry").status_code == 403
    assert Job.get_by_id(failed.id).status == "failed"


def test_owners_and_strangers_do_not_see_it(client, cast, failed):
    for who, expected in ((None, (303,)), (cast.cleo, (404,)), (cast.ana, (403,))):
        if who is not None:
            sign_in(client, who, utc_now())
        assert client.get(PAGE).status_code in expected
        assert client.post(f"{PAGE}/jobs/{failed.id}/retry").status_code in (403, 404)


def test_a_job_that_is_not_there_is_not_found(client, cast):
    sign_in(client, cast.ada, utc_now())

    assert client.post(f"{PAGE}/jobs/4711/retry").status_code == 404
    assert client.post(f"{PAGE}/queues/other/retry").status_code == 404


def test_home_tells_administrators_and_nobody_else(client, cast, failed):
    sign_in(client, cast.ada, utc_now())
    assert "1 piece of work has failed." in client.get("/").text

    queues.set_aside(failed.id, by=queues.audit.SYSTEM, now=utc_now())
    assert PAGE not in client.get("/").text

    fail(queue(utc_now()), utc_now())
    sign_in(client, cast.ana, utc_now())
    assert PAGE not in client.get("/").text


def test_it_speaks_french(client, cast, failed):
    sign_in(client, cast.ada, utc_now())
    client.set_cookie("language", "fr")

    page = client.get(PAGE).text

    assert "Exploitation" in page
    assert "Le serveur de messagerie ne prend pas de courriel pour cette adresse." in page


def test_a_long_queue_shows_its_newest_and_says_how_many(client, cast):
    now = utc_now()
    for number in range(queues.MOST_SHOWN + 3):
        fail(queue(now, address=f"n{number}@castellan.example"), now)
    sign_in(client, cast.ada, now)

    page = client.get(PAGE).text

    assert page.count("Mail to ") >= queues.MOST_SHOWN
    assert f"The newest {queues.MOST_SHOWN} are shown." in page


def test_planned_work_is_not_said_to_wait(client, cast):
    now = utc_now()
    jobs.add("upgrade_seal", {"envelope": "x"}, now=now, run_at=now + timedelta(minutes=5))

    assert [each.waiting for each in queues.overview(now)] == [0, 0, 0, 0]
