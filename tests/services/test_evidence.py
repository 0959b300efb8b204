from __future__ import annotations

import json
from datetime import timedelta

from portal.documents import render
from portal.models.envelopes import Envelope
from portal.services import evidence, recipients
from tests.services.signing import act, actor, consent, ready, recipient, sent, shown


def test_the_certificate_speaks_the_language_of_the_contract(cast, now, run_jobs):
    contract = ready(cast, now, languages=["fr"], prevailing_language="fr")
    envelope = sent(cast, now, run_jobs, contract)
    consent(recipient(envelope, "claire"), now)
    act(envelope, "claire", now + timedelta(minutes=5))
    act(envelope, "ana", now + timedelta(minutes=9))
    facts = evidence.gather(Envelope.get_by_id(envelope.id))

    told = evidence.certificate(facts, 1234, ["Cachet"])

    claire, priya = told["people"]
    assert claire["role"] == "Signataire"
    assert claire["verified"][1].startswith("Code envoyé par SMS au numéro se terminant par 38")
    assert claire["consent"].startswith("Version 2026-11, acceptée en français")
    assert claire["times"][-1][0] == "Signé"
    assert priya["consent"] == ""
    assert "Demandé" not in str(told)
    assert render.certificate_pdf(told, in_process=True).startswith(b"%PDF-")


def test_a_correction_is_told_and_the_old_address_stays_in_the_trail(cast, now, run_jobs):
    envelope = sent(cast, now, run_jobs)
    recipients.correct(
        recipient(envelope, "claire"), name="Claire Aubert", email="new@castellan.example", phone="",
        by=actor(cast.ana), now=now + timedelta(minutes=1),
    )  # fmt: skip
    act(envelope, "claire", now + timedelta(minutes=5))
    act(envelope, "ana", now + timedelta(minutes=9))
    facts = evidence.gather(Envelope.get_by_id(envelope.id))

    events = [event["what"] for event in evidence.certificate(facts, 1, [])["events"]]
    package = json.loads(evidence.package(facts, shown(envelope).size_bytes, now))

    assert "Address, number or name corrected" in events
    corrected = [e for e in package["trail"]["events"] if '"recipient.corrected"' in e["body"]]
    assert corrected[0]["details"]["values"]["old_email"] == "claire@castellan.example"


def test_events_of_an_earlier_round_are_left_to_the_trail(cast, now, run_jobs):
    from portal.models.contracts import Contract
    from portal.services import envelopes

    first = sent(cast, now, run_jobs)
    envelopes.void(first, reason="Wrong order", by=actor(cast.ana), now=now)
    later = now + timedelta(hours=1)
    second = sent(cast, later, run_jobs, Contract.get_by_id(first.contract.id))
    act(second, "claire", later)
    act(second, "ana", later)

    told = evidence.certificate(evidence.gather(Envelope.get_by_id(second.id)), 1, [])["events"]

    assert [event["what"] for event in told].count("Sent for signature") == 1
