"""Where documents lie: write-once, on disk or in an S3 bucket, encrypted before they get there.

A key is written once. The same content again is fine (a job may run twice), other content is an
error, and so nothing that was sealed can be replaced. On disk a document appears under its name in
one step, after its bytes are on the platter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from portal import failpoints
from portal.documents.crypto import DocumentCipher

KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
LONGEST_KEY = 200
DRAFT = ".draft-"
ALREADY_THERE = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
ABSENT = {"NoSuchKey", "NotFound", "404"}


class Missing(KeyError):
    """Nothing is stored under this key."""


class Taken(Exception):
    """Something else is already stored under this key; nothing was written."""


class Store(Protocol):
    """Bytes under keys such as `documents/ab12`. Every method may raise OSError."""

    def put(self, key: str, blob: bytes) -> None:
        """Write once. Raises Taken when other bytes are there."""

    def get(self, key: str) -> bytes:
        """Raises Missing."""

    def exists(self, key: str) -> bool: ...

    def delete(self, key: str) -> None:
        """For quarantine only; a key that is not there is fine."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """All keys that begin with `prefix`, in order."""

    def sweep(self, before: datetime) -> None:
        """Remove drafts begun before then, whose writers were killed; documents stay."""


class FileStore:
    """One file for each key below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, blob: bytes) -> None:
        path = self._path(key)
        _make_folders(path.parent)
        draft = path.with_name(f"{DRAFT}{os.getpid()}-{os.urandom(8).hex()}")
        try:
            _write(draft, blob)
            failpoints.reach("store.after_draft")
            os.link(draft, path)
            failpoints.reach("store.after_link")
        except FileExistsError:
            if path.read_bytes() != blob:
                raise Taken(key) from None
        finally:
            draft.unlink(missing_ok=True)
        _sync(path.parent)

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise Missing(key) from None

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(FileNotFoundError):
            path.unlink()
            _sync(path.parent)

    def keys(self, prefix: str = "") -> Iterator[str]:
        paths = (path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith(DRAFT))
        names = (path.relative_to(self.root).as_posix() for path in paths)
        return iter(sorted(name for name in names if name.startswith(prefix)))

    def sweep(self, before: datetime) -> None:
        for draft in self.root.rglob(f"{DRAFT}*"):
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < before.timestamp():
                    draft.unlink()

    def _path(self, key: str) -> Path:
        return self.root / checked(key)


class S3Store:
    """Objects in a bucket: `s3://BUCKET/PREFIX`, with `?endpoint=URL&region=NAME` where needed.

    Credentials come from where boto3 looks for them. The bucket must honour `If-None-Match: *`.
    """

    def __init__(self, url: str, client: Any = None) -> None:
        parts = urlsplit(url)
        self.bucket = parts.netloc
        self.prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
        self._client = client or _s3_client(parse_qs(parts.query))

    def put(self, key: str, blob: bytes) -> None:
        name = self._name(key)
        with _answers(key) as refused:
            self._client.put_object(Bucket=self.bucket, Key=name, Body=blob, IfNoneMatch="*")
        if refused and refused[0] not in ALREADY_THERE:
            raise OSError(f"the bucket refuses {key}: {refused[0]}")
        if refused and not self._holds(key, blob):
            raise Taken(key)

    def get(self, key: str) -> bytes:
        found = bytearray()
        with _answers(key) as refused:
            found += self._client.get_object(Bucket=self.bucket, Key=self._name(key))["Body"].read()
        if refused and refused[0] in ABSENT:
            raise Missing(key)
        if refused:
            raise OSError(f"the bucket does not give {key}: {refused[0]}")
        return bytes(found)

    def exists(self, key: str) -> bool:
        with _answers(key) as refused:
            self._client.head_object(Bucket=self.bucket, Key=self._name(key))
        if refused and refused[0] not in ABSENT:
            raise OSError(f"the bucket does not answer for {key}: {refused[0]}")
        return not refused

    def delete(self, key: str) -> None:
        with _answers(key) as refused:
            self._client.delete_object(Bucket=self.bucket, Key=self._name(key))
        if refused and refused[0] not in ABSENT:
            raise OSError(f"the bucket keeps {key}: {refused[0]}")

    def keys(self, prefix: str = "") -> Iterator[str]:
        found: list[str] = []
        with _answers(prefix) as refused:
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                found += [entry["Key"][len(self.prefix) :] for entry in page.get("Contents", ())]
        if refused:
            raise OSError(f"the bucket does not list: {refused[0]}")
        return iter(found)

    def sweep(self, before: datetime) -> None:
        """A bucket keeps no draft: an object is there as a whole or not at all."""

    def _name(self, key: str) -> str:
        return self.prefix + checked(key)

    def _holds(self, key: str, blob: bytes) -> bool:
        """Whether exactly these bytes lie there; a writer that was overtaken may find nothing yet."""
        try:
            return self.get(key) == blob
        except Missing:
            raise OSError(f"another writer is storing {key} at this moment") from None


