"""What our side does for a signer's proof: step-up first, strangers nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.contracts import Revision
from portal.models.envelopes import EnrolmentCode, OutsideFactor, Task
from portal.models.people import Session
from portal.services import audit, outside_factors, recipients, tasks, timeline
from portal.services.audit import Actor
from tests.cast import sign_in
from tests.services import signing
from tests.services.signing import recipient
from tests.sla import samples


@pytest.fixture
def envelope(cast, app, run_jobs):
    return signing.sent(cast, utc_now(), run_jobs)


@pytest.fixture
def base(envelope):
    return f"/contracts/{envelope.contract.reference}/recipients/{recipient(envelope, 'claire').id}"


def with_app(envelope):
    party, email = outside_factors.owner_of(envelope.contract, recipient(envelope, "claire"))
    return OutsideFactor.create(
        counterparty_id=party, email=email, secret=outside_factors.sealed_for(party, email, "A" * 32),
        enrolled_at=utc_now(), proof="mail_and_sms", active_from=utc_now(), created_at=utc_now(),
    )  # fmt: skip


def with_terms(envelope):
    Revision.update(terms=samples.premium()).where(Revision.contract == envelope.contract).execute()


def step_up(now):
    Session.update(stepped_up_at=now).execute()


def test_ending_an_app_asks_for_a_fresh_code_and_a_reason(client, cast, envelope, base):
    with_app(envelope)
    sign_in(client, cast.ana, utc_now())

    assert client.get(f"{base}/identity").status_code == 200
    asked = client.post(f"{base}/replace-factor", data={"reason": "Telephoned her"})
    assert asked.status_code == 303
    assert "/step-up" in asked.location
    assert OutsideFactor.get().ended_at is None

    step_up(utc_now())
    assert client.post(f"{base}/replace-factor", data={"reason": " "}).status_code == 422
    assert client.post(f"{base}/replace-factor", data={"reason": "Telephoned her"}).status_code == 303
    assert OutsideFactor.get().ended_at is not None
    row = AuditEvent.get(AuditEvent.act == "app.replaced")
    assert cast.ana.id in row.body
    assert "Telephoned" not in row.body


def test_a_handed_over_code_is_shown_once(client, cast, envelope, base):
    sign_in(client, cast.ana, utc_now())
    assert client.post(f"{base}/enrolment-code").status_code == 303
    assert EnrolmentCode.select().count() == 0

    step_up(utc_now())
    page = client.post(f"{base}/enrolment-code").get_data(as_text=True)

    code = re.search(r"<code>([0-9a-z]{5}-[0-9a-z]{5})</code>", page)[1]
    assert EnrolmentCode.get().created_by.id == cast.ana.id
    assert code not in client.get(f"{base}/identity").get_data(as_text=True)


def test_strangers_and_other_contracts_find_nothing(client, cast, envelope, base, run_jobs):
    other = signing.sent(cast, utc_now(), run_jobs)
    crossed = f"/contracts/{other.contract.reference}/recipients/{recipient(envelope, 'claire').id}"

    assert client.get(f"{base}/identity").status_code == 404
    sign_in(client, cast.cleo, utc_now())
    assert client.get(f"{base}/identity").status_code == 404
    sign_in(client, cast.ana, utc_now())
    step_up(utc_now())
    assert client.post(f"{crossed}/enrolment-code").status_code == 404
    assert EnrolmentCode.select().count() == 0


def test_an_answered_request_leaves_the_list(client, cast, envelope, base):
    now = utc_now()
    who = recipient(envelope, "claire")
    task = tasks.add("question", envelope.contract, who, now=now, text="When does it start?")
    sign_in(client, cast.ana, now)
    assert "When does it start?" in client.get(f"{base}/identity").get_data(as_text=True)

    for _press in range(2):
        done = client.post(f"/contracts/{envelope.contract.reference}/requests/{task.id}/done")
        assert done.status_code == 303

    assert tasks.open_for(envelope.contract) == []
    assert AuditEvent.select().where(AuditEvent.act == "task.done").count() == 1
    assert client.post(f"/contracts/{envelope.contract.reference}/requests/none/done").status_code == 404


def test_the_same_question_is_one_task_and_has_a_due_time(cast, envelope):
    now = utc_now()
    who = recipient(envelope, "claire")

    for _press in range(3):
        tasks.add("paper", envelope.contract, who, now=now, text="14 Welsh Back")

    assert Task.select().count() == 1
    assert Task.get().due_at == now + timedelta(days=5)


def test_the_contract_page_says_what_is_asked_and_where_to_answer(client, cast, envelope, base):
    now, page = utc_now(), f"/contracts/{envelope.contract.reference}"
    who = recipient(envelope, "claire")
    with_terms(envelope)
    tasks.add("wrong_number", envelope.contract, who, now=now)
    asked = tasks.add("question", envelope.contract, who, now=now, text="When does it <b>start</b>?")

    sign_in(client, cast.ana, now)
    shown = client.get(page).get_data(as_text=True)
    assert f"{who.name} says the telephone number is not theirs" in shown
    assert "Ask them for their number by another way" in shown
    assert f"/recipients/{who.id}/correction" in shown
    assert "When does it &lt;b&gt;start&lt;/b&gt;?" in shown
    assert f"{base}/identity" in shown

    assert client.post(f"{page}/requests/{asked.id}/done").status_code == 303
    assert "start" not in client.get(page).get_data(as_text=True)


@pytest.mark.parametrize(("who", "links", "ticks"), [("ben", False, False), ("ada", True, False)])
def test_others_read_what_is_asked_and_get_only_what_is_theirs(
    client, cast, envelope, base, who, links, ticks
):
    task = tasks.add("new_phone", envelope.contract, recipient(envelope, "claire"), now=utc_now())
    with_terms(envelope)
    sign_in(client, getattr(cast, who), utc_now())

    shown = client.get(f"/contracts/{envelope.contract.reference}").get_data(as_text=True)

    assert "has a new phone" in shown
    assert (f"{base}/identity" in shown) is links
    assert (f"/requests/{task.id}/done" in shown) is ticks


def test_the_story_of_the_contract_tells_what_was_asked_and_answered(cast, envelope):
    now, who = utc_now(), recipient(envelope, "claire")
    task = tasks.add("paper", envelope.contract, who, now=now)
    asked_by = Actor("recipient", who.id, who.name, who.email)
    audit.append("paper.asked", ("recipient", who.id), chain=envelope.contract.id, by=asked_by, now=now)
    tasks.finish(envelope.contract, task.id, by=signing.actor(cast.ana), now=now)

    told = [each.text for each in timeline.of(envelope.contract)]

    assert told[:2] == ["Ana answered a request of a signer", f"{who.name} asked for paper"]


def test_what_is_done_ticks_off_what_was_asked(cast, envelope):
    now, who = utc_now(), recipient(envelope, "claire")
    with_app(envelope)
    for kind in ("new_phone", "other_way", "wrong_number", "paper"):
        tasks.add(kind, envelope.contract, who, now=now)
    by = signing.actor(cast.ana)

    outside_factors.replace(envelope.contract, who.id, reason="Telephoned her", by=by, now=now)
    outside_factors.hand_over(envelope.contract, who.id, by=by, now=now)
    recipients.correct(who, name=who.name, email=who.email, phone="+33698765412", by=by, now=now)

    assert [task.kind for task in tasks.open_for(envelope.contract)] == ["paper"]
    assert AuditEvent.select().where(AuditEvent.act == "task.done").count() == 3
