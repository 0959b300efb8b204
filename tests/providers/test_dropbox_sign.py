"""Dropbox Sign: the questions everyone is asked, and what is peculiar to it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests

from providers import registry, rehearsal
from providers.base import hmac_sha256
from providers.dropbox_sign import CAPABILITIES, bodies, bulk, words
from providers.dropbox_sign.provider import DropboxSign
from providers.errors import (
    BadSignature,
    NotConfigured,
    Preparing,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
    Unsupported,
)
from providers.interface import (
    BulkRequest,
    BulkRow,
    Connection,
    EnvelopeStatus,
    OutgoingDocument,
    OutgoingRecipient,
    Placement,
    RecipientStatus,
    RemoteEnvelope,
    RemoteRecipient,
    Subscription,
    Tokens,
)
from tests.providers.conformance import ANA, BEN, FILE, ProviderConformance, asked, handle, person, send
from tests.simulators import dropbox_sign as simulator
from tests.simulators.dropbox_sign_account import (
    ACCOUNT,
    API_KEY,
    CLIENT_ID,
    CLIENT_SECRET,
    OWNER,
    called,
)

URL = "https://portal.example/webhooks/abc"
BACK = "https://portal.example/settings/providers/oauth"
LIVE = os.environ.get("COUNTERSIGN_LIVE_DROPBOX_SIGN", "")


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clock: Clock) -> Iterator[simulator.DropboxSign]:
    with simulator.DropboxSign(clock).serving() as served:
        yield served


def connected(vendor: simulator.DropboxSign, **settings: str) -> DropboxSign:
    """The account with other settings; an empty one is left out."""
    wanted = {**vendor.connection_settings(), **settings}
    given = {name: value for name, value in wanted.items() if value}
    return registry.get("dropbox_sign", Connection(given, server=vendor.origin, clock=vendor.clock))


@pytest.fixture
def provider(vendor: simulator.DropboxSign) -> DropboxSign:
    return connected(vendor)


@pytest.fixture
def now(clock: Clock) -> datetime:
    return clock.now


@pytest.fixture
def sent(provider):
    request = asked()
    return handle(request, send(provider, request))


@pytest.fixture
def embedded(provider):
    request = asked(person("ana", ANA, is_embedded=True), person("ben", BEN, is_embedded=True))
    return handle(request, send(provider, request))


class TestDropboxSign(ProviderConformance):
    pass


class TestDropboxSignByOAuth(ProviderConformance):
    """Somebody else's account, through an API app."""

    @pytest.fixture
    def provider(self, vendor, clock):
        vendor.tokens["MARKED-access-token"] = clock.now + timedelta(days=1)
        found = connected(
            vendor, method="oauth", api_key="", client_secret=CLIENT_SECRET, callback_key=API_KEY
        )
        tokens = Tokens("MARKED-access-token", clock.now + timedelta(days=1), "MARKED-refresh-token")
        return DropboxSign(replace(found.connection, tokens=tokens))


# --- What is sent ---------------------------------------------------------------------------------


def test_a_request_is_a_form_with_bracketed_names(provider, vendor, clock):
    copy = OutgoingRecipient("cleo", "copy", 3, "Cleo Reader", "cleo@castellan.example")
    checks = {"factors": ("access_code", "sms"), "access_code": "4711-abcd", "phone": "+447700900123"}
    request = asked(person("ben", BEN, 4), person("ana", ANA, 2, **checks), copy)

    send(provider, request)

    [(path, form)] = vendor.forms
    ends = int(form.pop("expires_at"))
    assert ends == int(request.expires_at.timestamp())
    assert path == "/v3/signature_request/send"
    assert form == {
        "title": "Support agreement C-17",
        "subject": "Support agreement C-17",
        "message": "Please sign.",
        "signers[0][name]": "Ben Écrivain",
        "signers[0][email_address]": BEN,
        "signers[0][order]": "1",
        "signers[1][name]": "Ana Écrivain",
        "signers[1][email_address]": ANA,
        "signers[1][order]": "0",
        "signers[1][pin]": "4711-abcd",
        "signers[1][sms_phone_number]": "+447700900123",
        "signers[1][sms_phone_number_type]": "authentication",
        "cc_email_addresses[0]": "cleo@castellan.example",
        "form_fields_per_document[0][document_index]": "0",
        "form_fields_per_document[0][api_id]": "signature_1",
        "form_fields_per_document[0][type]": "signature",
        "form_fields_per_document[0][required]": "true",
        "form_fields_per_document[0][signer]": "0",
        "form_fields_per_document[0][page]": "1",
        "form_fields_per_document[0][x]": "72",
        "form_fields_per_document[0][y]": "594",
        "form_fields_per_document[0][width]": "200",
        "form_fields_per_document[0][height]": "53",
        "form_fields_per_document[1][document_index]": "0",
        "form_fields_per_document[1][api_id]": "signature_2",
        "form_fields_per_document[1][type]": "signature",
        "form_fields_per_document[1][required]": "true",
        "form_fields_per_document[1][signer]": "1",
        "form_fields_per_document[1][page]": "1",
        "form_fields_per_document[1][x]": "72",
        "form_fields_per_document[1][y]": "534",
        "form_fields_per_document[1][width]": "200",
        "form_fields_per_document[1][height]": "53",
        "metadata[countersign_id]": request.id,
        "allow_decline": "true",
        "test_mode": "false",
        "client_id": CLIENT_ID,
        "signing_redirect_url": "https://portal.example/ceremony/x/return",
    }


