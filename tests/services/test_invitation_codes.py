"""Into a signing by a typed code: out of the mail, or read out on the telephone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid, NotFound, TooMany
from portal.i18n import use
from portal.models.audit import AuditEvent
from portal.models.base import ALPHABET, db
from portal.models.contracts import Contract
from portal.models.envelopes import Act, InvitationCode, Recipient
from portal.models.notices import Notice
from portal.services import (
    acts,
    ceremonies,
    envelopes,
    evidence,
    factors,
    invitation_codes,
    invitations,
    links,
    notices,
    recipients,
    reminders,
    sessions,
    timeline,
)
from tests.services import ceremony_steps as steps
from tests.services.signing import actor, ready, recipient, sent

MINUTE = timedelta(minutes=1)
REFERENCE = "LF-2026-0147"
CODE = re.compile(r"^ +([0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4})$", re.MULTILINE)


@pytest.fixture
def envelope(cast, now, run_jobs):
    contract = ready(cast, now)
    Contract.update(reference=REFERENCE).where(Contract.id == contract.id).execute()
    return sent(cast, now, run_jobs, Contract.get_by_id(contract.id))


def mailed(envelope, kind="sign_request"):
    """The code printed in the newest mail of this kind, as its reader sees it in both forms."""
    row = (
        Notice.select()
        .where((Notice.kind == kind) & (Notice.contract_id == envelope.contract.id))
        .order_by(Notice.id.desc())
        .first()
    )
    text, html = notices.read(row)
    found = CODE.findall(text)
    assert len(found) == 1
    assert found[0] in html
    return found[0]


def come_in(typed, now, *, reference=REFERENCE, source="192.0.2.9"):
    """Type a pair in a browser of one's own; gives the place as it stands at a moment."""
    code = invitation_codes.find(reference, typed, source=source, now=now)
    token = sessions.open_outside("", now=now)
    place = ceremonies.place_of(code.recipient, None)
    invitations.enter(code, sessions.digest(token), by=place.actor(source), now=now)
    return lambda at=now: ceremonies.find(code.recipient.id, token, at)


def tell(envelope, cast, now, key="claire"):
    who = recipient(envelope, key)
    return invitations.tell(envelope.contract, who.id, by=actor(cast.ana), now=now)


def refused(typed, now, **more):
    with pytest.raises(Invalid) as error:
        come_in(typed, now, **more)
    return error.value.errors


# --- The code of the mail -----------------------------------------------------------------------


def test_the_code_of_the_mail_leads_where_the_link_leads(envelope, now):
    place = come_in(mailed(envelope), now)

    assert ceremonies.state(place(), now) == "consent"
    assert recipient(envelope, "claire").status == "opened"
    steps.asks(envelope, "claire", "sms")
    steps.agree(place, now)
    assert ceremonies.state(place(), now) == "code"
    factors.check_code(place(), steps.send_code(place, now), by=place().actor(), now=now)
    assert ceremonies.state(place(), now) == "read"


def test_a_code_works_once(envelope, now):
    code = mailed(envelope)
    come_in(code, now)

    assert "code" in refused(code, now)
    assert AuditEvent.select().where(AuditEvent.act == "invitation_code.used").count() == 1


@pytest.mark.parametrize(
    "spelling",
    [
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: f"  {code[:2]} {code[2:]} ",
        lambda code: code.replace("-", "–"),
        lambda code: code.replace("0", "O").replace("1", "I"),
        lambda code: code.lower().replace("0", "o").replace("1", "l"),
    ],
)
def test_typing_is_forgiving(envelope, now, spelling):
    come_in(spelling(mailed(envelope)), now)


@pytest.mark.parametrize(
    "typed",
    ["lf-2026-0147", " LF 2026 0147 ", "LF–2026–0147", "lf20260147", "LF_2026-0147".replace("_", "/")],
)
def test_references_are_taken_as_people_type_them(envelope, now, typed):
    come_in(mailed(envelope), now, reference=typed)


def test_a_code_has_forty_bits_of_letters_nobody_mistakes_and_is_kept_as_its_hmac(envelope, now):
    who = recipient(envelope, "claire")
    made = [invitation_codes.plain(invitation_codes.issue(who, now=now)) for _each in range(300)]

    assert len(set(made)) == 300
    assert set("".join(made)) == set(ALPHABET)
    assert {len(code) for code in made} == {8}
    assert not set("ilou") & set(ALPHABET)
    kept = str(list(InvitationCode.select().dicts()))
    assert not any(code in kept.lower() for code in made)
    newest = InvitationCode.select().order_by(InvitationCode.id.desc()).first()
    assert newest.code_hmac == invitation_codes.digest(who.id, made[-1])
    assert newest.code_hmac != invitation_codes.digest("another", made[-1])


