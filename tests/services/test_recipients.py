from __future__ import annotations

from datetime import timedelta

import pytest

from portal.errors import Conflict, Invalid, NotFound, TooMany
from portal.models.contracts import Contract
from portal.models.envelopes import Consent, LinkToken, PolicyRule, Recipient, SmsCode
from portal.models.notices import Notice
from portal.services import envelopes, policies, recipients
from tests.services.signing import act, actor, consent, ours, ready, recipient, send, sent, theirs


def draft(cast, now, people=(), **values):
    contract = ready(cast, now, list(people), **values)
    Contract.update(state="draft").where(Contract.id == contract.id).execute()
    return Contract.get_by_id(contract.id)


def typed(**changes):
    return {
        "side": "theirs", "role": "signer", "routing_order": 1, "name": "Marc  Delorme ",
        "email": "Marc@Castellan.example", "phone": "+33698765412", "language": "fr", **changes,
    }  # fmt: skip


def mend(cast, now, who, **changes):
    values = {"name": "X", "email": "x@x.example", "phone": "", **changes}
    recipients.correct(who, **values, by=actor(cast.ana), now=now)


def test_adding_keeps_one_line_names_and_small_addresses(cast, now):
    contract = draft(cast, now)

    person = recipients.add(contract, typed(name="Marc\nDelorme"), by=actor(cast.ana), now=now)

    assert (person["name"], person["email"], person["key"]) == (
        "Marc Delorme",
        "marc@castellan.example",
        "p1",
    )
    assert Contract.get_by_id(contract.id).recipients == [person]


def test_two_people_adding_at_once_are_both_kept(cast, now):
    first, second = draft(cast, now), None
    second = Contract.get_by_id(first.id)

    recipients.add(first, typed(), by=actor(cast.ana), now=now)
    recipients.add(second, typed(email="b@castellan.example"), by=actor(cast.ana), now=now)

    assert [p["key"] for p in Contract.get_by_id(first.id).recipients] == ["p1", "p2"]


def test_a_key_is_not_used_again_for_somebody_else_beside_it(cast, now):
    contract = draft(cast, now)
    for name in ("a", "b"):
        recipients.add(contract, typed(email=f"{name}@x.example"), by=actor(cast.ana), now=now)

    recipients.remove(contract, "p1", by=actor(cast.ana), now=now)
    recipients.remove(contract, "p1", by=actor(cast.ana), now=now)

    assert [p["key"] for p in contract.recipients] == ["p2"]
    with pytest.raises(NotFound):
        recipients.one(contract, "p1")


def test_our_people_come_from_their_accounts(cast, now):
    contract = draft(cast, now)

    person = recipients.add(
        contract, typed(side="ours", person_id=cast.priya.id, name="Forged", email="forged@x.example"),
        by=actor(cast.ana), now=now,
    )  # fmt: skip

    assert (person["name"], person["email"]) == (cast.priya.name, cast.priya.email)
    assert (person["title"], person["organisation"]) == ("Managing Director", cast.entity.name)


@pytest.mark.parametrize(
    "email", ["a b@x.example", "a@x.example\r\nBcc: all@x.example", "a@x.example,b@x.example", ""]
)
def test_an_address_that_could_carry_more_than_one_is_refused(cast, now, email):
    with pytest.raises(Invalid) as refused:
        recipients.add(draft(cast, now), typed(email=email), by=actor(cast.ana), now=now)

    assert "email" in refused.value.errors


def test_a_stranger_is_nobody_of_ours(cast, now):
    with pytest.raises(Invalid) as refused:
        recipients.add(
            draft(cast, now), typed(side="ours", person_id=cast.cleo.id), by=actor(cast.ana), now=now
        )

    assert "person_id" in refused.value.errors


def test_the_other_companys_contacts_are_offered_until_they_are_listed(cast, now):
    contract = draft(cast, now)
    assert {c.name for c in recipients.their_contacts(contract)} == {"Claire Aubert", "Marc Delorme"}

    recipients.add(contract, typed(email="marc@castellan.example"), by=actor(cast.ana), now=now)

    assert [c.name for c in recipients.their_contacts(contract)] == ["Claire Aubert"]


def test_correcting_forgets_every_proof_of_before(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    claire = recipient(envelope, "claire")
    consent(claire, now)
    SmsCode.create(recipient=claire, code_sha256="00", sent_at=now, expires_at=now + timedelta(minutes=10))

    recipients.correct(
        claire, name="Claire Aubert", email="aubert@castellan.example", phone="+33612345638",
        by=actor(cast.ana), now=now,
    )  # fmt: skip

    assert LinkToken.select().where(LinkToken.ended_at.is_null()).count() == 1
    assert SmsCode.get().used_at == now
    assert Consent.get().withdrawn_at == now
    assert Notice.select().where(Notice.address == "aubert@castellan.example").count() == 1


def test_correcting_before_their_turn_writes_to_nobody(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    recipients.correct(
        recipient(envelope, "ana"),
        name="Priya",
        email="p@larkfield.example",
        phone="",
        by=actor(cast.ana),
        now=now,
    )

    assert not Notice.select().where(Notice.address == "p@larkfield.example").exists()
    assert Recipient.get(Recipient.key == "ana").status == "waiting"


def test_who_has_acted_is_never_corrected(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    act(envelope, "claire", now)

    with pytest.raises(Conflict, match="already answered"):
        recipients.correct(
            recipient(envelope, "claire"),
            name="X",
            email="x@x.example",
            phone="",
            by=actor(cast.ana),
            now=now,
        )


def test_nothing_is_corrected_in_a_request_that_is_over(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    envelopes.void(envelope, reason="Stop", by=actor(cast.ana), now=now)

    with pytest.raises(Conflict, match="withdrew"):
        recipients.correct(
            recipient(envelope, "claire"),
            name="X",
            email="x@x.example",
            phone="",
            by=actor(cast.ana),
            now=now,
        )


def test_a_number_the_rule_needs_cannot_be_taken_away(cast, now, run_jobs):
    policies.seed(now)
    PolicyRule.update(factor="sms").where(PolicyRule.factor == "sms_or_totp").execute()
    envelope = sent(cast, now, run_jobs, ready(cast, now, value_amount=60_000))

    with pytest.raises(Invalid) as refused:
        recipients.correct(
            recipient(envelope, "claire"), name="Claire", email="claire@castellan.example", phone="",
            by=actor(cast.ana), now=now,
        )  # fmt: skip

    assert "phone" in refused.value.errors


def test_correcting_over_and_over_to_one_address_is_limited(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)

    with pytest.raises(TooMany):
        for turn in range(30):
            mend(
                cast,
                now,
                recipient(envelope, "claire"),
                name=f"Claire {turn}",
                email="victim@elsewhere.example",
            )

    assert Notice.select().where(Notice.address == "victim@elsewhere.example").count() <= 12


def test_what_a_provider_cannot_check_is_refused_before_sending(cast, now, monkeypatch):
    import providers.builtin
    from providers.interface import Capabilities

    policies.seed(now)
    monkeypatch.setattr(providers.builtin, "CAPABILITIES", Capabilities(approvers=True))
    contract = ready(cast, now, [theirs(), ours(cast)], value_amount=60_000)

    with pytest.raises(Invalid) as refused:
        send(cast, now, contract)

    assert (
        refused.value.errors["recipient-claire"]
        == "builtin cannot check this factor: Text message or authenticator app."
    )
