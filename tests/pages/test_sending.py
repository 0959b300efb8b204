from __future__ import annotations

import re
from datetime import timedelta

import pytest

from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope, LinkToken, PolicyRule, Recipient
from portal.models.notices import Notice
from portal.models.people import Session
from portal.services import policies
from tests.cast import sign_in
from tests.services.signing import ready, recipient, sent, theirs


@pytest.fixture
def ana(app, cast):
    """Ana's browser, and the real time that pages go by."""
    client = app.test_client()
    sign_in(client, cast.ana, utc_now())
    return client


@pytest.fixture
def ben(app, cast):
    client = app.test_client()
    sign_in(client, cast.ben, utc_now())
    return client


@pytest.fixture
def cleo(app, cast):
    client = app.test_client()
    sign_in(client, cast.cleo, utc_now())
    return client


@pytest.fixture
def contract(cast):
    return ready(cast, utc_now())


def path(contract, rest):
    return f"/contracts/{contract.reference}/{rest}"


def day(days):
    return (utc_now() + timedelta(days=days)).date().isoformat()


def stepped_up(now):
    Session.update(stepped_up_at=now).execute()


# --- Before -----------------------------------------------------------------------------------


@pytest.mark.parametrize("has_phi", [True, False])
def test_our_side_is_in_the_trail_with_each_look_at_health_data(ana, cast, has_phi):
    contract = ready(cast, utc_now(), has_phi=has_phi)
    document = Document.get(Document.kind == "shown")

    for tail in ("send/document.pdf", f"documents/{document.id}"):
        assert ana.get(path(contract, tail)).mimetype == "application/pdf"

    seen = AuditEvent.select().where(AuditEvent.act == "document.viewed").count()
    assert seen == (2 if has_phi else 0)


def test_the_last_look_shows_each_person_their_proof_and_the_exact_pdf(ana, cast):
    policies.seed(utc_now())
    contract = ready(cast, utc_now(), value_amount="60000.00")

    page = ana.get(path(contract, "send"))

    assert page.status_code == 200
    assert "Claire Aubert" in page.text
    assert "Text message or authenticator app" in page.text
    assert "the value, EUR\xa060,000.00, is over EUR\xa050,000.00" in page.text
    assert path(contract, "send/document.pdf") in page.text
    assert ana.get(path(contract, "send/document.pdf")).data.startswith(b"%PDF-")


def test_sending_leads_to_the_page_where_one_waits(ana, contract, run_jobs):
    answer = ana.post(path(contract, "send"), data={"message": "Please sign.", "expires_on": day(10)})

    assert (answer.status_code, answer.headers["Location"]) == (303, path(contract, "signing"))
    run_jobs(utc_now())
    page = ana.get(path(contract, "signing"))
    assert "Waiting for Claire Aubert" in page.text
    assert "Request to sign" in page.text
    assert Envelope.get().expires_at > utc_now() + timedelta(days=9)


@pytest.mark.parametrize("typed", ["", "yesterday", "2001-01-01", "2199-01-01"])
def test_a_day_that_cannot_be_is_refused_with_what_was_typed(ana, contract, typed):
    page = ana.post(path(contract, "send"), data={"message": "Keep this.", "expires_on": typed})

    assert page.status_code == 422
    assert "Keep this." in page.text
    assert 'id="expires_on-reason"' in page.text
    assert Contract.get_by_id(contract.id).state == "ready_to_sign"


def test_a_person_without_the_phone_a_rule_needs_is_named_beside_them(ana, cast):
    policies.seed(utc_now())
    PolicyRule.update(factor="sms").where(PolicyRule.name == "Value over EUR 50,000").execute()
    contract = ready(cast, utc_now(), [theirs(phone="")], value_amount="60000.00")

    page = ana.post(path(contract, "send"), data={"expires_on": day(10)})

    assert page.status_code == 422
    entry = re.search(r'<li id="recipient-claire".*?</li>', page.text, re.DOTALL)[0]
    assert "Claire Aubert must pass “Code by text message” and has no telephone number" in entry
    assert Envelope.select().count() == 0


