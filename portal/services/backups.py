"""A copy of the whole installation while people work: one moment of the database, every document.

Documents are written once and never changed, so what is copied after that moment holds all that the
moment names. The folder's form is archives.py, the tables' copying.py; docs/backup.md is for people.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import peewee

from portal import __version__
from portal.documents import authority
from portal.documents.crypto import DocumentCipher, Unreadable, key_names
from portal.documents.store import FileStore, Missing, Store, bare_store
from portal.errors import PortalError
from portal.models import copying, schema
from portal.models.base import transaction
from portal.services import archives, audit, installation, key_sets
from portal.services.archives import Archive, Progress, Say
from portal.services.audit import INSTALLATION, SYSTEM

FACT = "last_backup"


class BackupFailed(PortalError):
    """Why there is no backup, in one sentence; nothing half is left."""


@dataclass(frozen=True)
class Report:
    """What a backup came to. `damaged` are documents that could not be saved as they were."""

    folder: str
    made_at: str
    with_keys: bool
    rows: int
    documents: int
    reused: int
    size_bytes: int
    took_s: float
    damaged: list[dict[str, str]]

    @property
    def ok(self) -> bool:
        return not self.damaged


def make(folder: Path, *, with_keys: bool, now: datetime, say: Say = lambda _text: None) -> Report:
    """Write a new backup below `folder`. Raises BackupFailed; the outcome is kept as a fact either way."""
    started = time.monotonic()
    try:
        with archives.writing(folder, now) as (archive, target):
            statement = save(archive, folder, with_keys=with_keys, now=now, say=say)
        report = Report(
            str(target), key_sets.stamp(now), with_keys, sum(statement["tables"].values()),
            statement["documents"], statement["reused"], archive.size_bytes,
            round(time.monotonic() - started, 2), statement["damaged"],
        )  # fmt: skip
    except (OSError, PortalError, *copying.database_errors()) as error:
        failure = BackupFailed(in_words(error, folder))
        note_failure(failure.message, now)
        raise failure from error
    note(report, now)
    return report


def save(archive: Archive, folder: Path, *, with_keys: bool, now: datetime, say: Say) -> dict[str, Any]:
    """Everything into the archive; what the manifest says of it."""
    opened = installation.current()
    demand_current_tables()
    if not opened.settings.encryption_keys:
        raise BackupFailed("There is no encryption key here, so no document could be checked.")
    store = bare_store(opened.settings.storage_url)
    if isinstance(store, FileStore):
        refuse_inside(folder, store.root)
    progress = Progress(say)
    with copying.snapshot(opened.settings.database_url) as moment:
        tables = save_tables(archive, moment, progress)
        head, anchor, wanted = last_link(moment), last_anchor(moment), wanted_documents(moment)
    for name, content in key_sets.certificates(opened.settings).items():
        archive.write(f"{archives.CERTIFICATES}/{name}", content)
    if with_keys:
        archive.write(archives.KEYS, key_sets.plain(key_sets.gather(opened.settings), now))
    copy = Documents(archive, store, DocumentCipher(opened.settings.encryption_keys), earlier_of(folder))
    copy.save(wanted, progress)
    statement = {
        "version": __version__, "made_at": key_sets.stamp(now), "migrations": schema.known(),
        "database": opened.settings.database_url.split(":", 1)[0], "tables": tables, "head": head,
        "anchor": anchor, "documents": copy.count, "damaged": copy.damaged, "with_keys": with_keys,
        "encryption_keys": key_names(opened.settings.encryption_keys),
    }  # fmt: skip
    has_authority = authority.exists(opened.settings.authority_dir)
    archive.finish(statement, opened.authority.sign_audit if has_authority else None)
    return {**statement, "reused": copy.reused}


def demand_current_tables() -> None:
    applied = [name for name, is_applied in schema.status() if is_applied]
    if applied != schema.known():
        raise BackupFailed("The tables are not those of this release: run “countersign migrate status”.")


def refuse_inside(folder: Path, root: Path) -> None:
    if folder.resolve().is_relative_to(root.resolve()):
        raise BackupFailed(f"{folder} lies among the documents themselves: choose a folder elsewhere.")


# --- The database -------------------------------------------------------------------------------


def save_tables(archive: Archive, moment: copying.Snapshot, progress: Progress) -> dict[str, int]:
    """Each table into its file; table to rows."""
    rows = {}
    for model in schema.tables():
        name = model._meta.table_name
        pieces = (line.encode() + b"\n" for line in copying.lines(moment, model))
        rows[name] = archive.write_pieces(f"{archives.TABLES}/{name}.jsonl", pieces) - 1
        progress.at(f"Database: {sum(rows.values())} rows.")
    return rows


def last_link(moment: copying.Snapshot) -> dict[str, Any]:
    """The last event of the installation's chain at that moment."""
    for number, digest in moment.select("SELECT number, hash FROM chain_head WHERE chain = 'installation'"):
        return {"number": number, "hash": digest}
    return {"number": 0, "hash": audit.GENESIS}


def last_anchor(moment: copying.Snapshot) -> Any:
    for (value,) in moment.select("SELECT value FROM installation_fact WHERE name = 'last_anchor'"):
        return json.loads(value)
    return None


def wanted_documents(moment: copying.Snapshot) -> dict[str, str]:
    """Every key of the store that a row names, with the SHA-256 of its bytes where it is registered."""
    wanted: dict[str, str] = {}
    for model in schema.tables():
        names = [name for name, _kind in copying.columns_of(model)]
        if "storage_key" in names:
            digest = "sha256" if "sha256" in names else "''"
            rows = moment.select(f'SELECT storage_key, {digest} FROM "{model._meta.table_name}"')  # noqa: S608
            wanted |= {key: str(sha256) for key, sha256 in rows if key}
    return wanted


