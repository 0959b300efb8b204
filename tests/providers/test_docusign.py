"""DocuSign: the one suite, and what is peculiar to it. Access has tests of its own (test_docusign_access)."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from providers import registry, rehearsal
from providers.docusign import CAPABILITIES, bodies, words
from providers.errors import (
    BadSignature,
    NotConfigured,
    Preparing,
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
)
from tests.providers.conformance import ANA, BEN, FILE, ProviderConformance, asked, handle, person, send
from tests.simulators.docusign import WORKFLOW, DocuSign
from tests.simulators.docusign_oauth import key_pair

SECRET = "MARKED-secret-key-51c7"
CONNECT_KEY = "MARKED-connect-key-9d02"
LIVE = os.environ.get("COUNTERSIGN_LIVE_DOCUSIGN", "")


@pytest.fixture
def vendor():
    with DocuSign().serving() as vendor:
        vendor.accounts.secret = SECRET
        vendor.connect_keys[-1] = CONNECT_KEY
        yield vendor


@pytest.fixture
def provider(vendor):
    return registry.get("docusign", Connection(settings=vendor.connection_settings(), server=vendor.origin))


@pytest.fixture
def sent(provider):
    request = asked()
    return handle(request, send(provider, request))


def with_settings(provider, **changes):
    """The same account with other settings; an empty one is left out."""
    settings = {name: value for name, value in {**provider.connection.settings, **changes}.items() if value}
    return type(provider)(replace(provider.connection, settings=settings, tokens=provider.tokens))


class TestDocuSign(ProviderConformance):
    pass


# --- The vendor's own client ----------------------------------------------------------------------


def test_the_vendors_client_is_loaded_with_the_first_call_and_leaves_the_loggers_alone():
    """Starting, being asked what it can do and reading a webhook call do without its 65 MB."""
    code = """
import logging, sys
import portal.app, providers.registry as registry
from providers.interface import Connection, Delivery
provider = registry.get("docusign", Connection(settings={"connect_key": "k"}))
registry.steps("docusign")
try:
    provider.read(Delivery("POST", "", {}, b"{}"))
except Exception as error:
    assert type(error).__name__ == "BadSignature", error
assert "docusign_esign" not in sys.modules, "loaded too early"
from providers.docusign import sdk
sdk.load()
assert "docusign_esign" in sys.modules
assert not logging.getLogger("urllib3").handlers and logging.getLogger("urllib3").level == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_a_field_the_vendor_does_not_know_is_not_lost_silently():
    from providers.docusign.sdk import shape

    with pytest.raises(TypeError, match="recipient_number"):
        shape("Signer", recipient_number="1")


def test_nothing_is_tried_again_in_secret(provider, vendor, sent):
    vendor.misbehave("429", method="GET", times=3)
    before = len(vendor.seen)

    with pytest.raises(Throttled):
        provider.fetch(sent)

    assert len(vendor.seen) == before + 1


