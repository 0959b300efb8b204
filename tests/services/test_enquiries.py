"""“Is this message real?”: yes to the person who was asked, one and the same no to everybody else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.errors import TooMany
from portal.models.audit import AuditEvent
from portal.models.base import db
from portal.models.contracts import Contract
from portal.models.envelopes import Recipient
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import enquiries, envelopes, notices, timeline
from portal.services.enquiries import SIGNED_LATELY
from tests.services import ceremony_steps as steps
from tests.services.signing import actor, ready, recipient, sent

REFERENCE, CLAIRE = "LF-2026-0147", "claire@castellan.example"
DAY = timedelta(days=1)


@pytest.fixture
def envelope(cast, now, run_jobs):
    contract = ready(cast, now)
    Contract.update(reference=REFERENCE).where(Contract.id == contract.id).execute()
    return sent(cast, now, run_jobs, Contract.get_by_id(contract.id))


def ask(now, reference=REFERENCE, email=CLAIRE, source="192.0.2.9"):
    return enquiries.ask(reference, email, source=source, now=now)


def acts(act):
    return AuditEvent.select().where(AuditEvent.act == act).count()


def test_yes_says_what_the_mail_says_and_no_more(envelope, cast, now):
    yes = ask(now + DAY, reference=" lf 2026 0147", email=" Claire@Castellan.example")

    assert (yes.company.name, yes.sender.name) == (cast.entity.name, "Ana")
    assert (yes.since, yes.zone) == (now, "Europe/Paris")


@pytest.mark.parametrize(
    ("reference", "email"),
    [
        (REFERENCE, "marc@castellan.example"),
        (REFERENCE, "priya@larkfield.example"),  # whose turn it is not: nobody wrote to her yet
        (REFERENCE, "ana@larkfield.example"),
        ("LF-2026-9999", CLAIRE),
        ("", CLAIRE),
    ],
)
def test_everything_else_is_a_no(envelope, now, reference, email):
    assert ask(now, reference, email) is None


def test_yes_until_a_month_after_they_signed(envelope, now, run_jobs):
    place = steps.enter(envelope, "claire", now)
    steps.agree(place, now)
    steps.prepare(place, now)
    steps.confirm(place, now)

    assert ask(now + SIGNED_LATELY - timedelta(seconds=1)) is not None
    assert ask(now + SIGNED_LATELY) is None


def test_no_once_the_request_is_withdrawn_or_over(envelope, cast, now):
    assert ask(envelope.expires_at) is None
    envelopes.void(envelope, reason="Another start date", by=actor(cast.ana), now=now)
    assert ask(now) is None


def test_a_doubt_reaches_the_owner_once_a_day_and_stands_in_the_history(envelope, now, run_jobs):
    for turn in range(3):
        ask(now, email=f"mallory{turn}@evil.example")
    run_jobs(now)
    told = list(Notice.select().where(Notice.kind == "doubted"))

    assert [mail.address for mail in told] == ["ana@larkfield.example"]
    assert acts("enquiry.doubted") == 1
    assert timeline.of(envelope.contract)[0].text == (
        "Somebody with another address asked whether a message was real"
    )
    ask(now + DAY, email="mallory@evil.example")
    run_jobs(now + DAY)
    assert Notice.select().where(Notice.kind == "doubted").count() == 2


def test_the_owner_reads_nothing_that_a_stranger_typed(envelope, now, run_jobs):
    ask(now, email="win-a-prize.click@evil.example")
    run_jobs(now)
    text, html = notices.read(Notice.get(Notice.kind == "doubted"))

    assert "evil" not in text + html
    assert "prize" not in text + html
    assert not any("evil" in event.body for event in AuditEvent.select())
    assert not any("evil" in str(job.payload) for job in Job.select())


def test_an_address_of_their_own_company_is_told_apart(envelope, now, run_jobs):
    ask(now, email="legal@castellan.example")
    run_jobs(now)

    text = notices.read(Notice.get(Notice.kind == "doubted"))[0]
    assert "castellan.example" in text
    assert "legal@" not in text


def test_a_yes_is_noted_once_a_day_and_tells_nobody(envelope, now, run_jobs):
    for _again in range(3):
        ask(now)
    run_jobs(now)

    assert acts("enquiry.confirmed") == 1
    assert Notice.select().where(Notice.kind == "doubted").count() == 0


def test_an_unknown_reference_leaves_nothing_behind(envelope, now, run_jobs):
    before = (AuditEvent.select().count(), Notice.select().count())
    ask(now, "LF-2026-9999")
    run_jobs(now)

    assert (AuditEvent.select().count(), Notice.select().count()) == before


def test_every_no_is_the_same_work(envelope, now, monkeypatch):
    """The same statements in the same order, whether the reference exists or not."""
    said, real = [], db.obj.execute_sql
    monkeypatch.setattr(db.obj, "execute_sql", lambda sql, *more: said.append(sql) or real(sql, *more))
    work = []
    for number, pair in enumerate([(REFERENCE, "marc@castellan.example"), ("LF-2026-9999", CLAIRE)]):
        said.clear()
        ask(now, *pair, source=f"192.0.2.{number}")
        work.append(list(said))

    assert work[0] == work[1]
    assert work[0]


def test_a_hundred_addresses_get_twenty_answers_about_one_reference(envelope, now):
    answered = 0
    for turn in range(200):
        try:
            ask(now, email=f"guess{turn}@castellan.example", source=f"198.51.100.{turn % 100}")
        except TooMany:
            continue
        answered += 1

    assert answered == 20
    assert ask(now + DAY) is not None


def test_one_address_asks_twenty_times_an_hour_whatever_it_asks(envelope, now):
    with pytest.raises(TooMany):
        for turn in range(21):
            ask(now, reference=f"LF-2026-{turn:04}")

    ask(now, source="192.0.2.10")


def test_who_gets_a_copy_hears_yes_once_it_was_sent(envelope, now):
    Recipient.update(status="copied", asked_at=None, acted_at=now, role="copy").where(
        Recipient.id == recipient(envelope, "claire").id
    ).execute()

    assert ask(now + DAY).since == now
