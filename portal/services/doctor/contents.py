"""What is kept and done: keys that fit, documents that open, a worker that works, a history that holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.documents.crypto import Unreadable
from portal.documents.store import Missing
from portal.errors import PortalError
from portal.i18n import format_datetime, format_duration
from portal.models.contracts import Document
from portal.models.envelopes import OutsideFactor
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import audit_chains, heartbeat, installation, keys, queues, readiness, sealing
from portal.services.doctor import Check, Finding, Patient, warn, well, wrong

RECOVERY_KEY = "recovery_key"  # the fact that one was downloaded


def keys_fit(patient: Patient) -> Finding | None:
    """Whether the encryption keys open what the database holds, by its newest secrets."""
    if not patient.settings.encryption_keys:
        return None
    box = installation.current().box
    newest = Notice.select(Notice.text).where(Notice.text != "").order_by(Notice.id.desc()).limit(3)
    sealed = [notice.text for notice in newest]
    apps = OutsideFactor.select(OutsideFactor.secret).order_by(OutsideFactor.id.desc()).limit(3)
    sealed += [factor.secret for factor in apps]
    try:
        for secret in sealed:
            box.open(secret)
    except Unreadable:
        return wrong(
            "keys-fit", "The encryption keys do not open what this database holds.",
            "Restore the keys that belong to it, or the database that belongs to them.",
        )  # fmt: skip
    return well("keys-fit", f"The keys open {len(sealed)} newest secrets of the database.")


def store(patient: Patient) -> Finding | None:
    """Whether the newest documents are there and open."""
    if not patient.settings.encryption_keys:
        return None
    newest = list(Document.select(Document.storage_key).order_by(Document.id.desc()).limit(3))
    kept = installation.current().store
    try:
        if not newest:
            kept.exists("none-yet")  # a bucket must answer for it
            return well("store", "No document is kept yet.")
        for document in newest:
            kept.get(document.storage_key)
    except Missing as error:
        return wrong("store", f"Document {error.args[0]} is not in the store.", "Restore it from a backup.")
    except Unreadable as error:
        return wrong("store", f"A document does not open: {error}.", "Restore the keys that belong to it.")
    except OSError as error:
        return wrong(
            "store", f"The store does not answer: {error}.", "Look at STORAGE_URL and at the store itself."
        )
    return well("store", f"The {len(newest)} newest documents are there and open.")


def seal_certificate(patient: Patient) -> Finding:
    try:
        until = keys.certificates()["seal"]
    except (PortalError, OSError, ValueError) as error:
        said = (
            error.message if isinstance(error, PortalError) else f"The sealing key cannot be read: {error}."
        )
        return wrong("seal", said, "Restore the folder `keys/authority`, or correct SEAL_P12.")
    left = until - patient.clock()
    if left < timedelta():
        return wrong(
            "seal",
            f"The seal's certificate expired on {format_datetime(until)}.",
            "Renew it: docs/running.md.",
        )
    if left < keys.WARN_BEFORE:
        return warn(
            "seal",
            f"The seal's certificate expires on {format_datetime(until)}.",
            "Renew it: docs/running.md.",
        )
    return well("seal", f"The seal's certificate is good until {format_datetime(until)}.")


def worker(patient: Patient) -> Finding:
    now = patient.clock()
    seen = heartbeat.last(now)
    how = "Start `countersign serve`, or `countersign work` on another machine."
    if seen is None:
        return warn("worker", "No worker has ever been seen.", how)
    ago = format_duration(max(now - seen, timedelta(seconds=1)))
    if heartbeat.is_silent(now):
        return wrong("worker", f"No worker has been seen for {ago}.", how)
    return well("worker", f"A worker was seen {ago} ago.")


def work(patient: Patient) -> Finding:
    now = patient.clock()
    late = Job.select().where((Job.status == "ready") & (Job.run_at < now - heartbeat.SILENCE)).count()
    if late:
        return wrong(
            "work", f"{late} pieces of work have waited for over five minutes.", "See that a worker runs."
        )
    failed = queues.count_failed(now)
    if failed:
        return warn(
            "work", f"{failed} pieces of work have failed within 30 days.", "See Settings, Operations."
        )
    return well("work", "Nothing is late and nothing has failed.")


def seals(patient: Patient) -> Finding:
    missing = sealing.backlog(patient.clock())
    if missing:
        return wrong("seals", " ".join(missing), "See Settings, Operations, and the checks above.")
    return well("seals", "No signed contract waits for its seal.")


def history(_patient: Patient) -> Finding:
    """The signed head, and the outcome of the last whole check."""
    fault = audit_chains.anchor_fault()
    last: dict[str, Any] | None = installation.fact(audit_chains.LAST_CHECK)
    if not fault and last and not last["valid"]:
        fault = "the last check found an entry that does not hold"
    if fault:
        return wrong("history", f"The history does not hold: {fault}.", "Run `countersign audit verify`.")
    if installation.fact("last_anchor") is None:
        return well("history", "The history has not been signed yet; the worker does so every hour.")
    return well("history", "The last signed head of the history holds.")


def backup(patient: Patient) -> Finding:
    last: dict[str, Any] | None = installation.fact(readiness.LAST_BACKUP)
    how = "Run `countersign backup DIR` every day: docs/running.md."
    if last is None:
        return warn("backup", "No backup has been made yet.", how)
    if not last.get("ok", True):
        return warn("backup", f"The last backup did not work: {last.get('reason') or 'no reason kept'}.", how)
    at = datetime.fromisoformat(last["at"])
    if patient.clock() - at > readiness.BACKUP_OLD:
        return warn("backup", f"The last backup is from {format_datetime(at)}.", how)
    return well("backup", f"The last backup is from {format_datetime(at)}.")


def recovery_key(patient: Patient) -> Finding:
    kept: dict[str, Any] | None = installation.fact(RECOVERY_KEY)
    if kept is None:
        folder = patient.settings.key_dir
        return warn(
            "recovery", "Nobody has kept a copy of the keys, as far as is known here.",
            f"Keep a copy of {folder} in a safe place: without it nothing here can be opened again.",
        )  # fmt: skip
    return well(
        "recovery", f"The recovery key was kept on {format_datetime(datetime.fromisoformat(kept['at']))}."
    )


CHECKS: tuple[Check, ...] = (
    keys_fit, store, seal_certificate, worker, work, seals, history, backup, recovery_key,
)  # fmt: skip