@pytest.mark.parametrize(
    ("status", "code", "least", "most"),
    [
        (429, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED", 1190, 1200),
        (400, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED", 1190, 1200),
        (400, "Hourly_Envelope_Polling_Limit_Exceeded", 1190, 1200),
        (400, "BURST_APIINVOCATION_LIMIT_EXCEEDED", 30, 30),
    ],
)
def test_limits_are_obeyed_under_either_status(provider, vendor, sent, status, code, least, most):
    vendor.throttles = (status, code)
    vendor.misbehave("429", method="GET")

    with pytest.raises(Throttled) as caught:
        provider.fetch(sent)

    assert least <= caught.value.retry_after_s <= most


# --- What is sent ---------------------------------------------------------------------------------


def test_the_body_is_the_vendors(provider, vendor):
    now = datetime.now(UTC)
    signer = person(
        "ana", ANA, 1, is_embedded=True, phone="+447700900123", factors=("sms", "access_code"),
        access_code="4711-abcd",
    )  # fmt: skip
    approver = OutgoingRecipient(
        "ben", "approver", 2, "Ben Approver", BEN, factors=("phone",), phone="+3312345"
    )
    copy = OutgoingRecipient("cleo", "copy", 3, "Cleo", "cleo@castellan.example", language="pt-BR")
    placements = (
        Placement("ana", 1, 72.4, 200.6, 180.0, 48.0),
        Placement("ben", 1, 300.0, 100.0, 200.0, 30.0, page_height=792.0),
    )

    send(
        provider,
        asked(signer, approver, copy, placements=placements, expires_at=now + timedelta(days=9, hours=23)),
    )

    def beside(key, role, language):
        return {
            "customFields": [f"countersign-key={key}", f"countersign-role={role}"],
            "emailNotification": {
                "emailSubject": "Support agreement C-17", "emailBody": "Please sign.",
                "supportedLanguage": language,
            },
        }  # fmt: skip

    spot = {"documentId": "1", "pageNumber": "1"}
    assert vendor.bodies == [{
        "status": "sent", "emailSubject": "Support agreement C-17", "emailBlurb": "Please sign.",
        "allowReassign": "false", "transactionId": bodies.transaction_id("0k3envelope000000001"),
        "documents": [{
            "documentId": "1", "name": "C-17.pdf", "fileExtension": "pdf",
            "documentBase64": base64.b64encode(FILE).decode(),
        }],
        "customFields": {"textCustomFields": [{
            "name": "countersign_id", "value": "0k3envelope000000001", "show": "false", "required": "false",
        }]},
        "notification": {
            "useAccountDefaults": "false",
            "reminders": {"reminderEnabled": "true", "reminderDelay": "2", "reminderFrequency": "2"},
            "expirations": {"expireEnabled": "true", "expireAfter": "9", "expireWarn": "0"},
        },
        "recipients": {
            "signers": [
                {
                    "recipientId": "1", "routingOrder": "1", "name": "Ana Écrivain", "email": ANA,
                    "clientUserId": "ana", **beside("ana", "signer", "fr"),
                    "accessCode": "4711-abcd", "addAccessCodeToEmail": "false",
                    "idCheckConfigurationName": "SMS Auth $", "requireIdLookup": "true",
                    "smsAuthentication": {"senderProvidedNumbers": ["+447700900123"]},
                    "tabs": {"signHereTabs": [
                        {**spot, "tabLabel": "Signature 1", "xPosition": "72", "yPosition": "593"},
                    ]},
                },
                {
                    "recipientId": "2", "routingOrder": "2", "name": "Ben Approver", "email": BEN,
                    **beside("ben", "approver", "en"),
                    "idCheckConfigurationName": "Phone Auth $", "requireIdLookup": "true",
                    "phoneAuthentication": {
                        "recipMayProvideNumber": "false", "senderProvidedNumbers": ["+3312345"],
                    },
                    "tabs": {
                        "approveTabs": [
                            {**spot, "xPosition": "300", "yPosition": "662", "width": "95", "height": "30"},
                        ],
                        "declineTabs": [
                            {**spot, "xPosition": "400", "yPosition": "662", "width": "95", "height": "30"},
                        ],
                    },
                },
            ],
            "carbonCopies": [{
                "recipientId": "3", "routingOrder": "3", "name": "Cleo", "email": "cleo@castellan.example",
                **beside("cleo", "copy", "pt_BR"),
            }],
        },
    }]  # fmt: skip


@pytest.mark.parametrize(
    ("spot", "x", "y"),
    [
        (Placement("a", 1, 0.0, 0.0, 100.0, 20.0), "0", "822"),
        (Placement("a", 1, 72.0, 772.0, 100.0, 20.0, page_height=792.0), "72", "0"),
        (Placement("a", 3, 10.5, 100.25, 100.0, 50.5, page_height=841.89), "10", "691"),
        (Placement("a", 1, 5.0, 800.0, 10.0, 60.0), "5", "0"),  # beyond the edge: at the edge
    ],
)
def test_a_spot_is_counted_from_the_upper_left(spot, x, y):
    made = bodies.place(spot)

    assert (made["x_position"], made["y_position"], made["page_number"]) == (x, y, str(spot.page))


def test_an_approver_without_a_spot_gets_buttons_on_the_last_page(provider, vendor):
    approver = OutgoingRecipient("ben", "approver", 1, "Ben Approver", BEN)

    send(provider, asked(approver, placements=()))

    [tabs] = [each["tabs"] for each in vendor.bodies[0]["recipients"]["signers"]]
    assert [tabs[kind][0]["pageNumber"] for kind in ("approveTabs", "declineTabs")] == ["1", "1"]
    assert "signHereTabs" not in tabs


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factors": ("sms", "phone"), "phone": "+331"}, "not two"),
        ({"factors": ("sms",)}, "phone number"),
        ({"factors": ("access_code",)}, "access code"),
        ({"factors": ("totp",)}, "totp"),
        ({"language": "tlh"}, "tlh"),
        ({"role": "witness"}, "witness"),
    ],
)
def test_what_would_not_be_done_is_refused_before_any_request(provider, vendor, changes, said):
    with pytest.raises(Unsupported, match=said):
        provider.send(asked(replace(person("ana", ANA), **changes)))

    assert not vendor.seen


