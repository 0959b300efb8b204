from __future__ import annotations

import re

import pytest

from portal.clock import utc_now
from portal.models.event_receivers import EventDelivery, EventReceiver
from portal.models.people import PersonRole, Session
from portal.services import event_receivers, jobs
from tests.cast import person, sign_in
from tests.services.signing import actor


@pytest.fixture
def browser(app, cast):
    """A fresh browser for somebody who has just proved a code."""

    def open_for(who):
        client = app.test_client()
        sign_in(client, who, utc_now())
        Session.update(stepped_up_at=utc_now()).execute()
        return client

    return open_for


@pytest.fixture
def ada(browser, cast):
    return browser(cast.ada)


def typed(**changes):
    return {"name": "CRM", "url": "https://hooks.example.com/in", "contract_signed": "yes", **changes}


def made(cast):
    receiver, _secret = event_receivers.add(
        "CRM", "https://hooks.example.com/in", (), by=actor(cast.ada), now=utc_now()
    )
    return receiver


def test_a_receiver_is_added_and_its_secret_shown_once(ada):
    assert "No receiver yet" in ada.get("/settings/events").text

    answer = ada.post("/settings/events/new", data=typed())

    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", answer.text)[0]
    assert answer.headers["Cache-Control"] == "no-store"
    receiver = EventReceiver.get()
    assert receiver.kinds == ["contract.signed"]
    for path in (
        "/settings/events",
        f"/settings/events/{receiver.id}",
        f"/settings/events/{receiver.id}/settings",
    ):
        page = ada.get(path)
        assert page.status_code == 200
        assert secret not in page.text


@pytest.mark.parametrize(
    ("changes", "field"), [({"name": ""}, "name"), ({"url": "http://x.example"}, "url"), ({"url": ""}, "url")]
)
def test_what_cannot_be_taken_is_said_beside_it_and_nothing_is_lost(ada, changes, field):
    page = ada.post("/settings/events/new", data=typed(**changes))

    assert page.status_code == 422
    assert f'id="{field}-reason"' in page.text
    assert 'name="contract_signed" value="yes" checked' in page.text
    assert EventReceiver.select().count() == 0


def test_it_is_changed_renewed_paused_and_removed(ada, cast):
    receiver = made(cast)
    here = f"/settings/events/{receiver.id}"

    assert ada.post(f"{here}/settings", data=typed(name="Data")).headers["Location"] == here
    assert "whsec_" in ada.post(f"{here}/secret").text
    assert "also signs until" in ada.get(here).text
    ada.post(f"{here}/activity", data={"on": "no"})
    assert "Switched off" in ada.get(here).text
    ada.post(f"{here}/activity", data={"on": "yes"})
    assert ada.get(f"{here}/removal").status_code == 200
    assert ada.post(f"{here}/removal").headers["Location"] == "/settings/events"
    assert ada.get(here).status_code == 404


def test_a_test_message_stands_in_the_list_and_is_sent_again(ada, cast):
    receiver = made(cast)
    here = f"/settings/events/{receiver.id}"

    plain = ada.post(f"{here}/test")
    fragment = ada.post(f"{here}/test", headers={"HX-Request": "true"})

    assert (plain.status_code, plain.headers["Location"]) == (303, here)
    assert fragment.text.lstrip().startswith('<section id="log"')
    assert EventDelivery.select().count() == 2
    sent = EventDelivery.select().first()
    again = f"{here}/messages/{sent.id}/again"
    assert ada.post(again).status_code == 303
    event_receivers.switch(receiver, on=False, by=actor(cast.ada), now=utc_now())
    assert ada.post(again).status_code == 409
    assert ada.post(f"{here}/messages/nothing/again").status_code == 404


def test_pressed_twice_at_once_it_is_queued_once(ada, cast):
    receiver = made(cast)
    ada.post(f"/settings/events/{receiver.id}/test")
    again = f"/settings/events/{receiver.id}/messages/{EventDelivery.get().id}/again"

    ada.post(again)
    ada.post(again)

    assert jobs.Job.select().where(jobs.Job.kind == "deliver_event").count() == 1


@pytest.mark.parametrize("role", ["owner", "legal", "service_manager"])
def test_nobody_but_administrators_gets_there(browser, cast, role):
    receiver = made(cast)
    who = person("Olga", utc_now())
    PersonRole.create(person=who, role=role)
    client = browser(who)

    for path in ("/settings/events", f"/settings/events/{receiver.id}", "/settings/events/new"):
        assert client.get(path).status_code in (403, 404)
    assert client.post("/settings/events/new", data=typed()).status_code in (403, 404)
    assert EventReceiver.select().count() == 1


def test_an_auditor_reads_and_changes_nothing(browser, cast):
    receiver = made(cast)
    who = person("Audrey", utc_now(), ("auditor",))
    client = browser(who)

    page = client.get(f"/settings/events/{receiver.id}")

    assert page.status_code == 200
    assert "Send a test message" not in page.text
    assert client.post(f"/settings/events/{receiver.id}/test").status_code in (403, 404)
