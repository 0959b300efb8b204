"""The folder a backup is: its files, its manifest, and how it appears whole or not at all.

    2026-11-25T091800Z/
      manifest.json    what is inside with size and SHA-256, signed with the audit key
      tables/          one file for each table (models/copying.py says how)
      store/           every document, encrypted as it lies in the store
      certificates/    the public half of the keys: enough to check seals and this manifest
      keys.json        the keys themselves; only when they were asked for

It is written under a name beginning with `.unfinished-`, each file put on the platter, and renamed
at the end.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from portal.documents.store import KEY
from portal.errors import PortalError
from portal.services import audit

FORMAT = "countersign-backup/1"
MANIFEST = "manifest.json"
TABLES, STORE, CERTIFICATES, KEYS = "tables", "store", "certificates", "keys.json"
DRAFT = ".unfinished-"
PIECE = 1024 * 1024


SAY_EVERY_S = 2.0

Say = Callable[[str], None]


class Progress:
    """Says how far long work is, every other second; short work passes in silence."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.said = time.monotonic()

    def at(self, where: str) -> None:
        if time.monotonic() - self.said > SAY_EVERY_S:
            self.said = time.monotonic()
            self.say(where)


class BadBackup(PortalError):
    """A folder that is no backup, or not as it was written; the message names the file."""


class Archive:
    """One backup being written. Every file goes through here, so none is without its hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, dict[str, Any]] = {}
        self.folders: set[Path] = {folder}

    @property
    def size_bytes(self) -> int:
        return sum(each["size_bytes"] for each in self.files.values())

    def write(self, name: str, content: bytes) -> None:
        self.write_pieces(name, (content,))

    def write_pieces(self, name: str, pieces: Iterable[bytes]) -> int:
        """Write a file piece by piece; how many pieces there were."""
        digest, size, count = hashlib.sha256(), 0, 0
        with self._opened(name) as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
                count += 1
        self.files[name] = {"sha256": digest.hexdigest(), "size_bytes": size}
        return count

    def link(self, name: str, earlier: Path, known: dict[str, Any]) -> bool:
        """Take a file over from an earlier backup without copying, if it still is what it was."""
        if not earlier.is_file() or digest_of(earlier) != known["sha256"]:
            return False
        path = self._path(name)
        try:
            os.link(earlier, path)
        except OSError:
            return False  # this disk has no hard links: it is copied instead
        self.files[name] = known
        return True

    def finish(self, statement: dict[str, Any], sign: Any) -> str:
        """Write the manifest and put all names on the platter; the manifest's SHA-256."""
        statement = {"format": FORMAT, **statement, "files": self.files}
        body = audit.encode(statement).encode()
        digest = hashlib.sha256(body).hexdigest()
        signature = base64.b64encode(sign(body)).decode() if sign is not None else ""
        whole = {"statement": statement, "sha256": digest, "signature": signature}
        with self._opened(MANIFEST) as file:
            file.write(json.dumps(whole, ensure_ascii=False, sort_keys=True, indent=1).encode())
        for folder in sorted(self.folders):
            sync(folder)
        return digest

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        handle = os.open(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if path.parent not in self.folders:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            inner = path.parent
            while inner not in self.folders:
                self.folders.add(inner)
                inner = inner.parent
        return path


@contextmanager
def writing(folder: Path, now: datetime) -> Iterator[tuple[Archive, Path]]:
    """A new archive below `folder` and the name it gets if nothing goes wrong; else nothing is left.

    Raises BadBackup while another backup is being written there.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(folder / ".lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadBackup(f"Another backup is being written to {folder}: wait for its end.") from error
        for dead in folder.glob(f"{DRAFT}*"):
            shutil.rmtree(dead)  # its writer was killed: while it lives it holds the lock
        target = folder / f"{now.astimezone(UTC):%Y-%m-%dT%H%M%SZ}"
        if target.exists():
            raise BadBackup(f"{target} exists already: wait a second and try again.")
        draft = folder / f"{DRAFT}{target.name}"
        draft.mkdir(mode=0o700)
        try:
            yield Archive(draft), target
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync(folder)


def whole_ones(folder: Path) -> list[Path]:
    """The finished backups below a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path.parent for path in folder.glob(f"[0-9]*/{MANIFEST}"))


def find(folder: Path) -> Path:
    """The backup that is meant: the folder itself, or the newest one in it. Raises BadBackup."""
    if (folder / MANIFEST).is_file():
        return folder
    found = whole_ones(folder)
    if not found:
        raise BadBackup(f"{folder} holds no finished backup: there is no {MANIFEST}.")
    return found[-1]


# --- Reading ------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest with its hash checked; `signed_by` does the signature. Raises BadBackup."""
    path = folder / MANIFEST
    try:
        whole = json.loads(path.read_bytes())
        statement, body = whole["statement"], audit.encode(whole["statement"]).encode()
        known = statement["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadBackup(f"{path} cannot be read: it is not as it was written.") from error
    if hashlib.sha256(body).hexdigest() != whole.get("sha256"):
        raise BadBackup(f"{path} is not as it was written: its own SHA-256 does not match.")
    if known != FORMAT:
        raise BadBackup(f"{path} is of format {known}; this release reads {FORMAT}.")
    return {**whole, "body": body}


def demand_signature(folder: Path, manifest: dict[str, Any], certificate: bytes) -> None:
    """Raise BadBackup unless the audit key of this certificate (PEM) signed the manifest."""
    key: Any = x509.load_pem_x509_certificate(certificate).public_key()
    try:
        signature = base64.b64decode(manifest["signature"])
        key.verify(signature, manifest["body"], ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, AttributeError, TypeError) as error:
        raise BadBackup(
            f"{folder / MANIFEST} was not signed with the audit key among these keys: "
            "it was changed, or the keys belong to another installation."
        ) from error


def faults(folder: Path, files: dict[str, dict[str, Any]]) -> Iterator[str | None]:
    """For each file None, or what is wrong with it."""
    for name, known in files.items():
        path = folder / name
        if not KEY.fullmatch(name):
            yield f"{name} is not a name that a backup uses"
        elif not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size != known["size_bytes"] or digest_of(path) != known["sha256"]:
            yield f"{name} is not as it was written"
        else:
            yield None


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