def test_less_than_a_day_and_too_large_a_file_are_refused_before_any_request(provider, vendor):
    soon = asked(expires_at=datetime.now(UTC) + timedelta(hours=23))
    large = asked(document=OutgoingDocument("x.pdf", "", 1, lambda: b"x" * 25_000_001))
    for request in (soon, large):
        with pytest.raises(Unsupported):
            provider.send(request)

    assert not vendor.seen


def test_the_workflow_for_identity_documents_is_found_or_set(provider, vendor):
    request = asked(person("ana", ANA, factors=("id_check",)))

    send(provider, request)
    send(with_settings(provider, identity_workflow="mine"), replace(request, id="0k3envelope000000002"))

    assert [each.people[0].factors for each in vendor.sent()] == [
        {"id_check": WORKFLOW},
        {"id_check": "mine"},
    ]


def test_a_refusal_is_told_in_the_vendors_sentence(provider, vendor):
    with pytest.raises(Refused, match="1 to 100 characters") as caught:
        provider.send(asked(title="x" * 101))

    assert (caught.value.status, caught.value.code) == (400, "INVALID_REQUEST_PARAMETER")


# --- Finding again --------------------------------------------------------------------------------


def test_a_draft_left_behind_is_sent_on_its_way(provider, vendor):
    request = asked()
    body = bodies.definition(request, FILE, datetime.now(UTC), "")
    body.status = "created"
    provider.ask(provider.api.envelopes.create_envelope, envelope_definition=body)

    state = send(provider, replace(request, is_repeat=True))

    assert state.status is EnvelopeStatus.SENT
    assert [each.id for each in vendor.envelopes.values()] == [state.remote_id]
    assert {each.key: each.remote_id for each in state.recipients} == {"ana": "1", "ben": "2"}


def test_what_is_older_than_a_transaction_is_found_by_its_field(provider, vendor, sent):
    vendor.envelopes[sent.remote_id].created_at -= timedelta(days=30)

    found = provider.find(sent.id)

    assert found is not None
    assert found.remote_id == sent.remote_id


def test_another_envelope_under_our_transaction_is_not_ours(provider, vendor, sent):
    vendor.envelopes[sent.remote_id].facts["fields"]["countersign_id"] = "somebody-elses"

    assert provider.find(sent.id) is None


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "created"}, EnvelopeStatus.DRAFT),
        ({"status": "processing"}, EnvelopeStatus.SENT),
        ({"status": "correct"}, EnvelopeStatus.SENT),
        ({"status": "Delivered"}, EnvelopeStatus.SENT),
        ({"status": "signed"}, EnvelopeStatus.SENT),
        ({"status": "completed"}, EnvelopeStatus.COMPLETED),
        ({"status": "voided", "voidedReason": "Envelope has expired."}, EnvelopeStatus.EXPIRED),
        ({"status": "voided", "voidedReason": "The offer has expired."}, EnvelopeStatus.VOIDED),
        ({"status": "deleted"}, EnvelopeStatus.VOIDED),
        ({"status": "timedout"}, EnvelopeStatus.EXPIRED),
        ({"status": None}, EnvelopeStatus.UNKNOWN),
        ({}, EnvelopeStatus.UNKNOWN),
    ],
)
def test_words_of_envelopes(said, status):
    assert words.status_of(said) is status


