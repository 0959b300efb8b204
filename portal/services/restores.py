"""An empty machine becomes the installation that a backup was made of.

Everything is checked before anything is written, and proved afterwards. Until then a marker in
DATA_DIR keeps the portal from starting on half an installation. What had to leave the house when
the backup was made may have left it since, from the old machine: it is held until somebody decides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from portal.documents import authority
from portal.documents.crypto import DocumentCipher, Unreadable, key_names
from portal.documents.store import Missing, bare_store
from portal.errors import PortalError
from portal.models import base, copying, schema
from portal.models.base import transaction
from portal.models.contracts import Document
from portal.models.jobs import Job
from portal.models.people import Session
from portal.services import (
    archives,
    audit,
    audit_chains,
    documents,
    gateways,
    handlers,
    installation,
    jobs,
    key_sets,
)
from portal.services.archives import BadBackup, Progress, Say
from portal.services.audit import INSTALLATION, SYSTEM
from portal.services.key_sets import KeySet
from portal.settings import Settings, parse_keys

HALF = (
    "A restore into this folder was not finished. Empty the folder and the database, "
    "then run “countersign restore” again."
)
WITHOUT_KEYS = (
    "This installation was restored without its keys. Put them back with “countersign keys restore FILE”, "
    "FILE being the recovery key or a copy of the old folder DATA_DIR/keys; then start it."
)


class RestoreFailed(PortalError):
    """Why nothing was restored, or what does not hold afterwards, in one sentence."""


@dataclass
class Report:
    """What a restore did, what does not hold, and what is left to do by hand."""

    backup: str
    made_at: str
    rows: int = 0
    documents: int = 0
    events: int = 0
    opened: int = 0
    held: int = 0
    took_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults


def restore(
    folder: Path,
    read_settings: Callable[[], Settings],
    *,
    keys: KeySet | None,
    now: datetime,
    say: Say = lambda _text: None,
) -> Report:
    """Check, load, prove. Raises RestoreFailed or BadBackup before anything is written where it can.

    `keys` are those given; else the backup's own. `read_settings` is asked again once keys are in place.
    """
    started, progress = time.monotonic(), Progress(say)
    settings = read_settings()
    demand_empty(settings)
    folder = archives.find(folder)
    manifest = archives.read_manifest(folder)
    statement = manifest["statement"]
    demand_known_migrations(statement)
    keys = keys or keys_inside(folder)
    demand_right_keys(folder, manifest, keys, settings)
    demand_unchanged(folder, statement, progress)
    report = Report(str(folder), statement["made_at"])
    try:
        fill(folder, statement, keys, read_settings, report, progress)
        settle(statement, manifest["sha256"], report, now)
        prove(statement, report, progress)
    except (copying.Unloadable, *copying.database_errors()) as error:
        said = str(error).strip().splitlines()[0]
        raise RestoreFailed(f"The database does not take this backup: {said}.") from error
    report.left += left_to_do(read_settings())
    report.took_s = round(time.monotonic() - started, 2)
    return report


# --- Before anything is written -----------------------------------------------------------------


def demand_empty(settings: Settings) -> None:
    """Raise RestoreFailed unless data folder, database and store hold nothing yet."""
    folder = settings.data_dir
    if folder.exists() and any(folder.iterdir()):
        raise RestoreFailed(
            f"{folder} is not empty: a backup is restored into an empty DATA_DIR and database only."
        )
    try:
        is_empty = copying.is_empty(settings.database_url)
    except copying.database_errors() as error:
        said = str(error).strip().splitlines()[0]
        raise RestoreFailed(
            f"The database does not answer ({said}): make an empty one and name it in DATABASE_URL."
        ) from error
    if not is_empty:
        raise RestoreFailed("The database is not empty: a backup is restored into an empty one only.")
    if not store_is_empty(settings):
        raise RestoreFailed("The store of documents is not empty: STORAGE_URL must name an empty place.")


def store_is_empty(settings: Settings) -> bool:
    return next(iter(bare_store(settings.storage_url).keys()), None) is None


def demand_known_migrations(statement: Mapping[str, Any]) -> None:
    known = schema.known()
    if statement["migrations"] != known[: len(statement["migrations"])]:
        raise RestoreFailed(
            f"This backup was made by Countersign {statement['version']} with tables that this release does "
            "not have: install that release or a newer one, then restore."
        )


def keys_inside(folder: Path) -> KeySet | None:
    path = folder / archives.KEYS
    return key_sets.read_from(path, lambda: "") if path.exists() else None


def demand_right_keys(
    folder: Path, manifest: Mapping[str, Any], keys: KeySet | None, settings: Settings
) -> None:
    """The keys must open something of this backup, and the audit key must have signed its manifest."""
    if keys is None:
        return
    if not set(keys.names) & set(manifest["statement"]["encryption_keys"]):
        raise RestoreFailed("These are not the keys of this backup: none of its documents would open.")
    if settings.encryption_keys and not set(keys.names) & set(key_names(settings.encryption_keys)):
        raise RestoreFailed(
            "COUNTERSIGN_ENCRYPTION_KEYS is set to other keys than those of this backup: "
            "take it out of the environment, or set it to the right ones."
        )
    if manifest["signature"] and "audit.pem" in keys.authority:
        archives.demand_signature(folder, dict(manifest), keys.authority["audit.pem"].encode())


def demand_unchanged(folder: Path, statement: Mapping[str, Any], progress: Progress) -> None:
    """Raise BadBackup naming the first file that is missing or not as it was written."""
    total = len(statement["files"])
    for number, fault in enumerate(archives.faults(folder, statement["files"]), 1):
        if fault:
            raise BadBackup(f"{folder}: {fault}. Nothing was restored; use another copy of this backup.")
        progress.at(f"Checking: {number} of {total} files.")


# --- Filling ------------------------------------------------------------------------------------


def fill(
    folder: Path,
    statement: Mapping[str, Any],
    keys: KeySet | None,
    read_settings: Callable[[], Settings],
    report: Report,
    progress: Progress,
) -> None:
    """Keys, tables, rows and documents; the installation is open afterwards."""
    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark_unready(settings)
    if keys is not None:
        report.left += key_sets.put(with_timestamps(keys, folder), settings)
    else:
        report.remarks.append("Without keys the signature under the manifest could not be checked.")
    settings = read_settings()
    opened = installation.open_installation(settings)
    base.db.connect(reuse_if_open=True)
    schema.up(statement["migrations"][-1])
    tables = [folder / archives.TABLES / f"{model._meta.table_name}.jsonl" for model in schema.tables()]
    base.disconnect()
    counts = copying.load(settings.database_url, [path for path in tables if path.exists()])
    if counts != statement["tables"]:
        raise RestoreFailed(
            "The tables hold another number of rows than the backup says; nothing can be used."
        )
    base.db.connect(reuse_if_open=True)
    schema.up()
    report.rows = sum(counts.values())
    report.documents = put_documents(folder, statement, opened, progress)


def mark_unready(settings: Settings) -> None:
    """Nothing may start here from now on, however this ends: the mark stands before it is flushed."""
    with settings.unready_marker.open("w") as mark:
        mark.write(HALF)
        mark.flush()
        os.fsync(mark.fileno())


def with_timestamps(keys: KeySet, folder: Path) -> KeySet:
    """Roots of timestamp authorities may have come after the recovery key was kept."""
    path = folder / archives.CERTIFICATES / "timestamps.pem"
    more = {"timestamps.pem": path.read_text()} if path.exists() else {}
    return KeySet(**{**vars(keys), "authority": {**keys.authority, **more}})


def put_documents(
    folder: Path, statement: Mapping[str, Any], opened: installation.Installation, progress: Progress
) -> int:
    """Write each document to the store as it is, encrypted; how many."""
    store = bare_store(opened.settings.storage_url)
    prefix = archives.STORE + "/"
    names = [name for name in statement["files"] if name.startswith(prefix)]
    for number, name in enumerate(names, 1):
        store.put(name.removeprefix(prefix), (folder / name).read_bytes())
        progress.at(f"Documents: {number} of {len(names)}.")
    return len(names)


# --- A new machine goes on ----------------------------------------------------------------------


def settle(statement: Mapping[str, Any], sha256: str, report: Report, now: datetime) -> None:
    """Let nothing of the old machine's present go on by itself: work, sessions, messages under way."""
    handlers.load()
    with transaction():
        running = (Job.status == "running") | (Job.status == "ready")
        Job.update(status="ready", lease_owner=None, lease_until=None).where(running).execute()
        report.held = (
            Job.update(status="held", last_error="waiting when the backup was made")
            .where((Job.status == "ready") & Job.kind.in_(sorted(jobs.OUTWARD)))
            .execute()
        )
        Session.delete().where(Session.person.is_null(False)).execute()
        facts = {
            "backup_made_at": statement["made_at"], "manifest_sha256": sha256, "rows": report.rows,
            "documents": report.documents, "held": report.held,
        }  # fmt: skip
        installation.set_fact("restored", {"at": key_sets.stamp(now), **facts}, now)
        audit.append(
            "installation.restored", ("installation", INSTALLATION), chain=INSTALLATION, by=SYSTEM,
            now=now, facts=facts,
        )  # fmt: skip


