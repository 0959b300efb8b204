"""signNow: the questions everyone is asked, and what is peculiar to it."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from providers import rehearsal
from providers.base import hmac_sha256
from providers.errors import BadSignature, NotConfigured, ProviderError, Refused, Unavailable, Unsupported
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
from providers.signnow import SignNow, account, bodies, states
from tests.providers.conformance import ANA, BEN, FILE, ProviderConformance, asked, handle, person, send
from tests.simulators import signnow as simulator
from tests.simulators.signnow_account import BASIC, OWNER, PASSWORD

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
def vendor(clock: Clock) -> Iterator[simulator.SignNow]:
    with simulator.SignNow(clock).serving() as served:
        yield served


def connected(vendor: simulator.SignNow, **settings: str) -> SignNow:
    found = vendor.connection_settings() | settings
    return SignNow(Connection(found, id="signnow-1", server=vendor.origin, clock=vendor.clock))


@pytest.fixture
def provider(vendor: simulator.SignNow) -> SignNow:
    return connected(vendor)


@pytest.fixture
def now(clock: Clock) -> datetime:
    return clock.now


class TestSignNow(ProviderConformance):
    @pytest.fixture
    def embedded(self, provider):
        """signNow is told where its page ends when people are invited, not at the click."""
        people = (person("ana", ANA, is_embedded=True), person("ben", BEN, is_embedded=True))
        request = asked(*people, return_url="https://p.example/r")
        return handle(request, send(provider, request))


def sent_to(vendor: simulator.SignNow, ending: str) -> dict:
    """The last JSON that went to a path that ends so."""
    return next(body for _, path, body in reversed(vendor.bodies) if path.endswith(ending))


def calls(vendor: simulator.SignNow, method: str, ending: str) -> int:
    return sum(each.method == method and each.path.endswith(ending) for each in vendor.seen)


# --- What is sent --------------------------------------------------------------------------------


def test_an_invitation_says_everything_in_the_vendors_fields(provider, vendor, now):
    ana = person("ana", ANA, 3, factors=("sms",), phone="+447700900123")
    ben = person("ben", BEN, 7, factors=("access_code",), access_code="4711-abcd")
    copy = OutgoingRecipient("cleo", "copy", 1, "Cleo Reader", "cleo@castellan.example")

    state = send(provider, asked(ana, ben, copy, expires_at=now + timedelta(days=12, hours=23)))

    body = sent_to(vendor, "/invite")
    [document] = vendor.sent()
    shared = {
        "language": "fr", "expiration_days": 12, "reassign": "1", "decline_by_signature": "1",
        "subject": "Support agreement C-17", "message": "Please sign.", "reminder": {"remind_repeat": 2},
        "redirect_uri": "https://portal.example/ceremony/x/return",
    }  # fmt: skip
    assert body == {
        "from": OWNER,
        "cc": ["cleo@castellan.example"],
        "subject": "Support agreement C-17",
        "message": "Please sign.",
        "to": [
            {
                "email": ANA, "role": "Signer 1", "role_id": document.facts["roles"]["Signer 1"], "order": 1,
                "prefill_signature_name": "Ana Écrivain", "authentication_type": "phone", "method": "sms",
                "phone": "+447700900123", **shared,
            },
            {
                "email": BEN, "role": "Signer 2", "role_id": document.facts["roles"]["Signer 2"], "order": 2,
                "prefill_signature_name": "Ben Écrivain", "authentication_type": "password",
                "password": "4711-abcd", **shared,
            },
        ],
    }  # fmt: skip
    assert {each.key: each.remote_id for each in state.recipients} == {
        "ana": document.facts["roles"]["Signer 1"],
        "ben": document.facts["roles"]["Signer 2"],
    }


def test_embedded_people_are_invited_in_one_call_with_their_order(provider, vendor):
    people = (
        person("ana", ANA, 2, is_embedded=True, factors=("phone",), phone="+447700900123"),
        person("ben", BEN, 5, is_embedded=True),
    )

    send(provider, asked(*people))

    ana, ben = sent_to(vendor, "/embedded-invites")["invites"]
    assert (ana["order"], ben["order"]) == (1, 2)
    assert ana["authentication"] == {"type": "phone", "method": "phone_call", "phone": "+447700900123"}
    assert (ana["auth_method"], ana["delivery_type"], ana["language"]) == ("none", "link", "fr")
    assert (ben["first_name"], ben["last_name"]) == ("Ben", "Écrivain")
    assert ben["decline_redirect_uri"] == "https://portal.example/ceremony/x/return"
    assert "authentication" not in ben


def test_whose_turn_it_is_not_gets_no_link(provider, vendor):
    request = asked(person("ana", ANA, 1, is_embedded=True), person("ben", BEN, 2, is_embedded=True))
    envelope = handle(request, send(provider, request))

    with pytest.raises(Refused, match="not pending") as caught:
        provider.signing_url(envelope, "ben", return_url="")

    assert (caught.value.status, caught.value.code) == (403, "19001028")


def test_a_spot_counts_from_the_upper_left_and_pages_from_zero():
    spot = Placement("ana", 2, 72.4, 100.0, 180.0, 48.0, page_height=792.0)

    made = bodies.field(spot, "Signer 1", 1)

    assert [made[name] for name in ("page_number", "x", "y", "width", "height")] == [1, 72, 644, 180, 48]


@pytest.mark.parametrize(
    ("left", "days"),
    [(timedelta(days=3), 3), (timedelta(days=3, hours=23), 3), (timedelta(days=400), 180)],
)
def test_it_never_ends_later_than_asked(left, days):
    assert bodies.days_until(AT + left, AT) == days


@pytest.mark.parametrize(
    ("after", "ends", "expected"),
    [(2, 20, {"remind_repeat": 2}), (9, 20, {"remind_after": 9}), (0, 20, {}), (7, 7, {})],
)
def test_reminders_keep_to_what_the_vendor_takes(after, ends, expected):
    assert bodies.reminder(after, ends) == expected


@pytest.mark.parametrize(
    "request_",
    [
        asked(person("ana", ANA, factors=("sms", "access_code"), phone="+4477", access_code="4711")),
        asked(person("ana", ANA), placements=()),
        asked(person("ana", ANA), expires_at=datetime.now(UTC) + timedelta(hours=20)),
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


# --- Half done -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [r"^/document/\w+$", r"/invite$"])
def test_what_was_uploaded_is_gone_on_with_and_never_uploaded_again(provider, vendor, path):
    vendor.misbehave("500", path=path, method="PUT" if path.endswith("+$") else "POST")
    with pytest.raises(Unavailable):
        provider.send(asked())

    state = provider.send(asked(is_repeat=True))

    assert calls(vendor, "POST", "/document") == 1
    assert calls(vendor, "POST", "/invite") == (1 if path.endswith("+$") else 2)
    assert state.status is EnvelopeStatus.SENT
    assert len(vendor.envelopes) == 1


def test_what_somebody_withdrew_at_the_vendor_is_not_sent_again(provider, vendor):
    state = provider.send(asked())
    vendor.end(vendor.envelopes[state.remote_id], "voided")

    again = provider.send(asked(is_repeat=True))

    assert again.status is EnvelopeStatus.VOIDED
    assert calls(vendor, "POST", "/invite") == 1


def test_what_was_sent_is_told_on_its_last_day_too(provider, clock):
    request = asked()
    provider.send(request)
    clock.now = request.expires_at - timedelta(hours=3)

    assert provider.send(replace(request, is_repeat=True)).status is EnvelopeStatus.SENT


def test_documents_of_others_are_never_taken_for_ours(provider, vendor, now):
    vendor.fill_archive(3, until=now)
    vendor.envelopes[next(iter(vendor.envelopes))].facts["file_name"] = (
        "countersign-0k3envelope0000000011.pdf"
    )

    assert provider.find("0k3envelope000000001") is None


# --- How it stands -------------------------------------------------------------------------------


def an_invite(status: str, **changes: object) -> dict[str, object]:
    return {
        "id": "i", "status": status, "role_id": "r1", "email": ANA, "updated": "1764061200",
        "expiration_time": "0", "declined": [],
    } | changes  # fmt: skip


LATE = str(int((AT - timedelta(hours=1)).timestamp()))
SOON = str(int((AT + timedelta(hours=1)).timestamp()))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"field_invites": [an_invite("pending"), an_invite("created")]}, EnvelopeStatus.SENT),
        ({"field_invites": [an_invite("fulfilled"), an_invite("created")]}, EnvelopeStatus.SENT),
        ({"field_invites": [an_invite("fulfilled"), an_invite("skipped")]}, EnvelopeStatus.COMPLETED),
        (
            {"field_invites": [an_invite("fulfilled", expiration_time=LATE, declined=[])]},
            EnvelopeStatus.COMPLETED,
        ),
        ({"field_invites": [an_invite("pending", expiration_time=LATE)]}, EnvelopeStatus.EXPIRED),
        ({"field_invites": [an_invite("pending", expiration_time=SOON)]}, EnvelopeStatus.SENT),
        ({"field_invites": [an_invite("fulfilled"), an_invite("expired")]}, EnvelopeStatus.EXPIRED),
        ({"field_invites": [an_invite("pending", declined=[{"reason": "No."}])]}, EnvelopeStatus.DECLINED),
        ({"field_invites": [an_invite("rejected")]}, EnvelopeStatus.DECLINED),
        ({"field_invites": [an_invite("cancelled")]}, EnvelopeStatus.VOIDED),
        ({"field_invites": [an_invite("brand-new-word")]}, EnvelopeStatus.UNKNOWN),
        ({"field_invites": [], "requests": [{"id": "q", "signature_id": "s"}]}, EnvelopeStatus.COMPLETED),
        ({"field_invites": [], "requests": [{"id": "q", "signature_id": None}]}, EnvelopeStatus.SENT),
        ({"requests": [{"id": "q", "canceled": "1"}]}, EnvelopeStatus.VOIDED),
        ({"field_invites": [], "fields": [{"field_request_canceled": None}]}, EnvelopeStatus.DRAFT),
        ({"field_invites": [], "fields": [{"field_request_canceled": "1764061200"}]}, EnvelopeStatus.VOIDED),
    ],
)
def test_the_status_follows_from_the_invitations(document, expected):
    assert states.state_of({"id": "d"} | document, {}, AT).status is expected


def test_who_is_who_without_the_vendors_id():
    """With embedded people the application's name follows the address."""
    people = (
        RemoteRecipient("ana", "signer", 1, "Ana", ANA),
        RemoteRecipient("ben", "signer", 2, "Ben", BEN),
    )
    document = {
        "id": "d",
        "field_invites": [
            an_invite("pending", email=f"{ANA.upper()} (Countersign)", role_id="r1"),
            an_invite("created", email=BEN, role_id="r2"),
        ],
    }

    state = states.state_of(document, states.keys_of(RemoteEnvelope("d", "x", people)), AT)

    assert [(each.key, each.status, each.remote_id, each.raw_status) for each in state.recipients] == [
        ("ana", RecipientStatus.SENT, "r1", "pending"),
        ("ben", RecipientStatus.WAITING, "r2", "created"),
    ]