def test_words_of_people_and_an_unknown_one_is_a_line_in_the_log(provider, vendor, sent, caplog):
    ana, ben = vendor.envelopes[sent.remote_id].people
    ana.word, ben.word = "autoresponded", "teleported"

    state = provider.fetch(sent)

    assert [each.status for each in state.recipients] == [
        RecipientStatus.UNDELIVERED, RecipientStatus.UNKNOWN,
    ]  # fmt: skip
    assert any(record.message == "provider.unknown_word" for record in caplog.records)


@pytest.mark.parametrize(
    ("status", "at"),
    [("sent", 1), ("delivered", 2), ("completed", 3), ("signed", 3), ("declined", 4), ("created", None)],
)
def test_the_time_told_is_that_of_the_act(status, at):
    hours = {"sent": 1, "delivered": 2, "signed": 3, "declined": 4}
    said = {f"{name}DateTime": f"2026-11-25T0{hour}:00:00.0000000Z" for name, hour in hours.items()}

    state = words.recipient_state({**said, "status": status}, "ana", "signer")

    assert state.at == (datetime(2026, 11, 25, at, tzinfo=UTC) if at else None)


def test_a_signature_without_its_time_gets_no_other():
    said = {"status": "completed", "deliveredDateTime": "2026-11-25T02:00:00Z"}

    assert words.recipient_state(said, "ana", "signer").at is None


def test_people_whose_id_is_not_known_yet_are_told_by_order_and_address(provider, vendor, sent):
    bare = replace(sent, recipients=tuple(replace(each, remote_id="") for each in sent.recipients))

    state = provider.fetch(bare)

    assert {each.key: each.remote_id for each in state.recipients} == {"ana": "1", "ben": "2"}
    provider.remind(bare, "ana")
    assert [mail.to for mail in vendor.mails] == [ANA, ANA]


def test_a_person_who_got_another_id_is_told_by_order_and_address(provider, vendor, sent):
    vendor.envelopes[sent.remote_id].people[0].id = "17"

    state = provider.fetch(sent)

    assert {each.key: each.remote_id for each in state.recipients} == {"ana": "17", "ben": "2"}


def test_who_is_there_under_their_id_is_nobody_else(provider, vendor, sent):
    """A third person with the order and address of one of ours is left out rather than mistaken for them."""
    ana = vendor.envelopes[sent.remote_id].people[0]
    other = replace(ana, id="9", facts={**ana.facts, "customFields": []}, status="declined")
    vendor.envelopes[sent.remote_id].people.append(other)

    state = provider.fetch(sent)

    assert [(each.key, each.remote_id) for each in state.recipients] == [("ana", "1"), ("ben", "2")]


def test_an_access_code_that_the_vendor_tells_is_not_kept(provider, vendor):
    request = asked(person("ana", ANA, factors=("access_code",), access_code="4711-abcd"))
    envelope = handle(request, send(provider, request))

    state = provider.fetch(envelope)

    assert "accessCode" in json.dumps(vendor.shown(vendor.envelopes[envelope.remote_id], "recipients"))
    assert b"4711-abcd" not in state.raw
    assert b"routingOrder" in state.raw


# --- Acts of ours ---------------------------------------------------------------------------------


def test_what_is_completed_cannot_be_withdrawn(provider, vendor, sent):
    vendor.complete(sent.remote_id)

    with pytest.raises(Refused):
        provider.void(sent, "Too late.")


def test_an_unfinished_file_is_never_handed_over(provider, vendor, sent):
    """The vendor would give it: what everybody has signed so far, with a certificate that says so."""
    vendor.act(sent.remote_id, ANA, "sign")
    with pytest.raises(Preparing) as caught:
        provider.download(sent)
    provider.void(sent, "Superseded.")
    with pytest.raises(Refused):
        provider.download(sent)

    assert caught.value.retry
    assert not [seen for seen in vendor.seen if "/documents/" in seen.path]


