"""Changing provider: what it breaks is said before, nothing is lost, nothing goes out twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid
from portal.models.envelopes import Envelope, PolicyRule
from portal.models.notices import Notice
from portal.services import connections, envelopes, moves, notices
from portal.services.audit import SYSTEM
from providers.errors import Refused
from tests.services import pigeon
from tests.services.signing import act, actor, ready, send, sent


@pytest.fixture
def loft(monkeypatch):
    found = pigeon.Loft()
    pigeon.install(monkeypatch, found)
    return found


@pytest.fixture
def account(cast, now, loft):
    return pigeon.connected("Pigeon EU", now)


@pytest.fixture
def second(cast, now, loft):
    return pigeon.connected("Pigeon US", now)


def fresh(envelope):
    return Envelope.get_by_id(envelope.id)


def test_the_report_names_what_cannot_go_and_why(cast, now, loft, account, monkeypatch):
    PolicyRule.create(name="Big", condition={}, applies_to="theirs", factor="totp", updated_at=now)
    ready(cast, now)
    report = moves.report(account, now)
    assert (report.rules.total, report.rules.fine) == (1, 1)
    assert (report.drafts.total, report.drafts.fine) == (1, 1)

    pigeon.can(monkeypatch, loft, embedded=False, languages=frozenset({"de"}), approvers=False)
    report = moves.report(account, now)

    assert (report.rules.fine, report.drafts.fine) == (0, 0)
    assert "Pigeon" in report.rules.obstacles[0].reasons[0]
    assert all("FR" in " ".join(each.reasons) for each in report.templates.obstacles)
    assert "People who approve" in " ".join(report.lost)


def test_what_was_refused_goes_through_another_account(cast, now, run_jobs, loft, account, second):
    loft.before.append(Refused("No grain."))
    old = send(cast, now, connection=account)
    run_jobs(now, strict=False)

    new = moves.send_through(fresh(old), second, by=actor(cast.ana), now=now)
    run_jobs(now, strict=False)

    assert fresh(old).status == "voided"
    assert (fresh(new).status, fresh(new).connection.id) == ("sent", second.id)
    assert fresh(new).replaces.id == old.id
    assert len(loft.held) == 1


def test_what_is_being_signed_is_not_moved_by_one_press(cast, now, run_jobs, account, second):
    old = sent(cast, now, run_jobs, connection=account)
    with pytest.raises(Conflict):
        moves.send_through(old, second, by=actor(cast.ana), now=now)


def test_everything_open_is_moved_and_each_is_told_why_in_their_language(
    cast,
    now,
    run_jobs,
    loft,
    account,
    second,
):
    for number in range(6):
        contract = ready(cast, now)
        sent(cast, now, run_jobs, contract, connection=account if number % 2 else None)
    built_in = list(Envelope.select().where(Envelope.connection.is_null()))
    act(built_in[0], "claire", now)

    assert moves.move_all(None, second, by=SYSTEM, now=now) == 3
    assert moves.move_all(account, second, by=SYSTEM, now=now) == 3
    moves.move_all(account, second, by=SYSTEM, now=now)
    for minute in range(4):
        run_jobs(now + timedelta(minutes=minute), strict=False)

    open_now = list(Envelope.select().where(Envelope.status.in_(envelopes.OPEN)))
    assert len(open_now) == 6
    assert {e.connection.id for e in open_now} == {second.id}
    assert Envelope.select().count() == 12
    voided = [notices.read(n)[0] for n in Notice.select().where(Notice.kind == "voided")]
    assert any("désormais" in text for text in voided)


def test_the_plan_changes_the_default_on_its_day_and_moves_the_rest_after_the_last(
    cast,
    now,
    run_jobs,
    loft,
    account,
    second,
):
    connections.make_default(account, by=SYSTEM, now=now)
    old = sent(cast, now, run_jobs, connection=account)
    with pytest.raises(Invalid):
        moves.plan(second, now.date() - timedelta(days=1), None, by=SYSTEM, now=now)
    moves.plan(second, now.date() + timedelta(days=2), now.date() + timedelta(days=4), by=SYSTEM, now=now)
    assert connections.default() == account

    moves.follow(now + timedelta(days=2))
    assert connections.default() == second
    assert fresh(old).status == "sent"
    later = now + timedelta(days=5)
    moves.follow(later)
    for minute in range(3):
        run_jobs(later + timedelta(minutes=minute), strict=False)

    assert fresh(old).status == "voided"
    [new] = Envelope.select().where(Envelope.replaces == old)
    assert new.connection.id == second.id
    assert moves.planned() is None


def test_a_plan_can_be_dropped(cast, now, account, second):
    moves.plan(second, now.date() + timedelta(days=2), None, by=SYSTEM, now=now)
    assert moves.planned().target == second
    moves.forget_plan(by=SYSTEM, now=now)
    moves.follow(now + timedelta(days=3))
    assert connections.default() is None