def test_a_person_is_followed_through_a_new_address(provider, vendor):
    request = asked(person("ana", ANA))
    envelope = handle(request, provider.send(request))
    provider.correct(envelope, "ana", name="Ana New", email="ana.new@larkfield.example")
    vendor.mails.clear()

    provider.remind(envelope, "ana")
    vendor.act(envelope.remote_id, "ana.new@larkfield.example", "sign")

    assert [mail.to for mail in vendor.mails[:1]] == ["ana.new@larkfield.example"]
    assert provider.fetch(envelope).recipients[0].status is RecipientStatus.SIGNED


def test_who_is_checked_keeps_the_address(provider, vendor):
    """A code could be lost on the way to the new one."""
    request = asked(person("ana", ANA, factors=("access_code",), access_code="4711-abcd"))
    envelope = handle(request, provider.send(request))

    with pytest.raises(Refused, match="checks this person"):
        provider.correct(envelope, "ana", name="Ana", email="ana.new@larkfield.example")

    assert calls(vendor, "PUT", "") == 1  # the fields


@pytest.mark.parametrize("is_embedded", [False, True])
def test_what_everybody_signed_is_not_withdrawn_and_what_was_declined_needs_nothing(
    provider, vendor, is_embedded
):
    done, declined = (
        handle(request, provider.send(request))
        for request in (
            asked(person("ana", ANA, is_embedded=is_embedded), id=f"0k3envelope00000000{n}") for n in (1, 2)
        )
    )
    vendor.complete(done.remote_id)
    vendor.act(declined.remote_id, ANA, "decline")

    with pytest.raises(Refused, match="signed"):
        provider.void(done, "Too late.")
    provider.void(declined, "Not needed.")

    assert provider.fetch(done).status is EnvelopeStatus.COMPLETED
    assert not [each for each in vendor.seen if each.method == "DELETE" or "cancel" in each.path]


