"""What was signed at an outside provider: its file kept byte for byte, our sealed record beside it.

The executed file and the provider's certificate are stored and registered as they came. Beside them
stands a companion: the PDF people were shown, our certificate of completion and the evidence, sealed by
us, naming the SHA-256 of the executed file. Each lies in the write-once store under a name of the
envelope, so an interrupted run is taken up where it stopped.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from typing import Any

from portal import failpoints
from portal.i18n import gettext as _
from portal.i18n import use
from portal.models.base import transaction
from portal.models.contracts import Document, RegisteredFile
from portal.models.envelopes import Envelope
from portal.services import (
    audit,
    calls,
    documents,
    envelopes,
    evidence,
    installation,
    jobs,
    remote,
    sealing,
    signing_mails,
)
from portal.services.audit import SYSTEM
from portal.services.evidence import Elsewhere
from providers import registry
from providers.errors import Preparing, ProviderError
from providers.interface import EnvelopeStatus, ExecutedFile, mark

CLOSING = mark("%(provider)s is still closing the file.")

SUFFIXES = {
    "application/pdf": "pdf", "application/json": "json", "application/zip": "zip", "text/html": "html",
    "text/plain": "txt",
}  # fmt: skip

log = logging.getLogger(__name__)


@jobs.handler("fetch_executed", outward=True)
def fetch_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Fetch, store, make our record of it, publish. Running twice changes nothing."""
    from portal.documents.seal import Unsealable

    envelope = envelopes.get(payload["envelope"])
    if envelope.status != "completed" or envelope.executed is not None:
        return
    file = stored_or_fetched(envelope, context)
    failpoints.reach("fetch.after_store")
    try:
        companion = stored_or_built(envelope, file, context.clock())
    except Unsealable as error:
        raise jobs.GiveUp(error.message) from error
    failpoints.reach("fetch.before_record")
    with transaction():
        context.hold()
        record(envelope, file, companion, context.clock())
    failpoints.reach("fetch.after_record")


def stored_or_fetched(envelope: Envelope, context: jobs.Context) -> ExecutedFile:
    """The provider's files; those an interrupted run left in the store first."""
    store = installation.current().store
    key, beside, media = names(envelope)
    if store.exists(key) and store.exists(media):
        kept = store.get(media).decode()
        return ExecutedFile(store.get(key), store.get(beside) if kept else b"", kept)
    try:
        with calls.to(remote.account_of(envelope), context.clock()):
            provider, handle = remote.provider_of(envelope), remote.handle(envelope)
            if provider.fetch(handle).status is not EnvelopeStatus.COMPLETED:
                # Everybody has signed, and the provider is still closing it: a file of now is not the end.
                raise Preparing(handle.remote_id, CLOSING, provider=registry.label(envelope.provider))
            file = provider.download(handle)
    except ProviderError as error:
        Envelope.update(seal_problem=calls.said(error)[:500]).where(Envelope.id == envelope.id).execute()
        raise calls.later(error, context.attempts) from error
    failpoints.reach("fetch.after_download")
    main = sealing.put_once(key, file.pdf)
    certificate = sealing.put_once(beside, file.evidence) if file.evidence else b""
    kept = sealing.put_once(media, file.evidence_media.encode() if certificate else b"").decode()
    return ExecutedFile(main, certificate, kept)


def names(envelope: Envelope) -> tuple[str, str, str]:
    """Where the executed file, the provider's evidence and its media type lie."""
    return sealing.storage_key(envelope, 1), f"{envelope.id}-vendor-evidence", f"{envelope.id}-vendor-media"


def stored_or_built(envelope: Envelope, file: ExecutedFile, now: datetime) -> bytes:
    """Our sealed record of it. Raises Unsealable."""
    store = installation.current().store
    key = companion_key(envelope, 1)
    if store.exists(key):
        earlier: bytes = store.get(key)
        return earlier
    return sealing.put_once(key, build(envelope, file, now))


def companion_key(envelope: Envelope, version: int) -> str:
    """Where a version of our record lies; the longer second one has its outside time."""
    return f"{envelope.id}-companion" + (f"-{version}" if version > 1 else "")


def build(envelope: Envelope, file: ExecutedFile, now: datetime) -> bytes:
    from portal.documents import executed, render

    facts = evidence.gather(envelope, about(envelope, file))
    shown = documents.read(envelope.document)
    authority = installation.current().authority
    said = sentences(facts, authority.organisation)
    parts = render.execution_parts([], evidence.certificate(facts, len(shown), said), in_process=True)
    attached = {"evidence.json": evidence.package(facts, len(shown), now)}
    told = {"language": facts.language, "title": facts.contract.title}
    tsa = sealing.timestamp_authority()
    if tsa is None:
        made: bytes = executed.build(shown, [], parts.certificate, attached, authority, now, **told)
        return made
    sealed = executed.build_with_timestamps(
        shown, [], parts.certificate, attached, authority, now, **told, tsa=tsa
    )
    sealing.trust(sealed.timestamp)
    if sealed.problem:
        log.warning("envelope %s: sealed without an outside time: %s", envelope.id, sealed.problem)
    return sealed.pdf


