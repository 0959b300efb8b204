from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.models import base
from portal.models.people import Person, PersonRole, Session
from portal.services import permissions, sessions
from portal.services.audit import Actor
from tests.cast import Cast

BY = Actor("system", "test")


def test_tokens_are_kept_as_digests_and_never_alike(cast: Cast, now: datetime) -> None:
    tokens = [sessions.new_token() for _number in range(10_000)]
    token = sessions.open_for(cast.ana, stage="full", now=now)

    assert len(set(tokens)) == 10_000
    assert all(len(each) == 43 for each in tokens)
    row = Session.get()
    assert token not in str(row.__data__)
    assert row.sha256 == sessions.digest(token)


@pytest.mark.parametrize(
    ("who", "idle", "absolute"),
    [("ana", 30, 720), ("ada", 15, 720), ("cleo", 60, 720)],
)
def test_sessions_end_when_idle_and_when_old(
    cast: Cast, now: datetime, who: str, idle: int, absolute: int
) -> None:
    token = sessions.open_for(getattr(cast, who), stage="full", now=now)
    last = now + timedelta(minutes=idle) - timedelta(seconds=1)

    assert sessions.find(token, last) is not None  # and was seen then
    assert sessions.find(token, last + timedelta(minutes=idle)) is None
    Session.update(seen_at=now + timedelta(minutes=absolute)).execute()
    assert sessions.find(token, now + timedelta(minutes=absolute)) is None
    Session.update(seen_at=now + timedelta(minutes=absolute - 1)).execute()
    assert sessions.find(token, now + timedelta(minutes=absolute - 1)) is not None


def test_outside_sessions_hold_an_address_and_an_hour(cast: Cast, now: datetime) -> None:
    token = sessions.open_outside("claire@castellan.example", now=now)

    found = sessions.find(token, now + timedelta(minutes=59))
    assert found is not None
    assert (found.person, found.email, found.stage) == (None, "claire@castellan.example", "outside")
    assert sessions.find(token, now + timedelta(minutes=59 + 60)) is None


def test_finding_a_session_is_one_query_and_a_write_a_minute(
    cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    PersonRole.create(person=cast.ana, role="legal")
    token = sessions.open_for(cast.ana, stage="full", now=now)
    asked: list[str] = []
    run = base.db.obj.execute_sql
    monkeypatch.setattr(base.db.obj, "execute_sql", lambda sql, *rest: asked.append(sql) or run(sql, *rest))

    for second in (1, 20, 59):
        found = sessions.find(token, now + timedelta(seconds=second))
        assert found is not None
        assert permissions.roles_of(found.person) == {"owner", "legal"}
    assert len(asked) == 3
    assert all(sql.startswith("SELECT") for sql in asked)
    sessions.find(token, now + timedelta(seconds=61))
    sessions.find(token, now + timedelta(seconds=62))
    assert [sql.split()[0] for sql in asked[3:]] == ["SELECT", "UPDATE", "SELECT"]


def test_a_new_stage_has_a_new_token_and_the_old_one_is_dead(cast: Cast, now: datetime) -> None:
    half = sessions.open_for(cast.ana, stage="password", now=now)
    session = sessions.find(half, now)
    assert session is not None

    full = sessions.complete(session, now=now)
    stepped = sessions.step_up(session, now=now + timedelta(minutes=1))

    assert sessions.find(half, now) is None
    assert sessions.find(full, now) is None
    found = sessions.find(stepped, now + timedelta(minutes=1))
    assert found is not None
    assert found.stage == "full"
    assert sessions.is_stepped_up(found, now + timedelta(minutes=5))
    assert not sessions.is_stepped_up(found, now + timedelta(minutes=6))


def test_a_session_renewed_twice_at_once_is_renewed_once(cast: Cast, now: datetime) -> None:
    token = sessions.open_for(cast.ana, stage="full", now=now)
    one, two = sessions.find(token, now), sessions.find(token, now)
    assert one is not None
    assert two is not None

    assert sessions.step_up(one, now=now)
    assert sessions.step_up(two, now=now) == ""


def test_disabling_a_person_shuts_sessions_at_once(cast: Cast, now: datetime) -> None:
    token = sessions.open_for(cast.ana, stage="full", now=now)
    Person.update(disabled_at=now).where(Person.id == cast.ana.id).execute()

    assert sessions.find(token, now) is None


def test_a_person_sees_and_ends_their_own_sessions_only(cast: Cast, now: datetime) -> None:
    tokens = [sessions.open_for(cast.ana, stage="full", now=now) for _number in range(3)]
    bens = sessions.open_for(cast.ben, stage="full", now=now)
    ben_session = sessions.find(bens, now)
    kept = sessions.find(tokens[0], now)
    assert ben_session is not None

    assert len(sessions.of(cast.ana, now)) == 3
    assert not sessions.end_named(cast.ana, sessions.name_of(ben_session), by=BY, now=now)
    second = sessions.find(tokens[1], now)
    assert second is not None
    assert sessions.end_named(cast.ana, sessions.name_of(second), by=BY, now=now)
    assert sessions.find(tokens[1], now) is None
    assert sessions.end_all(cast.ana, by=BY, now=now, keep=kept) == 1
    assert [sessions.find(token, now) is not None for token in tokens] == [True, False, False]
    assert sessions.find(bens, now) is not None


def test_what_is_remembered_lives_beside_what_was_there(cast: Cast, now: datetime) -> None:
    session = sessions.find(sessions.open_for(cast.ana, stage="full", now=now), now)
    assert session is not None

    sessions.remember(session, first="1", second="2")
    sessions.remember(session, first=None, third="3")

    assert Session.get().pending == {"second": "2", "third": "3"}


def test_old_sessions_are_swept(cast: Cast, now: datetime) -> None:
    sessions.open_for(cast.ana, stage="full", now=now - timedelta(hours=13))
    sessions.open_for(cast.ana, stage="full", now=now)

    sessions.sweep(now)

    assert Session.select().count() == 1
    assert not sessions.find("", now)
    rows: Any = list(Session.select())
    assert sessions.find(rows[0].sha256, now) is None  # the digest is no token
