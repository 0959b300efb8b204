from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from portal.errors import Invalid, NotFound, TooMany
from portal.models.audit import AuditEvent
from portal.models.notices import Notice
from portal.models.people import Attempt, Person, PersonToken, Session
from portal.services import limits, notices, passwords, person_tokens, sessions, sign_in
from portal.services.audit import Actor
from tests.cast import Cast
from tests.threads import at_once

PASSWORD = "a quiet harbour at dawn é"


@pytest.fixture
def ana(cast: Cast) -> Person:
    Person.update(password_hash=passwords.hashed(PASSWORD)).where(Person.id == cast.ana.id).execute()
    return Person.get_by_id(cast.ana.id)


def check(email: str, password: str, now: datetime, source: str = "192.0.2.1") -> Person:
    return sign_in.check_password(email, password, source=source, now=now)


def test_the_right_password_is_taken_in_every_spelling_of_its_letters(ana: Person, now: datetime) -> None:
    assert check(" ANA@larkfield.example ", PASSWORD, now).id == ana.id
    assert check(ana.email, PASSWORD.replace("é", "e\u0301"), now).id == ana.id
    with pytest.raises(Invalid):
        check(ana.email, PASSWORD.replace("é", "e"), now)


def test_disabled_invited_and_unknown_people_are_refused_alike(
    ana: Person, cast: Cast, now: datetime
) -> None:
    reasons = set()
    Person.update(disabled_at=now).where(Person.id == ana.id).execute()
    for email in (ana.email, cast.ben.email, "nobody@larkfield.example"):
        with pytest.raises(Invalid) as refused:
            check(email, PASSWORD, now)
        reasons.add(str(refused.value.errors))

    assert len(reasons) == 1


def test_an_unknown_address_takes_as_long_as_a_known_one(ana: Person, now: datetime) -> None:
    def took(email: str) -> float:
        begun = time.process_time()
        with pytest.raises(Invalid):
            check(email, "wrong", now, source=email)
        return time.process_time() - begun

    took("warm@larkfield.example")
    known = min(took(ana.email) for _time in range(4))
    unknown = min(took("nobody@larkfield.example") for _time in range(4))

    assert 0.5 < known / unknown < 2


def test_a_hash_with_older_parameters_is_made_anew(ana: Person, now: datetime) -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    Person.update(password_hash=weak).where(Person.id == ana.id).execute()

    check(ana.email, PASSWORD, now)

    kept = Person.get_by_id(ana.id).password_hash
    assert "m=19456,t=2,p=1" in kept
    assert check(ana.email, PASSWORD, now).id == ana.id


def test_after_a_hundred_failures_in_a_row_only_a_mailed_link_helps(ana: Person, now: datetime) -> None:
    """N-1, however slowly the tries come."""
    subject = sessions.digest(f"address:{ana.email}")[:32]
    rows = [
        {"scope": "password", "subject": subject, "source": f"s{n}", "succeeded": False,
         "at": now - timedelta(hours=n * 7)} for n in range(1, 101)
    ]  # fmt: skip
    Attempt.insert_many(rows).execute()

    with pytest.raises(TooMany):
        check(ana.email, PASSWORD, now)
    token = person_tokens.issue("password_reset", email=ana.email, person=ana, now=now)
    sign_in.reset_password(token, PASSWORD, PASSWORD, source="192.0.2.1", now=now)
    assert check(ana.email, PASSWORD, now).id == ana.id


def test_waits_leave_one_entry_in_the_trail_and_no_address_in_its_chain(ana: Person, now: datetime) -> None:
    for _try in range(5):
        with pytest.raises(Invalid):
            check(ana.email, "wrong", now)
    with pytest.raises(TooMany):
        check(ana.email, PASSWORD, now)

    events = list(AuditEvent.select())
    assert [event.act for event in events] == ["sign_in.refused"]
    assert ana.email not in events[0].body


