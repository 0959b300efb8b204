"""The signer's way, as a browser without script walks it."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import pyotp
import pytest

from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.contracts import Document, PageImage
from portal.models.envelopes import Act, Consent, Envelope, LinkToken, OutsideFactor, Recipient, Right, Task
from portal.models.notices import Notice
from portal.models.people import Session
from portal.services import documents, links, notices, sms_use
from portal.services.audit import SYSTEM
from tests.services import signing
from tests.services.signing import ours, recipient, theirs
from tests.services.sms import leave_through
from tests.simulators.sms import running
from tests.simulators.twilio import Twilio

PICTURE = (
    b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
)


@pytest.fixture
def sent(cast, app, run_jobs):
    """Send a contract to these people now; its pages have pictures."""

    def send(*people, **values):
        now = utc_now()
        contract = signing.ready(cast, now, list(people) or None, **values)
        envelope = signing.sent(cast, now, run_jobs, contract)
        if not PageImage.select().where(PageImage.document == envelope.document).exists():
            for number in range(1, envelope.document.pages + 1):
                PageImage.create(
                    document=envelope.document, number=number, width=794, height=1123,
                    text=f"Page {number}\n\nThe Supplier answers <within> 30 minutes.",
                    storage_key=documents.put(PICTURE).storage_key,
                )  # fmt: skip
        return envelope

    return send


def plain(**changes):
    """A signer who needs only the link."""
    return theirs(**{"language": "en", **changes})


def marc(**changes):
    """A second signer of the other side; the sample PDF has its spot under the key "ana"."""
    return plain(key="ana", name="Marc Delorme", email="marc@castellan.example", **changes)


def with_factors(envelope, key, *factors, **values):
    Recipient.update(factors=list(factors), **values).where(
        (Recipient.envelope == envelope) & (Recipient.key == key)
    ).execute()


def link_for(envelope, key, purpose="sign"):
    return f"/sign/{links.issue(recipient(envelope, key), now=utc_now(), purpose=purpose)}"


def newest_code(envelope):
    row = Notice.select().where(Notice.kind == "signing_code").order_by(Notice.id.desc()).first()
    return notices.read(row)[0].rsplit("#", 1)[1].strip()


def ceremony(envelope, key, tail=""):
    return f"/ceremony/{recipient(envelope, key).id}{tail}"


def begin(client, envelope, key="claire"):
    return client.post(link_for(envelope, key), data={"consent": "yes", "language": "en"})


def fill(client, envelope, key="claire", **changes):
    data = {"name": "Claire Aubert", "title": "IT Director", "bind": "yes", "read": "yes", "language": "en"}
    return client.post(ceremony(envelope, key, "/signature"), data={**data, **changes})


def confirm(client, envelope, key="claire", sha256=None):
    sha256 = sha256 or envelope.document.sha256
    return client.post(ceremony(envelope, key, "/confirm"), data={"document_sha256": sha256})


def text_of(answer):
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))


def snapshot():
    """How many rows every table touched by a signing has."""
    tables = (Session, Right, Consent, Act, AuditEvent, Notice, Task, LinkToken)
    return [table.select().count() for table in tables] + [str(list(Recipient.select().dicts()))]


# --- The link --------------------------------------------------------------------------------


def test_opening_the_link_changes_nothing(client, sent):
    envelope = sent(plain())
    url = link_for(envelope, "claire")
    before = snapshot()

    for _visit in range(3):
        answer = client.get(url)
        assert answer.status_code == 200
        assert client.head(url).status_code == 200

    assert snapshot() == before
    assert "Set-Cookie" not in answer.headers or "countersign-signing" not in answer.headers["Set-Cookie"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    for words in ("Larkfield Software Ltd asks you to sign", "Claire Aubert, for Castellan Pharma SA", "Ana",
                  "Europe/Paris", "What we never ask"):  # fmt: skip
        assert words in " ".join(text_of(answer).split()), words


def test_an_unknown_token_is_the_same_404_as_any_stranger_gets(client, sent):
    sent(plain())

    unknown, stranger = client.get("/sign/" + "x" * 43), client.get("/ceremony/nobody")

    assert unknown.status_code == stranger.status_code == 404
    strip = re.compile(rb"<code>[0-9a-f]+</code>|value=\"[^\"]*\"")
    assert strip.sub(b"", unknown.data) == strip.sub(b"", stranger.data)


def test_a_signer_who_needs_only_the_link_sees_three_screens(client, sent):
    envelope = sent(plain())

    assert "Step 1 of 3" in text_of(client.get(link_for(envelope, "claire")))
    entered = begin(client, envelope)
    assert entered.status_code == 303
    assert entered.location == ceremony(envelope, "claire")
    reading = client.get(entered.location)
    assert "Step 2 of 3" in text_of(reading)
    assert b"&lt;within&gt;" in reading.data
    assert fill(client, envelope).status_code == 303
    checking = client.get(entered.location)
    assert "Step 3 of 3" in text_of(checking)
    assert "I am authorised to bind Castellan Pharma SA." in text_of(checking)
    assert confirm(client, envelope).status_code == 303
    assert "You have signed, Claire Aubert" in text_of(client.get(entered.location))

    act = Act.get()
    assert (act.kind, act.name, act.title, act.signature_kind) == (
        "sign",
        "Claire Aubert",
        "IT Director",
        "typed",
    )
    assert act.authority == "I am authorised to bind Castellan Pharma SA."
    assert act.intent.startswith("By pressing “Sign LF-2026-")
    assert act.document_sha256 == envelope.document.sha256
    assert Consent.get().demonstration == "reading_pages"
    assert recipient(envelope, "claire").status == "signed"
    assert Notice.select().where(Notice.kind == "acknowledgement").count() == 1


def test_without_consent_nothing_goes_on(client, sent):
    envelope = sent(plain())
    url = link_for(envelope, "claire")

    refused = client.post(url, data={})

    assert refused.status_code == 422
    assert "Tick the box to go on" in text_of(refused)
    assert Consent.select().count() == Right.select().count() == 0
    assert client.get(ceremony(envelope, "claire")).status_code == 404


def test_a_form_without_its_secret_is_refused(app, client, sent):
    envelope = sent(plain())
    app.config["WTF_CSRF_ENABLED"] = True

    refused = begin(client, envelope)

    assert refused.status_code == 400
    assert Right.select().count() == 0


def test_a_form_from_another_site_is_refused(client, sent):
    envelope = sent(plain())

    refused = client.post(
        link_for(envelope, "claire"), data={"consent": "yes"}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert refused.status_code == 400
    assert Right.select().count() == 0


def test_every_exchange_gives_the_browser_a_new_token(client, sent):
    envelope = sent(plain())
    begin(client, envelope)
    first = client.get_cookie("countersign-signing").value

    begin(client, envelope)

    second = client.get_cookie("countersign-signing").value
    assert second != first
    assert client.get(ceremony(envelope, "claire")).status_code == 200
    client.set_cookie("countersign-signing", first)
    assert client.get(ceremony(envelope, "claire")).status_code == 404


# --- Codes -------------------------------------------------------------------------------------


def test_a_code_makes_it_four_screens_and_another_browser_needs_its_own(client, app, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms")

    page = begin(client, envelope).location
    asked = client.get(page)
    assert "Step 2 of 4" in text_of(asked)
    assert "number ending 38" in " ".join(text_of(asked).split())
    assert "+33612345638" not in text_of(asked)
    assert client.get(page + "/pages/1.webp").status_code == 404
    assert client.get(page + "/document.pdf").status_code == 404
    wrong = client.post(page + "/code/check", data={"code": "x"})
    assert wrong.status_code == 422
    assert client.post(page + "/code/check", data={"code": newest_code(envelope)}).status_code == 303
    assert "Step 3 of 4" in text_of(client.get(page))
    assert client.get(page + "/pages/1.webp").mimetype == "image/webp"

    other = app.test_client()
    other.post(link_for(envelope, "claire"))
    assert "Step 2 of 4" in text_of(other.get(page))
    assert other.get(page + "/pages/1.webp").status_code == 404
    assert fill(other, envelope).status_code == 409


def test_the_text_message_binds_the_code_to_this_site(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms")
    begin(client, envelope)

    row = Notice.get(Notice.kind == "signing_code")
    text = notices.read(row)[0]

    assert row.address == "+33612345638"
    assert re.fullmatch(r"@127\.0\.0\.1 #\d{6}", text.splitlines()[-1])


def test_totp_is_enrolled_after_the_text_message_and_kept_for_next_time(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "totp")
    page = begin(client, envelope).location

    client.post(page + "/code/check", data={"code": newest_code(envelope)})
    screen = client.get(page).get_data(as_text=True)
    key = re.search(r'id="key">([A-Z2-7 ]+)<', screen)[1].replace(" ", "")
    assert "otpauth://totp/" in screen
    assert client.get(page + "/qr.svg").mimetype == "image/svg+xml"
    done = client.post(page + "/totp/enrol/check", data={"code": pyotp.TOTP(key).now()})
    assert done.status_code == 303
    assert "Read, then sign" in text_of(client.get(page))
    fill(client, envelope)
    confirm(client, envelope)

    checked = {each["factor"]: each for each in Act.get().factors}
    assert checked["totp"]["enrolled"] == "mail_and_sms"
    assert key not in str(list(OutsideFactor.select().dicts()))


def test_an_app_stands_for_the_text_message_unless_one_is_asked_for(client, app, sent):
    first = sent(plain())
    with_factors(first, "claire", "totp")
    page = begin(client, first).location
    client.post(page + "/code/check", data={"code": newest_code(first)})
    key = re.search(r'id="key">([A-Z2-7 ]+)<', client.get(page).text)[1].replace(" ", "")
    client.post(page + "/totp/enrol/check", data={"code": pyotp.TOTP(key).now()})
    texts = Notice.select().where(Notice.kind == "signing_code")
    assert texts.count() == 1

    envelope = sent(plain())
    with_factors(envelope, "claire", "sms")
    browser = app.test_client()
    assert "Type a code from your authenticator app" in text_of(browser.get(link_for(envelope, "claire")))
    page = begin(browser, envelope).location

    assert "Type the code of your authenticator app" in text_of(browser.get(page))
    assert texts.count() == 1
    assert "A code by text message" in text_of(browser.get(page + "?by=text"))
    browser.post(page + "/code")
    assert "Type the code from the text message" in text_of(browser.get(page))
    browser.post(page + "/code/check", data={"code": newest_code(envelope)})
    assert "Read, then sign" in text_of(browser.get(page))


def test_the_number_is_not_mine_stops_messages_and_tells_the_sender(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms")
    page = begin(client, envelope).location

    assert client.post(page + "/not-my-number").status_code == 303

    assert recipient(envelope, "claire").problem == "not_mine"
    assert Task.get().kind == "wrong_number"
    assert Notice.select().where(Notice.kind == "signer_task").count() == 1
    assert client.post(page + "/code").status_code == 409
    screen = text_of(client.get(page))
    assert "You said that the number is not yours" in screen
    assert 'type="tel"' not in client.get(page).get_data(as_text=True)


# --- Two people, one browser ----------------------------------------------------------------------


def test_two_links_in_one_browser_never_mix(client, sent):
    envelope = sent(plain(), marc())
    for key in ("claire", "ana"):
        begin(client, envelope, key)

    fill(client, envelope, "ana", name="Marc Delorme", title="Director")
    hers, his = client.get(ceremony(envelope, "claire")), client.get(ceremony(envelope, "ana"))
    assert "Read, then sign" in text_of(hers)
    assert "Check, then sign" in text_of(his)
    confirm(client, envelope, "ana")

    assert Act.get().name == "Marc Delorme"
    assert recipient(envelope, "claire").status == "opened"


def test_another_recipients_id_is_404_everywhere(client, app, sent):
    envelope = sent(plain(), marc())
    begin(client, envelope, "claire")
    stranger = recipient(envelope, "ana").id

    tried = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/ceremony/<recipient_id>"):
            continue
        values = {"recipient_id": stranger, "number": 1, "what": "decline"}
        url = rule.build({name: values[name] for name in rule.arguments})[1]
        for method in rule.methods - {"OPTIONS"}:
            assert client.open(url, method=method, data={"reason": "x"}).status_code == 404, (method, url)
            tried += 1

    assert tried > 30
    assert Act.select().count() == 0


# --- Order, time, doubles ---------------------------------------------------------------------------


def test_steps_cannot_be_skipped(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms")
    begin(client, envelope)

    assert fill(client, envelope).status_code == 409
    assert confirm(client, envelope).status_code == 409
    client.post(ceremony(envelope, "claire", "/code/check"), data={"code": newest_code(envelope)})
    assert confirm(client, envelope).status_code == 409
    assert Act.select().count() == 0


def test_another_document_than_the_one_shown_is_not_signed(client, sent):
    envelope = sent(plain())
    begin(client, envelope)
    fill(client, envelope)

    assert confirm(client, envelope, sha256="0" * 64).status_code == 409
    assert Act.select().count() == 0


def test_a_file_changed_in_the_store_is_not_signed(client, sent):
    envelope = sent(plain())
    begin(client, envelope)
    fill(client, envelope)
    other = documents.put(b"%PDF-1.7 another text")
    Document.update(storage_key=other.storage_key).where(Document.id == envelope.document.id).execute()

    refused = confirm(client, envelope)

    assert refused.status_code == 409
    assert "not the one that was sent" in text_of(refused)
    assert Act.select().count() == 0
    assert AuditEvent.select().where(AuditEvent.act == "document.found_changed").count() == 1


def test_what_is_missing_in_the_signature_stands_beside_it_and_nothing_is_lost(client, sent):
    envelope = sent(plain())
    begin(client, envelope)

    refused = fill(client, envelope, title="", bind="", read="", name="Claire A.")

    assert refused.status_code == 422
    shown = refused.get_data(as_text=True)
    assert 'value="Claire A."' in shown
    for name in ("title", "bind", "read"):
        assert f'id="{name}-reason"' in shown


def test_a_drawn_signature_is_kept_as_drawn(client, sent):
    envelope = sent(plain())
    begin(client, envelope)

    assert fill(client, envelope, drawn="M1 1L2 2<script>").status_code == 422
    fill(client, envelope, drawn="M10 10L20 30L40 35M50 50L60 60")
    assert b'd="M10 10L20 30L40 35M50 50L60 60"' in client.get(ceremony(envelope, "claire")).data
    confirm(client, envelope)

    act = Act.get()
    assert (act.signature_kind, act.signature_path) == ("drawn", "M10 10L20 30L40 35M50 50L60 60")


def test_pressing_twice_signs_once(client, sent):
    envelope = sent(plain())
    begin(client, envelope)
    fill(client, envelope)

    assert [confirm(client, envelope).status_code for _press in range(3)] == [303, 303, 303]
    assert Act.select().count() == 1


def test_an_approver_approves_and_signs_nothing(client, cast, sent, run_jobs):
    envelope = sent(plain(key="marc", role="approver", name="Marc Delorme"), plain())

    assert "asks you to approve" in text_of(client.get(link_for(envelope, "marc")))
    begin(client, envelope, "marc")
    client.post(ceremony(envelope, "marc", "/signature"), data={"read": "yes", "language": "en"})
    assert "Approve LF-" in text_of(client.get(ceremony(envelope, "marc")))
    confirm(client, envelope, "marc")

    act = Act.get()
    assert (act.kind, act.signature_kind, act.authority) == ("approve", "", "")
    assert recipient(envelope, "claire").status == "sent"


# --- Every end has its page ---------------------------------------------------------------------------


def test_every_end_has_a_page_that_shows_no_document(client, app, cast, sent, run_jobs):
    from portal.services import envelopes
    from portal.services.audit import SYSTEM

    envelope = sent(plain())
    url = link_for(envelope, "claire")
    begin(client, envelope)
    envelopes.void(envelope, reason="Wrong price", by=SYSTEM, now=utc_now())

    inside, outside = client.get(ceremony(envelope, "claire")), app.test_client().get(url)
    for answer in (inside, outside):
        assert "This request was withdrawn" in text_of(answer)
        assert b"/pages/" not in answer.data
    assert outside.status_code == 410
    assert client.post(url, data={"consent": "yes"}).status_code == 410
    assert client.get(ceremony(envelope, "claire", "/pages/1.webp")).status_code == 404
    assert fill(client, envelope).status_code == 409


def test_after_the_time_is_over_nobody_signs(client, sent):
    envelope = sent(plain())
    begin(client, envelope)
    fill(client, envelope)
    Envelope.update(expires_at=utc_now() - timedelta(seconds=1)).where(Envelope.id == envelope.id).execute()

    assert confirm(client, envelope).status_code == 409
    assert "The time to sign has run out" in text_of(client.get(ceremony(envelope, "claire")))
    assert Act.select().count() == 0


def test_who_is_not_yet_asked_only_learns_that(client, cast, sent):
    envelope = sent(plain(), ours(cast))

    begin(client, envelope, "ana")

    answer = client.get(ceremony(envelope, "ana"))
    assert "It is not your turn yet" in text_of(answer)
    assert fill(client, envelope, "ana").status_code == 409


def test_declining_needs_a_reason_and_ends_it(client, sent):
    envelope = sent(plain())
    begin(client, envelope)
    url = ceremony(envelope, "claire", "/decline")

    assert client.get(url).status_code == 200
    assert client.post(url, data={"text": " "}).status_code == 422
    assert client.post(url, data={"text": "Too expensive"}).status_code == 303
    assert "You have declined" in text_of(client.get(ceremony(envelope, "claire")))
    assert client.post(url, data={"text": "Again"}).status_code == 303

    assert Act.get().reason == "Too expensive"
    assert Envelope.get_by_id(envelope.id).status == "declined"


def test_not_for_me_ends_the_links_and_tells_the_sender(client, app, sent):
    envelope = sent(plain())
    url = link_for(envelope, "claire")
    aside = client.post(url + "/not-me")
    assert aside.location == ceremony(envelope, "claire", "/not-me")

    client.post(aside.location, data={"text": "Ask Marc"})

    assert "not for you" in text_of(client.get(ceremony(envelope, "claire")))
    assert Task.get().text == "Ask Marc"
    assert app.test_client().get(url).status_code == 410


def test_consent_taken_back_stops_signing_until_it_is_given_again(client, sent):
    envelope = sent(plain())
    begin(client, envelope)
    page = ceremony(envelope, "claire")

    client.post(page + "/withdraw")
    assert "You took your consent back" in text_of(client.get(page))
    assert fill(client, envelope).status_code == 409
    assert recipient(envelope, "claire").problem == "consent_withdrawn"
    assert Task.get().kind == "consent_withdrawn"
    client.post(page + "/consent", data={"consent": "yes", "language": "en"})

    assert "Read, then sign" in text_of(client.get(page))
    assert [row.withdrawn_at is None for row in Consent.select().order_by(Consent.given_at)] == [False, True]


@pytest.mark.parametrize(
    ("what", "kind"),
    [("paper", "paper"), ("question", "question"), ("new-phone", "new_phone"), ("other-way", "other_way")],
)
def test_what_is_asked_of_us_becomes_a_task(client, sent, what, kind):
    envelope = sent(plain())
    begin(client, envelope)
    url = ceremony(envelope, "claire", f"/{what}")

    assert client.get(url).status_code == 200
    answer = client.post(url, data={"text": "Telephone me"})

    assert "has been told" in text_of(client.get(answer.location)) or Task.get().kind == kind
    task = Task.get()
    assert (task.kind, task.text, task.recipient.id) == (
        kind,
        "Telephone me",
        recipient(envelope, "claire").id,
    )
    assert task.due_at is not None


def test_a_consumer_opens_a_pdf_and_types_its_word(client, sent, run_jobs):
    import pypdfium2

    envelope = sent(plain(is_consumer=True))
    page = client.post(link_for(envelope, "claire")).location
    assert "type the word" in text_of(client.get(page))
    run_jobs(utc_now())
    opened = pypdfium2.PdfDocument(client.get(page + "/sample.pdf").data)
    words = opened[0].get_textpage().get_text_range().split()

    refused = client.post(page + "/consent", data={"consent": "yes", "word": "contract", "language": "en"})
    assert refused.status_code == 422
    from portal.services import consents

    word = consents.word_for(recipient(envelope, "claire"), "en")
    assert word in words
    client.post(page + "/consent", data={"consent": "yes", "word": word.upper(), "language": "en"})

    assert Consent.get().demonstration == "word_typed"
    assert "Read, then sign" in text_of(client.get(page))


# --- French, files, /mine -----------------------------------------------------------------------------


def test_the_recipients_language_is_spoken_and_recorded(client, sent):
    envelope = sent(theirs())
    url = link_for(envelope, "claire")

    first = client.get(url).get_data(as_text=True)
    assert '<html lang="fr">' in first
    client.post(url, data={"consent": "yes", "language": "fr"})

    given = Consent.get()
    assert given.language == "fr"
    assert "signature électronique simple" in given.text


def test_the_kept_document_is_the_one_that_was_sent(client, sent):
    envelope = sent(plain())
    begin(client, envelope)

    answer = client.get(ceremony(envelope, "claire", "/document.pdf"))

    assert answer.mimetype == "application/pdf"
    assert answer.data == documents.read(Document.get_by_id(envelope.document.id))


def test_mine_says_the_same_to_everybody_and_shows_only_ones_own(client, sent):
    envelope = sent(plain())
    known = client.post("/mine", data={"email": "claire@castellan.example"})
    unknown = client.post("/mine", data={"email": "nobody@castellan.example"})
    assert (known.status_code, known.location) == (unknown.status_code, unknown.location)
    mails = list(Notice.select().where(Notice.kind == "access"))
    assert [mail.address for mail in mails] == ["claire@castellan.example"]
    token = re.search(r"/mine/(\S+)", notices.read(mails[0])[0])[1]

    before = snapshot()
    assert client.get(f"/mine/{token}").status_code == 200
    assert snapshot() == before
    assert client.post(f"/mine/{token}").status_code == 303
    page = text_of(client.get("/mine"))
    assert envelope.contract.reference in page
    opened = client.post(f"/mine/{recipient(envelope, 'claire').id}/open")
    assert opened.location == ceremony(envelope, "claire")
    assert "Electronic records" in text_of(client.get(opened.location))
    assert client.post(f"/mine/{token}").status_code == 410


def test_mine_opens_nobody_elses_place(client, sent):
    envelope = sent(plain(), marc())
    client.post("/mine", data={"email": "claire@castellan.example"})
    token = re.search(r"/mine/(\S+)", notices.read(Notice.get(Notice.kind == "access"))[0])[1]
    client.post(f"/mine/{token}")

    assert client.post(f"/mine/{recipient(envelope, 'ana').id}/open").status_code == 404


def test_mine_names_a_contract_with_health_data_by_its_reference_only(client, sent):
    envelope = sent(plain(), has_phi=True, title="Ward planning")
    client.post("/mine", data={"email": "claire@castellan.example"})
    token = re.search(r"/mine/(\S+)", notices.read(Notice.get(Notice.kind == "access"))[0])[1]
    client.post(f"/mine/{token}")

    page = text_of(client.get("/mine"))

    assert envelope.contract.reference in page
    assert "Ward planning" not in page


@pytest.fixture
def at_noon(monkeypatch, now):
    """The pages' clock stands still, as the seal's certificate of the tests begins on that day."""
    for module in ("ceremony", "ceremony_files", "mine"):
        monkeypatch.setattr(f"portal.pages.{module}.utc_now", lambda: now)
    return now


@pytest.mark.parametrize("has_phi", [False, True])
def test_everybody_gets_the_finished_file_by_a_copy_link(app, cast, run_jobs, at_noon, has_phi):
    now = at_noon
    contract = signing.ready(cast, now, [plain(), ours(cast)], has_phi=has_phi)
    envelope = signing.sent(cast, now, run_jobs, contract)
    url = f"/sign/{links.issue(recipient(envelope, 'claire'), now=now, purpose='copy')}"
    early = app.test_client()
    early.post(url)
    assert early.get(ceremony(envelope, "claire", "/copy")).status_code == 404
    for key in ("claire", "ana"):
        signing.act(envelope, key, now)
        run_jobs(now)
    with_factors(envelope, "claire", "sms")
    executed = Envelope.get_by_id(envelope.id).executed
    mail = Notice.get((Notice.kind == "completed") & (Notice.address == "claire@castellan.example"))
    link = re.search(r"/sign/\S+", notices.read(mail)[0])[0]

    browser = app.test_client()
    assert contract.reference in text_of(browser.get(link))
    page = browser.post(link).location
    shown = browser.get(page)
    copy = browser.get(page + "/copy")

    if has_phi:  # the factors of the signing are asked for again
        assert copy.status_code == 404
        assert "A code by text message" in text_of(shown)
        browser.post(page + "/code")
        browser.post(page + "/code/check", data={"code": newest_code(envelope)})
        copy = browser.get(page + "/copy")
    else:
        assert "Keep the signed contract" in text_of(shown)
    assert copy.mimetype == "application/pdf"
    assert copy.data == documents.read(executed)
    assert "attachment" in copy.headers["Content-Disposition"]
    assert AuditEvent.select().where(AuditEvent.act == "copy.downloaded").count() == 1


def test_who_gets_a_copy_with_health_data_proves_who_they_are_first(app, cast, run_jobs, at_noon):
    now = at_noon
    people = [plain(), ours(cast), plain(key="lena", name="Lena Roy", role="copy", routing_order=1)]
    envelope = signing.sent(cast, now, run_jobs, signing.ready(cast, now, people, has_phi=True))
    for key in ("claire", "ana"):
        signing.act(envelope, key, now)
        run_jobs(now)
    mail = Notice.get((Notice.kind == "completed") & (Notice.address == "lena@castellan.example"))
    browser = app.test_client()

    page = browser.post(re.search(r"/sign/\S+", notices.read(mail)[0])[0]).location
    asked = browser.get(page)
    assert "Decline" not in text_of(asked)
    assert browser.get(page + "/copy").status_code == 404
    browser.post(page + "/code")
    browser.post(page + "/code/check", data={"code": newest_code(envelope)})
    key = re.search(r'id="key">([A-Z2-7 ]+)<', browser.get(page).text)[1].replace(" ", "")
    browser.post(page + "/totp/enrol/check", data={"code": pyotp.TOTP(key).at(now)})

    assert browser.get(page + "/copy").mimetype == "application/pdf"


def test_every_look_at_health_data_is_in_the_trail(client, sent):
    envelope = sent(plain(), has_phi=True)
    with_factors(envelope, "claire")
    begin(client, envelope)
    page = ceremony(envelope, "claire")

    for path in (page, page + "/pages/1.webp", page + "/document.pdf"):
        assert client.get(path).status_code == 200

    rows = AuditEvent.select().where(AuditEvent.act == "document.viewed").order_by(AuditEvent.number)
    bodies = [json.loads(row.body) for row in rows]
    assert [body["facts"].get("page") for body in bodies] == [None, 1, None]
    assert {body["by"]["id"] for body in bodies} == {recipient(envelope, "claire").id}


def test_a_look_at_any_other_contract_writes_nothing(client, sent):
    envelope = sent(plain())
    begin(client, envelope)

    client.get(ceremony(envelope, "claire"))

    assert not AuditEvent.select().where(AuditEvent.act == "document.viewed").exists()


def test_paper_and_taking_consent_back_are_on_every_page_as_the_consent_says(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "totp")
    page = begin(client, envelope).location
    seen = []

    def look():
        shown = client.get(page).text
        seen.append(re.search(r"<h1>(.*?)</h1>", shown, re.S)[1])
        assert "Ask for paper" in shown, seen
        assert "Take back my consent" in shown, seen
        return shown

    look()
    client.post(page + "/code/check", data={"code": newest_code(envelope)})
    key = re.search(r'id="key">([A-Z2-7 ]+)<', look())[1].replace(" ", "")
    client.post(page + "/totp/enrol/check", data={"code": pyotp.TOTP(key).now()})
    look()
    fill(client, envelope)
    look()
    confirm(client, envelope)
    look()
    assert len(set(seen)) == 5


# --- A text message is never the only way -----------------------------------------------------------


def test_another_way_stands_beside_the_code_from_the_first_screen(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms_or_totp")
    page = begin(client, envelope).location

    screen = text_of(client.get(page))
    assert "an authenticator app is safer" in screen
    assert "Use an authenticator app instead" in screen
    handed = client.get(page + "?by=handed")
    assert "Type your one-time code" in text_of(handed)
    assert "Send me a text message instead" in text_of(handed)


def test_where_both_are_asked_for_no_app_is_offered_in_place_of_the_code(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms", "totp")
    page = begin(client, envelope).location

    assert "Use an authenticator app instead" not in text_of(client.get(page))


@pytest.mark.parametrize(
    ("status", "failure", "says"),
    [
        ("returned", "off 30003", "Your phone did not take it: number switched off or out of reach (30003)"),
        ("failed", "busy 503", "It could not be sent: the gateway is overloaded"),
        ("queued", "unreachable ConnectTimeout", "The text message is delayed on our side"),
    ],
)
def test_a_message_that_did_not_arrive_says_so_to_the_signer(client, sent, status, failure, says):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms_or_totp")
    page = begin(client, envelope).location
    Notice.update(status=status, failure=failure).where(Notice.kind == "signing_code").execute()

    screen = " ".join(text_of(client.get(page)).split())

    assert says in screen
    assert "use another way below" in screen


def test_at_the_installations_limit_the_page_offers_another_way_at_once(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms_or_totp")
    with running(Twilio()) as remote:
        leave_through(remote, public=False)
        sms_use.set_limits(sms_use.Limits(messages_a_day=0), by=SYSTEM, now=utc_now())
        page = begin(client, envelope).location
        screen = text_of(client.get(page))

    assert "We can send no more text messages at the moment" in screen
    assert "Use an authenticator app instead" in screen
    assert "Send the code" not in screen
    assert Task.get().kind == "no_texts"


def test_the_field_for_a_code_is_one_that_phones_fill_in(client, sent):
    envelope = sent(plain())
    with_factors(envelope, "claire", "sms_or_totp")
    page = begin(client, envelope).location

    field = re.search(r'<input id="code"[^>]*>', client.get(page).text)[0]
    assert 'autocomplete="one-time-code"' in field
    assert 'inputmode="numeric"' in field