def test_people_asked_at_once_have_no_order(provider, vendor):
    send(provider, asked(person("ana", ANA, 3), person("ben", BEN, 3)))

    assert not [name for name in vendor.forms[0][1] if name.endswith("[order]")]


def test_place_is_in_points_and_size_in_eightieths_of_an_inch():
    [field] = bodies.fields([Placement("ana", 3, 100.4, 50.0, 144.0, 36.0, page_height=792.0)], ["ana"])

    assert (field["page"], field["x"], field["y"]) == (3, 100, 792 - 50 - 36)
    assert (field["width"], field["height"]) == (160, 40)


def test_in_test_mode_the_request_says_so(vendor):
    provider = connected(vendor, environment="test")

    send(provider, asked())

    assert vendor.forms[0][1]["test_mode"] == "true"
    assert provider.check().is_test
    assert provider.frame().is_test


def test_embedded_people_go_another_way_and_are_not_redirected(embedded, vendor):
    path, form = vendor.forms[0]

    assert path == "/v3/signature_request/create_embedded"
    assert form["client_id"] == CLIENT_ID
    assert "signing_redirect_url" not in form


@pytest.mark.parametrize(
    ("left", "lasts"),
    [
        (timedelta(days=1), timedelta(days=1)),
        (timedelta(days=20, minutes=59), timedelta(days=20, minutes=59)),
        (timedelta(days=365), timedelta(days=90) - bodies.SKEW),
    ],
)
def test_the_end_is_never_later_than_asked_and_within_ninety_days(now, left, lasts):
    assert bodies.expiry(now + left, now) == int((now + lasts).timestamp())


@pytest.mark.parametrize(
    ("people", "changes", "said"),
    [
        ([person("ana", ANA, factors=("access_code",), access_code="123")], {}, "4 to 12"),
        ([person("ana", ANA, factors=("access_code",), access_code="1" * 13)], {}, "4 to 12"),
        ([person("ana", ANA, factors=("sms",))], {}, "telephone number"),
        ([person("ana", ANA, factors=("kba",))], {}, "kba"),
        ([person("ana", ANA)], {"placements": ()}, "signature spot"),
        ([person("ana", ANA, is_embedded=True), person("ben", BEN)], {}, "either everybody"),
        ([person("ana", ANA)], {"expires_at": datetime.now(UTC) + timedelta(hours=23)}, "next day"),
    ],
)
def test_what_cannot_be_is_refused_before_any_request(provider, vendor, people, changes, said):
    with pytest.raises(Unsupported, match=said):
        provider.send(asked(*people, **changes))

    assert not vendor.seen


def test_codes_by_text_message_are_refused_in_test_mode(vendor):
    with pytest.raises(Unsupported, match="production only"):
        connected(vendor, environment="test").send(
            asked(person("ana", ANA, factors=("sms",), phone="+447700900123"))
        )

    assert not vendor.seen


def test_a_file_that_is_too_large_is_refused_before_any_request(provider, vendor):
    large = b"%PDF-" + bytes(CAPABILITIES.largest_file_bytes)
    document = OutgoingDocument("large.pdf", hashlib.sha256(large).hexdigest(), 1, lambda: large)

    with pytest.raises(Unsupported, match="larger"):
        provider.send(asked(document=document))

    assert not vendor.seen


def test_a_key_alone_sends_by_mail_and_says_what_embedding_needs(vendor):
    provider = connected(vendor, client_id="")

    state = send(provider, asked())

    assert state.status is EnvelopeStatus.SENT
    assert "client_id" not in vendor.forms[0][1]
    vendor.seen.clear()
    with pytest.raises(NotConfigured, match="Client ID"):
        provider.send(asked(person("ana", ANA, is_embedded=True)))
    with pytest.raises(NotConfigured, match="Client ID"):
        provider.frame()
    assert not vendor.seen


def test_a_refusal_is_told_with_the_vendors_sentence_and_place(provider):
    with pytest.raises(Refused) as caught:
        provider.send(asked(title="x" * 256))

    assert caught.value.code == "bad_request"
    assert caught.value.status == 400
    assert "This value is too long. (title)" in str(caught.value)


# --- A lost answer --------------------------------------------------------------------------------


def test_what_the_search_does_not_know_yet_is_found_among_the_newest(provider, vendor):
    vendor.is_search_late = True
    vendor.misbehave("reset_after", method="POST")
    with pytest.raises(Unavailable):
        provider.send(asked())

    state = send(provider, asked(is_repeat=True))

    assert [each.id for each in vendor.sent()] == [state.remote_id]
    assert [each.key for each in state.recipients] == ["ana", "ben"]