def test_sending_twice_is_a_conflict_and_one_request(ana, contract):
    data = {"expires_on": day(10)}
    ana.post(path(contract, "send"), data=data)

    again = ana.post(path(contract, "send"), data=data)

    assert again.status_code == 409
    assert Envelope.select().count() == 1


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("get", "send"),
        ("post", "send"),
        ("get", "recipients"),
        ("post", "recipients"),
        ("get", "send/document.pdf"),
    ],
)
def test_a_stranger_finds_nothing(cleo, client, contract, method, rest):
    assert getattr(cleo, method)(path(contract, rest)).status_code == 404
    assert getattr(client, method)(path(contract, rest)).status_code == 404


def test_a_colleague_may_look_but_not_send(ben, contract, cast, run_jobs):
    assert ben.post(path(contract, "send"), data={"expires_on": day(9)}).status_code == 403
    sent(cast, utc_now(), run_jobs, contract)

    assert ben.get(path(contract, "signing")).status_code == 200
    assert "Remind now" not in ben.get(path(contract, "signing")).text


def test_the_text_can_be_reopened_before_it_is_sent(ana, contract):
    answer = ana.post(path(contract, "send/reopening"))

    assert answer.status_code == 303
    assert Contract.get_by_id(contract.id).state == "negotiation"
    assert "Prepare the PDF" in ana.get(path(contract, "send")).text


# --- Meanwhile --------------------------------------------------------------------------------


def test_reminding_works_with_and_without_htmx(ana, cast, contract, run_jobs):
    envelope = sent(cast, utc_now(), run_jobs, contract)
    url = path(contract, f"recipients/{recipient(envelope, 'claire').id}/reminder")

    plain = ana.post(url)
    swapped = ana.post(url, headers={"HX-Request": "true"})

    assert plain.status_code == 303
    assert swapped.status_code == 200
    assert swapped.text.strip().startswith('<section id="people"')
    assert "is written to again" in swapped.text
    assert Notice.select().where(Notice.kind == "reminder").count() == 2


def test_nobody_is_reminded_out_of_turn(ana, cast, contract, run_jobs):
    envelope = sent(cast, utc_now(), run_jobs, contract)

    page = ana.post(path(contract, f"recipients/{recipient(envelope, 'ana').id}/reminder"))

    assert page.status_code == 409
    assert "It is not the turn of" in page.text


def test_correcting_an_address_ends_the_old_link_and_writes_again(ana, cast, contract, run_jobs):
    envelope = sent(cast, utc_now(), run_jobs, contract)
    claire = recipient(envelope, "claire")
    stepped_up(utc_now())
    old = LinkToken.get(LinkToken.recipient == claire)

    answer = ana.post(
        path(contract, f"recipients/{claire.id}/correction"),
        data={"name": "Claire Aubert", "email": "C.Aubert@castellan.example", "phone": "06 12 34 56 39"},
    )

    assert answer.status_code == 303
    mended = Recipient.get_by_id(claire.id)
    assert (mended.email, mended.phone) == ("c.aubert@castellan.example", "+33612345639")
    assert mended.session_epoch == claire.session_epoch + 1
    assert LinkToken.get_by_id(old.sha256).ended_at is not None
    assert Notice.select().where(Notice.address == "c.aubert@castellan.example").count() == 1


def test_correcting_asks_for_a_fresh_code_and_says_from_when_a_new_number_counts(
    ana, cast, contract, run_jobs
):
    envelope = sent(cast, utc_now(), run_jobs, contract)
    claire = recipient(envelope, "claire")
    Recipient.update(factors=["sms"]).where(Recipient.id == claire.id).execute()
    url = path(contract, f"recipients/{claire.id}/correction")
    data = {"name": claire.name, "email": claire.email, "phone": "06 12 34 56 39"}
    Session.update(stepped_up_at=None).execute()

    assert "/step-up" in ana.get(url).headers["Location"]
    assert "/step-up" in ana.post(url, data=data).headers["Location"]
    assert Recipient.get_by_id(claire.id).phone == claire.phone
    stepped_up(utc_now())
    assert ana.post(url, data=data).status_code == 303

    assert "Codes go to the changed number from" in ana.get(path(contract, "signing")).text


