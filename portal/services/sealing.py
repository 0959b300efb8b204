"""The finished file: from the last signature to a sealed PDF that everybody has.

A job builds the executed PDF, seals it, puts it into the write-once store under a name that belongs
to the envelope, and records it in one transaction with its hash, the trail and the mails. Killed
anywhere, it runs again: a file already stored is taken up instead of sealing twice, and a unique
index lets one executed version exist.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from portal import failpoints
from portal.errors import Conflict
from portal.i18n import format_datetime, ngettext, use
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Document, RegisteredFile
from portal.models.envelopes import Act, Envelope
from portal.models.jobs import Job
from portal.services import audit, documents, envelopes, evidence, installation, jobs, signing_mails
from portal.services.audit import SYSTEM, Actor
from providers import registry

if TYPE_CHECKING:
    from portal.documents.executed import Stamp as PlacedStamp
    from portal.documents.layouts import Stamp
    from portal.documents.timestamps import Timestamp, TimestampAuthority

OVERDUE = timedelta(minutes=5)
UPGRADE_FIRST = timedelta(minutes=5)
UPGRADE_AGAIN = timedelta(minutes=15)

log = logging.getLogger(__name__)


# --- The job ----------------------------------------------------------------------------------


@jobs.handler("seal_envelope")
def seal_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Seal one completed envelope. Running twice changes nothing."""
    from portal.documents.seal import Unsealable

    envelope = envelopes.get(payload["envelope"])
    if envelope.status != "completed" or envelope.executed is not None:
        return
    try:
        content, is_complete = stored_or_built(envelope, context.clock())
    except Unsealable as error:
        raise jobs.GiveUp(error.message) from error
    failpoints.reach("seal.before_record")
    with transaction():
        context.hold()
        record(envelope, content, is_complete=is_complete, now=context.clock())
        failpoints.reach("seal.before_commit")
    failpoints.reach("seal.after_record")


def stored_or_built(envelope: Envelope, now: datetime) -> tuple[bytes, bool]:
    """The sealed file and whether its time is confirmed from outside, where that is asked for."""
    store = installation.current().store
    key = storage_key(envelope, 1)
    if store.exists(key):
        content: bytes = store.get(key)
        log.info("envelope %s: a sealed file from an interrupted run is taken up", envelope.id)
        return content, not installation.current().settings.tsa_url or has_timestamp(content)
    failpoints.reach("seal.before_build")
    content, is_complete = build(envelope, now)
    failpoints.reach("seal.after_build")
    kept = put_once(key, content)
    failpoints.reach("seal.after_store")
    return kept, is_complete if kept == content else has_timestamp(kept)


def put_once(key: str, content: bytes) -> bytes:
    """What lies in the store under this key: `content`, or what another run was quicker with."""
    from portal.documents.store import Taken

    store = installation.current().store
    try:
        store.put(key, content)
    except Taken:
        earlier: bytes = store.get(key)
        return earlier
    return content


def storage_key(envelope: Envelope, version: int) -> str:
    """One name per envelope and version, so that the store itself refuses a second file."""
    return f"{envelope.id}-executed-{version}"


def has_timestamp(content: bytes) -> bool:
    return b"/ETSI.RFC3161" in content


# --- Building ---------------------------------------------------------------------------------


def build(envelope: Envelope, now: datetime) -> tuple[bytes, bool]:
    """The executed PDF: shown bytes, stamps, certificate, evidence, seal. Raises Unsealable."""
    from portal.documents import executed, render

    facts = evidence.gather(envelope)
    shown = documents.read(envelope.document)
    authority = installation.current().authority
    tsa = timestamp_authority()
    wanted = stamps_of(facts)
    about = seal_sentences(facts, authority.organisation, tsa is not None)
    parts = render.execution_parts(
        [stamp for stamp, _spot in wanted], evidence.certificate(facts, len(shown), about), in_process=True
    )
    placed = [placed_stamp(spot, pdf) for (_stamp, spot), pdf in zip(wanted, parts.stamps, strict=True)]
    attached = {"evidence.json": evidence.package(facts, len(shown), now)}
    title, language = facts.contract.title, facts.language
    if tsa is None:
        made = executed.build(
            shown, placed, parts.certificate, attached, authority, now, language=language, title=title
        )
        return made, True
    sealed = executed.build_with_timestamps(
        shown, placed, parts.certificate, attached, authority, now, language=language, title=title, tsa=tsa
    )
    trust(sealed.timestamp)
    if sealed.problem:
        log.warning("envelope %s: sealed without an outside time: %s", envelope.id, sealed.problem)
    return sealed.pdf, not sealed.problem


def timestamp_authority() -> TimestampAuthority | None:
    """The client of the configured timestamp authority, or None."""
    url = installation.current().settings.tsa_url
    if not url:
        return None
    from portal.documents import timestamps

    return timestamps.TimestampAuthority(url, roots=installation.current().authority.timestamp_roots)


def trust(timestamp: Timestamp | None) -> None:
    """The root of the first authority used is the one relied on from then on."""
    if timestamp is not None:
        installation.current().authority.trust_timestamps(timestamp.root)