class EncryptedStore:
    """A store that holds only what `cipher` made, bound to its key: swapped documents do not open."""

    def __init__(self, inner: Store, cipher: DocumentCipher) -> None:
        self.inner = inner
        self.cipher = cipher

    def put(self, key: str, blob: bytes) -> None:
        """Write once. Raises Taken when another document is there."""
        try:
            self.inner.put(key, self.cipher.seal(key, blob))
        except Taken:
            # the same document never encrypts to the same bytes, so it is compared in the clear
            if self.get(key) != blob:
                raise

    def get(self, key: str) -> bytes:
        """Raises Missing, or crypto.Unreadable when the document was changed or swapped."""
        return self.cipher.open(key, self.inner.get(key))

    def exists(self, key: str) -> bool:
        return self.inner.exists(key)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        return self.inner.keys(prefix)

    def sweep(self, before: datetime) -> None:
        self.inner.sweep(before)


def open_store(storage_url: str, cipher: DocumentCipher) -> EncryptedStore:
    """The store that `STORAGE_URL` names: `file:PATH` or `s3://BUCKET/PREFIX`."""
    return EncryptedStore(bare_store(storage_url), cipher)


def bare_store(storage_url: str) -> FileStore | S3Store:
    """The same place without its cipher: documents as they lie there, for backups."""
    if storage_url.startswith("s3://"):
        return S3Store(storage_url)
    if storage_url.startswith("file:"):
        return FileStore(Path(storage_url.removeprefix("file:").removeprefix("//")))
    raise ValueError("STORAGE_URL is neither file: nor s3:")


def content_key(blob: bytes, folder: str = "documents") -> str:
    """A key made of the content's SHA-256, so the same file is kept once."""
    name = sha256(blob).hexdigest()
    return f"{folder}/{name[:2]}/{name}"


def checked(key: str) -> str:
    """The key, unless it could name anything outside its store."""
    if len(key) > LONGEST_KEY or not KEY.fullmatch(key):
        raise ValueError("a key is made of letters, digits, dots, dashes and slashes")
    return key


def _s3_client(options: dict[str, list[str]]) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=options.get("endpoint", [None])[0],
        region_name=options.get("region", [None])[0],
        config=Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=30),
    )


@contextmanager
def _answers(key: str) -> Iterator[list[str]]:
    """Collects the code a bucket refuses with; no answer at all is an OSError."""
    from botocore.exceptions import BotoCoreError, ClientError

    refused: list[str] = []
    try:
        yield refused
    except ClientError as error:
        refused.append(str(error.response.get("Error", {}).get("Code", "unknown")))
    except BotoCoreError as error:
        raise OSError(f"the bucket does not answer for {key}: {type(error).__name__}") from error


def _write(path: Path, blob: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())


def _make_folders(folder: Path) -> None:
    """Make what is missing, and have each new name on the platter too."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