def test_what_is_no_longer_among_the_newest_is_found_by_search(provider, vendor, sent, clock, now):
    vendor.fill_archive(120, until=now + timedelta(days=9))

    assert provider.find(sent.id).remote_id == sent.remote_id


def test_a_409_while_sending_is_asked_again_and_not_sent_twice(provider, vendor):
    vendor.conflicts = 1
    with pytest.raises(Unavailable) as caught:
        provider.send(asked())
    assert caught.value.retry_after_s == 5.0

    state = send(provider, asked(is_repeat=True))

    assert [each.id for each in vendor.sent()] == [state.remote_id]


def test_a_request_known_by_its_id_is_read_and_not_searched(provider, vendor, sent):
    vendor.seen.clear()

    state = provider.send(asked(is_repeat=True, remote_id=sent.remote_id))

    assert state.remote_id == sent.remote_id
    assert [each.path for each in vendor.seen] == [f"/v3/signature_request/{sent.remote_id}"]


# --- How it stands --------------------------------------------------------------------------------


def signature(word: str, **more: object) -> dict[str, object]:
    return {"signature_id": "s1", "signer_email_address": ANA, "order": None, "status_code": word, **more}


ANA_KNOWN = RemoteRecipient("ana", "signer", 1, "Ana", ANA, "s1")


@pytest.mark.parametrize(
    ("flags", "word", "status", "recipient"),
    [
        ({}, "awaiting_signature", EnvelopeStatus.SENT, RecipientStatus.SENT),
        ({"is_complete": True}, "signed", EnvelopeStatus.COMPLETED, RecipientStatus.SIGNED),
        ({"is_declined": True}, "declined", EnvelopeStatus.DECLINED, RecipientStatus.DECLINED),
        ({}, "expired", EnvelopeStatus.EXPIRED, RecipientStatus.WAITING),
        ({"has_error": True}, "error_file", EnvelopeStatus.FAILED, RecipientStatus.WAITING),
        ({"has_error": True}, "error_invalid_email", EnvelopeStatus.FAILED, RecipientStatus.UNDELIVERED),
        ({}, "on_hold", EnvelopeStatus.SENT, RecipientStatus.WAITING),
        ({}, "invented-yesterday", EnvelopeStatus.UNKNOWN, RecipientStatus.UNKNOWN),
        ({"is_complete": True}, "invented-yesterday", EnvelopeStatus.COMPLETED, RecipientStatus.UNKNOWN),
    ],
)
def test_flags_and_signatures_tell_how_it_stands(flags, word, status, recipient):
    state = words.state_of(
        {"signature_request_id": "r", **flags, "signatures": [signature(word)]}, [ANA_KNOWN]
    )

    assert state.status is status
    assert [(each.status, each.raw_status) for each in state.recipients] == [(recipient, word)]
    assert state.raw_status == next(iter(flags), word)


def test_an_unknown_word_is_in_the_log(caplog):
    words.status_of({"signatures": [signature("invented-yesterday")]})

    assert [record.fields["word"] for record in caplog.records] == ["invented-yesterday"]


def test_times_of_reading_and_signing_are_told(provider, vendor, sent, clock):
    vendor.act(sent.remote_id, ANA, "open")
    opened = provider.fetch(sent).recipients[0]
    clock.now += timedelta(minutes=5)
    vendor.act(sent.remote_id, ANA, "sign")
    signed = provider.fetch(sent).recipients[0]

    assert (opened.status, opened.at) == (RecipientStatus.OPENED, opened.at)
    assert opened.at < signed.at == clock.now.replace(microsecond=0)


def test_somebody_with_a_new_id_is_told_by_step_and_address_else_by_being_left():
    known = [
        RemoteRecipient("a", "signer", 2, "Ana", ANA, "old"),
        RemoteRecipient("b", "signer", 5, "Ana", ANA, "s-b"),
        RemoteRecipient("c", "signer", 5, "Ben", BEN, "s-c"),
    ]
    there = [
        signature("awaiting_signature", signature_id="s-c", order=1, signer_email_address="new@example.com"),
        signature("awaiting_signature", signature_id="new", order=0, signer_name="Ana"),
        signature("awaiting_signature", signature_id="newer", order=1, signer_email_address="x@example.com"),
    ]

    found = words.pairs(there, known)

    assert [(each["signature_id"], who.key) for each, who in found] == [
        ("s-c", "c"), ("new", "a"), ("newer", "b"),
    ]  # fmt: skip


def test_copies_are_told_once_everybody_has_signed(provider, vendor):
    copy = OutgoingRecipient("cleo", "copy", 1, "Cleo Reader", "cleo@castellan.example")
    request = asked(person("ana", ANA), copy)
    envelope = handle(request, send(provider, request))
    before = {each.key: each.status for each in provider.fetch(envelope).recipients}
    vendor.complete(envelope.remote_id)

    assert before["cleo"] is RecipientStatus.WAITING
    assert provider.fetch(envelope).recipients[-1].status is RecipientStatus.COPIED
    assert vendor.mails[-1].to == "cleo@castellan.example"