def stamps_of(facts: evidence.Facts) -> list[tuple[Stamp, dict[str, Any]]]:
    """Each signature with its spot in the shown file."""
    spots = facts.envelope.document.facts.get("placements", [])
    found: list[tuple[Stamp, dict[str, Any]]] = []
    with use(facts.language, facts.zone):
        for recipient in facts.recipients:
            act = facts.acts.get(recipient.id)
            if act is not None and act.kind == "sign":
                mine = [spot for spot in spots if spot["recipient_key"] == recipient.key]
                found += [(stamp_for(act, spot), spot) for spot in mine]
    return found


def stamp_for(act: Act, spot: dict[str, Any]) -> Stamp:
    return {
        "kind": "drawn" if act.signature_path else "typed",
        "name": act.name,
        "drawn": act.signature_path,
        "when": format_datetime(act.at, weekday=False),
        "width": spot["width"],
        "height": spot["height"],
    }


def placed_stamp(spot: dict[str, Any], pdf: bytes) -> PlacedStamp:
    from portal.documents.executed import Stamp as PlacedStamp

    return PlacedStamp(spot["page"], spot["x"], spot["y"], spot["width"], spot["height"], pdf)


def seal_sentences(facts: evidence.Facts, organisation: str, timestamped: bool) -> list[str]:
    """Whose seal closes the file, for the certificate."""
    with use(facts.language, facts.zone):
        said = [_("Sealed by %(company)s as a company; people signed as listed below.", company=organisation)]
        if timestamped:
            said.append(
                _("An outside timestamp authority confirms the time of the seal, at once or once it answers.")
            )
        return said


# --- Recording --------------------------------------------------------------------------------


def record(envelope: Envelope, content: bytes, *, is_complete: bool, now: datetime) -> Document:
    """Publish the sealed file: its row, its hash in the register, the trail and everybody's copy.

    Inside the caller's transaction. Raises Conflict when it is published already.
    """
    locked = envelopes.lock(envelope.id)
    if locked.executed is not None:
        raise Conflict(_("This contract is sealed already."))
    contract, shown = envelope.contract, envelope.document
    locked.contract, locked.document, locked.revision = contract, shown, envelope.revision
    document = add_version(locked, content, 1, now)
    Envelope.update(
        executed=document, seal_status="sealed" if is_complete else "incomplete", seal_problem=""
    ).where(Envelope.id == locked.id).execute()
    audit.append(
        "envelope.sealed", ("envelope", locked.id), chain=contract.id, by=SYSTEM, now=now,
        facts={
            "sha256": document.sha256,
            "size_bytes": document.size_bytes,
            "shown_sha256": shown.sha256,
            "certificate_sha256": installation.current().authority.fingerprint_sha256,
            "time_confirmed": has_timestamp(content),
        },
    )  # fmt: skip
    if not is_complete:
        queue_upgrade(locked, now)
    signing_mails.deliver_copies(locked, document, now)
    return document


def queue_upgrade(envelope: Envelope, now: datetime) -> None:
    """Have the missing time added once the authority answers."""
    jobs.add(
        "upgrade_seal", {"envelope": envelope.id}, key=f"upgrade:{envelope.id}", now=now,
        run_at=now + UPGRADE_FIRST, max_attempts=100_000,
    )  # fmt: skip


def add_version(envelope: Envelope, content: bytes, version: int, now: datetime) -> Document:
    """The row of one executed version, and its hash in the register."""
    digest = hashlib.sha256(content).hexdigest()
    document: Document = Document.add(
        contract=envelope.contract,
        revision=envelope.revision,
        kind="executed",
        file_name=f"{envelope.contract.reference}-executed.pdf",
        sha256=digest,
        size_bytes=len(content),
        pages=envelope.document.pages,
        storage_key=storage_key(envelope, version),
        facts={"shown_bytes": envelope.document.size_bytes},
        version=version,
        envelope_id=envelope.id,
        created_at=now,
    )
    RegisteredFile.create(
        sha256=digest, kind="executed", document_id=document.id, envelope_id=envelope.id,
        facts={"version": version}, registered_at=now,
    )  # fmt: skip
    return document


@jobs.on_failure("seal_envelope")
def sealing_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """Visible to our side and in /readyz; `retry` starts it again."""
    envelope = envelopes.get(payload["envelope"])
    if envelope.executed is None:
        Envelope.update(seal_status="failed", seal_problem=reason[:500]).where(
            Envelope.id == envelope.id
        ).execute()
        audit.append(
            "seal.failed", ("envelope", envelope.id), chain=envelope.contract.id, by=SYSTEM, now=now,
            facts={"reason": reason[:500]},
        )  # fmt: skip


@jobs.on_retry("seal_envelope")
def seal_again(payload: dict[str, Any], _now: datetime) -> None:
    """The seal is on its way again."""
    Envelope.update(seal_status="pending", seal_problem="").where(
        (Envelope.id == payload["envelope"]) & (Envelope.seal_status == "failed")
    ).execute()


