"""`/open` and `/is-this-real`, and the code our side reads out: pages for people who press no links."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from portal.clock import utc_now
from portal.models.contracts import Contract, Revision
from portal.models.envelopes import InvitationCode, Recipient, Right
from portal.models.notices import Notice
from portal.models.people import Person, Session
from portal.services import entities, invitation_codes, notices
from portal.services.audit import SYSTEM
from tests.cast import sign_in
from tests.services import signing
from tests.services.signing import recipient, theirs
from tests.sla import samples

REFERENCE, CLAIRE = "LF-2026-0147", "claire@castellan.example"
LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8"/></svg>'
WRONG = "This reference and this code do not belong together"


@pytest.fixture
def envelope(cast, app, run_jobs):
    contract = signing.ready(cast, utc_now(), [theirs(language="en"), signing.ours(cast)])
    Contract.update(reference=REFERENCE).where(Contract.id == contract.id).execute()
    Revision.update(terms=samples.premium()).where(Revision.contract == contract).execute()
    return signing.sent(cast, utc_now(), run_jobs, Contract.get_by_id(contract.id))


def text_of(answer):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())


def mail(kind="sign_request"):
    return notices.read(Notice.select().where(Notice.kind == kind).order_by(Notice.id.desc()).first())


def code_of(envelope):
    return invitation_codes.issue(recipient(envelope, "claire"), now=utc_now())


def type_in(client, reference, code, **more):
    return client.post("/open", data={"reference": reference, "code": code}, **more)


def ask(client, email, reference=REFERENCE, **more):
    return client.post("/is-this-real", data={"reference": reference, "email": email}, **more)


# --- The mail and the page of the link ------------------------------------------------------------


def test_the_mail_says_who_asks_how_to_come_in_without_a_link_and_where_to_doubt_it(envelope, cast):
    text, page = mail()

    assert re.search(r"About \d+ minutes: \d+ pages? to read, your signature\.", text)
    for said in (text, html.unescape(page)):
        assert "Ana, +44 117 496 0182 (Larkfield Software Ltd)" in said
        assert "a password, a payment, or a code by telephone" in said.lower()
        assert "/open into your browser, then the reference LF-2026-0147" in said
        assert "/is-this-real?reference=LF-2026-0147" in said
    assert re.search(r"^ +[0-9A-Z]{4}-[0-9A-Z]{4}$", text, re.MULTILINE)


def test_a_colleague_with_a_number_of_their_own_is_named_with_it(cast, app, run_jobs, client):
    Person.update(phone="+441174960199").where(Person.id == cast.ana.id).execute()
    cast.ana.phone = "+441174960199"
    signing.sent(cast, utc_now(), run_jobs)
    link = re.search(r"/sign/\S+", mail()[0])[0]

    assert "Ana, +44 117 496 0199\n" in mail()[0]
    page = client.get(link).get_data(as_text=True)
    assert 'href="tel:+441174960199"' in page
    assert "(Larkfield" not in page


def test_the_page_of_the_link_shows_logo_colleague_number_and_the_way_to_doubt_it(client, envelope, cast):
    entities.set_logo(cast.entity, LOGO, by=SYSTEM, now=utc_now())
    page = client.get(re.search(r"/sign/\S+", mail()[0])[0])
    body = page.get_data(as_text=True)

    assert f"/ceremony/logos/{cast.entity.id}" in body or f"{cast.entity.id}" in body
    assert client.get(re.search(r'<img src="([^"]+)"', body)[1]).data.startswith(b"<svg")
    assert "Ana, +44 117 496 0182 (Larkfield Software Ltd)" in text_of(page)
    assert "A password or a payment" in body
    assert "/is-this-real?reference=LF-2026-0147" in body


# --- /open ------------------------------------------------------------------------------------------


def test_a_right_pair_opens_the_signing_with_what_the_mail_said(client, envelope):
    answer = type_in(client, "lf 2026 0147", code_of(envelope).lower().replace("-", " "))

    assert answer.status_code == 303
    assert answer.location == f"/ceremony/{recipient(envelope, 'claire').id}"
    shown = text_of(client.get(answer.location))
    assert "Larkfield Software Ltd asks you to sign a contract" in shown
    assert "What we never ask" in shown
    agreed = client.post(f"{answer.location}/consent", data={"consent": "yes", "language": "en"})
    assert agreed.status_code == 303
    assert "Check before you sign" in text_of(client.get(answer.location))


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_wrong_pair_keeps_what_was_typed_and_gives_no_right(client, envelope, headers):
    answer = type_in(client, REFERENCE, "K7QM-4FXD", headers=headers)

    assert answer.status_code == 422
    assert WRONG in text_of(answer)
    assert 'value="LF-2026-0147"' in answer.get_data(as_text=True)
    assert 'value="K7QM-4FXD"' in answer.get_data(as_text=True)
    assert "countersign-signing" not in str(answer.headers.getlist("Set-Cookie"))
    assert Right.select().count() == Session.select().count() == 0


def test_empty_fields_are_named_and_not_counted(client, envelope):
    for _press in range(9):
        answer = type_in(client, "", "")

    assert answer.status_code == 422
    assert text_of(answer).count("Fill this in.") == 4  # beside each field and in the summary


def test_unknown_and_wrong_look_alike(client, envelope):
    pages = [
        type_in(client, reference, "K7QM-4FXD")
        .get_data(as_text=True)
        .replace(REFERENCE, "…")
        .replace("LF-2026-9999", "…")
        for reference in (REFERENCE, "LF-2026-9999")
    ]

    assert re.sub(r"csrf_token\" value=\"[^\"]*", "", pages[0]) == re.sub(
        r"csrf_token\" value=\"[^\"]*", "", pages[1]
    )


def test_after_too_many_the_page_points_to_the_link(client, envelope):
    for _try in range(5):
        type_in(client, REFERENCE, "K7QM-4FXD")
    answer = type_in(client, REFERENCE, code_of(envelope))

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "the link in it works all the same" in text_of(answer)
    assert client.get(re.search(r"/sign/\S+", mail()[0])[0]).status_code == 200


@pytest.mark.parametrize("path", ["/open", "/is-this-real"])
def test_reading_fills_in_the_reference_of_the_address_and_nothing_else(client, envelope, path):
    page = client.get(f"{path}?reference=LF-2026-0147&code=K7QM-4FXD&email=a@b.example").get_data(
        as_text=True
    )

    assert 'value="LF-2026-0147"' in page
    assert 'value="K7QM' not in page
    assert 'value="a@b' not in page
    assert InvitationCode.select().where(InvitationCode.used_at.is_null(False)).count() == 0


def test_two_people_who_typed_codes_in_one_browser_never_mix(client, envelope):
    Recipient.update(status="sent").where(Recipient.key == "ana").execute()
    first = type_in(client, REFERENCE, code_of(envelope)).location
    second = type_in(
        client, REFERENCE, invitation_codes.issue(recipient(envelope, "ana"), now=utc_now())
    ).location

    assert first != second
    assert "Claire Aubert" in text_of(client.get(first))
    assert "Priya" in text_of(client.get(second))


# --- /is-this-real ------------------------------------------------------------------------------------


def test_yes_names_company_colleague_and_day(client, envelope):
    answer = ask(client, CLAIRE)
    said = text_of(answer)

    assert answer.status_code == 200
    assert "Yes, it is real" in said
    assert "Ana, +44 117 496 0182 (Larkfield Software Ltd)" in said
    assert "Europe/Paris" in said
    assert "Premium support" not in said
    assert "/open?reference=LF-2026-0147" in answer.get_data(as_text=True)


def test_no_says_what_to_do_and_nothing_of_ours(client, envelope):
    pages = []
    for email, reference in (("mallory@evil.example", REFERENCE), (CLAIRE, "LF-2026-9999")):
        answer = ask(client, email, reference)
        pages.append(text_of(answer).replace(REFERENCE, "…").replace("LF-2026-9999", "…"))
        assert answer.status_code == 200

    assert pages[0] == pages[1]
    assert "We know of no such message" in pages[0]
    assert "Open no link in the message" in pages[0]
    assert "Ana" not in pages[0]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_an_address_that_is_none_is_refused_beside_its_field(client, envelope, headers):
    answer = ask(client, "not an address", headers=headers)

    assert answer.status_code == 422
    assert "This is not a mail address" in text_of(answer)
    assert 'value="not an address"' in answer.get_data(as_text=True)
    assert 'value="LF-2026-0147"' in answer.get_data(as_text=True)


def test_a_doubt_stands_on_the_contract_page(client, cast, envelope, run_jobs):
    ask(client, "mallory@evil.example")
    run_jobs(utc_now() + timedelta(seconds=1))
    sign_in(client, cast.ana, utc_now())

    assert "Somebody with another address asked whether a message was real" in text_of(
        client.get(f"/contracts/{REFERENCE}")
    )


def test_the_check_of_documents_leads_here(client, envelope):
    assert "/is-this-real" in client.get("/verify").get_data(as_text=True)
    assert "/is-this-real" in client.get("/open").get_data(as_text=True)


# --- A code to read out ---------------------------------------------------------------------------------


@pytest.fixture
def press(envelope):
    return f"/contracts/{REFERENCE}/recipients/{recipient(envelope, 'claire').id}/invitation-code"


def test_the_owner_makes_a_code_after_a_fresh_code_of_their_own_and_sees_it_once(
    client, cast, envelope, press
):
    sign_in(client, cast.ana, utc_now())
    assert press in client.get(f"/contracts/{REFERENCE}/signing").get_data(as_text=True)
    asked = client.post(press)
    assert (asked.status_code, asked.location) == (303, "/step-up?" + urlencode({"next": press}))
    assert press in client.get(press).get_data(as_text=True)
    Session.update(stepped_up_at=utc_now()).execute()

    shown = client.post(press).get_data(as_text=True)

    code = re.search(r"<code>([0-9A-Z]{4}-[0-9A-Z]{4})</code>", shown)[1]
    assert "/open" in shown
    for page in (f"/contracts/{REFERENCE}/signing", f"/contracts/{REFERENCE}"):
        assert code not in client.get(page).get_data(as_text=True)
    stranger = client.application.test_client()
    assert type_in(stranger, REFERENCE, code).status_code == 303


def test_where_none_is_made_the_page_says_why(client, cast, envelope, press):
    Contract.update(has_phi=True).execute()
    Recipient.update(factors=[]).execute()
    sign_in(client, cast.ana, utc_now())
    Session.update(stepped_up_at=utc_now()).execute()
    answer = client.post(press)

    assert answer.status_code == 409
    assert "health information" in text_of(client.get(press))
    assert "health information" in text_of(answer)
    assert press not in client.get(f"/contracts/{REFERENCE}/signing").get_data(as_text=True)


def test_a_colleague_and_a_stranger_make_none(client, cast, envelope, press):
    for person, status in ((cast.ben, 403), (cast.cleo, 404)):
        sign_in(client, person, utc_now())
        Session.update(stepped_up_at=utc_now()).execute()
        assert client.post(press).status_code == status
        assert InvitationCode.select().where(InvitationCode.way == "told").count() == 0