def test_a_wrong_number_is_refused_and_says_how_to_write_it(ana, cast, contract, run_jobs):
    claire = recipient(sent(cast, utc_now(), run_jobs, contract), "claire")
    stepped_up(utc_now())

    page = ana.post(
        path(contract, f"recipients/{claire.id}/correction"),
        data={"name": "Claire", "email": "claire@castellan.example", "phone": "12"},
    )

    assert page.status_code == 422
    assert "country code" in page.text
    assert 'value="12"' in page.text


def test_withdrawing_asks_for_a_fresh_code_and_a_reason(ana, cast, contract, run_jobs):
    envelope = sent(cast, utc_now(), run_jobs, contract)
    url = path(contract, "signing/void")
    Session.update(stepped_up_at=None).execute()

    assert "/step-up" in ana.post(url, data={"reason": "Wrong price"}).headers["Location"]
    stepped_up(utc_now())
    assert ana.post(url, data={"reason": " "}).status_code == 422
    assert ana.post(url, data={"reason": "Wrong price"}).status_code == 303

    assert Envelope.get_by_id(envelope.id).ended_reason == "Wrong price"
    assert "Withdrawn" in ana.get(path(contract, "signing")).text
    assert ana.post(url, data={"reason": "Again"}).status_code == 409


def test_another_contracts_recipient_is_not_found(ana, cast, contract, run_jobs):
    other = sent(cast, utc_now(), run_jobs)
    sent(cast, utc_now(), run_jobs, contract)

    url = path(contract, f"recipients/{recipient(other, 'claire').id}/reminder")

    assert ana.post(url).status_code == 404


# --- The list ---------------------------------------------------------------------------------


def draft(cast, people=()):
    contract = ready(cast, utc_now(), list(people))
    Contract.update(state="draft").where(Contract.id == contract.id).execute()
    return Contract.get_by_id(contract.id)


def fields(**changes):
    return {
        "side": "theirs", "name": "Marc Delorme", "email": "marc@castellan.example", "role": "signer",
        "routing_order": "1", "language": "fr", "phone": "06 98 76 54 12", **changes,
    }  # fmt: skip


def test_an_empty_list_can_be_proposed_from_the_contract(ana, cast):
    contract = draft(cast)

    assert "Propose people" in ana.get(path(contract, "recipients")).text
    ana.post(path(contract, "recipients/proposal"))

    listed = Contract.get_by_id(contract.id).recipients
    assert [(p["side"], p["role"], p["routing_order"]) for p in listed] == [
        ("theirs", "signer", 1), ("ours", "signer", 2),
    ]  # fmt: skip
    assert listed[1]["person_id"] == cast.priya.id


def test_adding_reads_national_numbers_in_the_partys_country(ana, cast):
    contract = draft(cast)

    answer = ana.post(path(contract, "recipients"), data=fields())

    assert answer.status_code == 303
    person = Contract.get_by_id(contract.id).recipients[0]
    assert (person["key"], person["phone"]) == ("p1", "+33698765412")
    assert person["organisation"] == "Castellan Pharma SA"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": ""}, "Fill this in."),
        ({"email": "nobody"}, "This is not a mail address."),
        ({"phone": "123"}, "country code"),
        ({"role": "king"}, "Choose one of the answers offered."),
        ({"routing_order": "0"}, "Write a number from 1 to 99."),
        ({"side": "nowhere"}, "Choose one of the answers offered."),
    ],
)
def test_a_refused_person_keeps_what_was_typed(ana, cast, changes, reason):
    contract = draft(cast)

    page = ana.post(path(contract, "recipients"), data=fields(**changes))

    assert page.status_code == 422
    assert reason in page.text
    assert Contract.get_by_id(contract.id).recipients == []