# --- Being let in --------------------------------------------------------------------------------


def test_an_administrator_allows_it_once_and_tokens_are_renewed(vendor, clock):
    kept: list[Tokens] = []
    made = Connection(
        {"method": "oauth", "basic_token": BASIC}, server=vendor.origin, keep=kept.append, clock=clock
    )
    redirect_url = "https://portal.example/oauth"
    address = SignNow(made).authorise_url(redirect_url=redirect_url, state="s1")
    assert "Allow" in requests.get(address, timeout=5).text
    back = requests.post(address, timeout=5, allow_redirects=False).headers["Location"]
    answer = dict(parse_qsl(urlsplit(back).query))

    tokens = SignNow(made).authorise(answer, redirect_url=redirect_url)
    provider = SignNow(replace(made, tokens=tokens))
    first = provider.check()
    clock.now += timedelta(days=31)
    second = provider.check()

    assert answer["state"] == "s1"
    assert first == second
    assert (first.name, first.email, first.is_test) == ("Castellan Ltd", OWNER, True)
    assert [each.access for each in kept] == [provider.tokens.access]
    assert kept[0].refresh != tokens.refresh
    with pytest.raises(Refused):
        SignNow(made).authorise(answer, redirect_url=redirect_url)  # a code is good once


def test_a_token_the_vendor_forgot_is_renewed_although_the_answer_is_400(vendor):
    provider = connected(vendor, method="password", username=OWNER, password=PASSWORD)
    provider.check()
    vendor.tokens.clear()
    vendor.refreshes.clear()  # the password is asked for again

    assert provider.check().email == OWNER