# --- Acts of ours ---------------------------------------------------------------------------------


def test_cancelling_is_answered_before_it_is_done(provider, vendor, sent):
    vendor.cancels_at_once = False
    provider.void(sent, "Superseded.")
    between = provider.fetch(sent).status
    provider.void(sent, "Superseded.")
    vendor.cancel_now(sent.remote_id)
    provider.void(sent, "Superseded.")

    assert between is EnvelopeStatus.SENT
    assert provider.fetch(sent).status is EnvelopeStatus.VOIDED
    assert provider.fetch(sent).raw_status == "deleted"


def test_what_everybody_has_signed_is_not_withdrawn(provider, vendor, sent):
    vendor.complete(sent.remote_id)

    with pytest.raises(Refused):
        provider.void(sent, "Too late.")


def test_withdrawing_what_ran_out_of_time_is_no_error(provider, vendor, sent):
    vendor.expire(sent.remote_id)

    provider.void(sent, "Too late.")


def test_one_reminder_an_hour_and_none_for_embedded_people(provider, vendor, sent, embedded, clock):
    provider.remind(sent, "ana")
    with pytest.raises(Refused, match="within the last hour"):
        provider.remind(sent, "ana")
    clock.now += timedelta(hours=1, seconds=1)
    provider.remind(sent, "ana")
    vendor.seen.clear()
    with pytest.raises(Unsupported, match="writes nothing"):
        provider.remind(embedded, "ana")

    assert not vendor.seen
    assert vendor.bodies[0] == (
        "POST", f"/signature_request/remind/{sent.remote_id}",
        {"email_address": ANA, "name": "Ana Écrivain"},
    )  # fmt: skip


def test_a_corrected_person_keeps_their_place_under_a_new_id(provider, vendor, sent):
    before = provider.fetch(sent)
    provider.correct(sent, "ana", name="Ana New", email="ana.new@larkfield.example")
    after = provider.fetch(sent)

    assert [each.key for each in after.recipients] == ["ana", "ben"]
    assert after.recipients[0].remote_id != before.recipients[0].remote_id
    assert after.recipients[1].remote_id == before.recipients[1].remote_id


def test_somebody_checked_by_a_code_is_not_corrected(provider, vendor):
    request = asked(person("ana", ANA, factors=("access_code",), access_code="4711-abcd"))
    envelope = handle(request, send(provider, request))

    with pytest.raises(Refused, match="lost with a new address"):
        provider.correct(envelope, "ana", name="Ana New", email="ana.new@larkfield.example")

    assert vendor.envelopes[envelope.remote_id].people[0].email == ANA


def test_declining_is_allowed_on_the_signing_page(provider, vendor, embedded):
    url = provider.signing_url(embedded, "ana", return_url="")

    page = requests.post(url, data={"act": "decline"}, timeout=5)

    assert "userDeclineRequest" in page.text
    assert provider.fetch(embedded).status is EnvelopeStatus.DECLINED


# --- Signing pages --------------------------------------------------------------------------------


def test_the_address_opens_in_the_vendors_script_and_works_once(provider, vendor, embedded):
    frame = provider.frame()
    url = provider.signing_url(embedded, "ana", return_url="")

    script = requests.get(frame.script_url, timeout=5)
    page = requests.get(url, timeout=5)
    done = requests.post(url, data={"act": "sign"}, timeout=5)

    assert script.headers["Content-Type"] == "text/javascript"
    assert b"window.HelloSign" in script.content
    assert url.startswith(f"{frame.origins[0]}/editor/embeddedSign?")
    assert "Sign</button>" in page.text
    assert "hellosign:userSignRequest" in done.text
    assert requests.get(url, timeout=5).status_code == 410
    assert (frame.client_id, frame.is_test) == (CLIENT_ID, False)


def test_away_from_a_simulator_the_script_is_the_vendors():
    frame = DropboxSign(Connection({"api_key": "k", "client_id": "c"})).frame()

    assert frame.script_url.startswith("https://cdn.hellosign.com/public/js/embedded/v2.")
    assert frame.origins == ("https://*.hellosign.com",)
    assert frame.is_test


def test_an_old_id_is_looked_up_again_for_the_signing_address(provider, vendor, embedded):
    provider.correct(embedded, "ana", name="Ana New", email="ana.new@larkfield.example")

    url = provider.signing_url(embedded, "ana", return_url="")

    number = parse_qs(urlsplit(url).query)["signature_id"][0]
    assert number == vendor.envelopes[embedded.remote_id].people[0].id
    assert number != embedded.one("ana").remote_id


def test_who_has_signed_gets_no_address_any_more(provider, vendor, embedded):
    requests.post(provider.signing_url(embedded, "ana", return_url=""), data={"act": "sign"}, timeout=5)

    for known in (embedded, without_ids(embedded)):
        with pytest.raises(Refused, match="has signed") as refused:
            provider.signing_url(known, "ana", return_url="")
        assert not isinstance(refused.value, Preparing)