def retry(envelope: Envelope, *, by: Actor, now: datetime) -> None:
    """Start a failed sealing again. Raises Conflict when there is nothing to retry."""
    with transaction():
        moved = (
            Envelope.update(seal_status="pending", seal_problem="")
            .where((Envelope.id == envelope.id) & (Envelope.seal_status == "failed"))
            .execute()
        )
        if moved != 1:
            raise Conflict(_("This contract is not waiting for its seal."))
        key = f"seal:{envelope.id}"
        job = Job.get_or_none(Job.key == key)
        if job is None:
            kind = "fetch_executed" if registry.capabilities(envelope.provider).seals else "seal_envelope"
            jobs.add(kind, {"envelope": envelope.id}, key=key, now=now)
        else:
            jobs.retry(job.id, now)
        audit.append("seal.retried", ("envelope", envelope.id), chain=envelope.contract.id, by=by, now=now)


def backlog(now: datetime) -> list[str]:
    """What /readyz and the operations page say of seals that are missing; empty when none are."""
    found = []
    failed = Envelope.select().where(Envelope.seal_status == "failed").count()
    if failed:
        found.append(
            ngettext(
                "%(num)s signed contract could not be sealed.",
                "%(num)s signed contracts could not be sealed.",
                failed,
            )
        )
    late = (Envelope.seal_status == "pending") & (Envelope.ended_at < now - OVERDUE)  # as `is_late`
    waiting = Envelope.select().where(late).count()
    if waiting:
        found.append(
            ngettext(
                "%(num)s signed contract has waited for its seal for over five minutes.",
                "%(num)s signed contracts have waited for their seal for over five minutes.",
                waiting,
            )
        )
    return found


def is_late(envelope: Envelope, now: datetime) -> bool:
    """Whether everybody signed more than five minutes ago and the seal is still missing."""
    return envelope.seal_status == "pending" and bool(envelope.ended_at and envelope.ended_at < now - OVERDUE)


# --- Time from outside, later -----------------------------------------------------------------


@jobs.handler("upgrade_seal")
def upgrade_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Add the outside time that was missing when the file was sealed; nothing is signed again."""
    from portal.documents import timestamps

    envelope = envelopes.get(payload["envelope"])
    tsa = timestamp_authority()
    sealed = sealed_file(envelope)
    if envelope.seal_status != "incomplete" or sealed is None:
        return
    if tsa is None:
        raise jobs.Retry("no timestamp authority is configured any more", timedelta(hours=1))
    before = documents.read(sealed)
    store, key = installation.current().store, upgraded_key(envelope)
    if store.exists(key):
        content: bytes = store.get(key)
    else:
        try:
            made = timestamps.upgrade(before, installation.current().authority, tsa, context.clock())
        except timestamps.AuthorityAway as error:
            raise jobs.Retry(str(error), UPGRADE_AGAIN) from error
        trust(made.timestamp)
        failpoints.reach("upgrade.after_build")
        content = put_once(key, made.pdf)
        failpoints.reach("upgrade.after_store")
    if not content.startswith(before):
        raise jobs.GiveUp("the longer file does not begin with the sealed one")
    with transaction():
        context.hold()
        record_upgrade(envelope, content, context.clock())


def sealed_file(envelope: Envelope) -> Document | None:
    """The file under our seal: the finished one, or our record beside a provider's."""
    is_theirs = registry.capabilities(envelope.provider).seals
    found: Document | None = envelope.companion if is_theirs else envelope.executed
    return found


def upgraded_key(envelope: Envelope) -> str:
    from portal.services import elsewhere

    is_theirs = registry.capabilities(envelope.provider).seals
    return elsewhere.companion_key(envelope, 2) if is_theirs else storage_key(envelope, 2)


def record_upgrade(envelope: Envelope, content: bytes, now: datetime) -> None:
    """Version 2 beside version 1, whose hash stays registered."""
    from portal.services import elsewhere

    locked = envelopes.lock(envelope.id)
    if locked.seal_status != "incomplete":
        return
    if registry.capabilities(locked.provider).seals:
        document = elsewhere.add_companion(locked, content, 2, now)
        changes = {"companion": document}
    else:
        document = add_version(locked, content, 2, now)
        changes = {"executed": document}
    Envelope.update(**changes, seal_status="sealed").where(Envelope.id == locked.id).execute()
    audit.append(
        "envelope.timestamped", ("envelope", locked.id), chain=locked.contract.id, by=SYSTEM, now=now,
        facts={"sha256": document.sha256, "size_bytes": document.size_bytes},
    )  # fmt: skip


def warm() -> None:
    """Load what the first seal would wait for: libraries, templates, fonts, the key."""
    from portal.documents import executed, render  # noqa: F401 (the sealing library, read now)

    render.signature_stamp(
        {"kind": "typed", "name": "Countersign", "when": "1 Jan 2027", "width": 180.0, "height": 48.0}
    )
    installation.current().authority.template  # noqa: B018 (computed once, kept)