def test_each_reminder_carries_a_fresh_code_and_ends_the_one_before(envelope, cast, now):
    first = mailed(envelope)
    later = now + timedelta(hours=48)
    reminders.remind_now(recipient(envelope, "claire"), by=actor(cast.ana), now=later)
    second = mailed(envelope, "reminder")

    assert first != second
    refused(first, later)
    come_in(second, later)


def test_a_code_ends_with_the_request(envelope, now):
    code = mailed(envelope)

    refused(code, envelope.expires_at)
    come_in(code, envelope.expires_at - timedelta(seconds=1))


def void(envelope, cast, now):
    envelopes.void(envelope, reason="Another start date", by=actor(cast.ana), now=now)


def correct(envelope, cast, now):
    who = recipient(envelope, "claire")
    recipients.correct(
        who, name=who.name, email="c.aubert@castellan.example", phone=who.phone, by=actor(cast.ana), now=now
    )


def disown(envelope, cast, now):
    place = steps.enter(envelope, "claire", now)
    acts.not_for_me(place(), text="", by=place().actor(), now=now)


@pytest.mark.parametrize("happens", [void, correct, disown])
def test_codes_die_when_links_do(envelope, cast, now, happens):
    codes = [mailed(envelope), tell(envelope, cast, now).code]

    happens(envelope, cast, now)

    for code in codes:
        refused(code, now)
    assert not InvitationCode.select().where(InvitationCode.ended_at.is_null()).count() or happens is correct


def test_unknown_wrong_and_ended_are_refused_in_the_same_words(envelope, cast, now):
    code = mailed(envelope)
    reminders.remind_now(recipient(envelope, "claire"), by=actor(cast.ana), now=now)
    answers = [
        refused("K7QM-4FXD", now),
        refused("K7QM-4FXD", now, reference="LF-2026-9999"),
        refused(code, now),
        refused("", now),
        refused(mailed(envelope, "reminder"), now, reference="nothing like one"),
    ]

    assert all(answer == answers[0] for answer in answers)
    assert list(answers[0]) == ["code"]


def test_as_much_is_computed_for_an_unknown_reference_as_for_a_known_one(envelope, now, monkeypatch):
    """As many digests, and the same statements in the same order."""
    done, digest, execute = [], invitation_codes.digest, db.obj.execute_sql
    monkeypatch.setattr(invitation_codes, "digest", lambda *given: done.append("digest") or digest(*given))
    monkeypatch.setattr(db.obj, "execute_sql", lambda sql, *more: done.append(sql) or execute(sql, *more))
    work = []
    for reference in (REFERENCE, "LF-2026-9999"):
        done.clear()
        refused("K7QM-4FXD", now, reference=reference)
        work.append(list(done))

    assert work[0] == work[1]
    assert work[0].count("digest") > invitation_codes.MOST_LIVE


# --- The code read out ---------------------------------------------------------------------------


def test_a_code_read_out_works_for_half_an_hour_beside_the_one_in_the_mail(envelope, cast, now):
    told = tell(envelope, cast, now)
    assert told.until == now + 30 * MINUTE

    refused(told.code, now + 30 * MINUTE)
    come_in(told.code, now + 30 * MINUTE - timedelta(seconds=1))
    come_in(mailed(envelope), now)


def test_a_newer_code_to_read_out_ends_the_older_one(envelope, cast, now):
    first, second = tell(envelope, cast, now), tell(envelope, cast, now)

    refused(first.code, now)
    come_in(second.code, now)


def test_the_person_is_told_by_mail_and_the_history_names_who_made_it(envelope, cast, now):
    told = tell(envelope, cast, now)

    mail = Notice.get(Notice.kind == "code_made")
    text = notices.read(mail)[0]
    assert mail.address == "claire@castellan.example"
    assert "Ana" in text
    assert told.code not in text
    assert timeline.of(envelope.contract)[0].text == ("Ana made a code to be read out to Claire Aubert")
    assert not any(told.code in row.body for row in AuditEvent.select())


def test_letters_are_spelled_for_the_telephone():
    told = invitations.Told("K7QM-4FXD", until=None)

    assert told.spoken == "Kilo 7 Quebec Mike, 4 Foxtrot X-ray Delta"
    assert {letter.upper() for letter in ALPHABET if letter.isalpha()} == set(invitations.SPOKEN)