def test_the_owners_wrong_password_says_who_must_act(vendor):
    provider = connected(vendor, method="password", username=OWNER, password="wrong")

    with pytest.raises(NotConfigured, match="connects the account again"):
        provider.check()


@pytest.mark.parametrize("environment", ["evaluation", "production"])
def test_the_hosts_are_the_vendors_own(environment):
    provider = SignNow(Connection({"environment": environment, "method": "oauth", "basic_token": BASIC}))
    middle = "-eval" if environment == "evaluation" else ""

    address = provider.authorise_url(redirect_url="https://portal.example/oauth", state="s")

    assert provider.url("/user") == f"https://api{middle}.signnow.com/user"
    assert address.startswith(
        f"https://app{middle}.signnow.com/authorize?response_type=code&client_id=app-1&"
    )


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"errors": [{"code": 65585, "message": "Email is invalid"}]}, ("65585", "Email is invalid")),
        (400, {"code": 400, "message": "callback must be url"}, ("400", "callback must be url")),
        (
            403,
            {"message": "Subscription to event is not allowed"},
            ("", "Subscription to event is not allowed"),
        ),
        (400, {"error": "invalid_token", "code": 1537}, ("invalid_token", "invalid_token")),
        (404, {"404": "Unable to find a route"}, ("", "Unable to find a route")),
        (400, {"errors": []}, ("", "")),
        (400, ["?"], ("", "")),
        (500, None, ("", "")),
    ],
)
def test_every_shape_of_a_refusal_is_read(status, body, expected):
    assert account.reasons(status, body) == expected


# --- Webhooks ------------------------------------------------------------------------------------


def hooked(vendor: simulator.SignNow) -> SignNow:
    provider = connected(vendor)
    subscription = provider.subscribe(URL)
    return SignNow(replace(provider.connection, subscription=subscription))


@pytest.mark.parametrize("in_hex", [False, True])
def test_a_signature_may_be_base64_or_hexadecimal(vendor, in_hex):
    provider = hooked(vendor)
    vendor.signs_in_hex = in_hex
    state = provider.send(asked())

    [note] = provider.read(vendor.calls[0])

    assert (note.remote_id, note.word) == (state.remote_id, "user.document.fieldinvite.sent")
    assert note.state is None
    assert note.at is not None