def test_a_reset_link_works_once_and_within_its_time(ana: Person, now: datetime) -> None:
    token = person_tokens.issue("password_reset", email=ana.email, person=ana, now=now)

    with pytest.raises(NotFound):
        sign_in.find_reset(token, now + timedelta(minutes=30))
    with pytest.raises(NotFound):
        sign_in.find_reset("x" + token, now)
    with pytest.raises(NotFound):
        sign_in.use_access_link(token, source="", user_agent="", now=now)
    later = person_tokens.issue("password_reset", email=ana.email, person=ana, now=now)
    with pytest.raises(NotFound):
        sign_in.find_reset(token, now)

    def use() -> str:
        return str(sign_in.reset_password(later, PASSWORD, PASSWORD, source="s", now=now).id)

    assert at_once(use, 6, threads=6).count(ana.id) == 1
    assert PersonToken.select().where(PersonToken.sha256 == later).count() == 0


def test_a_reset_keeps_the_second_factor_and_ends_every_session(ana: Person, now: datetime) -> None:
    open_elsewhere = sessions.open_for(ana, stage="full", now=now)
    token = person_tokens.issue("password_reset", email=ana.email, person=ana, now=now)

    with pytest.raises(Invalid) as refused:
        sign_in.reset_password(token, PASSWORD, PASSWORD + "x", source="s", now=now)
    person = sign_in.reset_password(token, PASSWORD, PASSWORD, source="s", now=now)

    assert "repeated" in refused.value.errors
    assert Person.get_by_id(person.id).totp_secret == ana.totp_secret
    assert sign_in.needs_factor(person)
    assert sessions.find(open_elsewhere, now) is None


def test_an_unknown_address_leaves_neither_link_nor_mail(cast: Cast, now: datetime) -> None:
    sign_in.request_reset("nobody@larkfield.example", source="s", now=now)
    sign_in.send_access_link("nobody@larkfield.example", source="s", language="en", now=now)

    assert PersonToken.select().count() == 0
    assert Notice.select().count() == 0


def test_access_links_are_mailed_in_the_language_asked_for(cast: Cast, now: datetime) -> None:
    sign_in.send_access_link(cast.claire.email, source="s", language="fr", now=now)

    notice = Notice.get()
    assert notice.language == "fr"
    assert notice.subject.startswith("Vos contrats avec")
    assert "/access/" in notices.read(notice)[0]


def test_changing_the_password_asks_for_the_old_one_and_keeps_this_browser(
    ana: Person, now: datetime
) -> None:
    other = sessions.open_for(ana, stage="full", now=now)
    token = sessions.open_for(ana, stage="full", now=now)
    session = sessions.find(token, now)
    assert session is not None
    by = Actor("person", ana.id, ana.name, ana.email, "192.0.2.1")

    with pytest.raises(Invalid) as refused:
        sign_in.change_password(
            session, "wrong", "a new quiet harbour", "a new quiet harbour", by=by, now=now
        )
    sign_in.change_password(session, PASSWORD, "a new quiet harbour", "a new quiet harbour", by=by, now=now)

    assert "current" in refused.value.errors
    assert sessions.find(token, now) is not None
    assert sessions.find(other, now) is None
    assert check(ana.email, "a new quiet harbour", now).id == ana.id
    assert Notice.get().kind == "password_changed"


def test_housekeeping_forgets_what_is_over(ana: Person, now: datetime) -> None:
    from portal.services import jobs

    sessions.open_for(ana, stage="full", now=now - timedelta(days=40))
    person_tokens.issue("password_reset", email=ana.email, person=ana, now=now - timedelta(days=40))
    limits.check("password", "x", "s", now - timedelta(days=40))

    sign_in.sweep({}, jobs.Context(1, "test", 1, lambda: now))

    assert [model.select().count() for model in (Session, PersonToken, Attempt)] == [0, 0, 0]