# --- Proving ------------------------------------------------------------------------------------


def prove(statement: Mapping[str, Any], report: Report, progress: Progress) -> None:
    """The trail holds, every executed PDF opens as registered; then the portal may start."""
    trail = audit_chains.verify()
    report.events = trail["events"]
    if not trail["valid"]:
        report.faults.append(audit_chains.as_text(trail))
    settings = installation.current().settings
    report.remarks += [
        f"Not whole when the backup was made: {each['document']}: {each['reason']}."
        for each in statement["damaged"]
    ]
    if not settings.encryption_keys:
        settings.unready_marker.write_text(WITHOUT_KEYS + "\n")
        return
    known = {each["document"] for each in statement["damaged"]}
    report.opened, faults = open_executed(known, progress)
    report.faults += faults
    settings.unready_marker.unlink()


def open_executed(known: set[str], progress: Progress) -> tuple[int, list[str]]:
    """Read every executed PDF; how many are those registered, and what is wrong with the others."""
    count, faults = 0, []
    for document in Document.select().where(Document.kind == "executed").iterator():
        if document.storage_key in known:
            continue
        try:
            documents.read(document)
            count += 1
            progress.at(f"Executed PDFs: {count} opened.")
        except (documents.Damaged, Missing):
            faults.append(f"{document.file_name} ({document.id}) is not the file that was registered.")
        except Exception as error:  # whatever the cipher or a bucket says
            faults.append(f"{document.file_name} ({document.id}) does not open: {error}.")
    return count, faults