def test_the_signature_alone_does_not_do(vendor):
    provider = hooked(vendor)
    provider.send(asked())
    call = vendor.calls[0]
    for headers in (
        {name: value for name, value in call.headers.items() if name != "x-countersign-token"},
        {**call.headers, "x-countersign-token": "guessed"},
        {**call.headers, "x-signnow-signature": base64.b64encode(hmac_sha256("other", call.body)).decode()},
        {**call.headers, "x-signnow-signature": "é"},
    ):
        with pytest.raises(BadSignature):
            provider.read(replace(call, headers=headers))


def test_without_a_subscription_nothing_is_believed(vendor):
    provider = hooked(vendor)
    provider.send(asked())
    for subscription in (None, Subscription("x"), Subscription("x", "", {"own": ""})):
        bare = SignNow(replace(provider.connection, subscription=subscription))
        with pytest.raises(BadSignature):
            bare.read(vendor.calls[0])


def test_a_signed_call_that_names_no_document_says_nothing(vendor):
    provider = hooked(vendor)
    provider.send(asked())
    key = provider.connection.subscription.secret
    for said in (
        {"meta": {"event": "x"}},
        {"meta": 1, "content": []},
        {"meta": {"event": 1}, "content": {}},
        [],
    ):
        body = json.dumps(said).encode()
        signature = base64.b64encode(hmac_sha256(key, body)).decode()
        call = vendor.calls[0]
        headers = {**call.headers, "x-signnow-signature": signature}

        assert provider.read(replace(call, body=body, headers=headers)) == ()


def test_subscribing_again_after_half_of_it_failed_leaves_one_set(vendor):
    provider = connected(vendor)
    usual = vendor.subscribe
    vendor.subscribe = lambda body: usual(body) if len(vendor.subscribers) < 2 else vendor.broken(500)
    with pytest.raises(Unavailable):
        provider.subscribe(URL)
    assert len(vendor.subscribers) == 2
    vendor.subscribe = usual
    other = connected(vendor)
    other.subscribe("https://other.example/webhooks/1")
    provider.subscribe(URL)
    subscription = provider.subscribe(URL)

    events = [each["event"] for each in vendor.subscribers if each["url"] == URL]
    assert len(events) == len(set(events)) == len(subscription.id.split(","))
    provider.unsubscribe(subscription)
    assert {each["url"] for each in vendor.subscribers} == {"https://other.example/webhooks/1"}


# --- Lists ---------------------------------------------------------------------------------------


def test_an_archived_document_says_who_signed_and_which_request_it_was(provider, vendor, now, clock):
    request = asked(person("ana", ANA))
    state = provider.send(request)
    vendor.complete(state.remote_id)

    [found] = provider.archive(now - timedelta(hours=1), now + timedelta(hours=1)).envelopes

    assert (found.remote_id, found.title, found.request_id) == (state.remote_id, request.title, request.id)
    assert found.people == (("Ana Écrivain", ANA),)
    assert abs(found.completed_at - now) < timedelta(minutes=1)


def test_what_was_moved_to_the_vendors_archive_is_listed_too(provider, vendor, now):
    vendor.fill_archive(2, until=now)
    for each in vendor.envelopes.values():
        each.facts["folder"] = "a" * 40

    first = provider.archive(now - timedelta(days=1), now + timedelta(days=1))
    second = provider.archive(now - timedelta(days=1), now + timedelta(days=1), first.cursor)

    assert (len(first.envelopes), len(second.envelopes), second.cursor) == (0, 2, "")


def batch(**changes: object) -> BulkRequest:
    return BulkRequest(**{
        "id": "0k3bulk0000000000001", "title": "Prices, \"2027\"", "message": "Please sign.",
        "document": OutgoingDocument("notice.pdf", hashlib.sha256(FILE).hexdigest(), 1, lambda: FILE),
        "placements": (Placement("signer", 1, 72.0, 200.0, 180.0, 48.0),),
        "rows": tuple(BulkRow(f"row{n}", f"Person {n}", f"person{n}@example.com") for n in range(3)),
        "expires_at": datetime.now(UTC) + timedelta(days=20), **changes,
    })  # fmt: skip


