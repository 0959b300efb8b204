"""What a finished contract says of its own signing: the certificate people read, the JSON machines check.

`countersign-evidence/1` holds the people, what each did and how each was verified, the consent they
gave, the hash they were shown, and the trail of the contract with everything needed to check its
chain: `sha256(body)` is an event's hash, `sha256(salt + ":" + value)` stands in it for a detail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from portal.documents import labels
from portal.documents.layouts import CertificateData, CertificateEvent, CertificatePerson
from portal.i18n import format_datetime, lazy, use
from portal.i18n import gettext as _
from portal.models.audit import AuditDetail, AuditEvent
from portal.models.contracts import Contract
from portal.models.envelopes import Act, Consent, Envelope, Recipient
from portal.services import factors
from portal.services.envelopes import recipients_of

SCHEMA = "countersign-evidence/1"
ROLES = {
    "signer": lazy("Signer"),
    "approver": lazy("Approver"),
    "copy": lazy("Gets a copy"),
}
LANGUAGE_NAMES = {"en": lazy("English"), "fr": lazy("French")}
# What the certificate tells of the trail, in words; the rest is in the JSON.
TOLD = {
    "revision.frozen": lazy("Text fixed"),
    "envelope.queued": lazy("Sent for signature"),
    "recipient.asked": lazy("Asked by mail"),
    "recipient.reminded": lazy("Reminded"),
    "recipient.corrected": lazy("Address, number or name corrected"),
    "recipient.opened": lazy("Opened"),
    "consent.given": lazy("Agreed to electronic records"),
    "recipient.approved": lazy("Approved"),
    "recipient.signed": lazy("Signed"),
    "envelope.completed": lazy("Completed by everybody"),
}
MOST_EVENTS = 5000


@dataclass(frozen=True)
class Elsewhere:
    """The files an outside provider gave us, which our own record stands beside."""

    provider: str
    label: str
    account: str
    remote_id: str
    sha256: str
    size_bytes: int
    evidence_sha256: str = ""
    evidence_media: str = ""


@dataclass(frozen=True)
class Facts:
    """All rows one finished envelope is told from, read once."""

    envelope: Envelope
    contract: Contract
    recipients: list[Recipient]
    acts: Mapping[str, Act]
    consents: Mapping[str, Consent]
    events: list[AuditEvent]
    details: Mapping[int, AuditDetail]
    elsewhere: Elsewhere | None = None

    @property
    def language(self) -> str:
        return str(self.contract.prevailing_language)

    @property
    def zone(self) -> str:
        return str(self.contract.entity.zone)


def gather(envelope: Envelope, elsewhere: Elsewhere | None = None) -> Facts:
    """Read what is known of an envelope; the trail up to now."""
    contract: Contract = envelope.contract
    recipients = recipients_of(envelope)
    ids = [recipient.id for recipient in recipients]
    consents = (
        Consent.select(Consent, Recipient)
        .join(Recipient)
        .where(Consent.recipient.in_(ids))
        .order_by(Consent.given_at)
    )
    events = AuditEvent.select().where(AuditEvent.chain == contract.id).order_by(AuditEvent.number)
    details = AuditDetail.select().where(AuditDetail.chain == contract.id)
    acts = Act.select(Act, Recipient).join(Recipient).where(Act.envelope == envelope)
    return Facts(
        envelope,
        contract,
        recipients,
        {act.recipient.id: act for act in acts},
        {consent.recipient.id: consent for consent in consents if consent.withdrawn_at is None},
        list(events.limit(MOST_EVENTS)),
        {detail.number: detail for detail in details},
        elsewhere,
    )


# --- For machines ---------------------------------------------------------------------------


def package(facts: Facts, shown_bytes: int, now: datetime) -> bytes:
    """The evidence as canonical-looking JSON: sorted keys, UTF-8, one line per level for readers."""
    envelope, contract = facts.envelope, facts.contract
    document, revision = envelope.document, envelope.revision
    said = {
        "schema": SCHEMA,
        "made_at": moment(now),
        "company": contract.entity.name,
        "contract": {
            "id": contract.id,
            "reference": contract.reference,
            "title": contract.title,
            "revision": revision.number if revision else None,
            "revision_sha256": revision.sha256 if revision else None,
        },
        "document": {
            "file_name": document.file_name,
            "sha256": document.sha256,
            "size_bytes": shown_bytes,
            "pages": document.pages,
            "check": f"head -c {shown_bytes} FILE | sha256sum",
        },
        "envelope": {
            "id": envelope.id,
            "provider": envelope.provider,
            "sent_by": envelope.sender.name,
            "sent_at": moment(envelope.sent_at),
            "expires_at": moment(envelope.expires_at),
            "completed_at": moment(envelope.ended_at),
            "message": envelope.message,
        },
        "people": [person(facts, recipient) for recipient in facts.recipients],
        "trail": trail(facts),
        **({"signed_elsewhere": asdict(facts.elsewhere)} if facts.elsewhere else {}),
    }
    return json.dumps(said, ensure_ascii=False, sort_keys=True, indent=1).encode()


def person(facts: Facts, recipient: Recipient) -> dict[str, Any]:
    act, consent = facts.acts.get(recipient.id), facts.consents.get(recipient.id)
    return {
        "id": recipient.id,
        "key": recipient.key,
        "side": recipient.side,
        "role": recipient.role,
        "routing_order": recipient.routing_order,
        "name": recipient.name,
        "title": recipient.title,
        "organisation": recipient.organisation,
        "email": recipient.email,
        "phone_ending": recipient.phone[-2:],
        "language": recipient.language,
        "is_consumer": recipient.is_consumer,
        "factors_required": recipient.factors,
        "factors_required_of_the_provider": recipient.native_factors,
        "factors_required_because": recipient.factor_reasons,
        "asked_at": moment(recipient.asked_at),
        "opened_at": moment(recipient.opened_at),
        "consent": {
            "version": consent.version,
            "language": consent.language,
            "text_sha256": consent.text_sha256,
            "demonstration": consent.demonstration,
            "given_at": moment(consent.given_at),
        }
        if consent
        else None,
        "act": {
            "kind": act.kind,
            "at": moment(act.at),
            "document_sha256": act.document_sha256,
            "name": act.name,
            "title": act.title,
            "intent": act.intent,
            "authority": act.authority,
            "signature_kind": act.signature_kind,
            "factors": act.factors,
            "address": act.address,
            "user_agent": act.user_agent,
        }
        if act
        else None,
    }


def trail(facts: Facts) -> dict[str, Any]:
    head = facts.events[-1] if facts.events else None
    return {
        "chain": facts.contract.id,
        "head": {"number": head.number, "hash": head.hash} if head else None,
        "events": [
            {
                "body": event.body,
                "hash": event.hash,
                "details": {"salt": kept.salt, "values": kept.values} if kept else None,
            }
            for event in facts.events
            for kept in (facts.details.get(event.number),)
        ],
    }


def moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds") if at else None


# --- For people -----------------------------------------------------------------------------


def certificate(facts: Facts, shown_bytes: int, seal: list[str]) -> CertificateData:
    """The certificate of completion in the contract's prevailing language, times in our zone.

    `seal` says in sentences who seals and whether the time comes from outside.
    """
    envelope, contract = facts.envelope, facts.contract
    completed = envelope.ended_at or envelope.created_at
    with use(facts.language, facts.zone):
        return {
            "language": facts.language,
            "reference": contract.reference,
            "title": contract.title,
            "completed_at": completed.isoformat(timespec="seconds"),
            "completed": format_datetime(completed),
            "labels": labels.for_certificate(facts.language),
            "document_name": envelope.document.file_name,
            "document_sha256": envelope.document.sha256,
            "document_bytes": shown_bytes,
            "document_pages": envelope.document.pages,
            "seal": seal,
            "people": [described(facts, recipient) for recipient in facts.recipients],
            "events": told(facts),
        }


def described(facts: Facts, recipient: Recipient) -> CertificatePerson:
    act, consent = facts.acts.get(recipient.id), facts.consents.get(recipient.id)
    times = [(_("Asked"), recipient.asked_at), (_("Opened"), recipient.opened_at)]
    if act:
        times.append((_("Approved") if act.kind == "approve" else _("Signed"), act.at))
    return {
        "name": act.name if act and act.name else recipient.name,
        "title": act.title if act and act.title else recipient.title,
        "organisation": recipient.organisation,
        "email": recipient.email,
        "role": str(ROLES[recipient.role]),
        "verified": factors.sentences(act.factors, recipient.email, facts.zone) if act else [],
        "consent": consent_words(consent),
        "consent_sha256": consent.text_sha256 if consent else "",
        "times": [(label, format_datetime(at)) for label, at in times if at],
        "ip": act.address if act else "",
        "intent": act.intent if act else "",
        "authority": act.authority if act else "",
    }


def consent_words(consent: Consent | None) -> str:
    if consent is None:
        return ""
    return _(
        "Version %(version)s, accepted in %(language)s on %(at)s",
        version=consent.version,
        language=LANGUAGE_NAMES.get(consent.language, consent.language),
        at=format_datetime(consent.given_at),
    )


def told(facts: Facts) -> list[CertificateEvent]:
    """The chosen events, in order, with whose they are."""
    names = {recipient.id: recipient.name for recipient in facts.recipients}
    found: list[CertificateEvent] = []
    since = facts.envelope.created_at
    for event in facts.events:
        if event.act not in TOLD or (event.at < since and event.act != "revision.frozen"):
            continue
        subject = json.loads(event.body)["subject"]
        kept = facts.details.get(event.number)
        by = kept.values.get("by_name", "") if kept else ""
        who = names.get(subject["id"], "") or by or _("Countersign")
        found.append({"at": format_datetime(event.at), "what": str(TOLD[event.act]), "who": who})
    return found
