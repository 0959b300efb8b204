"""Accounts at providers: secrets stay in their row, states move one way, failures open a breaker."""

from __future__ import annotations

import logging
import sys
from datetime import date, timedelta
from types import ModuleType

import pytest

from portal import scrub
from portal.errors import Conflict, Invalid, NotFound
from portal.models.audit import AuditEvent
from portal.models.connections import Connection
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope
from portal.services import account_checks, calls, connections, envelopes
from portal.services.audit import Actor
from providers import registry
from providers.errors import Refused, Throttled, Unavailable
from providers.interface import Account, Capabilities, Setting, Subscription, Tokens
from tests.services.ceremony_steps import at_once
from tests.services.signing import ready, sent

SECRET = "MARKED-key-9f2c77"
ADA = Actor("person", "ada", "Ada", "ada@larkfield.example")


@pytest.fixture(autouse=True)
def pigeon(monkeypatch):
    """A provider of the tests."""
    module = ModuleType("tests.pigeon")
    module.LABEL, module.CAPABILITIES, module.STEPS = "Pigeon", Capabilities(embedded=True), ()
    module.SETTINGS = (
        Setting(
            "method", "Method", kind="choice", choices=(("key", "Key"), ("oauth", "OAuth")), default="key"
        ),
        Setting("api_key", "API key", kind="secret", when=("method", "key")),
        Setting("client_id", "Client", when=("method", "oauth")),
        Setting("private_key", "Key", kind="pem", required=False),
    )  # fmt: skip
    module.connect = lambda connection: connection
    monkeypatch.setitem(sys.modules, "tests.pigeon", module)
    monkeypatch.setitem(registry.MODULES, "pigeon", "tests.pigeon")


@pytest.fixture
def connection(home, now):
    return connections.create("pigeon", "Pigeon EU", {"api_key": SECRET}, by=ADA, now=now)


@pytest.fixture
def active(connection, now):
    connections.checked(connection, Account("a1", "Larkfield"), by=ADA, now=now)
    return connections.get(connection.id)


def test_secrets_are_encrypted_for_their_row_and_handed_over_opened(connection, now, caplog):
    row = connections.get(connection.id)
    assert SECRET not in str(row.__data__)
    assert connections.of(row).settings == {"method": "key", "api_key": SECRET}
    assert SECRET not in scrub.text(f"said {SECRET}")

    caplog.set_level(logging.DEBUG)
    other = connections.create("pigeon", "Other", {"api_key": "another-key"}, by=ADA, now=now)
    Connection.update(secrets=row.secrets).where(Connection.id == other.id).execute()
    with pytest.raises(Conflict):
        connections.of(connections.get(other.id))
    assert SECRET not in caplog.text
    assert not [e for e in AuditEvent.select() if SECRET in str(e.__data__)]


def test_what_is_asked_for_follows_the_method(home, now):
    with pytest.raises(Invalid) as caught:
        connections.create("pigeon", " ", {"method": "oauth", "private_key": "x"}, by=ADA, now=now)
    assert set(caught.value.errors) == {"name", "client_id", "private_key"}

    made = connections.create(
        "pigeon", "P", {"method": "oauth", "client_id": "c1", "api_key": "no"}, by=ADA, now=now
    )
    assert connections.of(made).settings == {"method": "oauth", "client_id": "c1"}
    with pytest.raises(NotFound):
        connections.create("builtin", "P", {}, by=ADA, now=now)


def test_an_empty_secret_keeps_the_present_one(connection, now):
    connections.change(connection, "Renamed", {"api_key": ""}, by=ADA, now=now)

    row = connections.get(connection.id)
    assert row.name == "Renamed"
    assert connections.of(row).settings["api_key"] == SECRET


def test_tokens_and_subscription_come_back_as_they_were(connection, now):
    tokens = Tokens("acc-MARKED-1", now, "ref-MARKED-1", {"account_id": "7"})
    connections.keep_tokens(connection, tokens)
    connections.keep_subscription(connection, Subscription("s1", "hook-MARKED-1", {"a": "b"}))

    given = connections.of(connections.get(connection.id))
    assert given.tokens == tokens
    assert given.reload() == tokens
    assert given.subscription == Subscription("s1", "hook-MARKED-1", {"a": "b"})
    assert "MARKED" not in repr(given)


def test_only_a_checked_account_becomes_the_default(connection, now):
    with pytest.raises(Conflict):
        connections.make_default(connection, by=ADA, now=now)
    connections.checked(connection, Account("a1", "Larkfield", is_test=True), by=ADA, now=now)
    row = connections.get(connection.id)

    connections.make_default(row, by=ADA, now=now)
    assert connections.default() == row
    connections.pause(row, by=ADA, now=now)
    assert connections.default() is None
    connections.resume(row, by=ADA, now=now)
    assert connections.default() == row
    connections.make_default(None, by=ADA, now=now)
    assert connections.default() is None


def test_the_default_is_judged_by_how_the_account_stands_now(active, now):
    stale = connections.get(active.id)
    connections.disconnect(active, by=ADA, now=now)

    with pytest.raises(Conflict):
        connections.make_default(stale, by=ADA, now=now)
    assert connections.default() is None