def test_the_same_address_twice_is_refused(ana, cast):
    contract = draft(cast, [theirs()])

    page = ana.post(path(contract, "recipients"), data=fields(email="claire@castellan.example"))

    assert page.status_code == 422
    assert "in the list already" in page.text


def test_ours_without_authority_may_approve_but_not_sign(ana, cast):
    contract = draft(cast)
    data = {"side": "ours", "person_id": cast.ben.id, "routing_order": "1", "language": "en"}

    refused = ana.post(path(contract, "recipients"), data={**data, "role": "signer"})
    taken = ana.post(path(contract, "recipients"), data={**data, "role": "approver"})

    assert refused.status_code == 422
    assert "authorised signatory" in refused.text
    assert taken.status_code == 303


def test_changing_and_removing_work_as_fragment_and_as_page(ana, cast):
    contract = draft(cast, [theirs(), theirs("marc", name="Marc", routing_order=2)])

    changed = ana.post(
        path(contract, "recipients/claire/edit"), data=fields(name="Claire A.", email="ca@x.example")
    )
    removed = ana.post(path(contract, "recipients/marc/removal"), headers={"HX-Request": "true"})

    assert changed.status_code == 303
    assert removed.text.strip().startswith('<div id="recipients"')
    assert [p["name"] for p in Contract.get_by_id(contract.id).recipients] == ["Claire A."]
    assert ana.get(path(contract, "recipients/marc/edit")).status_code == 404


def test_once_prepared_a_signers_name_is_fixed_and_the_address_is_not(ana, contract):
    same = {"name": "Claire Aubert", "title": "IT Director"}
    url = path(contract, "recipients/claire/edit")

    assert ana.post(url, data=fields(**same, email="new@castellan.example")).status_code == 303
    assert ana.post(url, data=fields(**same | {"name": "Somebody Else"})).status_code == 409

    assert Contract.get_by_id(contract.id).recipients[0]["email"] == "new@castellan.example"


def test_no_list_changes_after_sending(ana, cast, contract, run_jobs):
    sent(cast, utc_now(), run_jobs, contract)

    assert ana.post(path(contract, "recipients"), data=fields()).status_code == 409


def test_a_seal_that_is_late_is_said_to_our_side(ana, cast, contract, run_jobs):
    envelope = sent(cast, utc_now(), run_jobs, contract)
    url = path(contract, "signing")
    signed = {"status": "completed", "seal_status": "pending"}
    Envelope.update(**signed, ended_at=utc_now()).where(Envelope.id == envelope.id).execute()
    assert "The company seal is being put on." in ana.get(url).text

    Envelope.update(ended_at=utc_now() - timedelta(minutes=6)).where(Envelope.id == envelope.id).execute()

    assert "The company seal is late." in ana.get(url).text


def test_the_day_is_moved_on_the_page_and_a_wrong_one_is_said_beside_it(ana, ben, cast, now, run_jobs):
    envelope = sent(cast, utc_now(), run_jobs)
    contract, before = envelope.contract, envelope.expires_at
    url = path(contract, "signing/deadline")

    wrong = ana.post(url, data={"expires_on": day(-1)})
    strange = ana.post(url, data={"expires_on": "soon"})
    refused = ben.post(url, data={"expires_on": day(90)})
    right = ana.post(url, data={"expires_on": day(90)})

    assert (wrong.status_code, strange.status_code, refused.status_code) == (422, 422, 403)
    assert "Choose a later day" in wrong.text
    assert right.status_code == 303
    assert Envelope.get_by_id(envelope.id).expires_at > before + timedelta(days=30)
    assert "Take answers longer" in ana.get(path(contract, "signing")).text