def without_ids(envelope):
    people = tuple(replace(each, remote_id="") for each in envelope.recipients)
    return replace(envelope, recipients=people)


def test_withdrawing_what_was_declined_is_no_error(provider, vendor, embedded):
    requests.post(provider.signing_url(embedded, "ana", return_url=""), data={"act": "decline"}, timeout=5)

    provider.void(embedded, "declined anyway")

    assert provider.fetch(embedded).status is EnvelopeStatus.DECLINED


def test_nobody_who_is_mailed_has_an_address_here(provider, vendor, sent):
    vendor.seen.clear()

    with pytest.raises(Unsupported, match="writes to this person"):
        provider.signing_url(sent, "ana", return_url="")

    assert not vendor.seen


# --- Files ----------------------------------------------------------------------------------------


def test_a_file_is_not_taken_before_it_is_complete_nor_while_it_is_made(provider, vendor, sent):
    with pytest.raises(Preparing) as early:
        provider.download(sent)
    vendor.complete(sent.remote_id)
    with pytest.raises(Preparing) as making:
        provider.download(sent)

    assert (early.value.retry_after_s, making.value.retry_after_s) == (None, 5.0)
    assert making.value.remote_id == sent.remote_id
    assert provider.download(sent).pdf == vendor.envelopes[sent.remote_id].executed


def test_what_was_declined_has_no_signed_file(provider, vendor, sent):
    vendor.act(sent.remote_id, ANA, "decline")

    with pytest.raises(Refused, match="no signed file"):
        provider.download(sent)


# --- Limits ---------------------------------------------------------------------------------------


def test_the_time_at_which_calls_are_allowed_again_is_obeyed(provider, vendor, sent):
    vendor.misbehave("429", method="GET")

    with pytest.raises(Throttled) as caught:
        provider.fetch(sent)

    assert 1.0 <= caught.value.retry_after_s <= 3.0


# --- Being let in ---------------------------------------------------------------------------------


def test_the_key_is_a_user_name_without_a_password(provider):
    account = provider.check()

    assert (account.id, account.email, account.is_test) == (ACCOUNT, OWNER, False)
    assert account.facts["has_api_plan"] == "yes"


def test_a_wrong_or_missing_key_is_told(vendor):
    with pytest.raises(NotConfigured, match="does not accept"):
        connected(vendor, api_key="another").check()
    with pytest.raises(NotConfigured, match="API key is missing"):
        connected(vendor, api_key="").check()


def test_oauth_is_not_offered_to_an_account_with_a_key(provider):
    with pytest.raises(Unsupported):
        provider.authorise_url(redirect_url=BACK, state="s")


class Keeper:
    """Keeps tokens as the portal does."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.kept = 0

    def keep(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.kept += 1


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


def by_oauth(vendor, keeper, **settings):
    base = connected(vendor, method="oauth", api_key="", client_secret=CLIENT_SECRET, **settings).connection
    return DropboxSign(replace(base, tokens=keeper.tokens, keep=keeper.keep, reload=lambda: keeper.tokens))


def press(url: str, act: str = "allow") -> dict[str, str]:
    """Press a button of the vendor's page; what it sends back to us."""
    page = requests.get(url, timeout=5)
    assert page.status_code == 200, page.text
    answer = requests.post(url, data={"act": act}, timeout=5, allow_redirects=False)
    assert answer.headers["Location"].startswith(BACK)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def test_allowing_gives_tokens_and_they_are_renewed_a_minute_before_their_end(vendor, keeper, clock):
    provider = by_oauth(vendor, keeper)
    answer = press(provider.authorise_url(redirect_url=BACK, state="st4te"))
    keeper.tokens = first = provider.authorise(answer, redirect_url=BACK)
    later = by_oauth(vendor, keeper)

    assert answer["state"] == "st4te"
    assert later.check().id == ACCOUNT
    assert keeper.kept == 0
    clock.now += timedelta(hours=23, minutes=59, seconds=1)
    assert later.check().id == ACCOUNT
    assert keeper.kept == 1
    assert keeper.tokens.access != first.access
    assert keeper.tokens.refresh in vendor.refreshes


def test_a_token_that_was_revoked_is_renewed_once_and_then_given_up(vendor, keeper, clock):
    provider = by_oauth(vendor, keeper)
    keeper.tokens = provider.authorise(
        press(provider.authorise_url(redirect_url=BACK, state="s")), redirect_url=BACK
    )
    vendor.tokens.clear()
    assert by_oauth(vendor, keeper).check().id == ACCOUNT
    vendor.tokens.clear()
    vendor.refreshes.clear()

    with pytest.raises(NotConfigured, match="connects the account again"):
        by_oauth(vendor, keeper).check()


