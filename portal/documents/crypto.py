"""Encryption at rest: an envelope per document, and a box for small secrets.

Keys are 32 raw bytes. The first encrypts, all decrypt, so a new key is put in front and the old
one stays until `rewrap` has moved every document over.

A sealed document reads: `CSD1`, id of the key that wraps (8 bytes), nonce (12), wrapped document
key (48), nonce prefix (7), then pieces of 64 KB, each with its tag. The nonce of a piece is prefix,
counter and a flag on the last one, so pieces can be neither reordered nor cut off.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"CSD1"
KEY_ID = 8
NONCE = 12
WRAPPED = 32 + 16
PREFIX = 7
HEADER = len(MAGIC) + KEY_ID + NONCE + WRAPPED + PREFIX
PIECE = 64 * 1024
TAG = 16


class Unreadable(Exception):
    """The bytes are damaged, belong to another record, or no key here opens them."""


class DocumentCipher:
    """AES-256-GCM with a key of its own for every document, bound to the record it belongs to."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != 32 for key in keys):
            raise ValueError("document keys are one or more of 32 bytes")
        self._first = _key_id(keys[0])
        self._wrappers = {_key_id(key): AESGCM(key) for key in reversed(keys)}

    def seal(self, record_id: str, plaintext: bytes) -> bytes:
        record = record_id.encode()
        document_key = AESGCM.generate_key(256)
        prefix = os.urandom(PREFIX)
        cipher = AESGCM(document_key)
        pieces = [
            cipher.encrypt(nonce, piece, record)
            for nonce, piece in zip(_nonces(prefix, len(plaintext)), _pieces(plaintext, PIECE), strict=True)
        ]
        return b"".join([self._header(document_key, record, prefix), *pieces])

    def open(self, record_id: str, blob: bytes) -> bytes:
        """Raises Unreadable unless every byte is as it was written for this record."""
        record = record_id.encode()
        document_key, prefix = self._unwrap(record, blob)
        cipher = AESGCM(document_key)
        body = blob[HEADER:]
        count = max(1, -(-len(body) // (PIECE + TAG)))
        plain_length = len(body) - count * TAG
        if plain_length < 0:
            raise Unreadable("the document is cut off")
        try:
            return b"".join(
                cipher.decrypt(nonce, piece, record)
                for nonce, piece in zip(
                    _nonces(prefix, plain_length), _pieces(body, PIECE + TAG), strict=True
                )
            )
        except (InvalidTag, ValueError) as error:
            raise Unreadable("the document was changed or belongs to another record") from error

    def rewrap(self, record_id: str, blob: bytes) -> bytes:
        """The same document under the first key; its pieces stay as they are."""
        record = record_id.encode()
        document_key, prefix = self._unwrap(record, blob)
        return self._header(document_key, record, prefix) + blob[HEADER:]

    def _header(self, document_key: bytes, record: bytes, prefix: bytes) -> bytes:
        nonce = os.urandom(NONCE)
        start = MAGIC + self._first
        wrapped = self._wrappers[self._first].encrypt(nonce, document_key, start + prefix + record)
        return start + nonce + wrapped + prefix

    def _unwrap(self, record: bytes, blob: bytes) -> tuple[bytes, bytes]:
        start, rest = blob[: len(MAGIC) + KEY_ID], blob[len(MAGIC) + KEY_ID : HEADER]
        wrapper = self._wrappers.get(start[len(MAGIC) :])
        if len(blob) < HEADER + TAG or not start.startswith(MAGIC):
            raise Unreadable("this is not an encrypted document")
        if wrapper is None:
            raise Unreadable("the key that wraps this document is not among the encryption keys")
        nonce, wrapped, prefix = rest[:NONCE], rest[NONCE : NONCE + WRAPPED], rest[NONCE + WRAPPED :]
        try:
            return wrapper.decrypt(nonce, wrapped, start + prefix + record), prefix
        except InvalidTag as error:
            raise Unreadable("the document was changed or belongs to another record") from error


class SecretBox:
    """Small secrets as text: TOTP seeds, tokens, credentials of a provider."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._box = MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])

    def seal(self, text: str) -> str:
        return self._box.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises Unreadable when it was changed or no key here opens it."""
        try:
            return self._box.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Unreadable("the secret was changed or its key is gone") from error

    def rewrap(self, sealed: str) -> str:
        """The same secret under the first key."""
        try:
            return self._box.rotate(sealed.encode()).decode()
        except InvalidToken as error:
            raise Unreadable("the secret was changed or its key is gone") from error


def key_names(keys: Sequence[bytes]) -> list[str]:
    """What each key is called in the documents it wraps; says nothing of the key itself."""
    return [_key_id(key).hex() for key in keys]


def _key_id(key: bytes) -> bytes:
    return sha256(b"countersign document key" + key).digest()[:KEY_ID]


def _derived(key: bytes) -> bytes:
    """A key of its own for secrets, so that no key serves two ciphers."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"countersign secrets").derive(key)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    """At least one piece, so that an empty document has its tag too."""
    return (data[start : start + size] for start in range(0, max(1, len(data)), size))


def _nonces(prefix: bytes, plain_length: int) -> Iterator[bytes]:
    last = max(0, plain_length - 1) // PIECE
    return (prefix + number.to_bytes(4, "big") + bytes([number == last]) for number in range(last + 1))
