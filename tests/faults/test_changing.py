"""Changing provider with much under way, and an archive brought over: real HTTP to simulators that throttle,
fail and cut off, and a worker that is killed on the way."""

from __future__ import annotations

import contextlib
import random
from datetime import timedelta
from typing import Any

import pytest

from portal import failpoints
from portal.models.contracts import Document, RegisteredFile
from portal.models.envelopes import Envelope
from portal.models.imports import ImportedEnvelope
from portal.models.notices import Notice
from portal.services import connections, imports, moves
from portal.services.audit import SYSTEM
from tests.faults.conftest import LONG
from tests.faults.test_providers import Clock, Killed, fresh, undisturbed
from tests.services.signing import ready, send
from tests.simulators.__main__ import made
from tests.simulators.vendor import Vendor

OPEN, ARCHIVED, KILLS = (100, 2000, 10) if LONG else (8, 60, 3)
MOODS = ("429", "500", "503", "reset", "half_body", "garbage")
POINTS = ("archive.after_list", "archive.after_download", "archive.after_store", "job.before_finish")


@pytest.fixture
def database_url(sqlite_template, tmp_path):
    """One kind of database is enough: what is tried here is the line to the provider."""
    import shutil

    shutil.copy(sqlite_template, tmp_path / "countersign.db")
    return f"sqlite:///{tmp_path / 'countersign.db'}"


@pytest.fixture
def vendors():
    with made("docusign").serving() as old, made("dropbox_sign").serving() as new:
        yield old, new


def connected(vendor: Vendor, clock: Clock) -> Any:
    found = connections.create(
        vendor.name, vendor.name, vendor.connection_settings(), by=SYSTEM, now=clock.now, server=vendor.origin
    )
    connections.checked(found, connections.provider(found).check(), by=SYSTEM, now=clock.now)
    return connections.get(found.id)


def moody(vendor: Vendor, chance: random.Random, share: float) -> None:
    """That share of all requests ends badly, except those for a token."""
    vendor._mood = lambda request: (  # type: ignore[method-assign]
        chance.choice(MOODS) if "token" not in request.path and chance.random() < share else ""
    )


def test_a_change_with_much_under_way_loses_and_doubles_nothing(cast, vendors):
    old, new = vendors
    chance, clock = random.Random(4), Clock()
    first, second = connected(old, clock), connected(new, clock)
    for _number in range(OPEN):
        send(cast, clock.now, ready(cast, clock.now), connection=first)
        clock.run()
    before = list(Envelope.select().order_by(Envelope.id))
    assert [each.status for each in before] == ["sent"] * OPEN

    moody(old, chance, 0.1)
    moody(new, chance, 0.1)
    assert moves.move_all(first, second, by=SYSTEM, now=clock.now) == OPEN
    moves.move_all(first, second, by=SYSTEM, now=clock.now)  # pressed again
    clock.run(60)
    undisturbed(old)
    undisturbed(new)
    clock.run(60)

    assert [fresh(each).status for each in before] == ["voided"] * OPEN
    after = list(Envelope.select().where(Envelope.connection == second))
    assert [(each.status, each.problem) for each in after] == [("sent", "")] * OPEN
    assert {each.replaces.id for each in after} == {each.id for each in before}
    assert {e.revision.id for e in after} == {e.revision.id for e in before}  # the same text
    assert sorted(e.status for e in old.sent()) == ["voided"] * OPEN
    assert sorted(e.id for e in new.sent()) == sorted(e.remote_id for e in after)
    assert Notice.select().where(Notice.kind == "voided").count() >= OPEN


def test_an_archive_comes_over_whole_from_an_account_that_throttles_and_fails(cast, vendors, monkeypatch):
    vendor, _other = vendors
    chance, clock = random.Random(7), Clock()
    account = connected(vendor, clock)
    vendor.fill_archive(ARCHIVED, until=clock.now - timedelta(hours=1))
    moody(vendor, chance, 0.05)
    kills = [0]

    def die(name: str) -> None:
        if name in POINTS and kills[0] < KILLS and chance.random() < 2 * KILLS / ARCHIVED:
            kills[0] += 1
            raise Killed

    monkeypatch.setattr(failpoints, "hook", die)
    run = imports.start(account, None, None, by=SYSTEM, now=clock.now)
    for _round in range(40 * KILLS + ARCHIVED):
        with contextlib.suppress(Killed):
            clock.run(1)
        clock.now += timedelta(minutes=2)  # the lease of a dead worker ends; a throttled one may go on
        if imports.get(account, run.id).status != "running":
            break

    counted = imports.count(account)
    assert kills[0] == KILLS
    assert (counted.listed, counted.fetched, counted.unreadable) == (ARCHIVED, ARCHIVED, 0)
    assert imports.get(account, run.id).status == "done"
    brought = ImportedEnvelope.select()
    assert {each.remote_id for each in brought} == {each.id for each in vendor.envelopes.values()}
    assert Document.select().where(Document.kind == "brought").count() == ARCHIVED
    assert RegisteredFile.select().where(RegisteredFile.kind == "provider").count() >= 1