def test_what_was_not_allowed_is_said(vendor, keeper):
    provider = by_oauth(vendor, keeper)
    answer = press(provider.authorise_url(redirect_url=BACK, state="s"), act="deny")

    with pytest.raises(Refused, match="denied access"):
        provider.authorise(answer, redirect_url=BACK)
    with pytest.raises(Refused, match="not valid"):
        provider.authorise({"code": "made up", "state": "s"}, redirect_url=BACK)


def test_oauth_needs_the_client_id(vendor, keeper):
    with pytest.raises(NotConfigured, match="Client ID"):
        by_oauth(vendor, keeper, client_id="").authorise_url(redirect_url=BACK, state="s")


# --- Callbacks ------------------------------------------------------------------------------------


def with_subscription(provider, subscription):
    return DropboxSign(replace(provider.connection, subscription=subscription))


def test_the_app_is_called_where_there_is_one_else_the_account(vendor):
    app = connected(vendor).subscribe(URL)
    assert vendor.subscribers == [{"url": URL, "client_id": CLIENT_ID}]
    connected(vendor).unsubscribe(app)
    account = connected(vendor, client_id="").subscribe(URL)

    assert (app.id, account.id) == (CLIENT_ID, "account")
    assert vendor.subscribers == [{"url": URL, "client_id": ""}]


def test_an_address_of_somebody_else_is_neither_replaced_nor_cleared(provider, vendor):
    vendor.subscribers = [{"url": "https://crm.example/hook", "client_id": CLIENT_ID}]

    with pytest.raises(NotConfigured, match=r"https://crm\.example/hook"):
        provider.subscribe(URL)
    provider.unsubscribe(Subscription(CLIENT_ID, facts={"url": URL}))

    assert vendor.subscribers == [{"url": "https://crm.example/hook", "client_id": CLIENT_ID}]


def test_our_own_former_address_is_replaced(provider, vendor):
    first = provider.subscribe("https://old.example/webhooks/abc")

    with_subscription(provider, first).subscribe(URL)

    assert vendor.subscribers == [{"url": URL, "client_id": CLIENT_ID}]


def test_ending_callbacks_of_an_app_that_is_gone_is_no_error(provider):
    provider.unsubscribe(Subscription("0123456789abcdef", facts={"url": URL}))


def test_with_oauth_the_owner_of_the_app_asks_to_be_called(vendor, keeper):
    with pytest.raises(NotConfigured, match="API key of the app"):
        by_oauth(vendor, keeper).subscribe(URL)
    by_oauth(vendor, keeper, callback_key=API_KEY).subscribe(URL)

    assert vendor.subscribers == [{"url": URL, "client_id": CLIENT_ID}]
    with pytest.raises(NotConfigured, match="does not accept"):
        by_oauth(vendor, keeper, callback_key="another").subscribe(URL)


def test_every_call_is_answered_by_the_very_words(provider, vendor):
    provider.subscribe(URL)
    send(provider, asked())

    answer = provider.acknowledge(vendor.calls[0])

    assert (answer.status, answer.body) == (200, b"Hello API Event Received")


def test_a_call_says_which_request_and_is_a_hint(provider, vendor, now):
    provider.subscribe(URL)
    request = asked()
    state = send(provider, request)

    [note] = provider.read(vendor.calls[0])

    assert (note.remote_id, note.word) == (state.remote_id, "signature_request_sent")
    assert (note.request_id, note.at) == (request.id, now.replace(microsecond=0))
    assert note.state is None


def event(word: str = "signature_request_signed", key: str = API_KEY, time: str = "1348177752", **more):
    hashed = hmac_sha256(key, f"{time}{word}".encode()).hex()
    return {"event": {"event_time": time, "event_type": word, "event_hash": hashed}, **more}


def test_the_hash_of_the_vendors_own_rule_holds(provider):
    """Time and name of the event, by the API key, in lower-case hexadecimal digits."""
    call = called(event(signature_request={"signature_request_id": "r1", "metadata": {}}))

    assert [note.remote_id for note in provider.read(call)] == ["r1"]


@pytest.mark.parametrize(
    "said",
    [
        event(key="another", signature_request={"signature_request_id": "r1"}),
        {**event(), "event": {**event()["event"], "event_time": "1348177753"}},
        {**event(), "event": {**event()["event"], "event_type": "signature_request_declined"}},
        {**event(), "event": {**event()["event"], "event_hash": ""}},
        {**event(), "event": {**event()["event"], "event_time": 1348177752}},
        {"event": None},
        {"event": ["signature_request_sent"]},
        {},
    ],
)
def test_a_call_whose_hash_does_not_hold_is_refused(provider, said):
    with pytest.raises(BadSignature):
        provider.read(called(said))


def test_without_a_key_no_call_is_believed(vendor, keeper):
    provider = by_oauth(vendor, keeper)

    with pytest.raises(BadSignature):
        provider.read(called(event(key="")))


@pytest.mark.parametrize("word", ["callback_test", "account_confirmed", "template_created"])
def test_calls_about_something_else_say_nothing(provider, word):
    assert provider.read(called(event(word))) == ()