def test_a_long_reason_is_cut_to_what_the_vendor_takes(provider, vendor, sent):
    provider.void(sent, "x" * 500)

    assert vendor.envelopes[sent.remote_id].reason == "x" * 200


def test_somebody_who_signed_can_be_neither_reminded_nor_corrected(provider, vendor, sent):
    vendor.act(sent.remote_id, ANA, "sign")

    for act in (
        lambda: provider.remind(sent, "ana"),
        lambda: provider.correct(sent, "ana", name="A", email="a@example.com"),
    ):
        with pytest.raises(Refused, match="not in state") as caught:
            act()
        assert caught.value.code == "RECIPIENT_UPDATE_FAILED"


def test_embedded_people_are_not_reminded_by_the_vendor(provider, vendor):
    request = asked(person("ana", ANA, is_embedded=True))
    envelope = handle(request, send(provider, request))
    before = len(vendor.seen)

    with pytest.raises(Unsupported):
        provider.remind(envelope, "ana")

    assert len(vendor.seen) == before


def test_a_corrected_embedded_person_still_signs_through_us(provider, vendor):
    request = asked(person("ana", ANA, is_embedded=True))
    envelope = handle(request, send(provider, request))

    provider.correct(envelope, "ana", name="Ana New", email="new@larkfield.example")
    now = replace(envelope.one("ana"), name="Ana New", email="new@larkfield.example")
    envelope = replace(envelope, recipients=(now,))

    assert provider.signing_url(envelope, "ana", return_url="https://p.example/r").startswith(vendor.origin)
    assert vendor.mails == []


def test_a_mailed_person_has_no_address_to_open(provider, vendor, sent):
    before = len(vendor.seen)

    with pytest.raises(Unsupported):
        provider.signing_url(sent, "ana", return_url="https://p.example/r")

    assert len(vendor.seen) == before


def test_whose_turn_it_is_not_gets_no_address(provider, vendor):
    request = asked(person("ana", ANA, 1, is_embedded=True), person("ben", BEN, 2, is_embedded=True))
    envelope = handle(request, send(provider, request))

    with pytest.raises(Refused) as caught:
        provider.signing_url(envelope, "ben", return_url="https://p.example/r")

    assert caught.value.code == "RECIPIENT_NOT_IN_SEQUENCE"


# --- Webhook calls --------------------------------------------------------------------------------


@pytest.fixture
def calls(provider, vendor):
    """Every call of an envelope with an approver and a copy, to its end."""
    provider.subscribe("https://portal.example/webhooks/abc")
    approver = OutgoingRecipient(
        "ben", "approver", 1, "Ben", BEN, factors=("access_code",), access_code="4711x"
    )
    copy = OutgoingRecipient("cleo", "copy", 3, "Cleo", "cleo@castellan.example")
    send(provider, asked(person("ana", ANA, 2), approver, copy))
    vendor.complete(vendor.sent()[0].id)
    return vendor.calls


def test_a_call_tells_how_the_envelope_stands(provider, vendor, calls):
    notes = [note for call in calls for note in provider.read(call)]

    assert [note.word for note in notes] == [
        "envelope-sent", "recipient-completed", "recipient-completed", "envelope-completed",
    ]  # fmt: skip
    last = notes[-1]
    assert last.request_id == "0k3envelope000000001"
    assert last.at is not None
    assert last.state is not None
    assert last.state.status is EnvelopeStatus.COMPLETED
    assert {each.key: each.status for each in last.state.recipients} == {
        "ana": RecipientStatus.SIGNED, "ben": RecipientStatus.APPROVED, "cleo": RecipientStatus.COPIED,
    }  # fmt: skip
    assert b"4711x" not in last.state.raw