# --- Documents ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Earlier:
    """The last backup in the same folder, whose documents need not be copied again."""

    folder: Path
    files: dict[str, dict[str, Any]]


def earlier_of(folder: Path) -> Earlier | None:
    for path in reversed(archives.whole_ones(folder)):
        try:
            statement = archives.read_manifest(path)["statement"]
        except archives.BadBackup:
            continue
        doubtful = {f"{archives.STORE}/{each['document']}" for each in statement["damaged"]}
        return Earlier(path, {n: f for n, f in statement["files"].items() if n not in doubtful})
    return None


class Documents:
    """Copies the store as it lies there, encrypted; opens each document once to see that it is whole."""

    def __init__(
        self, archive: Archive, store: Store, cipher: DocumentCipher, earlier: Earlier | None
    ) -> None:
        self.archive = archive
        self.store = store
        self.cipher = cipher
        self.earlier = earlier
        self.count = self.reused = 0
        self.damaged: list[dict[str, str]] = []

    def save(self, wanted: dict[str, str], progress: Progress) -> None:
        keys = sorted({*self.store.keys(), *wanted})
        for number, key in enumerate(keys, 1):
            self.save_one(key, wanted.get(key))
            progress.at(f"Documents: {number} of {len(keys)}.")

    def save_one(self, key: str, sha256: str | None) -> None:
        """`sha256` is that of the bytes, "" where none is registered, None where no row names the key."""
        name = f"{archives.STORE}/{key}"
        if self.taken_over(name):
            return
        try:
            blob = self.store.get(key)
        except Missing:
            if sha256 is not None:
                self.note(key, "it is not in the store")
            return
        except OSError as error:
            self.note(key, f"it cannot be read: {error.strerror or error}")
            return
        self.archive.write(name, blob)
        self.count += 1
        fault = self.fault(key, blob, sha256)
        if fault:
            self.note(key, fault)

    def taken_over(self, name: str) -> bool:
        known = self.earlier.files.get(name) if self.earlier else None
        if not self.earlier or not known or not self.archive.link(name, self.earlier.folder / name, known):
            return False
        self.count += 1
        self.reused += 1
        return True

    def fault(self, key: str, blob: bytes, sha256: str | None) -> str:
        try:
            content = self.cipher.open(key, blob)
        except Unreadable as error:
            return str(error)
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            return "it is not the document that was registered"
        return ""

    def note(self, key: str, reason: str) -> None:
        self.damaged.append({"document": key, "reason": reason})


# --- The outcome --------------------------------------------------------------------------------


def in_words(error: BaseException, folder: Path) -> str:
    if isinstance(error, PortalError):
        return error.message
    if isinstance(error, OSError):
        return f"No backup was made in {folder}: {error.strerror or error}."
    return f"No backup was made: the database does not answer ({str(error).strip().splitlines()[0]})."


def note(report: Report, now: datetime) -> None:
    """Keep what came of it for the people who look after the portal; keys that left are on the trail."""
    with transaction():
        known = {"ok": report.ok, "at": report.made_at, "good_at": report.made_at, "reason": ""}
        if report.damaged:
            known |= {
                "good_at": last_good(),
                "reason": f"Documents that are not whole: {len(report.damaged)}.",
            }
        said = {name: value for name, value in asdict(report).items() if name not in ("damaged", "made_at")}
        installation.set_fact(FACT, {**said, "damaged": report.damaged[:20], **known}, now)
        if report.with_keys:
            audit.append(
                "keys.backed_up", ("installation", INSTALLATION), chain=INSTALLATION, by=SYSTEM, now=now
            )


def note_failure(reason: str, now: datetime) -> None:
    try:
        with transaction():
            known = {"ok": False, "at": key_sets.stamp(now), "good_at": last_good(), "reason": reason}
            installation.set_fact(FACT, known, now)
    except peewee.PeeweeException:
        return  # the database itself is away: its own alarm says so


def last_good() -> str | None:
    found: str | None = (installation.fact(FACT) or {}).get("good_at")
    return found


def last_outcome() -> dict[str, Any] | None:
    """What came of the last backup: ok, at, good_at (the last good one), reason; None before any."""
    known = installation.fact(FACT)
    if known is None:
        return None
    times = {name: datetime.fromisoformat(known[name]) if known[name] else None for name in ("at", "good_at")}
    return {**known, **times}


def as_text(report: Report) -> str:
    return "\n".join(text_lines(report))


def text_lines(report: Report) -> Iterator[str]:
    yield f"Backup: {report.folder}"
    yield (
        f"{report.rows} rows and {report.documents} documents ({report.reused} unchanged since the last "
        f"backup), {report.size_bytes / 1e6:.1f} MB, {report.took_s:.1f} s."
    )
    folder = installation.current().settings.key_dir
    if report.with_keys:
        yield "Keys: inside, in keys.json, readable by whoever reads the folder. Keep it as you keep a key."
    else:
        yield (
            f"Keys: not inside. They lie in {folder} or are given by the environment. Without them no "
            "document, message or authenticator secret in this backup can be opened: keep the recovery key "
            "elsewhere (Settings, Recovery key) or use --with-keys."
        )
    for each in report.damaged:
        yield f"Not whole: {each['document']}: {each['reason']}."