def test_a_disconnected_account_forgets_its_secrets(active, now):
    connections.make_default(active, by=ADA, now=now)
    connections.disconnect(active, by=ADA, now=now)

    row = connections.get(active.id)
    assert (row.status, row.secrets, row.tokens) == ("disconnected", "", "")
    assert connections.default() is None
    assert row not in connections.all_connections()
    with pytest.raises(Conflict):
        connections.resume(row, by=ADA, now=now)


def test_secrets_of_a_method_that_was_left_are_forgotten(connection, now):
    given = {"method": "oauth", "client_id": "c1"}
    connections.change(connection, "Pigeon", given, by=ADA, now=now)

    row = connections.get(connection.id)
    assert connections.of(row).settings == given
    assert row.secrets == ""


def test_a_disconnected_account_takes_nothing_in_any_more(active, now):
    connections.disconnect(active, by=ADA, now=now)
    row = connections.get(active.id)

    with pytest.raises(Conflict):
        connections.change(row, "P", {"api_key": "again"}, by=ADA, now=now)
    with pytest.raises(Conflict):
        connections.authorised(row, Tokens("acc", now), by=ADA, now=now)
    for act in (account_checks.rehearse, account_checks.ask_for_calls):
        with pytest.raises(Conflict):
            act(row, by=ADA, now=now)
    assert (connections.get(row.id).secrets, connections.get(row.id).tokens) == ("", "")


def test_an_account_that_nothing_went_through_can_go(connection, now):
    with pytest.raises(Conflict):
        connections.remove(connection, by=ADA, now=now)
    connections.record_failure(connection, "Down.", now)
    connections.disconnect(connection, by=ADA, now=now)
    connections.remove(connection, by=ADA, now=now)

    assert not Connection.select().exists()
    assert AuditEvent.select().where(AuditEvent.act == "connection.removed").exists()


def test_an_account_that_something_was_signed_through_stays(cast, active, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    connections.disconnect(active, by=ADA, now=now)
    Envelope.update(connection=active, status="voided").where(Envelope.id == envelope.id).execute()

    with pytest.raises(Conflict):
        connections.remove(connections.get(active.id), by=ADA, now=now)


def test_nothing_new_is_sent_through_an_account_that_was_just_disconnected(cast, active, now):
    contract = ready(cast, now)
    connections.disconnect(active, by=ADA, now=now)

    with pytest.raises((Conflict, Invalid)):
        envelopes.send(contract, message="", expires_at=now + timedelta(days=9), by=ADA, now=now,
                       connection=active)  # fmt: skip
    with pytest.raises(Conflict):
        connections.hold(active)
    assert not Envelope.select().exists()


def test_sending_and_disconnecting_at_once_leave_nothing_behind(cast, active, now):
    """Whoever comes second sees the first: an open request, or an account that is gone."""
    contract = ready(cast, now)

    def disconnect():
        connections.disconnect(connections.get(active.id), by=ADA, now=now)

    def send():
        envelopes.send(contract, message="", expires_at=now + timedelta(days=9), by=ADA, now=now,
                       connection=active)  # fmt: skip

    went, refused = at_once([send, disconnect])
    assert (went, len(refused)) == (1, 1), refused
    is_open = connections.open_count(active) == 1
    assert ("open there" if is_open else "not in use any more") in refused[0].message
    assert is_open == (connections.get(active.id).status == "active")


def test_health_data_needs_an_agreement_in_force(active, now):
    contract = Contract(has_phi=True)
    assert connections.usable_for(contract, active)
    active.baa_document, active.baa_signed_on = "d1", date(2026, 1, 1)
    assert connections.usable_for(contract, active) == []
    active.baa_expires_on = date(2026, 1, 2)
    [why] = connections.usable_for(contract, active)
    assert "ended on 2 Jan 2026" in why
    assert connections.usable_for(Contract(has_phi=False), active) == []


def test_five_failures_in_a_row_open_the_breaker_and_a_success_closes_it(active, now):
    for _ in range(5):
        assert connections.is_open(active, now) is None
        with pytest.raises(Unavailable), calls.to(active, now):
            raise Unavailable("Down.")
    assert connections.is_open(active, now) == now + timedelta(minutes=2)

    reached = []
    with pytest.raises(calls.Resting) as caught, calls.to(active, now):
        reached.append(1)
    assert reached == []
    assert caught.value.retry_after_s == 120
    later = now + timedelta(minutes=3)
    with calls.to(active, later):
        pass
    assert connections.is_open(active, later) is None
    assert connections.error_rate(active, later) == (6, 5)


def test_the_breaker_rests_longer_each_time_but_never_over_half_an_hour(active, now):
    for _ in range(20):
        connections.record_failure(active, "Down.", now)

    assert connections.is_open(active, now) == now + timedelta(minutes=30)


@pytest.mark.parametrize("answer", [Refused("No."), Throttled("Slow.")])
def test_an_answer_is_no_failure(active, now, answer):
    for _ in range(9):
        with pytest.raises(type(answer)), calls.to(active, now):
            raise answer
    assert connections.is_open(active, now) is None