def test_any_one_of_the_signatures_is_enough_but_must_be_by_our_key(provider, vendor, calls):
    call = calls[-1]
    ours = call.headers["x-docusign-signature-2"]

    def only(**headers):
        return replace(call, headers={name.replace("_", "-"): value for name, value in headers.items()})

    assert provider.read(only(x_docusign_signature_7=ours))
    forged = [
        only(x_docusign_signature_1=call.headers["x-docusign-signature-1"]),
        only(x_docusign_signature=ours),
        only(x_docusign_signature_1=""),
        only(x_docusign_signature_1="é"),
        only(x_docusign_signature_1=ours.lower()),
        replace(call, body=call.body + b" "),
    ]
    for each in forged:
        with pytest.raises(BadSignature):
            provider.read(each)


def test_without_a_key_of_ours_no_call_is_believed_and_none_is_asked_for(provider, vendor, calls):
    keyless = with_settings(provider, connect_key="")

    with pytest.raises(BadSignature):
        keyless.read(calls[0])
    with pytest.raises(NotConfigured, match="Connect Key"):
        keyless.subscribe("https://portal.example/webhooks/def")


def test_a_retried_call_has_the_same_id_though_it_counts(provider, vendor, calls):
    said = json.loads(calls[0].body)
    again = json.dumps({**said, "retryCount": 3}).encode()
    signed = replace(calls[0], body=again, headers=signed_headers(again))

    assert [note.id for note in provider.read(signed)] == [note.id for note in provider.read(calls[0])]


@pytest.mark.parametrize(
    "body", [b"<xml/>", b"[]", b"{}", b'{"data": 3}', b'{"data": {"envelopeId": ""}}', b"\xff"]
)
def test_a_signed_call_that_says_nothing_is_nothing(provider, vendor, body):
    from providers.interface import Delivery

    assert provider.read(Delivery("POST", "", signed_headers(body), body)) == ()


def test_a_call_without_a_summary_is_a_hint(provider, vendor, calls):
    said = json.loads(calls[0].body)
    del said["data"]["envelopeSummary"]
    body = json.dumps(said).encode()

    [note] = provider.read(replace(calls[0], body=body, headers=signed_headers(body)))

    assert note.state is None
    assert note.remote_id == vendor.sent()[0].id


def signed_headers(body):
    import hashlib
    import hmac

    digest = hmac.new(CONNECT_KEY.encode(), body, hashlib.sha256).digest()
    return {"x-docusign-signature-1": base64.b64encode(digest).decode()}


def test_subscribing_again_takes_over_what_is_there(provider, vendor):
    first = provider.subscribe("https://portal.example/webhooks/abc")
    second = provider.subscribe("https://portal.example/webhooks/abc")

    assert first.id == second.id
    assert len(vendor.subscribers) == 1


# --- Many at once ---------------------------------------------------------------------------------


def many(**changes):
    return BulkRequest(**{
        "id": "0k3bulk0000000000001", "title": "Price notice", "message": "Please sign.",
        "document": OutgoingDocument("notice.pdf", "", 1, lambda: FILE),
        "placements": (Placement("", 1, 72.0, 200.0, 180.0, 48.0),),
        "rows": tuple(BulkRow(f"row{n}", f"P{n}", f"p{n}@example.com", "fr") for n in range(3)),
        "expires_at": datetime.now(UTC) + timedelta(days=20), **changes,
    })  # fmt: skip


def finished(provider, state):
    for _ in range(3):
        if state.is_final:
            return state
        state = provider.bulk_state(state.remote_id)
    raise AssertionError("never final")


def test_a_copy_that_cannot_be_made_is_told_by_our_key(provider, vendor):
    vendor.bulk.fails["p1@example.com"] = "The recipient is on a block list."

    state = finished(provider, provider.send_bulk(many()))

    assert [(row.key, bool(row.remote_id), row.problem) for row in state.rows] == [
        ("row0", True, ""), ("row2", True, ""), ("row1", False, "The recipient is on a block list."),
    ]  # fmt: skip


def test_each_copy_has_its_language_and_spot(provider, vendor):
    finished(provider, provider.send_bulk(many()))

    [listed] = vendor.bulk.lists.values()
    mails = [copy["recipients"][0]["emailNotification"] for copy in listed["bulkCopies"]]
    assert {mail["supportedLanguage"] for mail in mails} == {"fr"}
    assert all(each.people[0].fields and each.expires_at for each in vendor.sent())