def test_none_is_made_where_it_proves_too_little(envelope, cast, now):
    health = Contract.update(has_phi=True).where(Contract.id == envelope.contract.id)
    health.execute()
    envelope.contract = Contract.get_by_id(envelope.contract.id)
    steps.asks(envelope, "claire")
    with pytest.raises(Conflict, match="health"):
        tell(envelope, cast, now)

    steps.asks(envelope, "claire", "sms")
    tell(envelope, cast, now)


def test_none_is_made_for_our_own_people_nor_out_of_turn(envelope, cast, now, run_jobs):
    with pytest.raises(Conflict, match="turn"):
        tell(envelope, cast, now, "ana")
    Recipient.update(status="sent").where(Recipient.key == "ana").execute()
    with pytest.raises(Conflict, match="Our own"):
        tell(envelope, cast, now, "ana")
    void(envelope, cast, now)
    with pytest.raises(Conflict, match="withdrew"):
        tell(envelope, cast, now)


def test_only_this_contracts_people_get_one(envelope, cast, now, run_jobs):
    other = sent(cast, now, run_jobs)

    with pytest.raises(NotFound):
        invitations.tell(other.contract, recipient(envelope, "claire").id, by=actor(cast.ana), now=now)


def test_codes_to_read_out_are_not_made_without_end(envelope, cast, now):
    with pytest.raises(TooMany):
        for _press in range(20):
            tell(envelope, cast, now)


# --- What the evidence says -----------------------------------------------------------------------


def signed(envelope, place, now):
    steps.agree(place, now)
    steps.prepare(place, now)
    steps.confirm(place, now)
    act = Act.get(Act.recipient == recipient(envelope, "claire"))
    with use("en"):
        return act.factors, factors.sentences(act.factors, "claire@castellan.example", "Europe/Paris")


def test_the_evidence_says_that_the_code_came_by_mail(envelope, now):
    checked, said = signed(envelope, come_in(mailed(envelope), now), now)

    assert [each["factor"] for each in checked] == ["mail_code"]
    assert said == ["Code mailed to claire@castellan.example, typed in Mon 23 Nov 2026, 10:41\u00a0CET"]


def test_the_evidence_names_who_read_a_code_out_and_what_that_leaves_open(envelope, cast, now):
    checked, said = signed(envelope, come_in(tell(envelope, cast, now).code, now), now)

    assert checked == [{"factor": "told_code", "at": now.isoformat(timespec="seconds"), "by": cast.ana.id}]
    assert said[0].startswith("Code read out by Ana by telephone, typed in Mon 23 Nov 2026")
    assert "does not show who reads the mail" in said[0]
    assert said[1].startswith("Nothing else was checked")
    person = evidence.described(evidence.gather(envelope), recipient(envelope, "claire"))
    assert len(person["verified"]) == 2


def test_a_mailed_link_opened_later_stands_beside_the_code_read_out(envelope, cast, now):
    code = invitation_codes.find(REFERENCE, tell(envelope, cast, now).code, source="192.0.2.9", now=now)
    token = sessions.open_outside("", now=now)
    by = ceremonies.place_of(code.recipient, None).actor()
    invitations.enter(code, sessions.digest(token), by=by, now=now)
    link, place = ceremonies.of_link(links.issue(recipient(envelope, "claire"), now=now), now)
    ceremonies.enter(link, place, sessions.digest(token), by=by, now=now)

    checked, said = signed(
        envelope, lambda at=now: ceremonies.find(recipient(envelope, "claire").id, token, at), now
    )

    assert [each["factor"] for each in checked] == ["link", "told_code"]
    assert not any("Nothing else" in sentence for sentence in said)


# --- Guessing (the rest is in tests/security/test_guessing.py) -------------------------------------


def test_five_wrong_codes_from_one_place_make_it_wait_and_the_link_still_works(envelope, now):
    for _try in range(5):
        refused("K7QM-4FXD", now)

    with pytest.raises(TooMany):
        come_in(mailed(envelope), now)
    assert ceremonies.state(steps.enter(envelope, "claire", now)(), now) == "consent"
    come_in(mailed(envelope), now, source="198.51.100.7")


def test_codes_that_were_right_are_not_counted_against_anybody(envelope, cast, now):
    for turn in range(60):
        at = now + turn * MINUTE
        code = invitation_codes.issue(recipient(envelope, "claire"), now=at)
        come_in(code, at)
