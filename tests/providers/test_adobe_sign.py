"""Acrobat Sign: asked what every provider is asked, and what is peculiar to it."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pikepdf
import pytest

from portal.commands.providers import described
from providers import rehearsal
from providers.adobe_sign import AdobeSign, bodies, states
from providers.adobe_sign.declared import SCOPES
from providers.errors import (
    BadSignature,
    NotConfigured,
    Preparing,
    ProviderError,
    Refused,
    Throttled,
    Unsupported,
)
from providers.interface import (
    BulkRequest,
    BulkRow,
    Connection,
    Delivery,
    EnvelopeStatus,
    OutgoingDocument,
    OutgoingRecipient,
    Placement,
    RecipientStatus,
    Tokens,
)
from tests.providers.conformance import (
    ANA,
    BEN,
    FILE,
    ProviderConformance,
    asked,
    handle,
    person,
    send,
    statuses,
)
from tests.simulators import adobe_sign as simulator

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
REDIRECT = "https://portal.example/settings/providers/oauth"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clock: Clock) -> Iterator[simulator.AdobeSign]:
    with simulator.AdobeSign(clock).serving() as served:
        yield served


def connected(vendor: simulator.AdobeSign, **settings: str) -> AdobeSign:
    found = vendor.connection_settings() | settings
    return AdobeSign(Connection(found, id="adobe-1", server=vendor.origin, clock=vendor.clock))


@pytest.fixture
def provider(vendor: simulator.AdobeSign) -> AdobeSign:
    return connected(vendor)


@pytest.fixture
def now(clock: Clock) -> datetime:
    return clock.now


class TestAdobeSign(ProviderConformance):
    @pytest.fixture
    def embedded(self, provider):
        """Adobe is told where its page ends when the agreement is made, not at the click."""
        people = (person("ana", ANA, is_embedded=True), person("ben", BEN, is_embedded=True))
        request = asked(*people, return_url="https://p.example/r")
        return handle(request, send(provider, request))


def sent_to(vendor: simulator.AdobeSign, ending: str) -> dict:
    """The last JSON that went to a path that ends so."""
    return next(body for _, path, body in reversed(vendor.bodies) if path.endswith(ending))


def calls(vendor: simulator.AdobeSign, method: str, ending: str) -> int:
    return sum(each.method == method and each.path.endswith(ending) for each in vendor.seen)


def event(kind: str, at: int, email: str = ANA, acting: str = "", comment: str = "", **more: str) -> dict:
    return {
        "type": kind, "date": f"2026-11-25T12:{at:02d}:00Z", "participantEmail": email,
        "actingUserEmail": acting or email, "comment": comment, **more,
    }  # fmt: skip


# --- What is sent --------------------------------------------------------------------------------


def test_an_agreement_says_everything_in_the_vendors_fields(provider, vendor, now):
    ana = person("ana", ANA, 3, factors=("sms",), phone="+447700900123")
    ben = person("ben", BEN, 7, factors=("access_code",), access_code="4711-abcd")
    eve = OutgoingRecipient("eve", "approver", 3, "Eve Approver", "eve@castellan.example")
    copy = OutgoingRecipient("cleo", "copy", 1, "Cleo Reader", "cleo@castellan.example")

    send(provider, asked(ana, ben, eve, copy, expires_at=AT.replace(year=now.year + 1), language="fr"))

    body = sent_to(vendor, "/agreements")
    assert body.pop("fileInfos") == [{"transientDocumentId": next(iter(vendor.uploads))}]
    assert body == {
        "name": "Support agreement C-17",
        "message": "Please sign.",
        "participantSetsInfo": [
            {
                "memberInfos": [
                    {
                        "email": ANA,
                        "name": "Ana Écrivain",
                        "securityOption": {
                            "authenticationMethod": "PHONE",
                            "phoneInfo": {"countryCode": "+44", "phone": "7700900123"},
                        },
                    }
                ],
                "order": 1,
                "role": "SIGNER",
                "name": "Ana Écrivain",
            },
            {
                "memberInfos": [
                    {
                        "email": BEN,
                        "name": "Ben Écrivain",
                        "securityOption": {"authenticationMethod": "PASSWORD", "password": "4711-abcd"},
                    }
                ],
                "order": 2,
                "role": "SIGNER",
                "name": "Ben Écrivain",
            },
            {
                "memberInfos": [
                    {
                        "email": "eve@castellan.example",
                        "name": "Eve Approver",
                        "securityOption": {"authenticationMethod": "NONE"},
                    }
                ],
                "order": 1,
                "role": "APPROVER",
                "name": "Eve Approver",
            },
        ],
        "ccs": [{"email": "cleo@castellan.example"}],
        "signatureType": "ESIGN",
        "state": "AUTHORING",
        "externalId": {"id": "0k3envelope000000001"},
        "locale": "fr_FR",
        "expirationTime": f"{now.year + 1}-11-25T12:00:00Z",
        "postSignOption": {
            "redirectUrl": "https://portal.example/ceremony/x/return",
            "redirectDelay": 0,
        },
        "firstReminderDelay": 48,
        "reminderFrequency": "WEEKLY_UNTIL_SIGNED",
    }


def test_fields_lie_where_they_were_placed(provider, vendor):
    spot = Placement("ana", 1, 72.5, 100.0, 180.0, 48.0, page_height=792.0)

    send(provider, asked(person("ana", ANA), placements=(spot, replace(spot, y=300.0))))

    [envelope] = vendor.sent()
    first, second = sent_to(vendor, "/formFields")["fields"]
    assert first == {
        "name": "Signature 1",
        "inputType": "SIGNATURE",
        "contentType": "SIGNATURE",
        "assignee": envelope.people[0].facts["set_id"],
        "required": True,
        "locations": [{"pageNumber": 1, "left": 72.5, "top": 148.0, "width": 180.0, "height": 48.0}],
    }
    assert (second["name"], second["locations"][0]["top"]) == ("Signature 2", 348.0)


def test_nobody_embedded_is_mailed_or_reminded(provider, vendor):
    request = asked(person("ana", ANA, is_embedded=True), person("ben", BEN, is_embedded=True))

    envelope = handle(request, send(provider, request))
    provider.void(envelope, "Superseded.")

    body = sent_to(vendor, "/agreements")
    assert body["emailOption"] == {
        "sendOptions": {"initEmails": "NONE", "inFlightEmails": "NONE", "completionEmails": "NONE"}
    }
    assert not {"firstReminderDelay", "reminderFrequency"} & set(body)
    assert sent_to(vendor, "/state")["agreementCancellationInfo"]["notifyOthers"] is False
    assert vendor.mails == []
    with pytest.raises(Unsupported):
        provider.remind(envelope, "ana")


@pytest.mark.parametrize(
    "request_",
    [
        asked(person("ana", ANA, factors=("sms", "access_code"), phone="+447700900123", access_code="4")),
        asked(person("ana", ANA, factors=("sms",), phone="07700 900123")),
        asked(person("ana", ANA), placements=()),
        asked(
            person("ana", ANA, is_embedded=True),
            OutgoingRecipient("cleo", "copy", 1, "Cleo Reader", "cleo@castellan.example"),
        ),
    ],
)
def test_what_it_has_no_field_for_is_refused_before_any_request(provider, vendor, request_):
    with pytest.raises(Unsupported):
        provider.send(request_)

    assert vendor.seen == []


@pytest.mark.parametrize(
    ("after", "days", "expected"),
    [
        (2, 20, {"firstReminderDelay": 48, "reminderFrequency": "WEEKLY_UNTIL_SIGNED"}),
        (1, 20, {"firstReminderDelay": 24, "reminderFrequency": "DAILY_UNTIL_SIGNED"}),
        (0, 20, {}),
        (7, 7, {}),
    ],
)
def test_reminders_end_before_the_agreement_does(after, days, expected):
    assert bodies.reminders(after, timedelta(days=days)) == expected


def test_the_end_is_never_later_than_asked():
    at = datetime(2026, 12, 1, 23, 30, 59, 900_000, timezone(timedelta(hours=1)))

    assert bodies.stamp(at) == "2026-12-01T22:30:59Z"


# --- Step by step --------------------------------------------------------------------------------


def test_it_waits_for_the_document_to_be_read(provider, vendor):
    with pytest.raises(Preparing) as made:
        provider.send(asked())
    again = asked(is_repeat=True, remote_id=made.value.remote_id)
    with pytest.raises(Preparing) as reading:
        provider.send(again)
    state = provider.send(again)

    assert made.value.remote_id == reading.value.remote_id == state.remote_id
    assert reading.value.retry_after_s == 20
    assert state.status is EnvelopeStatus.SENT
    assert {each.key: each.remote_id for each in state.recipients} == {
        each.email.partition("@")[0]: each.facts["set_id"] for each in vendor.sent()[0].people
    }
    assert calls(vendor, "POST", "/agreements") == 1


@pytest.mark.parametrize(("age", "wait"), [(0, 20), (60, 60), (1500, 180)])
def test_a_document_that_takes_long_is_asked_about_less_often(provider, vendor, clock, age, wait):
    with pytest.raises(Preparing) as made:
        provider.send(asked())
    [envelope] = vendor.envelopes.values()
    envelope.created_at = clock.now.replace(microsecond=0)
    clock.now = envelope.created_at + timedelta(seconds=age)

    with pytest.raises(Preparing) as reading:
        provider.send(asked(is_repeat=True, remote_id=made.value.remote_id))

    assert reading.value.retry_after_s == wait


def test_what_changed_meanwhile_is_read_once_more(provider, vendor):
    send(provider, asked())

    # Placing the fields made another version of the agreement: the first tag is refused.
    assert [s.status for s in vendor.seen if s.method == "PUT" and s.path.endswith("/state")] == [412, 204]


def test_what_changes_all_the_time_is_refused(provider, vendor):
    envelope = handle(asked(), send(provider, asked()))
    usual = vendor.shown
    vendor.shown = lambda found: found.facts.update(version=found.facts["version"] + 1) or usual(found)

    with pytest.raises(Refused) as caught:
        provider.void(envelope, "Superseded.")

    assert (caught.value.status, caught.value.code) == (412, "RESOURCE_MODIFIED")


def test_one_that_was_never_sent_can_be_withdrawn(provider, vendor):
    vendor.reads_before_ready = 0
    with pytest.raises(Preparing):
        provider.send(asked())
    found = provider.find(asked().id)
    assert found.status is EnvelopeStatus.DRAFT

    provider.void(handle(asked(), found), "Superseded.")

    assert provider.find(asked().id).status is EnvelopeStatus.VOIDED


def test_while_the_document_is_read_nothing_can_be_withdrawn(provider, vendor):
    vendor.reads_before_ready = 3
    with pytest.raises(Preparing) as made:
        provider.send(asked())
    envelope = rehearsal.handle(asked(), made.value.remote_id)

    with pytest.raises(Preparing):
        provider.void(envelope, "Superseded.")


def test_what_everybody_signed_is_not_withdrawn(provider, vendor):
    envelope = handle(asked(), send(provider, asked()))
    vendor.complete(envelope.remote_id)

    with pytest.raises(Refused, match="already"):
        provider.void(envelope, "Superseded.")


def test_a_link_is_not_ready_at_once_and_gone_at_the_end(provider, vendor):
    request = asked(person("ana", ANA, 1, is_embedded=True), person("ben", BEN, 2, is_embedded=True))
    envelope = handle(request, send(provider, request))

    with pytest.raises(Preparing) as early:
        provider.signing_url(envelope, "ana", return_url="")
    with pytest.raises(Refused, match="not asked"):
        provider.signing_url(envelope, "ben", return_url="")
    vendor.expire(envelope.remote_id)
    with pytest.raises(Refused) as late:
        provider.signing_url(envelope, "ana", return_url="")

    assert early.value.retry_after_s == 5
    assert late.value.code == "AGREEMENT_EXPIRED"


def test_a_rehearsal_by_base_url_reaches_a_stateful_server(vendor):
    provider = AdobeSign(Connection(base_url=vendor.origin + simulator.API, token=simulator.KEY))
    lines: list[rehearsal.Line] = []

    assert rehearsal.Rehearsal(provider, lines.append, sleep=lambda seconds: None).run(), lines
    assert vendor.asked_base_uris == 0


# --- How it stands -------------------------------------------------------------------------------


def test_who_withdrew_or_declined_is_told_apart(provider, vendor):
    envelope = handle(asked(), send(provider, asked()))
    vendor.act(envelope.remote_id, ANA, "decline", "The fee is wrong.")

    state = provider.fetch(envelope)

    assert (state.status, state.reason) == (EnvelopeStatus.DECLINED, "The fee is wrong.")
    assert state.raw_status == "CANCELLED (REJECTED)"
    assert state.at is not None


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], EnvelopeStatus.VOIDED),
        ([event("RECALLED", 1)], EnvelopeStatus.VOIDED),
        ([event("EMAIL_VIEWED", 1), event("AUTO_CANCELLED_CONVERSION_PROBLEM", 2)], EnvelopeStatus.FAILED),
        ([event("RECALLED_MAX_SIGNING_PASSWORD_ATTEMPTS", 2)], EnvelopeStatus.FAILED),
        ([event("REJECTED", 3), event("ACTION_COMPLETED", 1)], EnvelopeStatus.DECLINED),
    ],
)
def test_cancelled_has_several_meanings(events, status):
    envelope = rehearsal.handle(asked(), "A1")

    found = states.state_of(envelope, {"status": "CANCELLED"}, {}, states.events_of({"events": events}))

    assert found.status is status


def one_set(word: str, *people: dict, id: str = "S1", order: int = 1) -> dict:
    return {"id": id, "role": "SIGNER", "order": order, "status": word, "memberInfos": list(people)}


@pytest.mark.parametrize(
    ("word", "events", "status"),
    [
        ("NOT_YET_VISIBLE", [], RecipientStatus.WAITING),
        ("WAITING_FOR_MY_SIGNATURE", [], RecipientStatus.SENT),
        ("WAITING_FOR_MY_SIGNATURE", [event("EMAIL_VIEWED", 1)], RecipientStatus.OPENED),
        ("WAITING_FOR_MY_SIGNATURE", [event("EMAIL_BOUNCED", 1)], RecipientStatus.UNDELIVERED),
        ("WAITING_FOR_OTHERS", [event("ACTION_COMPLETED_HOSTED", 1)], RecipientStatus.SIGNED),
        ("COMPLETED", [], RecipientStatus.SIGNED),
        ("WAITING_FOR_OTHERS", [], RecipientStatus.WAITING),
        ("WAITING_FOR_OTHERS", [event("ACTION_COMPLETED", 1, BEN)], RecipientStatus.WAITING),
        ("INVENTED_YESTERDAY", [], RecipientStatus.UNKNOWN),
    ],
)
def test_what_the_words_of_a_person_mean(word, events, status):
    envelope = rehearsal.handle(asked(person("ana", ANA)), "A1")
    members = {"participantSets": [one_set(word, {"id": "P1", "email": ANA})]}

    found = states.state_of(
        envelope, {"status": "OUT_FOR_SIGNATURE"}, members, states.events_of({"events": events})
    )

    assert [(each.status, each.remote_id, each.raw_status) for each in found.recipients] == [
        (status, "S1", word)
    ]


def test_one_address_in_two_turns_is_told_apart():
    envelope = rehearsal.handle(asked(person("ana", ANA, 1), person("again", ANA, 2)), "A1")
    members = {
        "participantSets": [
            one_set("WAITING_FOR_MY_SIGNATURE", {"id": "P2", "email": ANA}, id="S2", order=2),
            one_set("WAITING_FOR_OTHERS", {"id": "P1", "email": ANA}, id="S1", order=1),
        ]
    }
    events = states.events_of({"events": [event("ACTION_COMPLETED", 1, participantId="P1")]})

    found = states.state_of(envelope, {"status": "OUT_FOR_SIGNATURE"}, members, events)

    assert {each.key: (each.status, each.remote_id) for each in found.recipients} == {
        "ana": (RecipientStatus.SIGNED, "S1"),
        "again": (RecipientStatus.SENT, "S2"),
    }


def test_whoever_a_signer_hands_over_to_counts_as_them(provider, vendor):
    envelope = handle(asked(), send(provider, asked()))
    vendor.delegate(envelope.remote_id, ANA, "deputy@larkfield.example")

    waiting = statuses(provider, envelope)
    vendor.act(envelope.remote_id, ANA, "sign")

    assert waiting["ana"] is RecipientStatus.SENT
    assert statuses(provider, envelope)["ana"] is RecipientStatus.SIGNED


def test_a_corrected_person_keeps_their_place_and_their_check(provider, vendor):
    ana = person("ana", ANA, factors=("access_code",), access_code="4711-abcd")
    envelope = handle(asked(ana), send(provider, asked(ana)))

    provider.correct(envelope, "ana", name="Ana New", email="new@larkfield.example")

    [body] = [body for method, path, body in vendor.bodies if "participantSets" in path]
    assert body == {
        "memberInfos": [
            {
                "email": "new@larkfield.example",
                "name": "Ana New",
                "securityOption": {"authenticationMethod": "PASSWORD"},
            }
        ],
        "order": 1,
        "role": "SIGNER",
    }
    assert statuses(provider, envelope)["ana"] is RecipientStatus.SENT
    vendor.act(envelope.remote_id, "new@larkfield.example", "sign")
    assert statuses(provider, envelope)["ana"] is RecipientStatus.SIGNED


def test_a_correction_it_cannot_make_is_refused(provider, vendor):
    ana = person("ana", ANA, factors=("sms",), phone="+447700900123")
    envelope = handle(asked(ana), send(provider, asked(ana)))

    with pytest.raises(Refused, match="telephone"):
        provider.correct(envelope, "ana", name="Ana New", email="new@larkfield.example")
    with pytest.raises(Unsupported):
        provider.correct(envelope, "ana", name="Ana New", email=ANA.upper())


def test_how_long_to_rest_is_read_from_the_answer(provider, vendor):
    envelope = handle(asked(), send(provider, asked()))
    vendor.misbehave("429", method="GET")

    with pytest.raises(Throttled) as caught:
        provider.fetch(envelope)

    assert caught.value.retry_after_s == 7


# --- Being let in --------------------------------------------------------------------------------


def oauth(vendor: simulator.AdobeSign, **more: object) -> AdobeSign:
    settings = {"client_id": simulator.CLIENT_ID, "client_secret": simulator.CLIENT_SECRET, "shard": "eu2"}
    return AdobeSign(Connection(settings, id="a", server=vendor.origin, clock=vendor.clock, **more))


def allowed(vendor: simulator.AdobeSign, provider: AdobeSign) -> dict[str, str]:
    """What comes back to us when an administrator presses Allow."""
    import requests

    url = provider.authorise_url(redirect_url=REDIRECT, state="s-1")
    assert "Allow" in requests.get(url, timeout=5).text
    reply = requests.post(url, timeout=5, allow_redirects=False)
    return dict(parse_qsl(urlsplit(reply.headers["Location"]).query))


def test_an_administrator_lets_us_in_and_tokens_are_renewed(vendor, clock):
    kept: list[Tokens] = []
    provider = oauth(vendor)
    answer = allowed(vendor, provider)
    assert answer["state"] == "s-1"
    tokens = provider.authorise(answer, redirect_url=REDIRECT)
    assert tokens.facts == {"api_access_point": "https://api.eu2.adobesign.com", "environment": "developer"}
    assert tokens.expires_at == clock.now + timedelta(hours=1)

    clock.now += timedelta(hours=2)
    later = oauth(vendor, tokens=tokens, keep=kept.append)
    account = later.check()

    assert (account.name, account.email, account.is_test) == ("Castellan Ltd", simulator.OWNER, True)
    [fresh] = kept
    assert fresh.access != tokens.access
    assert (fresh.refresh, fresh.facts) == (tokens.refresh, tokens.facts)
    assert vendor.asked_base_uris == 0


def test_where_an_administrator_allows_is_on_their_shard():
    provider = AdobeSign(Connection({"client_id": "c", "shard": "jp1", "environment": "sandbox"}))

    url = urlsplit(provider.authorise_url(redirect_url=REDIRECT, state="s"))

    assert (url.netloc, url.path) == ("secure.jp1.adobesignsandbox.com", "/public/oauth/v2")
    assert dict(parse_qsl(url.query))["scope"] == " ".join(SCOPES)


@pytest.mark.parametrize(
    "said",
    [
        "https://api.evil.example/",
        "https://adobesign.com.evil.example/",
        "https://evil.example/api.na1.adobesign.com",
        "https://api.na1.adobesign.com@evil.example/",
        "http://api.na1.adobesign.com/",
        "https://eviladobesign.com/",
    ],
)
def test_our_secret_goes_to_adobes_hosts_alone(vendor, said):
    provider = oauth(vendor)
    answer = {**allowed(vendor, provider), "api_access_point": said}
    seen = len(vendor.seen)

    with pytest.raises(Refused, match="not its own"):
        provider.authorise(answer, redirect_url=REDIRECT)

    assert len(vendor.seen) == seen


def test_an_answer_without_a_code_lets_nobody_in(vendor):
    with pytest.raises(Refused):
        oauth(vendor).authorise({"error": "access_denied"}, redirect_url=REDIRECT)
    with pytest.raises(Refused):
        oauth(vendor).authorise({"code": "invented"}, redirect_url=REDIRECT)


def test_a_refresh_that_is_refused_asks_to_connect_again(vendor, clock):
    facts = {"api_access_point": "https://api.eu2.adobesign.com", "environment": "developer"}
    dead = Tokens("MARKED-old", clock.now - timedelta(days=1), "MARKED-gone", facts)

    with pytest.raises(NotConfigured):
        oauth(vendor, tokens=dead).check()


def test_where_the_account_lives_is_asked_once_and_kept(vendor):
    kept: list[Tokens] = []
    settings = vendor.connection_settings()
    first = AdobeSign(Connection(settings, server=vendor.origin, keep=kept.append))
    first.check()
    second = AdobeSign(Connection(settings, server=vendor.origin, tokens=kept[0], keep=kept.append))
    second.check()

    assert vendor.asked_base_uris == 1
    assert [each.access for each in kept] == [""]  # the key itself is not copied


@pytest.mark.parametrize("way", ["key", "oauth"])
def test_an_account_that_moved_is_found_again_at_once(vendor, way):
    kept: list[Tokens] = []
    if way == "key":
        provider = AdobeSign(Connection(vendor.connection_settings(), server=vendor.origin, keep=kept.append))
    else:
        tokens = oauth(vendor).authorise(allowed(vendor, oauth(vendor)), redirect_url=REDIRECT)
        provider = oauth(vendor, tokens=tokens, keep=kept.append)
    provider.check()
    before = vendor.asked_base_uris
    vendor.has_moved = True

    assert provider.check().id == "U1"

    assert vendor.asked_base_uris == before + 1
    assert kept[-1].facts["api_access_point"] == "https://api.eu2.adobesign.com"


def test_another_environment_asks_anew_where_the_account_lives(vendor):
    facts = {"api_access_point": "https://api.na1.adobesign.com", "environment": "sandbox"}
    provider = AdobeSign(
        Connection(vendor.connection_settings(), server=vendor.origin, tokens=Tokens("", facts=facts))
    )

    provider.check()

    assert vendor.asked_base_uris == 1


def test_no_secret_of_oauth_is_logged_or_told(vendor, clock, caplog):
    caplog.set_level(logging.DEBUG)
    provider = oauth(vendor)
    tokens = provider.authorise(allowed(vendor, provider), redirect_url=REDIRECT)
    clock.now += timedelta(hours=2)
    later = oauth(vendor, tokens=tokens)
    told = [repr(tokens), repr(later), repr(later.connection)]
    vendor.misbehave("500", path="refresh")
    for _ in range(2):
        try:
            later.check()
        except ProviderError as error:
            told.append(repr(error) + str(error.__cause__))

    said = caplog.text + "".join(str(vars(record)) for record in caplog.records) + "".join(told)
    assert "MARKED" not in said


# --- Webhooks ------------------------------------------------------------------------------------


def echo(client_id: str, method: str = "GET") -> Delivery:
    return Delivery(method, "key=x", {"x-adobesign-clientid": client_id}, b"")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_our_own_client_id_is_echoed_and_no_other(provider, method):
    answer = provider.acknowledge(echo(simulator.CLIENT_ID, method))

    assert (answer.status, answer.headers["X-AdobeSign-ClientId"]) == (200, simulator.CLIENT_ID)
    assert json.loads(answer.body) == {"xAdobeSignClientId": simulator.CLIENT_ID}
    for other in ("", "CBJCHBCAABAA-other"):
        assert provider.acknowledge(echo(other, method)).status == 403


def test_without_the_client_id_there_are_no_webhooks(vendor):
    provider = connected(vendor, key_client_id="")

    assert provider.acknowledge(echo("")).status == 403
    with pytest.raises(NotConfigured, match="Client ID"):
        provider.subscribe("https://portal.example/webhooks/abc")
    assert vendor.seen == []


@pytest.fixture
def call(provider, vendor):
    """A webhook call, and the provider that knows its subscription."""
    subscription = provider.subscribe("https://portal.example/webhooks/abc")
    knowing = AdobeSign(replace(provider.connection, subscription=subscription))
    send(knowing, asked())
    return knowing, vendor.calls[0]


def test_a_call_is_a_hint_that_names_both_ids(call, vendor):
    provider, delivery = call

    [note] = provider.read(delivery)

    assert (note.word, note.request_id, note.state) == ("AGREEMENT_CREATED", asked().id, None)
    assert note.remote_id == vendor.sent()[0].id
    assert delivery.query == f"key={provider.connection.subscription.secret}"
    assert len(provider.connection.subscription.secret) >= 43


@pytest.mark.parametrize(
    "changes",
    [
        {"query": ""},
        {"query": "key="},
        {"query": "key=guessed"},
        {"query": "other=1"},
        {"headers": {}},
        {"headers": {"x-adobesign-clientid": "CBJCHBCAABAA-other"}},
    ],
)
def test_a_call_without_our_secret_or_our_id_is_not_read(call, changes):
    provider, delivery = call

    with pytest.raises(BadSignature):
        provider.read(replace(delivery, **changes))
    assert provider.acknowledge(replace(delivery, **changes)).status == 403
    assert provider.acknowledge(delivery).status == 200


def test_before_anything_is_registered_no_call_is_read(provider, call):
    with pytest.raises(BadSignature):
        provider.read(replace(call[1], query="key="))


def test_a_call_about_something_else_says_nothing(call):
    provider, delivery = call
    about = json.loads(delivery.body)
    about["megaSign"] = about.pop("agreement")

    assert provider.read(replace(delivery, body=json.dumps(about).encode())) == ()


def test_what_an_attempt_cut_short_had_registered_is_ended(provider, vendor):
    url = "https://portal.example/webhooks/abc"
    provider.subscribe(url)
    provider.subscribe("https://portal.example/webhooks/abcd")

    kept = provider.subscribe(url)

    assert len(vendor.subscribers) == 2
    assert vendor.subscribers[-1]["url"] == f"{url}?key={kept.secret}"


def test_adobe_asks_first_whether_its_calls_are_wanted(provider, vendor):
    vendor.delivers = True

    with answering(provider) as origin:
        provider.subscribe(f"{origin}/webhooks/abc")
    other = connected(vendor, key_client_id="CBJCHBCAABAA-other")
    with answering(other) as origin, pytest.raises(Refused, match="intent"):
        provider.subscribe(f"{origin}/webhooks/abc")


@contextmanager
def answering(provider: AdobeSign) -> Iterator[str]:
    """A server that answers webhook calls as the provider says."""

    def app(environ, start_response):
        headers = {"x-adobesign-clientid": environ.get("HTTP_X_ADOBESIGN_CLIENTID", "")}
        answer = provider.acknowledge(Delivery("GET", environ["QUERY_STRING"], headers, b""))
        start_response(f"{answer.status} .", list(answer.headers.items()))
        return [answer.body]

    class Quiet(WSGIRequestHandler):
        def log_message(self, *said: object) -> None: ...

    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        thread.join(5)


# --- Archive and batches -------------------------------------------------------------------------


def test_the_archive_says_which_were_ours(provider, vendor, now):
    envelope = handle(asked(), send(provider, asked()))
    vendor.complete(envelope.remote_id)
    vendor.fill_archive(3, until=now - timedelta(hours=1))

    page = provider.archive(now - timedelta(days=1), now + timedelta(days=1))

    assert (page.total, page.cursor) == (4, "")
    assert [each.request_id for each in page.envelopes] == ["", "", "", asked().id]
    assert page.envelopes[-1].completed_at == now
    assert set(page.envelopes[-1].people) == {("Ana Écrivain", ANA), ("Ben Écrivain", BEN)}


def batch(**changes: object) -> BulkRequest:
    rows = tuple(BulkRow(f"row{n}", f"Person {n}", f"person{n}@example.com", "fr") for n in range(4))
    return replace(
        BulkRequest(
            "0k3bulk0000000000001",
            "Price notice",
            "Please sign.",
            OutgoingDocument("notice.pdf", "0" * 64, 1, lambda: FILE),
            (Placement("signer", 1, 72.0, 200.0, 180.0, 48.0),),
            rows,
            datetime.now(UTC) + timedelta(days=20),
        ),
        **changes,
    )


def test_a_batch_is_a_form_and_a_list(provider, vendor):
    state = provider.send_bulk(batch())

    body = sent_to(vendor, "/megaSigns")
    file, rows = (vendor.uploads[each][1] for each in vendor.uploads)
    assert rows.decode().splitlines()[:2] == [
        "Recipient_1:Email,Recipient_1:Role,countersign_row",
        "person0@example.com,SIGNER,row0",
    ]
    assert (body["externalId"], body["locale"]) == ({"id": batch().id}, "fr_FR")
    with pikepdf.open(io.BytesIO(file)) as document:
        [field] = document.Root.AcroForm.Fields
        assert str(field.T) == "Sig1_es_:signer1:signature"
        assert [float(each) for each in field.Rect] == [72, 200, 252, 248]
        assert list(document.pages[0].obj.Annots) == [field]
    assert (state.rows, state.is_final) == ((), False)


def test_a_batch_tells_who_is_who_once_all_are_made(provider, vendor, clock):
    made = provider.send_bulk(batch())

    early = provider.bulk_state(made.remote_id)
    late = provider.bulk_state(made.remote_id)

    assert (early.rows, early.is_final) == ((), False)
    by_id = {each.id: each.people[0].email for each in vendor.envelopes.values()}
    assert {each.key: by_id[each.remote_id] for each in late.rows} == {
        f"row{n}": f"person{n}@example.com" for n in range(4)
    }
    assert late.is_final


def test_a_batch_that_stays_short_ends_after_an_hour(provider, vendor, clock):
    made = provider.send_bulk(batch())
    vendor.batches[made.remote_id]["children"].pop()
    provider.bulk_state(made.remote_id)
    clock.now += timedelta(hours=2)

    state = provider.bulk_state(made.remote_id)

    assert (len(state.rows), state.is_final) == (3, True)


def test_a_batch_whose_answer_was_lost_is_found_by_our_id(provider, vendor):
    provider.send_bulk(batch(id="0k3bulk0000000000000"))
    vendor.misbehave("reset_after", path="megaSigns")
    with pytest.raises(ProviderError):
        provider.send_bulk(batch())

    again = provider.send_bulk(batch(is_repeat=True))

    assert len(vendor.batches) == 2
    assert vendor.batches[again.remote_id]["our_id"] == batch().id


def test_a_batch_that_could_not_be_told_apart_is_refused(provider, vendor):
    twice = (BulkRow("a", "A", "same@example.com"), BulkRow("b", "B", "Same@example.com"))

    for request in (batch(rows=twice), batch(placements=())):
        with pytest.raises(Unsupported):
            provider.send_bulk(request)
    assert vendor.seen == []


# --- A real account ------------------------------------------------------------------------------

LIVE = os.environ.get("COUNTERSIGN_LIVE_ADOBE_SIGN", "")


@pytest.mark.live
@pytest.mark.skipif(not LIVE, reason="COUNTERSIGN_LIVE_ADOBE_SIGN names no file")
def test_a_real_account_passes_the_rehearsal():
    provider = AdobeSign(described(Path(LIVE)))
    lines: list[rehearsal.Line] = []

    assert rehearsal.run(provider, lines.append), lines