@pytest.mark.parametrize("path", ["/bulk_send_lists$", "/envelopes$", "/test$", "/send$"])
@pytest.mark.parametrize("mood", ["500_after", "garbage"])
def test_a_lost_answer_makes_no_second_batch(provider, vendor, path, mood):
    vendor.misbehave(mood, method="POST", path=path)

    with pytest.raises(Unavailable):
        provider.send_bulk(many())
    state = finished(provider, provider.send_bulk(many(is_repeat=True)))

    assert {row.key for row in state.rows} == {"row0", "row1", "row2"}
    assert len(vendor.bulk.batches) == len(vendor.bulk.lists) == 1
    assert sorted(mail.to for mail in vendor.mails) == [f"p{n}@example.com" for n in range(3)]


def test_envelopes_that_do_not_tell_their_key_are_asked_for_it(provider, vendor):
    state = finished(provider, provider.send_bulk(many()))
    for each in vendor.sent():
        each.people[0].facts["customFields"] = []

    assert {row.key: row.remote_id for row in provider.bulk_state(state.remote_id).rows} == {
        each.our_id: each.id for each in vendor.sent()
    }


def test_rows_in_a_language_the_vendor_lacks_are_refused_before_any_request(provider, vendor):
    with pytest.raises(Unsupported):
        provider.send_bulk(many(rows=(BulkRow("row0", "P", "p@example.com", "tlh"),)))

    assert not vendor.seen


# --- Rehearsing and secrets -----------------------------------------------------------------------


def test_a_mock_is_reached_without_tokens(vendor, monkeypatch):
    """`--base-url` replaces scheme, host and base path; the account is called `rehearsal`."""
    seen = []

    def route(request):
        seen.append((request.path, request.headers["authorization"]))
        return vendor.refused("NOPE", "A mock that refuses.", 400)

    monkeypatch.setattr(vendor, "route", route)
    provider = registry.get("docusign", Connection(base_url=f"{vendor.origin}/mock", token="t0ken"))

    with pytest.raises(Refused):
        provider.check()

    assert seen == [("/mock/v2.1/accounts/rehearsal", "Bearer t0ken")]


def test_no_key_and_no_token_is_logged_or_told(provider, vendor, caplog):
    caplog.set_level(logging.DEBUG)
    request = asked(person("ana", ANA, factors=("access_code",), access_code="MARKED-4711"))
    send(provider, request)
    vendor.misbehave("401", method="GET", times=3)
    with pytest.raises(NotConfigured) as caught:
        provider.find(request.id)
    vendor.misbehave("500_after", method="POST", path="/oauth/token")
    fresh = type(provider)(replace(provider.connection, tokens=None))
    with pytest.raises(Unavailable) as also:
        fresh.check()

    told = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    told += repr(caught.value) + repr(also.value) + repr(provider.tokens) + repr(provider.connection)
    secrets = [*vendor.accounts.tokens, CONNECT_KEY, "MARKED-4711", "assertion="]
    secrets += [line for line in key_pair()[0].splitlines() if len(line) > 40]
    assert not [secret for secret in secrets if secret in told]


def test_capabilities_and_settings_are_told_without_an_account():
    assert registry.capabilities("docusign") == CAPABILITIES
    assert registry.label("docusign") == "DocuSign"
    assert [each.name for each in registry.settings("docusign") if each.is_secret] == [
        "private_key", "secret_key", "connect_key",
    ]  # fmt: skip
    assert {each.shows for each in registry.steps("docusign")} == {"", "redirect_url", "webhook_url"}


@pytest.mark.live
@pytest.mark.skipif(not LIVE, reason="COUNTERSIGN_LIVE_DOCUSIGN names no file")
def test_a_rehearsal_at_the_vendor():
    settings = json.loads(Path(LIVE).read_text())
    lines = []

    fine = rehearsal.run(registry.get("docusign", Connection(settings=settings)), lines.append)

    assert fine, [(line.step, line.outcome, line.detail) for line in lines]