@pytest.mark.parametrize("mood", ["500", "500_after"])
@pytest.mark.parametrize("path", ["/document$", r"/document/\w+$", "/template$", "/detail$", "/user/folder$"])
def test_a_batch_cut_short_goes_on_and_starts_once(provider, vendor, path, mood):
    vendor.misbehave(mood, path=path, method="PUT" if "detail" in path or "w+" in path else "POST")
    with pytest.raises(Unavailable):
        provider.send_bulk(batch())

    state = provider.send_bulk(batch(is_repeat=True))

    started = (path, mood) == ("/user/folder$", "500_after")  # the last step before the start
    assert len(vendor.batches) == (0 if started else 1)
    assert len(vendor.templates) == 1
    assert calls(vendor, "POST", "/document") == (2 if (path, mood) == ("/document$", "500") else 1)
    assert state.remote_id in vendor.folders


def test_a_batch_whose_start_got_no_answer_is_not_started_again(provider, vendor, clock):
    vendor.misbehave("reset_after", path="bulkinvite")
    with pytest.raises(Unavailable):
        provider.send_bulk(batch())

    state = provider.send_bulk(batch(is_repeat=True))

    assert calls(vendor, "POST", "/bulkinvite") == 1
    assert {row.key for row in state.rows} == {"row0", "row1", "row2"}
    assert state.is_final


def test_a_batch_that_never_began_ends_after_an_hour_without_rows(provider, vendor, clock):
    vendor.misbehave("reset", path="bulkinvite")
    with pytest.raises(Unavailable):
        provider.send_bulk(batch())

    early = provider.send_bulk(batch(is_repeat=True))
    clock.now += timedelta(hours=1, seconds=1)
    late = provider.bulk_state(early.remote_id)

    assert (early.rows, early.is_final) == ((), False)
    assert (late.rows, late.is_final) == ((), True)
    assert vendor.mails == []


def test_people_of_a_batch_get_documents_of_their_own_that_end_in_time(provider, vendor, now):
    state = provider.bulk_state(
        provider.send_bulk(batch(expires_at=now + timedelta(days=9, hours=5))).remote_id
    )

    found = [vendor.envelopes[row.remote_id] for row in state.rows]
    assert {each.title for each in found} == {f"Prices 2027 (row{n})" for n in range(3)}
    assert {each.expires_at for each in found} == {now + timedelta(days=9)}
    people = (RemoteRecipient("p", "signer", 1, "Person 0", "person0@example.com"),)
    [one] = [each for each in found if each.people[0].email == "person0@example.com"]
    vendor.complete(one.id)
    assert provider.fetch(RemoteEnvelope(one.id, "row0", people)).status is EnvelopeStatus.COMPLETED
    [listed] = provider.archive(now - timedelta(hours=1), now + timedelta(hours=1)).envelopes
    assert listed.request_id == ""  # the template's file name is not the row's


# --- Secrets -------------------------------------------------------------------------------------


def test_no_token_password_or_code_is_logged_or_told(vendor, caplog):
    caplog.set_level(logging.DEBUG)
    provider = connected(vendor, method="password", username=OWNER, password=PASSWORD)
    request = asked(
        person("ana", ANA, factors=("access_code",), access_code="MARKED-4711"),
        person("ben", BEN, 2, factors=("sms",), phone="+447700900999"),
    )
    vendor.misbehave("500", path="token")
    told = []
    for act in (provider.check, lambda: provider.send(request)):
        try:
            act()
        except ProviderError as error:
            told.append(repr(error) + repr(error.__cause__))
    subscription = provider.subscribe(URL)
    with pytest.raises(Unavailable) as caught:
        vendor.misbehave("garbage", path="/user$")
        provider.check()
    told += [repr(caught.value), repr(provider.tokens), repr(subscription), repr(provider.connection)]

    said = caplog.text + "".join(str(vars(record)) for record in caplog.records) + "".join(told)
    secrets = ("MARKED", BASIC, "+447700900999", subscription.secret)
    assert not [each for each in secrets if each in said]


@pytest.mark.live
def test_a_rehearsal_against_the_evaluation_environment():
    path = os.environ.get("COUNTERSIGN_LIVE_SIGNNOW")
    if not path:
        pytest.skip("COUNTERSIGN_LIVE_SIGNNOW names no file with settings and two addresses")
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    people = tuple(found.pop("people", rehearsal.PEOPLE))
    lines: list[rehearsal.Line] = []

    assert rehearsal.run(SignNow(Connection(found)), lines.append, people=people), lines
