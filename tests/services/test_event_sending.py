"""Events out: what is told, that it can be proved, and that it arrives however the receiver behaves."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from portal.channels import web
from portal.errors import Conflict, Invalid
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.event_receivers import EventDelivery, EventMessage, EventReceiver
from portal.models.jobs import Job
from portal.services import (
    audit,
    contract_states,
    contracts,
    event_messages,
    event_receivers,
    event_sending,
    jobs,
    queues,
    readiness,
)
from portal.services.audit import SYSTEM
from tests.services.signing import actor
from tests.services.test_sealing import sent
from tests.simulators.event_receiver import Receiver
from tests.simulators.tsa import running

DOC = Path(__file__).parents[2] / "docs" / "events_out.md"


@pytest.fixture
def there():
    application = Receiver()
    with running(application) as url:
        application.url = url
        yield application
        application.release.set()


def named(there, cast, now, kinds=()):
    there.clock = now.timestamp
    receiver, there.secret = event_receivers.add("CRM", there.url, kinds, by=actor(cast.ada), now=now)
    return receiver


def happen(cast, now, act="contract.signed", **facts):
    """An act of a contract as services write it; returns the contract."""
    contract = Contract.create(
        reference=f"LF-{Contract.select().count()}", title="Support for Claire’s team", side="supplier",
        state="signed", owner=cast.ana, entity=cast.entity, created_at=now, updated_at=now,
    )  # fmt: skip
    with transaction():
        audit.append(
            act, ("contract", contract.id), chain=contract.id, by=actor(cast.ana), now=now, facts=facts,
            personal={"reason": "too dear for Marc"},
        )  # fmt: skip
    return contract


def run(now):
    return jobs.run_due("test", lambda: now)


def only_delivery():
    return EventDelivery.select().get()


def test_an_event_arrives_signed_and_names_nobody(home, cast, now, there):
    named(there, cast, now)

    contract = happen(cast, now, sha256="ab" * 32, to="signed", **{"from": "signing"})
    run(now)

    assert there.taken == [
        {
            "type": "contract.signed",
            "timestamp": "2026-11-23T09:41:00.000Z",
            "data": {
                "reference": contract.reference, "title": contract.title, "state": "signed",
                "former_state": "signing", "side": "supplier", "sha256": "ab" * 32,
                "start_on": None, "end_on": None,
            },
        }
    ]  # fmt: skip
    assert there.refused == 0
    for word in (b"Ana", b"ana@", b"Marc", b"http", b"token"):
        assert word not in there.bodies[0]
    assert (only_delivery().state, only_delivery().answer_status) == ("delivered", 204)


def test_every_move_a_contract_can_make_is_an_event():
    verbs = {f"contract.{move.verb}" for move in contract_states.MOVES.values()}

    assert verbs - set(event_messages.KINDS) == set()


def test_a_real_contract_tells_its_way_to_signing(home, cast, now, there, run_jobs):
    named(there, cast, now)

    sent(cast, now, run_jobs)
    run(now)

    kinds = [each.kind for each in EventMessage.select().order_by(EventMessage.id)]
    assert "contract.sent" in kinds
    assert {each["type"] for each in there.taken} == set(kinds)
    assert there.refused == 0


def test_what_is_rolled_back_is_told_to_nobody(home, cast, now, there):
    named(there, cast, now)

    with pytest.raises(RuntimeError), transaction():
        happen(cast, now)
        raise RuntimeError
    run(now)

    assert (there.calls, EventMessage.select().count()) == ([], 0)


def test_a_receiver_hears_only_what_was_chosen_and_nothing_when_off(home, cast, now, there):
    receiver = named(there, cast, now, ["contract.signed"])

    happen(cast, now, "contract.sent")
    event_receivers.switch(receiver, on=False, by=actor(cast.ada), now=now)
    happen(cast, now, "contract.signed")
    happen(cast, now, "contract.edited")
    run(now)

    assert there.calls == []


@pytest.mark.parametrize("mood", ["fails", "refuses", "redirects"])
def test_a_failed_try_is_repeated_with_the_same_id_and_bytes_and_a_fresh_time(home, cast, now, there, mood):
    named(there, cast, now)
    there.moods = [mood, mood]

    happen(cast, now)
    for minutes in (0, 2, 20):
        there.clock = (now + timedelta(minutes=minutes)).timestamp
        run(now + timedelta(minutes=minutes))

    assert len(there.calls) == 3
    assert len({each["webhook-id"] for each in there.calls}) == 1
    assert len(set(there.bodies)) == 1
    assert len({each["webhook-timestamp"] for each in there.calls}) == 3
    assert (len(there.taken), there.doubles, there.refused) == (1, 0, 0)
    assert (only_delivery().attempts, only_delivery().state) == (3, "delivered")
    assert EventReceiver.get().failing_since is None


def test_one_that_hangs_is_not_waited_for(home, cast, now, there, monkeypatch):
    named(there, cast, now)
    monkeypatch.setattr(web, "SECONDS", (0.2, 0.2))
    there.moods = ["hangs"]

    happen(cast, now)
    run(now)

    assert only_delivery().state == "waiting"
    assert only_delivery().answer_status is None
    assert only_delivery().last_problem


def test_an_answer_too_large_to_read_is_no_answer(home, cast, now, there):
    named(there, cast, now)
    there.moods = ["large"]

    happen(cast, now)
    run(now)

    assert only_delivery().last_problem == "the answer is too large or too slow"


def test_after_all_tries_it_has_failed_and_is_tried_again_by_hand(home, cast, now, there):
    named(there, cast, now)
    there.moods = ["fails"] * 10

    happen(cast, now)
    at = now
    for wait in (timedelta(0), *event_sending.WAITS):
        at += wait
        run(at)

    assert only_delivery().state == "failed"
    job = Job.get(Job.kind == "deliver_event")
    assert queues.retry(job.id, by=actor(cast.ada), now=at)
    there.clock = at.timestamp
    run(at)
    assert only_delivery().state == "delivered"


def test_after_three_days_of_failure_it_is_paused_and_said_on_operations(home, cast, now, there):
    receiver = named(there, cast, now)
    there.moods = ["fails", "fails"]

    happen(cast, now)
    run(now)
    late = now + timedelta(days=3, minutes=1)
    Job.update(run_at=late).where(Job.status == "ready").execute()
    run(late)
    happen(cast, late)
    run(late + timedelta(hours=50))

    fresh = event_receivers.get(receiver.id)
    assert fresh.paused_at is not None
    assert sorted(each.state for each in EventDelivery.select()) == ["held", "held"]
    assert len(there.calls) == 2, "a paused receiver is left alone"
    assert [e["act"] for e in audit.history(audit.INSTALLATION)].count("event_receiver.given_up") == 1
    assert any(c.key == f"events-{receiver.id}" and not c.blocks for c in readiness.concerns(late))

    with pytest.raises(Conflict):
        event_receivers.send_again(fresh, only_id(), by=actor(cast.ada), now=late)
    event_receivers.switch(fresh, on=True, by=actor(cast.ada), now=late)
    there.clock = late.timestamp
    run(late + timedelta(hours=51))
    there.clock = (late + timedelta(hours=51)).timestamp
    run(late + timedelta(hours=51))
    assert len({each["webhook-id"] for each in there.calls}) == 2
    assert not any(c.key.startswith("events-") for c in readiness.concerns(late))


def only_id():
    return EventDelivery.select().order_by(EventDelivery.created_at).first().id


def test_one_that_says_it_is_gone_is_paused_at_once(home, cast, now, there):
    named(there, cast, now)
    there.moods = ["gone"]

    happen(cast, now)
    run(now)

    assert EventReceiver.get().paused_at is not None


def test_a_new_secret_and_the_one_before_both_sign_for_a_day(home, cast, now, there):
    receiver = named(there, cast, now)
    fresh = event_receivers.rotate(receiver, by=actor(cast.ada), now=now)

    happen(cast, now)
    run(now)
    old, there.secret = there.secret, fresh
    happen(cast, now)
    run(now)
    late = now + timedelta(days=1, minutes=1)
    there.clock, there.secret = late.timestamp, old
    happen(cast, late)
    run(late)

    assert len(there.taken) == 2
    assert there.refused == 1
    assert [len(each["webhook-signature"].split()) for each in there.calls] == [2, 2, 1]


def test_sent_again_it_is_recognised_as_the_same(home, cast, now, there):
    receiver = named(there, cast, now)
    happen(cast, now)
    run(now)

    event_receivers.send_again(receiver, only_id(), by=actor(cast.ada), now=now)
    run(now)

    assert (len(there.taken), there.doubles) == (1, 1)
    assert only_delivery().attempts == 2


def test_a_test_message_says_so_and_is_of_no_contract(home, cast, now, there):
    receiver = named(there, cast, now, ["contract.signed"])

    event_receivers.test(receiver, by=actor(cast.ada), now=now)
    run(now)

    assert [each["type"] for each in there.taken] == ["countersign.test"]


def test_the_secret_lies_nowhere_in_plain_words(home, cast, now, there):
    receiver = named(there, cast, now)
    event_receivers.rotate(receiver, by=actor(cast.ada), now=now)
    fresh = event_receivers.get(receiver.id)

    for kept in (fresh.signing_secret, fresh.former_secret):
        assert there.secret not in kept
    assert there.secret not in json.dumps(audit.history(audit.INSTALLATION))


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/in", "https://user:word@hooks.example.com", "https://10.0.0.8/in", "https://[fd12::1]/",
     "https://169.254.169.254/", "https://192.168.1.1", "ftp://hooks.example.com", "hooks.example.com", "",
     "https://hooks.example.com/" + "x" * 500],
)  # fmt: skip
def test_only_an_address_on_the_internet_is_taken(home, cast, now, url):
    with pytest.raises(Invalid):
        event_receivers.add("CRM", url, (), by=actor(cast.ada), now=now)

    assert EventReceiver.select().count() == 0


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.9", "172.16.0.1", "fd12::1", "100.64.0.1"])
def test_a_name_that_turns_out_to_lie_inside_is_refused_when_it_is_called(
    home, cast, now, monkeypatch, address
):
    event_receivers.add("CRM", "https://hooks.example.com/in", (), by=actor(cast.ada), now=now)
    monkeypatch.setattr(web.socket, "getaddrinfo", lambda *_a, **_k: [(2, 1, 6, "", (address, 443))])

    happen(cast, now)
    run(now)

    assert only_delivery().last_problem == f"hooks.example.com lies at {address}"


def test_old_messages_are_forgotten(home, cast, now, there):
    named(there, cast, now)
    happen(cast, now)
    run(now)

    jobs.add("forget_events", now=now + timedelta(days=31))
    run(now + timedelta(days=31))

    assert (EventMessage.select().count(), EventDelivery.select().count()) == (0, 0)


def test_the_receiver_in_the_manual_takes_what_we_send_and_nothing_else(home, cast, now, there):
    program = {}
    exec(re.search(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)[1], program)
    named(there, cast, now)
    happen(cast, now)
    run(now)
    heads, body = there.calls[0], there.bodies[0]

    event = program["read"](heads, body, there.secret, now=now.timestamp())

    assert event["data"]["reference"]
    for changed in (
        (heads, body + b" ", there.secret, now.timestamp()),
        (heads | {"webhook-id": "msg_other"}, body, there.secret, now.timestamp()),
        (heads, body, event_receivers.new_secret(), now.timestamp()),
        (heads, body, there.secret, now.timestamp() + 600),
    ):
        with pytest.raises(ValueError):
            program["read"](*changed[:3], now=changed[3])


def test_a_contract_that_is_withdrawn_tells_no_reason(home, cast, now, there):
    named(there, cast, now)
    contract = happen(cast, now, "contract.edited")
    Contract.update(state="draft").where(Contract.id == contract.id).execute()

    contracts.withdraw(Contract.get_by_id(contract.id), reason="Marc is ill", by=actor(cast.ana), now=now)
    run(now)

    assert [each["type"] for each in there.taken] == ["contract.withdrawn"]
    assert b"Marc" not in there.bodies[0]
    assert SYSTEM.id.encode() not in there.bodies[0]