def left_to_do(settings: Settings) -> list[str]:
    """What no backup holds: where this machine is reached, and through whom it writes."""
    left = []
    if settings.unready_marker.exists():
        left.append(settings.unready_marker.read_text().strip())
    if not settings.base_url:
        left.append("Set COUNTERSIGN_BASE_URL to the address in the links people were mailed.")
    if gateways.all_stay_here():
        left.append("Set COUNTERSIGN_MAIL_URL and COUNTERSIGN_SMS_URL, or nobody gets a message.")
    if settings.encryption_keys and not authority.exists(settings.authority_dir):
        left.append(
            "The seal key is not here: the first start makes another, and new seals carry that one. "
            "Empty everything and restore with --keys to keep the old one."
        )
    left.append("Make sure that the old machine does not run any more, then start this one.")
    return left


# --- Keys afterwards ----------------------------------------------------------------------------


def put_keys(
    keys: KeySet, read_settings: Callable[[], Settings], *, say: Say = lambda _text: None
) -> tuple[int, list[str]]:
    """Put keys back where none lie. Returns how many executed PDFs open, and what is left to do.

    Raises UnusableKeys, or RestoreFailed when they are not the keys of what is stored here.
    """
    settings = read_settings()
    held = bare_documents(settings)
    if held and not key_opens(keys, *held):
        raise RestoreFailed("These are not the keys of this installation: its documents do not open.")
    left = key_sets.put(keys, settings)
    settings = read_settings()
    settings.unready_marker.unlink(missing_ok=True)
    installation.open_installation(settings)
    base.db.connect(reuse_if_open=True)
    count, faults = open_executed(set(), Progress(say)) if not schema.pending() else (0, [])
    return count, left + faults


def bare_documents(settings: Settings) -> tuple[str, bytes] | None:
    """One document as it lies in the store."""
    store = bare_store(settings.storage_url)
    key = next(iter(store.keys()), None)
    return None if key is None else (key, store.get(key))


def key_opens(keys: KeySet, record: str, blob: bytes) -> bool:
    try:
        DocumentCipher(parse_keys(keys.encryption_keys, [])).open(record, blob)
    except Unreadable:
        return False
    return True


def as_text(report: Report) -> str:
    lines = [
        f"Restored from {report.backup}, made at {report.made_at}.",
        f"{report.rows} rows, {report.documents} documents, {report.took_s:.1f} s.",
        f"The trail is whole: {report.events} events." if report.ok else "The trail or a file does not hold:",
        *report.faults,
        f"{report.opened} executed PDFs open and are those registered." if report.opened else "",
        "Everybody of the staff signs in again; mailed links go on working.",
    ]
    if report.held:
        lines.append(
            f"{report.held} messages or requests were waiting when the backup was made and may have gone out "
            "since: they are held. “countersign held” lists them, --send or --drop decides."
        )
    lines += [*report.remarks, "What remains to do:", *(f"- {each}" for each in report.left)]
    return "\n".join(line for line in lines if line)
