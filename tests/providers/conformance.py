"""The questions every provider is asked. A subclass supplies `vendor` (a served simulator) and `provider`.

What a provider cannot do is skipped by its declared capability, never by its name.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers import http, rehearsal
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
    FACTORS,
    BulkRequest,
    BulkRow,
    Delivery,
    EnvelopeRequest,
    EnvelopeState,
    EnvelopeStatus,
    OutgoingDocument,
    OutgoingRecipient,
    Placement,
    Provider,
    RecipientStatus,
    RemoteEnvelope,
)
from tests.simulators.vendor import Vendor, blank_pdf

FILE = blank_pdf("Support agreement")
ANA, BEN = "ana@larkfield.example", "ben@castellan.example"
FINALS = [s for s in EnvelopeStatus if s.is_final]


def person(key: str, email: str, order: int = 1, **changes: Any) -> OutgoingRecipient:
    return OutgoingRecipient(
        key, "signer", order, f"{key.capitalize()} Écrivain", email, language="fr", **changes
    )


def asked(*people: OutgoingRecipient, **changes: Any) -> EnvelopeRequest:
    everybody = people or (person("ana", ANA, 1), person("ben", BEN, 2))
    return EnvelopeRequest(**{
        "id": "0k3envelope000000001", "title": "Support agreement C-17", "message": "Please sign.",
        "language": "en",
        "document": OutgoingDocument("C-17.pdf", hashlib.sha256(FILE).hexdigest(), 1, lambda: FILE),
        "recipients": everybody,
        "placements": tuple(
            Placement(each.key, 1, 72.0, 200.0 + 60 * number, 180.0, 48.0)
            for number, each in enumerate(everybody) if each.role == "signer"
        ),
        "expires_at": datetime.now(UTC) + timedelta(days=20, hours=1),
        "return_url": "https://portal.example/ceremony/x/return", **changes,
    })  # fmt: skip


def send(provider: Provider, request: EnvelopeRequest) -> EnvelopeState:
    """Sent as the portal does: what is being prepared is asked for again, by its id."""
    for _ in range(20):
        try:
            return provider.send(request)
        except Preparing as error:
            request = replace(request, is_repeat=True, remote_id=error.remote_id or request.remote_id)
    raise AssertionError("still preparing after 20 tries")


def patiently(act: Any) -> Any:
    for _ in range(20):
        try:
            return act()
        except Preparing:
            continue
    raise AssertionError("still preparing after 20 tries")


def handle(request: EnvelopeRequest, state: EnvelopeState) -> RemoteEnvelope:
    return rehearsal.handle(request, state.remote_id, state)


def statuses(provider: Provider, envelope: RemoteEnvelope) -> dict[str, RecipientStatus]:
    return {each.key: each.status for each in provider.fetch(envelope).recipients}


class ProviderConformance:
    @pytest.fixture
    def sent(self, provider: Provider) -> RemoteEnvelope:
        request = asked()
        return handle(request, send(provider, request))

    @pytest.fixture
    def embedded(self, provider: Provider) -> RemoteEnvelope:
        self.needs(provider, "embedded")
        request = asked(person("ana", ANA, is_embedded=True), person("ben", BEN, is_embedded=True))
        return handle(request, send(provider, request))

    @staticmethod
    def needs(provider: Provider, *capabilities: str) -> None:
        for capability in capabilities:
            if not getattr(provider.capabilities, capability):
                pytest.skip(f"not offered: {capability}")

    # --- Connecting ----------------------------------------------------------------------------

    def test_checking_tells_whose_account_it_is(self, provider):
        account = provider.check()

        assert account.id
        assert account.name or account.email

    def test_it_declares_only_factors_that_exist(self, provider):
        assert provider.capabilities.factors <= set(FACTORS)

    def test_a_rehearsal_is_right_in_every_step(self, provider, vendor):
        lines: list[rehearsal.Line] = []

        fine = rehearsal.Rehearsal(provider, lines.append, sleep=lambda seconds: None).run()

        assert fine, [(line.step, line.outcome, line.detail) for line in lines]
        assert [line.step for line in lines] == list(rehearsal.STEPS)
        assert all(envelope.status != "sent" for envelope in vendor.sent())

    # --- Sending -------------------------------------------------------------------------------

    def test_it_arrives_whole_and_asks_only_the_first(self, provider, vendor, sent):
        [envelope] = vendor.sent()

        assert envelope.id == sent.remote_id
        assert envelope.file == FILE
        assert envelope.title == "Support agreement C-17"
        assert [(p.email, p.name, p.status) for p in sorted(envelope.people, key=lambda p: p.order)] == [
            (ANA, "Ana Écrivain", "sent"), (BEN, "Ben Écrivain", "waiting"),
        ]  # fmt: skip
        assert {mail.to for mail in vendor.mails} == {ANA}

    def test_it_ends_no_later_than_asked(self, provider, vendor):
        self.needs(provider, "expiry")
        request = asked()

        send(provider, request)

        [envelope] = vendor.sent()
        assert envelope.expires_at is not None
        assert request.expires_at - timedelta(days=2) < envelope.expires_at <= request.expires_at

    def test_each_signer_has_a_spot(self, provider, vendor, sent):
        [envelope] = vendor.sent()

        assert all(each.fields for each in envelope.people)

    def test_people_of_one_number_are_asked_at_once(self, provider, vendor):
        send(provider, asked(person("ana", ANA, 1), person("ben", BEN, 1)))

        assert {mail.to for mail in vendor.mails} == {ANA, BEN}

    def test_a_copy_is_sent_to_whoever_only_reads(self, provider, vendor):
        self.needs(provider, "copies")
        copy = OutgoingRecipient("cleo", "copy", 1, "Cleo Reader", "cleo@castellan.example")

        send(provider, asked(person("ana", ANA), copy))

        [envelope] = vendor.sent()
        assert [p.email for p in envelope.people if p.role == "copy"] == ["cleo@castellan.example"]

    def test_an_approver_is_asked_to_approve_or_refused_before_any_request(self, provider, vendor):
        approver = OutgoingRecipient("ben", "approver", 1, "Ben Approver", BEN)
        request = asked(person("ana", ANA, 2), approver)
        if not provider.capabilities.approvers:
            with pytest.raises(Unsupported):
                provider.send(request)
            assert not vendor.seen
            return

        envelope = handle(request, send(provider, request))
        vendor.act(envelope.remote_id, BEN, "sign")

        assert statuses(provider, envelope)["ben"] is RecipientStatus.APPROVED

    @pytest.mark.parametrize("factor", FACTORS)
    def test_a_factor_is_in_the_vendors_fields_or_refused_before_any_request(self, provider, vendor, factor):
        request = asked(person("ana", ANA, phone="+447700900123", factors=(factor,), access_code="4711-abcd"))
        if factor not in provider.capabilities.factors:
            with pytest.raises(Unsupported):
                provider.send(request)
            assert not vendor.seen
            return

        send(provider, request)

        [envelope] = vendor.sent()
        assert factor in envelope.people[0].factors

    # --- A lost answer -------------------------------------------------------------------------

    @pytest.mark.parametrize("mood", ["reset_after", "500_after", "half_body", "garbage"])
    def test_what_arrived_is_found_again_and_not_sent_twice(self, provider, vendor, mood):
        # Whichever of the requests loses its answer, in turn until none is left to disturb.
        for number in range(1, 12):
            request = asked(id=f"0k3envelope{number:09d}")
            before = len(vendor.sent())
            self.disturb_after(vendor, number - 1, mood)
            for _ in range(6):
                try:
                    state = send(provider, request)
                    break
                except (Unavailable, Refused):
                    request = replace(request, is_repeat=True)
            assert len(vendor.sent()) == before + 1
            assert state.remote_id == vendor.sent()[-1].id
            if not vendor.disturbed:
                return
        raise AssertionError("sending took more than eleven requests that change something")

    @staticmethod
    def disturb_after(vendor: Vendor, calm: int, mood: str) -> None:
        """Let `calm` requests that change something go well; the next ends in the mood."""
        vendor._moods.clear()
        vendor.disturbed = False
        left = [calm]
        usual = type(vendor)._mood

        def mood_of(request: Any) -> str:
            if request.method == "GET" or vendor.disturbed or "token" in request.path:
                return usual(vendor, request)
            if left[0]:
                left[0] -= 1
                return ""
            vendor.disturbed = True
            return mood

        vendor._mood = mood_of

    def test_finding_by_our_own_reference(self, provider, vendor, sent):
        found = provider.find(sent.id)

        assert found is not None
        assert found.remote_id == sent.remote_id
        assert provider.find("0k3envelope999999999") is None

    def test_sending_again_finds_what_is_there(self, provider, vendor, sent):
        state = send(provider, asked(is_repeat=True))

        assert state.remote_id == sent.remote_id
        assert len(vendor.sent()) == 1

    # --- How it stands -------------------------------------------------------------------------

    def test_it_is_followed_from_opening_to_the_end(self, provider, vendor, sent):
        assert statuses(provider, sent)["ana"] is RecipientStatus.SENT
        vendor.act(sent.remote_id, ANA, "open")
        assert statuses(provider, sent)["ana"] in (RecipientStatus.OPENED, RecipientStatus.SENT)
        vendor.act(sent.remote_id, ANA, "sign")
        after_one = provider.fetch(sent)
        vendor.act(sent.remote_id, BEN, "sign")
        after_all = provider.fetch(sent)

        assert after_one.status is EnvelopeStatus.SENT
        assert {r.key: r.status for r in after_one.recipients}["ana"] is RecipientStatus.SIGNED
        assert {r.key: r.status for r in after_one.recipients}["ben"] is RecipientStatus.SENT
        assert after_all.status is EnvelopeStatus.COMPLETED
        assert after_all.raw
        assert after_all.raw_status

    def test_a_decline_is_told_with_its_reason(self, provider, vendor, sent):
        vendor.act(sent.remote_id, ANA, "decline", "The fee is wrong.")

        state = provider.fetch(sent)

        assert state.status is EnvelopeStatus.DECLINED
        assert {r.key: r.status for r in state.recipients}["ana"] is RecipientStatus.DECLINED
        said = state.reason + "".join(r.reason for r in state.recipients)
        assert said in ("", "The fee is wrong.", "The fee is wrong." * 2)

    def test_running_out_of_time_is_told(self, provider, vendor, sent):
        self.needs(provider, "expiry")
        vendor.expire(sent.remote_id)

        assert provider.fetch(sent).status is EnvelopeStatus.EXPIRED

    def test_an_unknown_word_is_unknown_and_no_error(self, provider, vendor, sent):
        vendor.say(sent.remote_id, "invented-yesterday")

        assert provider.fetch(sent).status is EnvelopeStatus.UNKNOWN

    def test_an_id_that_is_not_there_is_refused(self, provider, sent):
        with pytest.raises(Refused):
            provider.fetch(replace(sent, remote_id="00000000-0000-4000-8000-000000000000"))

    # --- Acts of ours --------------------------------------------------------------------------

    def test_withdrawing_ends_it_and_may_be_repeated(self, provider, vendor, sent):
        provider.void(sent, "Superseded.")
        provider.void(sent, "Superseded.")

        assert vendor.envelopes[sent.remote_id].status == "voided"
        assert provider.fetch(sent).status is EnvelopeStatus.VOIDED

    def test_reminding_writes_to_the_one_who_waits(self, provider, vendor, sent):
        self.needs(provider, "reminders")
        vendor.mails.clear()

        provider.remind(sent, "ana")

        assert [mail.to for mail in vendor.mails] == [ANA]

    def test_a_corrected_address_is_asked_instead(self, provider, vendor, sent):
        self.needs(provider, "corrections")

        provider.correct(sent, "ana", name="Ana New", email="ana.new@larkfield.example")

        people = {p.email: p.name for p in vendor.envelopes[sent.remote_id].people}
        assert people.get("ana.new@larkfield.example") == "Ana New"
        assert ANA not in people

    # --- Embedded ------------------------------------------------------------------------------

    def test_embedded_people_are_mailed_nothing_and_sign_by_the_address(self, provider, vendor, embedded):
        for key, email in (("ana", ANA), ("ben", BEN)):
            url = patiently(
                lambda key=key: provider.signing_url(embedded, key, return_url="https://p.example/r")
            )
            assert url.startswith("http")
            vendor.act(embedded.remote_id, email, "sign")

        assert provider.fetch(embedded).status is EnvelopeStatus.COMPLETED
        assert vendor.mails == []

    def test_embedded_people_sign_in_order(self, provider, vendor):
        self.needs(provider, "embedded")
        request = asked(person("ana", ANA, 1, is_embedded=True), person("ben", BEN, 2, is_embedded=True))
        envelope = handle(request, send(provider, request))
        if not provider.capabilities.embedded_in_order:
            vendor.act(envelope.remote_id, ANA, "sign")
            for _ in range(2):  # a repeated call makes no second invitation
                state = provider.send_next(envelope, replace(request, remote_id=envelope.remote_id))
            envelope = handle(request, state)
        else:
            vendor.act(envelope.remote_id, ANA, "sign")

        assert patiently(lambda: provider.signing_url(envelope, "ben", return_url="https://p.example/r"))
        vendor.act(envelope.remote_id, BEN, "sign")
        assert provider.fetch(envelope).status is EnvelopeStatus.COMPLETED
        assert vendor.mails == []
        assert len(vendor.sent()) == 1

    def test_some_embedded_and_some_mailed_or_refused_before_any_request(self, provider, vendor):
        self.needs(provider, "embedded")
        request = asked(person("ana", ANA, is_embedded=True), person("ben", BEN))
        if not provider.capabilities.embeds_each:
            with pytest.raises(Unsupported):
                provider.send(request)
            assert not vendor.seen
            return

        send(provider, request)

        assert [mail.to for mail in vendor.mails] == [BEN]

    def test_the_signing_page_needs_no_script_of_ours(self, provider, vendor, embedded):
        import requests

        url = patiently(lambda: provider.signing_url(embedded, "ana", return_url="https://p.example/r"))

        page = requests.get(url, timeout=5)
        assert page.status_code == 200
        if provider.capabilities.framed:
            frame = provider.frame()
            assert frame is not None
            assert frame.script_url.startswith(("https://", vendor.origin))
        else:
            assert provider.frame() is None
            done = requests.post(page.url, data={"act": "sign"}, timeout=5, allow_redirects=False)
            if provider.capabilities.returns:
                assert done.headers["Location"].startswith("https://p.example/r")
            else:
                assert done.status_code == 200
            assert statuses(provider, embedded)["ana"] is RecipientStatus.SIGNED

    # --- The finished file ---------------------------------------------------------------------

    def test_the_finished_file_is_handed_over_with_its_evidence(self, provider, vendor, sent):
        vendor.complete(sent.remote_id)

        file = patiently(lambda: provider.download(sent))

        assert file.pdf == vendor.envelopes[sent.remote_id].executed
        assert bool(file.evidence) is bool(provider.capabilities.evidence)
        assert file.evidence_media == (provider.capabilities.evidence if file.evidence else "")

    def test_half_a_file_is_never_kept(self, provider, vendor, sent):
        vendor.complete(sent.remote_id)
        patiently(lambda: provider.download(sent))
        vendor.misbehave("half_body", method="GET")

        with pytest.raises(Unavailable):
            provider.download(sent)

    # --- Trouble -------------------------------------------------------------------------------

    @pytest.mark.parametrize("mood", ["timeout", "reset", "500", "503", "half_body", "garbage"])
    def test_trouble_is_unavailable_and_may_be_tried_again(self, provider, vendor, sent, mood, monkeypatch):
        if mood == "timeout":
            monkeypatch.setattr(http, "READ_S", 0.4)
            vendor.idle_s = 0.6
        vendor.misbehave(mood, method="GET")

        with pytest.raises(Unavailable) as caught:
            provider.fetch(sent)

        assert caught.value.retry
        assert provider.fetch(sent).status is EnvelopeStatus.SENT

    def test_too_many_calls_are_obeyed(self, provider, vendor, sent):
        vendor.misbehave("429", method="GET")

        with pytest.raises(Throttled) as caught:
            provider.fetch(sent)

        assert 0 < caught.value.retry_after_s <= 3600

    def test_credentials_no_longer_accepted_say_so(self, provider, vendor, sent):
        vendor.misbehave("401", method="GET", times=3)

        with pytest.raises(NotConfigured):
            provider.fetch(sent)

    # --- Webhooks ------------------------------------------------------------------------------

    @pytest.fixture
    def subscribed(self, provider: Provider, vendor: Vendor) -> Provider:
        """A provider that knows its subscription, as the portal hands it over afterwards."""
        self.needs(provider, "webhooks")
        subscription = provider.subscribe("https://portal.example/webhooks/abc")
        return type(provider)(replace(provider.connection, subscription=subscription))

    def test_calls_are_verified_and_name_the_envelope(self, subscribed, vendor):
        request = asked()
        envelope = handle(request, send(subscribed, request))
        vendor.complete(envelope.remote_id)

        assert vendor.calls
        notes = [note for call in vendor.calls for note in subscribed.read(call)]
        assert {note.remote_id for note in notes} == {envelope.remote_id}
        assert all(note.id and note.word for note in notes)
        if not subscribed.capabilities.signed_webhooks:
            assert all(note.state is None for note in notes)

    def test_calls_are_answered_as_the_vendor_expects(self, subscribed, vendor):
        request = asked()
        send(subscribed, request)

        for call in vendor.calls:
            answer = subscribed.acknowledge(call)
            assert answer.status in range(200, 300)

    def test_a_repeated_call_has_the_same_id(self, subscribed, vendor):
        send(subscribed, asked())
        call = vendor.calls[0]

        assert [n.id for n in subscribed.read(call)] == [n.id for n in subscribed.read(call)]

    def test_two_events_have_two_ids(self, subscribed, vendor):
        request = asked()
        envelope = handle(request, send(subscribed, request))
        vendor.complete(envelope.remote_id)
        ids = [note.id for call in vendor.calls for note in subscribed.read(call)]

        assert len(ids) == len(set(ids)) >= 2

    def test_a_forged_call_is_told_apart(self, subscribed, vendor):
        """A changed body is refused where calls are signed whole; elsewhere it is a hint like any other."""
        request = asked()
        envelope = handle(request, send(subscribed, request))
        vendor.complete(envelope.remote_id)
        for call in vendor.calls:
            for forged in forgeries(call):
                if subscribed.capabilities.signed_webhooks:
                    with pytest.raises(BadSignature):
                        subscribed.read(forged)
                    continue
                try:
                    notes = subscribed.read(forged)
                except BadSignature:
                    continue
                assert all(note.state is None for note in notes)

    def test_nonsense_is_a_bad_signature_or_nothing(self, subscribed):
        for body in (b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"event": 7}', b"[1, 2]", b"{" * 5000):
            for headers in ({}, {"content-type": "application/json"}):
                try:
                    notes = subscribed.read(Delivery("POST", "", headers, body))
                except BadSignature:
                    continue
                assert notes == ()

    def test_ending_a_subscription_may_be_repeated(self, subscribed, vendor):
        subscription = subscribed.connection.subscription
        subscribed.unsubscribe(subscription)
        subscribed.unsubscribe(subscription)

        assert vendor.subscribers == []

    # --- Archive and bulk ----------------------------------------------------------------------

    def test_the_archive_is_listed_whole_page_by_page(self, provider, vendor, now):
        self.needs(provider, "archive")
        vendor.fill_archive(120, until=now)
        seen: list[str] = []
        cursor = ""
        for _ in range(200):
            page = provider.archive(now - timedelta(days=30), now + timedelta(days=1), cursor)
            seen += [each.remote_id for each in page.envelopes]
            cursor = page.cursor
            if not cursor:
                break

        assert sorted(seen) == sorted(vendor.envelopes)

    def test_the_archive_keeps_to_its_dates_and_to_what_is_complete(self, provider, vendor, now, sent):
        self.needs(provider, "archive")
        vendor.fill_archive(48, until=now)

        page = provider.archive(now - timedelta(hours=24), now)

        titles = {each.title for each in page.envelopes}
        assert "Older agreement 48" in titles or page.cursor
        assert "Older agreement 1" not in titles
        assert sent.remote_id not in {each.remote_id for each in page.envelopes}

    def test_one_document_goes_to_many_once(self, provider, vendor):
        self.needs(provider, "bulk")
        request = BulkRequest(
            "0k3bulk0000000000001", "Price notice", "Please sign.",
            OutgoingDocument("notice.pdf", hashlib.sha256(FILE).hexdigest(), 1, lambda: FILE),
            (Placement("signer", 1, 72.0, 200.0, 180.0, 48.0),),
            tuple(BulkRow(f"row{n}", f"Person {n}", f"person{n}@example.com") for n in range(12)),
            datetime.now(UTC) + timedelta(days=20),
        )  # fmt: skip
        state = patiently(lambda: provider.send_bulk(request))
        for _ in range(20):
            if state.is_final:
                break
            state = provider.bulk_state(state.remote_id)
        again = patiently(
            lambda: provider.send_bulk(replace(request, is_repeat=True, remote_id=state.remote_id))
        )

        assert {row.key for row in state.rows} == {f"row{n}" for n in range(12)}
        assert len({row.remote_id for row in state.rows}) == 12
        assert again.remote_id == state.remote_id
        assert sorted(mail.to for mail in vendor.mails) == sorted(f"person{n}@example.com" for n in range(12))

    # --- Secrets -------------------------------------------------------------------------------

    def test_no_secret_is_logged_or_told(self, provider, vendor, caplog):
        marks = [value for name, value in provider.connection.settings.items() if "MARKED" in value]
        assert marks, "give the connection secrets that hold the word MARKED"
        caplog.set_level(logging.DEBUG)
        request = asked()
        envelope = handle(request, send(provider, request))
        told = []
        for mood in ("500", "garbage", "429", "reset"):
            vendor.misbehave(mood, method="GET")
            with pytest.raises(ProviderError) as caught:
                provider.fetch(envelope)
            told.append(repr(caught.value) + str(caught.value.__cause__))
        told += [repr(provider.connection), repr(provider)]

        said = caplog.text + "".join(str(vars(record)) for record in caplog.records) + "".join(told)
        assert not [mark for mark in marks if mark in said]


def forgeries(call: Delivery) -> list[Delivery]:
    """The same call with another body, without its headers, with signatures of another length."""
    changed = call.body.replace(b"sign", b"sihn", 1) if b"sign" in call.body else call.body + b" "
    bare = {name: value for name, value in call.headers.items() if name == "content-type"}
    short = {name: value[:8] if "sig" in name else value for name, value in call.headers.items()}
    found = [replace(call, body=changed), replace(call, headers=bare, query="")]
    if short != dict(call.headers):
        found.append(replace(call, headers=short))
    return found