def about(envelope: Envelope, file: ExecutedFile) -> Elsewhere:
    account = remote.account_of(envelope)
    return Elsewhere(
        provider=envelope.provider,
        label=registry.label(envelope.provider),
        account=str(account.account.get("id", "")) if account else "",
        remote_id=envelope.remote_id or "",
        sha256=hashlib.sha256(file.pdf).hexdigest(),
        size_bytes=len(file.pdf),
        evidence_sha256=hashlib.sha256(file.evidence).hexdigest() if file.evidence else "",
        evidence_media=file.evidence_media,
    )


def sentences(facts: evidence.Facts, organisation: str) -> list[str]:
    """What the certificate says of the signed file, whose seal is on the record, and who checked what."""
    found = facts.elsewhere
    if found is None:
        return []
    with use(facts.language, facts.zone):
        said = [
            _(
                "Signed through %(provider)s, in a file of %(size)s bytes with the SHA-256 fingerprint "
                "%(sha256)s.",
                provider=found.label, size=found.size_bytes, sha256=found.sha256,
            ),
            _(
                "This record of it is sealed by %(company)s as a company. The pages before it are what "
                "everybody was shown.",
                company=organisation,
            ),
        ]  # fmt: skip
        if found.evidence_sha256:
            said.append(
                _(
                    "The certificate of %(provider)s has the SHA-256 fingerprint %(sha256)s.",
                    provider=found.label, sha256=found.evidence_sha256,
                )
            )  # fmt: skip
        return said


# --- Recording --------------------------------------------------------------------------------


def record(envelope: Envelope, file: ExecutedFile, companion: bytes, now: datetime) -> None:
    """Publish the three files: rows, hashes in the register, the trail and everybody's copy."""
    locked = envelopes.lock(envelope.id)
    if locked.executed is not None:
        return
    contract = envelope.contract
    locked.contract, locked.document, locked.revision = contract, envelope.document, envelope.revision
    key, beside, _media = names(envelope)
    reference = contract.reference
    executed = add(locked, file.pdf, "executed", f"{reference}-executed.pdf", key, "provider", now)
    vendor = None
    if file.evidence:
        suffix = SUFFIXES.get(file.evidence_media.partition(";")[0].strip(), "bin")
        vendor = add(
            locked, file.evidence, "vendor_evidence", f"{reference}-{envelope.provider}.{suffix}", beside,
            "provider", now, media=file.evidence_media,
        )  # fmt: skip
    record_file = add_companion(locked, companion, 1, now)
    is_complete = not installation.current().settings.tsa_url or sealing.has_timestamp(companion)
    Envelope.update(
        executed=executed,
        vendor_evidence=vendor,
        companion=record_file,
        seal_status="sealed" if is_complete else "incomplete",
        seal_problem="",
    ).where(Envelope.id == locked.id).execute()
    audit.append(
        "envelope.fetched", ("envelope", locked.id), chain=contract.id, by=SYSTEM, now=now,
        facts={
            "provider": envelope.provider, "remote_id": envelope.remote_id, "sha256": executed.sha256,
            "size_bytes": executed.size_bytes, "evidence_sha256": vendor.sha256 if vendor else None,
            "companion_sha256": record_file.sha256,
        },
    )  # fmt: skip
    if not is_complete:
        sealing.queue_upgrade(locked, now)
    signing_mails.deliver_copies(locked, executed, now)


def add_companion(envelope: Envelope, content: bytes, version: int, now: datetime) -> Document:
    """One version of our sealed record; every version's hash stays in the register."""
    return add(
        envelope, content, "companion", f"{envelope.contract.reference}-evidence.pdf",
        companion_key(envelope, version), "executed", now, version=version,
        shown_bytes=envelope.document.size_bytes,
    )  # fmt: skip


def add(
    envelope: Envelope,
    content: bytes,
    kind: str,
    name: str,
    key: str,
    registered: str,
    now: datetime,
    *,
    version: int = 1,
    **facts: Any,
) -> Document:
    """The row of one file and its hash in the register."""
    digest = hashlib.sha256(content).hexdigest()
    document: Document = Document.add(
        contract=envelope.contract, revision=envelope.revision, kind=kind, file_name=name, sha256=digest,
        size_bytes=len(content), storage_key=key, facts=facts, version=version, envelope_id=envelope.id,
        created_at=now,
    )  # fmt: skip
    RegisteredFile.insert(
        sha256=digest, kind=registered, document_id=document.id, envelope_id=envelope.id,
        facts={"version": version, "provider": envelope.provider, "file": kind,
               "completed_at": evidence.moment(envelope.ended_at)},
        registered_at=now,
    ).on_conflict_ignore().execute()  # fmt: skip
    return document


@jobs.on_failure("fetch_executed")
def fetching_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    sealing.sealing_failed(payload, reason, now)


@jobs.on_retry("fetch_executed")
def fetch_again(payload: dict[str, Any], now: datetime) -> None:
    sealing.seal_again(payload, now)