@pytest.mark.parametrize("body", [b"", b"{}", b"--x\r\n\r\n--x--", b"\xff" * 50])
def test_what_is_no_form_is_refused(provider, body):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    with pytest.raises(BadSignature):
        provider.read(replace(called(event()), headers=headers, body=body))


def test_two_signers_in_one_second_are_two_events(provider, vendor):
    provider.subscribe(URL)
    state = send(provider, asked(person("ana", ANA), person("ben", BEN)))
    vendor.complete(state.remote_id)

    notes = [note for call in vendor.calls for note in provider.read(call)]
    signed = [note for note in notes if note.word == "signature_request_signed"]
    assert len({note.id for note in signed}) == 2


# --- Archive --------------------------------------------------------------------------------------


def test_the_archive_is_the_teams_else_our_own(provider, vendor, now):
    vendor.fill_archive(130, until=now)
    team = provider.archive(now - timedelta(days=30), now)
    vendor.has_team = False
    own = provider.archive(now - timedelta(days=30), now)
    rest = provider.archive(now - timedelta(days=30), now, own.cursor)

    assert (team.cursor, own.cursor, rest.cursor) == ("all:2", "own:2", "")
    assert (team.total, len(own.envelopes), len(rest.envelopes)) == (130, 100, 30)
    assert own.envelopes[0].people == (("Old Signer", "old129@example.com"),)


def test_what_was_made_long_before_it_was_completed_is_in_the_archive(provider, vendor, sent, clock):
    clock.now += timedelta(days=15)
    vendor.complete(sent.remote_id)
    clock.now += timedelta(seconds=5)

    [found] = provider.archive(clock.now - timedelta(hours=1), clock.now).envelopes
    assert (found.remote_id, found.request_id) == (sent.remote_id, sent.id)
    assert provider.archive(clock.now - timedelta(days=16), clock.now - timedelta(days=1)).envelopes == ()


# --- One document to many -------------------------------------------------------------------------


def batch(count: int, **changes: object) -> BulkRequest:
    return replace(
        BulkRequest(
            "0k3bulk0000000000001", "Price notice", "Please sign.",
            OutgoingDocument("notice.pdf", hashlib.sha256(FILE).hexdigest(), 1, lambda: FILE),
            (Placement("anybody", 1, 72.0, 200.0, 180.0, 48.0),),
            tuple(BulkRow(f"0k3row{n:014d}", f"Person {n}", f"Person{n}@example.com") for n in range(count)),
            datetime.now(UTC) + timedelta(days=20),
        ),
        **changes,
    )  # fmt: skip


def finished(provider, remote_id, rounds=80):
    for _ in range(rounds):
        state = provider.bulk_state(remote_id)
        if state.is_final:
            return state
    raise AssertionError("not final")


def test_a_batch_is_a_template_and_jobs_and_each_request_gets_its_end(provider, vendor):
    request = batch(7)

    state = provider.send_bulk(request)
    done = finished(provider, state.remote_id)

    [template] = vendor.templates.values()
    assert template["file"] == FILE
    assert [(f["signer"], f["x"], f["width"]) for f in template["fields"]] == [("0", "72", "200")]
    assert {row.key for row in done.rows} == {row.key for row in request.rows}
    by_id = {row.remote_id: row.key for row in done.rows}
    for envelope in vendor.sent():
        number = int(by_id[envelope.id][-3:])
        assert envelope.people[0].email == f"Person{number}@example.com"
        assert request.expires_at - timedelta(hours=1) < envelope.expires_at <= request.expires_at
    assert len(vendor.mails) == 7
    row = done.rows[3]
    assert provider.find(row.key).remote_id == row.remote_id
    assert provider.fetch(RemoteEnvelope(row.remote_id, row.key)).status is EnvelopeStatus.SENT


def test_more_people_than_a_job_takes_are_several_jobs(provider, vendor):
    request = batch(530)

    state = provider.send_bulk(request)

    sizes = [job["total"] for job in vendor.jobs.values()]
    assert sum(sizes) == 530
    assert all(size <= 250 for size in sizes)
    assert len(state.remote_id.partition(":")[2].split(",")) == len(sizes) == 3
    assert not state.is_final


def test_metadata_keeps_to_what_dropbox_sign_takes_and_reads_back():
    rows = batch(530).rows

    parts = bulk.parts_of(rows)

    assert [row for part in parts for row in part] == list(rows)
    for part in parts:
        written = bulk.written(part)
        assert len(written) <= 8
        assert all(len(value) <= 1000 for value in written.values())
        assert words.read_back({"metadata": written}) == {words.digest(row.email): row.key for row in part}


@pytest.mark.parametrize("lost", ["/template/create", "bulk_send_with_template"])
def test_a_batch_cut_short_goes_on_where_it_stopped(provider, vendor, lost):
    vendor.is_search_late = True
    vendor.misbehave("reset_after", path=lost)
    request = batch(300)
    with pytest.raises(Unavailable):
        provider.send_bulk(request)
    for job_id in vendor.jobs:
        vendor.make_some(job_id)

    state = provider.send_bulk(replace(request, is_repeat=True))

    assert len(vendor.templates) == 1
    assert sum(job["total"] for job in vendor.jobs.values()) == 300
    assert sorted(state.remote_id.partition(":")[2].split(",")) == sorted(vendor.jobs)


