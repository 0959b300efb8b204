"""PandaDoc: the questions everyone is asked, and what is peculiar to it."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from providers import rehearsal
from providers.base import hmac_sha256
from providers.errors import BadSignature, NotConfigured, Preparing, Refused, Unavailable, Unsupported
from providers.interface import (
    Connection,
    Delivery,
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    OutgoingRecipient,
    Placement,
    RecipientStatus,
    RemoteEnvelope,
    Subscription,
    Tokens,
)
from providers.pandadoc import PandaDoc, account, bodies, states
from tests.providers.conformance import ANA, BEN, FILE, ProviderConformance, asked, handle, person, send
from tests.simulators import pandadoc as simulator
from tests.simulators.pandadoc_account import CLIENT_ID, CLIENT_SECRET

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
URL = "https://portal.example/webhooks/abc"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clock: Clock) -> Iterator[simulator.PandaDoc]:
    with simulator.PandaDoc(clock).serving() as served:
        yield served


def connected(vendor: simulator.PandaDoc, **settings: str) -> PandaDoc:
    found = vendor.connection_settings() | settings
    return PandaDoc(Connection(found, id="pandadoc-1", server=vendor.origin, clock=vendor.clock))


@pytest.fixture
def provider(vendor: simulator.PandaDoc) -> PandaDoc:
    return connected(vendor)


@pytest.fixture
def now(clock: Clock) -> datetime:
    return clock.now


class TestPandaDoc(ProviderConformance):
    pass


def sent_to(vendor: simulator.PandaDoc, ending: str) -> dict:
    """The last JSON that went to a path that ends so."""
    return next(body for _, path, body in reversed(vendor.bodies) if path.endswith(ending))


def calls(vendor: simulator.PandaDoc, method: str, ending: str) -> int:
    return sum(each.method == method and each.path.endswith(ending) for each in vendor.seen)


def embedded_request() -> EnvelopeRequest:
    return asked(person("ana", ANA, 1, is_embedded=True), person("ben", BEN, 2, is_embedded=True))


# --- What is sent --------------------------------------------------------------------------------


def test_an_upload_says_everything_in_the_vendors_fields(provider, vendor):
    ana = person("ana", ANA, 3, factors=("sms",), phone="+447700900123")
    ben = person("ben", BEN, 7)
    copy = OutgoingRecipient("cleo", "copy", 1, "Cleo", "cleo@castellan.example")

    with pytest.raises(Preparing) as caught:
        provider.send(asked(ana, ben, copy))

    [document] = vendor.envelopes.values()
    back = {"is_enabled": True, "url": "https://portal.example/ceremony/x/return"}
    assert caught.value.remote_id == document.id
    assert sent_to(vendor, "/documents") == {
        "name": "Support agreement C-17",
        "parse_form_fields": False,
        "metadata": {"countersign_id": "0k3envelope000000001"},
        "recipients": [
            {
                "email": ANA, "first_name": "Ana", "last_name": "Écrivain", "role": "ana", "signing_order": 1,
                "redirect": back,
                "verification_settings": {
                    "verification_place": "before_open",
                    "phone_verification": {"phone_number": "+447700900123"},
                },
            },
            {
                "email": BEN, "first_name": "Ben", "last_name": "Écrivain", "role": "ben", "signing_order": 2,
                "redirect": back,
            },
            {"email": "cleo@castellan.example", "first_name": "Cleo", "last_name": ""},
        ],
    }  # fmt: skip


def test_fields_are_for_each_person_where_they_were_drawn(provider, vendor):
    places = (
        Placement("ana", 1, 72.4, 200.0, 180.0, 48.0, page_height=792.0),
        Placement("ben", 2, 300.0, 36.25, 120.4, 33.0, page_height=842.0),
    )

    send(provider, asked(placements=places))

    [document] = vendor.sent()
    ids = {each.email: each.id for each in document.people}
    signature = {"type": "signature", "settings": {"required": True}}
    assert sent_to(vendor, "/fields") == {
        "fields": [
            {
                **signature, "assigned_to": ids[ANA],
                "layout": {
                    "page": 1, "style": {"width": 180, "height": 48},
                    "position": {"offset_x": 72.4, "offset_y": 544.0, "anchor_point": "topleft"},
                },
            },
            {
                **signature, "assigned_to": ids[BEN],
                "layout": {
                    "page": 2, "style": {"width": 120, "height": 33},
                    "position": {"offset_x": 300.0, "offset_y": 772.75, "anchor_point": "topleft"},
                },
            },
        ]
    }  # fmt: skip


def test_what_is_set_before_sending(provider, vendor, now):
    send(provider, asked(language="fr", expires_at=now + timedelta(days=12, hours=23), remind_after_days=4))

    assert sent_to(vendor, "/settings") == {"language": "fr-FR", "expires_in": 12}
    assert sent_to(vendor, "/auto-reminders") == {
        "enabled": True, "delivery_method": "email", "initial_delay_days": 4, "is_recurring": True,
        "recurrence_frequency_days": 4,
    }  # fmt: skip
    assert sent_to(vendor, "/send") == {
        "subject": "Support agreement C-17", "message": "Please sign.", "silent": False,
        "forwarding_settings": {"forwarding_allowed": False, "forwarding_with_reassigning_allowed": False},
    }  # fmt: skip


def test_embedded_people_are_sent_to_silently_and_reminded_by_nobody(provider, vendor):
    send(provider, embedded_request())

    assert sent_to(vendor, "/send")["silent"] is True
    assert sent_to(vendor, "/auto-reminders") == {"enabled": False}


@pytest.mark.parametrize(
    ("left", "days"),
    [(timedelta(days=3), 2), (timedelta(days=3, minutes=20), 3), (timedelta(days=3, hours=23), 3),
     (timedelta(hours=23), 0)],
)  # fmt: skip
def test_it_never_ends_later_than_asked(left, days):
    assert bodies.days_until(AT + left, AT) == days


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "en-US"), ("fr", "fr-FR"), ("fr-CA", "fr-FR"), ("pt-BR", "pt-BR"), ("ja", None)],
)
def test_a_language_the_vendor_does_not_know_is_left_to_it(language, expected):
    made = bodies.settings(asked(language=language), datetime.now(UTC))

    assert made.get("language") == expected


@pytest.mark.parametrize(
    "changes",
    [
        {
            "people": (
                person("ana", ANA, factors=("sms", "access_code"), phone="+4477", access_code="a4711b"),
            )
        },
        {"placements": ()},
        {"expires_at": datetime.now(UTC) + timedelta(hours=20)},
        {"people": (person("ana", ANA), person("ben", ANA.upper(), 2))},
        {
            "people": (
                person("ana", ANA, is_embedded=True),
                OutgoingRecipient("cleo", "copy", 1, "Cleo Reader", "cleo@castellan.example"),
            )
        },
    ],
)
def test_what_cannot_be_done_is_refused_before_any_request(provider, vendor, changes):
    people = changes.pop("people", ())
    with pytest.raises(Unsupported):
        provider.send(asked(*people, **changes))

    assert not vendor.seen


# --- From upload to sending ----------------------------------------------------------------------


def test_nothing_is_done_to_a_document_that_is_still_being_read(provider, vendor):
    request = asked()
    with pytest.raises(Preparing) as first:
        provider.send(request)
    request = replace(request, is_repeat=True, remote_id=first.value.remote_id)
    with pytest.raises(Preparing) as second:
        provider.send(request)

    assert second.value.remote_id == first.value.remote_id
    assert second.value.retry_after_s == 3.0
    assert [each.method for each in vendor.seen] == ["POST", "GET"]
    assert provider.send(request).status is EnvelopeStatus.SENT


def test_a_document_that_cannot_be_read_is_refused(provider, vendor):
    request = asked()
    with pytest.raises(Preparing) as caught:
        provider.send(request)
    vendor.say(caught.value.remote_id, "document.error")

    with pytest.raises(Refused, match="cannot read"):
        provider.send(replace(request, is_repeat=True, remote_id=caught.value.remote_id))


def test_fields_that_are_there_are_not_added_again(provider, vendor):
    vendor.misbehave("reset_after", path="/fields$", method="POST")
    with pytest.raises(Unavailable):
        send(provider, asked())

    send(provider, asked(is_repeat=True))

    [document] = vendor.sent()
    assert [len(each.fields) for each in document.people] == [1, 1]
    assert calls(vendor, "POST", "/fields") == 1


def test_fields_of_some_are_completed_by_those_of_the_others(provider, vendor):
    request = asked()
    with pytest.raises(Preparing):
        provider.send(request)
    [document] = vendor.envelopes.values()
    document.people[0].fields.append({"type": "signature", "layout": {}})

    send(provider, replace(request, is_repeat=True, remote_id=document.id))

    assert [each["assigned_to"] for each in sent_to(vendor, "/fields")["fields"]] == [document.people[1].id]


def test_a_document_of_somebody_else_is_never_sent(provider, vendor):
    other = vendor.new_envelope("Offer", FILE)
    other.facts["metadata"] = {"countersign_id": "0k3envelope000000777"}

    with pytest.raises(Unavailable):
        provider.send(asked(is_repeat=True, remote_id=other.id))

    assert other.status == "draft"
    assert calls(vendor, "POST", "/send") == 0


def test_a_list_that_does_not_filter_is_not_believed(provider, vendor, monkeypatch):
    for number in range(3):
        vendor.new_envelope(f"Offer {number}", FILE)
    listing = vendor.listing
    unfiltered = {"count": "10", "order_by": "-date_created"}
    monkeypatch.setattr(vendor, "listing", lambda query: listing(unfiltered))

    assert provider.find("0k3envelope000000001") is None
    state = send(provider, asked(is_repeat=True))
    assert provider.find("0k3envelope000000001").remote_id == state.remote_id


def test_of_two_uploads_the_one_that_went_out_is_found(provider, vendor):
    state = send(provider, asked())
    left = vendor.new_envelope("Support agreement C-17", FILE)
    left.facts["metadata"] = {"countersign_id": asked().id}

    found = provider.find(asked().id)

    assert found.remote_id == state.remote_id
    assert {each.key for each in found.recipients} == {"ana", "ben"}


def test_an_upload_found_before_it_is_read_is_waited_for(provider, vendor):
    vendor.misbehave("reset_after", path="/documents$", method="POST")
    with pytest.raises(Unavailable):
        provider.send(asked())

    with pytest.raises(Preparing) as caught:
        provider.send(asked(is_repeat=True))

    assert caught.value.remote_id == ""
    send(provider, asked(is_repeat=True))
    assert len(vendor.envelopes) == 1


def test_an_approval_asked_for_at_the_vendor_is_waited_for(provider, vendor):
    request = asked()
    with pytest.raises(Preparing):
        provider.send(request)
    [document] = vendor.envelopes.values()
    document.facts |= {"needs_approval": True, "unread": 0}
    request = replace(request, is_repeat=True, remote_id=document.id)

    for _ in range(2):
        with pytest.raises(Preparing, match="approval") as caught:
            provider.send(request)
        assert caught.value.retry_after_s == 900.0
    assert calls(vendor, "POST", "/send") == 1
    vendor.say(document.id, "document.approved")
    assert provider.send(request).status is EnvelopeStatus.SENT
    assert calls(vendor, "POST", "/fields") == 1


def test_a_rejected_approval_is_refused(provider, vendor):
    request = asked()
    with pytest.raises(Preparing) as caught:
        provider.send(request)
    vendor.say(caught.value.remote_id, "document.rejected")

    with pytest.raises(Refused, match="rejected"):
        provider.send(replace(request, is_repeat=True, remote_id=caught.value.remote_id))


# --- How it stands -------------------------------------------------------------------------------


@pytest.fixture
def sent(provider: PandaDoc) -> RemoteEnvelope:
    request = asked()
    return handle(request, send(provider, request))


def told(envelope: RemoteEnvelope, word: str, *done: str, **changes: object) -> EnvelopeState:
    people = [
        {
            "id": each.remote_id, "email": each.email, "recipient_type": "signer", "roles": [each.key],
            "has_completed": each.key in done, "signing_order": each.routing_order,
        }
        for each in envelope.recipients
    ]  # fmt: skip
    return states.state_of(
        {"id": envelope.remote_id, "status": word, "recipients": people, **changes}, envelope
    )


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("document.uploaded", EnvelopeStatus.DRAFT), ("document.scheduled", EnvelopeStatus.DRAFT),
        ("document.viewed", EnvelopeStatus.SENT), ("document.waiting_pay", EnvelopeStatus.COMPLETED),
        ("document.paid", EnvelopeStatus.COMPLETED), ("document.rejected", EnvelopeStatus.FAILED),
        ("document.error", EnvelopeStatus.FAILED), ("document.cancelled", EnvelopeStatus.VOIDED),
    ],
)  # fmt: skip
def test_words_and_what_they_mean(sent, word, status):
    state = told(sent, word)

    assert (state.status, state.raw_status) == (status, word)


def test_who_opened_it_is_told_only_where_it_was_nobody_else(provider, sent):
    alone = told(sent, "document.viewed")
    later = told(sent, "document.viewed", "ana")
    together = replace(sent, recipients=tuple(replace(each, routing_order=1) for each in sent.recipients))

    assert [each.status for each in alone.recipients] == [RecipientStatus.OPENED, RecipientStatus.WAITING]
    assert [each.status for each in later.recipients] == [RecipientStatus.SIGNED, RecipientStatus.SENT]
    assert {each.status for each in told(together, "document.viewed").recipients} == {RecipientStatus.SENT}


def test_a_decline_has_its_name_and_reason_from_the_trail(provider, vendor):
    request = asked(person("ana", ANA, 1), person("ben", BEN, 1))
    envelope = handle(request, send(provider, request))
    vendor.act(envelope.remote_id, BEN, "decline", "The fee is wrong.")

    people = {each.key: each for each in provider.fetch(envelope).recipients}
    vendor.is_admin = False
    unknown = provider.fetch(envelope)

    assert (people["ben"].status, people["ben"].reason) == (RecipientStatus.DECLINED, "The fee is wrong.")
    assert people["ana"].status is RecipientStatus.SENT
    assert unknown.status is EnvelopeStatus.DECLINED
    assert {each.status for each in unknown.recipients} == {RecipientStatus.SENT}


def test_without_the_trail_an_end_is_told_by_its_time(provider, vendor, sent, clock):
    vendor.is_admin = False
    vendor.expire(sent.remote_id)
    ran_out = provider.fetch(sent)
    document = vendor.envelopes[sent.remote_id]
    document.ended_at = clock.now + timedelta(days=3)
    by_hand = provider.fetch(sent)
    document.expires_at = document.ended_at  # as if the end were moved to where it was ended by hand
    moved = provider.fetch(sent)

    assert [each.status for each in (ran_out, by_hand, moved)] == [
        EnvelopeStatus.EXPIRED, EnvelopeStatus.VOIDED, EnvelopeStatus.VOIDED,
    ]  # fmt: skip


def test_people_are_known_by_id_then_role_then_address(sent):
    ana = sent.recipients[0]
    for person_, key in (
        ({"id": ana.remote_id, "email": "new@x.example"}, "ana"),
        ({"id": "other", "role": "ben", "email": ANA}, "ben"),
        ({"id": "other", "role": "Client", "email": BEN.upper()}, "ben"),
        ({"id": "other", "email": "new@x.example"}, ""),
        ({"id": "other", "email": ANA, "recipient_type": "CC"}, ""),
    ):
        assert states.key_of({"recipient_type": "signer", **person_}, sent) == key


def test_passcodes_and_links_told_again_are_not_kept(provider, vendor):
    request = asked(person("ana", ANA, factors=("access_code",), access_code="MARKED4711"))

    state = send(provider, request)

    assert b"MARKED4711" not in state.raw
    assert b"shared" not in state.raw
    assert json.loads(state.raw)["recipients"][0]["email"] == ANA


# --- Acts of ours --------------------------------------------------------------------------------


def test_an_unsent_document_is_deleted_where_it_is_withdrawn(provider, vendor):
    request = asked()
    with pytest.raises(Preparing) as caught:
        provider.send(request)
    envelope = handle(request, EnvelopeState(caught.value.remote_id, EnvelopeStatus.DRAFT))

    provider.void(envelope, "Superseded.")
    provider.void(envelope, "Superseded.")

    assert vendor.envelopes[envelope.remote_id].facts["deleted"]
    assert calls(vendor, "DELETE", envelope.remote_id) == 1


def test_what_everybody_signed_is_not_withdrawn(provider, vendor, sent):
    vendor.complete(sent.remote_id)

    with pytest.raises(Refused) as caught:
        provider.void(sent, "Too late.")

    assert (caught.value.status, caught.value.code) == (409, "document.completed")


@pytest.mark.parametrize("is_embedded", [False, True])
def test_withdrawing_writes_to_those_who_were_written_to(provider, vendor, is_embedded):
    request = embedded_request() if is_embedded else asked()
    envelope = handle(request, send(provider, request))
    vendor.mails.clear()

    provider.void(envelope, "Superseded.")

    assert sent_to(vendor, "/status") == {
        "status": 11, "note": "Superseded.", "notify_recipients": not is_embedded,
    }  # fmt: skip
    assert bool(vendor.mails) is not is_embedded


def test_a_reminder_the_vendor_does_not_send_says_why(provider, vendor, sent, clock):
    provider.remind(sent, "ana")
    with pytest.raises(Refused, match="once every 24 hours"):
        provider.remind(sent, "ana")
    with pytest.raises(Refused, match="can't sign the document yet"):
        provider.remind(sent, "ben")
    clock.now += timedelta(hours=25)
    provider.remind(sent, "ana")

    assert vendor.envelopes[sent.remote_id].people[0].reminded == 2


def test_people_who_sign_here_are_never_written_to(provider, vendor):
    request = embedded_request()
    envelope = handle(request, send(provider, request))
    for act in (
        lambda: provider.remind(envelope, "ana"),
        lambda: provider.correct(envelope, "ana", name="Ana New", email="new@larkfield.example"),
    ):
        with pytest.raises(Unsupported):
            act()

    assert vendor.mails == []


def test_a_name_alone_is_corrected_without_a_message(provider, vendor, sent):
    vendor.mails.clear()

    provider.correct(sent, "ana", name="Ana María Writer", email=ANA)

    assert vendor.envelopes[sent.remote_id].people[0].name == "Ana María Writer"
    assert vendor.mails == []


def test_an_address_of_a_known_contact_takes_over(provider, vendor, sent):
    vendor.contact("ana.new@larkfield.example", "Anna", "Writer")
    vendor.mails.clear()

    provider.correct(sent, "ana", name="Ana New", email="ana.new@larkfield.example")

    document = vendor.envelopes[sent.remote_id]
    assert [(each.name, each.email) for each in document.people] == [
        ("Ana New", "ana.new@larkfield.example"), ("Ben Écrivain", BEN),
    ]  # fmt: skip
    assert [each.to for each in vendor.mails] == ["ana.new@larkfield.example"]
    # The portal forgets the id; the role still says who it is.
    people = tuple(replace(each, remote_id="") for each in sent.recipients)
    state = provider.fetch(replace(sent, recipients=people))
    assert [each.remote_id for each in state.recipients] == [each.id for each in document.people]


def test_a_check_is_never_lost_with_an_address(provider, vendor):
    request = asked(person("ana", ANA, factors=("id_check",)))
    envelope = handle(request, send(provider, request))
    vendor.contact("known@larkfield.example", "Ana", "New")

    with pytest.raises(Refused, match="checks this person"):
        provider.correct(envelope, "ana", name="Ana New", email="known@larkfield.example")
    provider.correct(envelope, "ana", name="Ana New", email="unknown@larkfield.example")

    [document] = vendor.sent()
    assert (document.people[0].email, set(document.people[0].factors)) == (
        "unknown@larkfield.example", {"id_check"},
    )  # fmt: skip


# --- Signing and the finished file -----------------------------------------------------------------


def test_a_session_is_of_one_person_and_lasts_an_hour(provider, vendor):
    request = embedded_request()
    envelope = handle(request, send(provider, request))

    url = provider.signing_url(envelope, "ana", return_url="https://p.example/r")

    assert sent_to(vendor, "/session") == {"recipient": ANA, "lifetime": 3600}
    assert re.fullmatch(re.escape(vendor.origin) + r"/s/\w{22}/", url)


@pytest.mark.parametrize(
    ("environment", "host"),
    [("production", "com"), ("production_eu", "eu"), ("sandbox", "com"), ("sandbox_eu", "eu")],
)
def test_a_region_has_hosts_of_its_own(environment, host):
    provider = PandaDoc(Connection({"environment": environment}))

    assert provider.url("/public/v1/documents") == f"https://api.pandadoc.{host}/public/v1/documents"
    assert provider.page("/s/abc/") == f"https://app.pandadoc.{host}/s/abc/"
    assert provider.is_sandbox is environment.startswith("sandbox")


def test_a_rehearsal_keeps_the_path():
    provider = PandaDoc(Connection(base_url="http://127.0.0.1:4013", token="t"))

    assert provider.url("/public/v1/documents") == "http://127.0.0.1:4013/public/v1/documents"
    assert provider.authorisation() == {"Authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("changes", "settings", "protected", "plain"),
    [
        ({}, {}, 1, 0),
        ({"is_sandbox": True}, {"environment": "sandbox"}, 0, 1),
        ({"is_sandbox": True}, {}, 1, 1),  # a sandbox key entered as one of production
        ({"is_plain": True}, {}, 1, 1),
    ],
)
def test_the_sealed_file_is_taken_where_there_is_one(vendor, changes, settings, protected, plain):
    provider = connected(vendor, **settings)
    request = asked()
    envelope = handle(request, send(provider, request))
    vendor.complete(envelope.remote_id)
    vars(vendor).update(changes)

    file = provider.download(envelope)

    assert file.pdf == vendor.envelopes[envelope.remote_id].executed
    assert (calls(vendor, "GET", "/download-protected"), calls(vendor, "GET", "/download")) == (
        protected, plain,
    )  # fmt: skip


def test_a_file_still_being_sealed_is_waited_for(provider, vendor, sent):
    vendor.complete(sent.remote_id)
    vendor.envelopes[sent.remote_id].facts["sealing"] = 1

    with pytest.raises(Preparing) as caught:
        provider.download(sent)

    assert caught.value.retry_after_s == 7.0
    assert provider.download(sent).pdf


def test_a_file_is_not_taken_before_everybody_signed_nor_after_a_decline(provider, vendor, sent):
    vendor.act(sent.remote_id, ANA, "sign")
    with pytest.raises(Preparing) as caught:
        provider.download(sent)
    vendor.act(sent.remote_id, BEN, "decline")
    with pytest.raises(Refused):
        provider.download(sent)

    assert caught.value.retry_after_s is None
    assert calls(vendor, "GET", "/download-protected") == 0


def test_the_whole_trail_is_the_evidence_and_only_an_administrators_key_gets_it(provider, vendor, sent):
    vendor.complete(sent.remote_id)
    for _ in range(130):
        vendor.log(vendor.envelopes[sent.remote_id], 8)

    file = provider.download(sent)
    vendor.is_admin = False
    without = provider.download(sent)

    evidence = json.loads(file.evidence)
    assert (evidence["count"], len(evidence["results"])) == (135, 135)
    assert file.evidence_media == "application/json"
    assert (without.pdf, without.evidence, without.evidence_media) == (file.pdf, b"", "")


# --- Being let in --------------------------------------------------------------------------------


def test_an_administrator_allows_access_and_tokens_are_renewed(vendor, clock):
    kept: list[Tokens] = []
    settings = {
        "environment": "production_eu", "method": "oauth", "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }  # fmt: skip
    connection = Connection(settings, server=vendor.origin, clock=clock, keep=kept.append)
    redirect_url = "https://portal.example/providers/return"
    url = PandaDoc(connection).authorise_url(redirect_url=redirect_url, state="s1")
    assert "scope=read+write&" in url

    assert "Allow" in requests.get(url, timeout=5).text
    allowed = requests.post(url, timeout=5, allow_redirects=False)
    back = dict(parse_qsl(urlsplit(allowed.headers["Location"]).query))
    tokens = PandaDoc(connection).authorise(back, redirect_url=redirect_url)
    provider = PandaDoc(replace(connection, tokens=tokens))
    assert provider.check().name == "Castellan Ltd"
    clock.now += timedelta(days=366)
    assert provider.check().email == "owner@castellan.example"

    assert back["state"] == "s1"
    assert tokens.expires_at < clock.now
    assert [each.access for each in kept] == [provider.tokens.access]
    assert kept[0].refresh != tokens.refresh
    with pytest.raises(Refused, match="invalid_grant"):
        PandaDoc(connection).authorise(back, redirect_url=redirect_url)


def test_a_wrong_key_or_application_asks_to_connect_again(vendor):
    with pytest.raises(NotConfigured):
        connected(vendor, api_key="another").check()
    with pytest.raises(NotConfigured):
        connected(vendor, method="oauth", client_id=CLIENT_ID, client_secret="x").renew(
            Tokens("a", refresh="b")
        )
    with pytest.raises(NotConfigured):
        connected(vendor, api_key="").check()
    with pytest.raises(Unsupported):
        connected(vendor).authorise_url(redirect_url="https://p.example", state="s")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"type": "request_error", "detail": "Not found"}, ("request_error", "Not found")),
        (
            400,
            {"type": "validation_error", "detail": {"email": ["Enter a valid email address."], "name": []}},
            ("validation_error", "email: Enter a valid email address."),
        ),
        (400, {"type": "request_error", "detail": {"non_field_errors": ["No."]}}, ("request_error", "No.")),
        (
            409,
            {"id": "x", "status": "document.uploaded", "info_message": "Wait."},
            ("document.uploaded", "Wait."),
        ),
        (
            400,
            {"code": "bad_request", "details": [{"code": "min", "pointer": "/expires_in", "data": None}]},
            ("bad_request", "min (/expires_in)"),
        ),
        (403, {"code": "forbidden", "details": []}, ("forbidden", "")),
        (400, {"error": "invalid_grant"}, ("invalid_grant", "invalid_grant")),
        (400, ["?"], ("", "")),
        (500, None, ("", "")),
    ],
)
def test_every_shape_of_a_refusal_is_read(status, body, expected):
    assert account.reasons(status, body) == expected


# --- Webhooks ------------------------------------------------------------------------------------


def hooked(vendor: simulator.PandaDoc) -> PandaDoc:
    provider = connected(vendor)
    return PandaDoc(replace(provider.connection, subscription=provider.subscribe(URL)))


def signed(provider: PandaDoc, said: object, event_id: str = "e1") -> Delivery:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    query = f"signature={hmac_sha256(provider.connection.subscription.secret, body).hex()}"
    return Delivery("POST", query, {"x-pandadoc-webhook-event-id": event_id}, body)


def test_a_signed_call_tells_the_whole_state(vendor):
    provider = hooked(vendor)
    state = send(provider, asked())
    vendor.act(state.remote_id, ANA, "sign")

    [note] = provider.read(vendor.calls[-1])

    assert (note.word, note.remote_id, note.request_id) == (
        "recipient_completed", state.remote_id, asked().id,
    )  # fmt: skip
    assert note.state.status is EnvelopeStatus.SENT
    assert {each.key: each.status for each in note.state.recipients} == {
        "ana": RecipientStatus.SIGNED, "ben": RecipientStatus.SENT,
    }  # fmt: skip
    assert note.at is not None


def test_how_it_ended_badly_is_left_to_be_asked(vendor):
    provider = hooked(vendor)
    state = send(provider, asked())
    vendor.act(state.remote_id, ANA, "decline", "No.")

    [note] = provider.read(vendor.calls[-1])

    assert (note.word, note.state) == ("document_state_changed", None)


def test_one_call_may_hold_several(vendor):
    provider = hooked(vendor)
    said = [
        {"event": "document_updated", "data": {"id": "a", "status": "document.draft"}},
        {"event": "template_created", "data": None},
        {"event": "document_deleted", "data": {"id": "b"}},
        "?",
    ]

    notes = provider.read(signed(provider, said))

    assert [(n.id, n.remote_id, n.word, n.state) for n in notes] == [
        ("e1:0", "a", "document_updated", None), ("e1:2", "b", "document_deleted", None),
    ]  # fmt: skip


def test_a_call_without_a_number_is_known_by_what_it_says(vendor):
    provider = hooked(vendor)
    said = [{"event": "document_deleted", "data": {"id": "b"}}]
    other = [{"event": "document_deleted", "data": {"id": "c"}}]

    ids = [provider.read(signed(provider, each, ""))[0].id for each in (said, said, other)]

    assert ids[0] == ids[1] != ids[2]


def test_people_without_our_roles_are_left_to_be_asked(vendor):
    provider = hooked(vendor)
    data = {"id": "a", "status": "document.sent", "recipients": [{"recipient_type": "signer", "role": ""}]}

    [note] = provider.read(signed(provider, [{"event": "document_state_changed", "data": data}]))

    assert note.state is None


def test_only_our_key_signs(vendor):
    provider = hooked(vendor)
    send(provider, asked())
    call = vendor.calls[0]
    right = call.query.removeprefix("signature=")
    for query in (
        "",
        "signature=",
        f"signature={right[:-1]}",
        f"signature=x&other={right}",
        "signature=%C3%A9",
    ):
        with pytest.raises(BadSignature):
            provider.read(replace(call, query=query))
    for subscription in (None, Subscription("x")):
        with pytest.raises(BadSignature):
            PandaDoc(replace(provider.connection, subscription=subscription)).read(call)

    assert provider.read(replace(call, query=f"from=pandadoc&signature={right.upper()}"))


def test_a_subscription_for_our_address_is_taken_over(vendor):
    provider = connected(vendor)
    first = provider.subscribe(URL)
    vendor.subscribers[0]["shown"] |= {"active": False, "triggers": ["quote_updated"]}
    other = provider.subscribe("https://other.example/webhooks/1")

    again = provider.subscribe(URL)

    assert (again.id, again.secret) == (first.id, first.secret)
    assert again.id != other.id
    assert len(vendor.subscribers) == 2
    assert vendor.subscribers[0]["shown"]["active"] is True
    assert "recipient_completed" in vendor.subscribers[0]["shown"]["triggers"]


# --- Archive -------------------------------------------------------------------------------------


def test_the_archive_asks_for_each_kind_of_completed_document(provider, vendor, now):
    vendor.fill_archive(2, until=now)
    vendor.say(next(iter(vendor.envelopes)), "document.paid")

    pages, cursor = [], ""
    while True:
        page = provider.archive(now - timedelta(days=1), now + timedelta(hours=1), cursor)
        pages.append([each.title for each in page.envelopes])
        cursor = page.cursor
        if not cursor:
            break

    assert pages == [["Older agreement 2"], ["Older agreement 1"], []]
    path, query = vendor.queries[0]
    assert (path, query["status"], query["count"], query["page"]) == ("/public/v1/documents", "2", "100", "1")
    assert query["completed_from"].endswith("Z")


# --- Secrets -------------------------------------------------------------------------------------


def test_no_token_key_or_code_is_logged_or_told(vendor, caplog):
    caplog.set_level(logging.DEBUG)
    provider = hooked(vendor)
    request = asked(
        person("ana", ANA, factors=("access_code",), access_code="MARKED-4711"),
        person("ben", BEN, 2, factors=("sms",), phone="+447700900999"),
    )
    told_ = []
    for path in ("/documents$", "/details$", "/settings$", "/fields$", "/send$"):
        vendor.misbehave("500", path=path)
        with pytest.raises(Unavailable) as caught:
            send(provider, replace(request, is_repeat=True))
        told_.append(repr(caught.value) + repr(caught.value.__cause__))
    state = send(provider, replace(request, is_repeat=True))
    vendor.complete(state.remote_id)
    notes = [provider.read(call) for call in vendor.calls]
    subscription = provider.connection.subscription
    told_ += [repr(notes), repr(state), repr(subscription), repr(provider.connection), repr(provider)]

    said = caplog.text + "".join(str(vars(record)) for record in caplog.records) + "".join(told_)
    secrets = ("MARKED", "+447700900999", subscription.secret)
    assert not [each for each in secrets if each in said]


@pytest.mark.live
def test_a_rehearsal_with_a_sandbox_key():
    path = os.environ.get("COUNTERSIGN_LIVE_PANDADOC")
    if not path:
        pytest.skip("COUNTERSIGN_LIVE_PANDADOC names no file with settings and two addresses")
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    people = tuple(found.pop("people", rehearsal.PEOPLE))
    lines: list[rehearsal.Line] = []

    assert rehearsal.run(PandaDoc(Connection(found)), lines.append, people=people), lines