def test_while_a_job_shows_nothing_it_could_be_ours_and_nothing_is_started(provider, vendor, clock):
    vendor.is_slow = True
    vendor.misbehave("reset_after", path="bulk_send_with_template")
    request = batch(3)
    with pytest.raises(Unavailable):
        provider.send_bulk(request)

    with pytest.raises(Unavailable) as caught:
        provider.send_bulk(replace(request, is_repeat=True))
    assert caught.value.retry_after_s == 30.0
    assert len(vendor.jobs) == 1
    clock.now += bulk.PATIENCE + timedelta(minutes=1)
    provider.send_bulk(replace(request, is_repeat=True))
    assert len(vendor.jobs) == 2


def test_a_template_that_is_still_made_is_waited_for(provider, vendor):
    vendor.template_waits = 1
    with pytest.raises(Unavailable) as caught:
        provider.send_bulk(batch(3))
    assert caught.value.retry_after_s == 5.0

    provider.send_bulk(batch(3, is_repeat=True))

    assert (len(vendor.templates), len(vendor.jobs)) == (1, 1)


def test_people_no_request_was_made_for_are_told_after_an_hour(provider, vendor, clock):
    vendor.loses = 1
    state = provider.send_bulk(batch(4))
    for _ in range(3):
        between = provider.bulk_state(state.remote_id)
    clock.now += bulk.PATIENCE

    done = provider.bulk_state(state.remote_id)

    assert not between.is_final
    assert done.is_final
    assert [(row.key[-1], bool(row.problem)) for row in done.rows if not row.remote_id] == [("3", True)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"placements": ()}, "signature spot"),
        ({"expires_at": datetime.now(UTC)}, "next day"),
        ({"rows": (BulkRow("a", "Ana", ANA), BulkRow("b", "Ana", ANA.upper()))}, "once only"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_before_any_request(provider, vendor, changes, said):
    with pytest.raises(Unsupported, match=said):
        provider.send_bulk(batch(2, **changes))

    assert not vendor.seen


def test_ends_are_given_some_at_a_time(provider, vendor, monkeypatch):
    monkeypatch.setattr(bulk, "MOST_ENDS", 2)
    state = provider.send_bulk(batch(5))
    provider.bulk_state(state.remote_id)
    vendor.bodies.clear()

    between = provider.bulk_state(state.remote_id)

    assert len(vendor.bodies) == 2
    assert not between.is_final
    assert finished(provider, state.remote_id).is_final
    assert len(vendor.bodies) == 5


# --- Secrets, rehearsal ---------------------------------------------------------------------------


def test_no_token_or_secret_is_logged_or_told(vendor, keeper, caplog):
    caplog.set_level(logging.DEBUG)
    provider = by_oauth(vendor, keeper, callback_key="MARKED-callback-key")
    keeper.tokens = provider.authorise(
        press(provider.authorise_url(redirect_url=BACK, state="s")), redirect_url=BACK
    )
    secrets = [CLIENT_SECRET, "MARKED-callback-key", keeper.tokens.access, keeper.tokens.refresh, "4711-pin"]
    provider = by_oauth(vendor, keeper)
    told = [repr(keeper.tokens), repr(provider.connection)]
    vendor.misbehave("garbage", path="send")
    with pytest.raises(ProviderError) as caught:
        provider.send(asked(person("ana", ANA, factors=("access_code",), access_code="4711-pin")))
    told.append(repr(caught.value) + str(caught.value.__cause__))
    vendor.refreshes.clear()
    vendor.tokens.clear()
    with pytest.raises(ProviderError) as caught:
        provider.check()
    told.append(repr(caught.value) + str(caught.value.__cause__))

    said = caplog.text + "".join(str(vars(each)) for each in caplog.records) + "".join(told)
    assert not [secret for secret in secrets if secret in said]


def test_a_rehearsal_by_base_url_needs_no_settings(vendor, clock):
    vendor.tokens["rehearsal-token"] = clock.now + timedelta(hours=1)
    provider = registry.get(
        "dropbox_sign", Connection(base_url=vendor.origin, token="rehearsal-token", clock=clock)
    )

    assert provider.check().id == ACCOUNT
    assert provider.frame().client_id == "rehearsal"
    assert {seen.path for seen in vendor.seen} == {"/account"}


@pytest.mark.live
@pytest.mark.skipif(not LIVE, reason="COUNTERSIGN_LIVE_DROPBOX_SIGN names no file")
def test_a_rehearsal_at_the_vendor():
    settings = json.loads(Path(LIVE).read_text())
    lines = []

    fine = rehearsal.run(registry.get("dropbox_sign", Connection(settings=settings)), lines.append)

    assert fine, [(line.step, line.outcome, line.detail) for line in lines]
