"""All keys of an installation as one thing: to be kept elsewhere and put back.

It holds the encryption keys, the secret key, the certificate authority with seal and audit key, and
your own PKCS#12 file where one seals, wherever they come from: files or the environment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from portal.documents.crypto import key_names
from portal.errors import PortalError
from portal.services import audit
from portal.settings import Settings, parse_keys, write_once

PLAIN, PROTECTED = "countersign-keys/1", "countersign-recovery/1"
# scrypt with 128 MB and about half a second for each guess.
COST = {"n": 2**17, "r": 8, "p": 1}
HIGHEST_COST = 2**20
PUBLIC = ("ca.pem", "seal.pem", "audit.pem", "timestamps.pem")
FILES = (*PUBLIC, "ca_key.pem", "seal_key.pem", "audit_key.pem")


class UnusableKeys(PortalError):
    """The key file cannot be opened or used; the message says why."""


@dataclass(frozen=True)
class KeySet:
    """`encryption_keys` as the setting is written; `authority` by file name, PEM."""

    secret_key: str = field(repr=False)
    encryption_keys: str = field(repr=False)
    authority: dict[str, str] = field(repr=False)
    p12: str = field(default="", repr=False)  # base64
    p12_password: str = field(default="", repr=False)

    @property
    def names(self) -> list[str]:
        """What each encryption key is called in the documents it wraps."""
        return key_names(parse_keys(self.encryption_keys, []))


def gather(settings: Settings) -> KeySet:
    """The keys that this installation uses now."""
    folder, p12 = settings.authority_dir, settings.seal_p12
    return KeySet(
        secret_key=settings.secret_key,
        encryption_keys=",".join(base64.urlsafe_b64encode(key).decode() for key in settings.encryption_keys),
        authority={
            each.name: each.read_text() for each in sorted(folder.glob("*.pem")) if each.name in FILES
        },
        p12=base64.b64encode(p12.read_bytes()).decode() if p12 else "",
        p12_password=settings.seal_p12_password if p12 else "",
    )


def certificates(settings: Settings) -> dict[str, bytes]:
    """The public half, by file name."""
    folder = settings.authority_dir
    return {name: (folder / name).read_bytes() for name in PUBLIC if (folder / name).exists()}


def fingerprint(settings: Settings) -> str:
    """Changes when any key does; says nothing of the keys. Reads no private key file."""
    parts = [
        *key_names(settings.encryption_keys),
        *(
            hashlib.sha256(content).hexdigest()
            for name, content in sorted(certificates(settings).items())
            if name != "timestamps.pem"
        ),
        hashlib.sha256(b"countersign secret key" + settings.secret_key.encode()).hexdigest(),
        hashlib.sha256(settings.seal_p12.read_bytes()).hexdigest() if settings.seal_p12 else "",
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


# --- As a file ----------------------------------------------------------------------------------


def plain(keys: KeySet, now: datetime) -> bytes:
    """Readable by whoever holds it: for `backup --with-keys`."""
    return encoded({"schema": PLAIN, "made_at": stamp(now), "keys": vars(keys)})


def protect(keys: KeySet, passphrase: str, now: datetime, *, company: str) -> bytes:
    """The recovery key: opened by its passphrase alone (scrypt, then AES-256-GCM over all of it)."""
    salt, nonce = os.urandom(16), os.urandom(12)
    head = {
        "schema": PROTECTED, "made_at": stamp(now), "company": company,
        "kdf": {"name": "scrypt", "salt": base64.b64encode(salt).decode(), **COST},
        "cipher": {"name": "AES-256-GCM", "nonce": base64.b64encode(nonce).decode()},
    }  # fmt: skip
    cipher = AESGCM(stretched(passphrase, salt, **COST))
    sealed = cipher.encrypt(nonce, audit.encode(vars(keys)).encode(), audit.encode(head).encode())
    return encoded({**head, "sealed": base64.b64encode(sealed).decode()})


def unprotect(file: dict[str, Any], passphrase: str) -> KeySet:
    head = {name: value for name, value in file.items() if name != "sealed"}
    try:
        kdf = file["kdf"]
        cost = {name: int(kdf[name]) for name in COST}
        if cost["n"] * cost["r"] * cost["p"] > HIGHEST_COST * 8:
            raise UnusableKeys("The recovery key asks for more memory than any of ours: it was changed.")
        key = stretched(passphrase, base64.b64decode(kdf["salt"]), **cost)
        nonce, sealed = base64.b64decode(file["cipher"]["nonce"]), base64.b64decode(file["sealed"])
        return KeySet(**json.loads(AESGCM(key).decrypt(nonce, sealed, audit.encode(head).encode())))
    except InvalidTag as error:
        raise UnusableKeys("The passphrase does not open this recovery key.") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UnusableKeys("The recovery key is not as it was written.") from error


def stretched(passphrase: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    one_spelling = unicodedata.normalize("NFC", passphrase)
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(one_spelling.encode())


def encoded(file: dict[str, Any]) -> bytes:
    return json.dumps(file, ensure_ascii=False, indent=1).encode() + b"\n"


def stamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds")


def read_from(path: Path, passphrase: Callable[[], str]) -> KeySet:
    """The keys in a recovery key, in `keys.json` of a backup, or in a copy of the folder DATA_DIR/keys.

    `passphrase` is asked only for the first. Raises UnusableKeys.
    """
    if path.is_dir():
        return read_folder(path)
    try:
        file = json.loads(path.read_bytes())
        schema = file["schema"]
        if schema == PLAIN:
            return KeySet(**file["keys"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnusableKeys(f"{path} is no key file of Countersign.") from error
    if schema != PROTECTED:
        raise UnusableKeys(f"{path} is no key file of Countersign.")
    return unprotect(file, passphrase())


def read_folder(path: Path) -> KeySet:
    try:
        return KeySet(
            secret_key=(path / "secret_key").read_text().strip() if (path / "secret_key").exists() else "",
            encryption_keys=(path / "encryption_keys").read_text().strip(),
            authority={each.name: each.read_text() for each in sorted((path / "authority").glob("*.pem"))},
        )
    except FileNotFoundError as error:
        raise UnusableKeys(f"{path} holds no file encryption_keys.") from error


# --- Back in place ------------------------------------------------------------------------------


def put(keys: KeySet, settings: Settings) -> list[str]:
    """Write the keys where this installation looks for them; what is given by the environment stays.

    Returns what is left to do by hand. Raises UnusableKeys where a key lies already.
    """
    folder = settings.key_dir
    if folder.exists() and any(folder.iterdir()):
        raise UnusableKeys(f"{folder} holds keys already: nothing was changed.")
    draft = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    for name, content in (("secret_key", keys.secret_key), ("encryption_keys", keys.encryption_keys)):
        if content:
            write_once(draft / name, content.encode())
    for name, pem in keys.authority.items():
        if name in FILES:
            write_once(draft / "authority" / name, pem.encode())
    left = put_p12(keys, draft, folder) if keys.p12 else []
    if folder.exists():
        folder.rmdir()
    draft.rename(folder)
    return left


def put_p12(keys: KeySet, draft: Path, folder: Path) -> list[str]:
    """The company's own sealing key, beside the others: its setting must name the new place."""
    write_once(draft / "seal.p12", base64.b64decode(keys.p12))
    write_once(draft / "seal_p12_password", keys.p12_password.encode())
    return [
        f"Set COUNTERSIGN_SEAL_P12={folder / 'seal.p12'} and COUNTERSIGN_SEAL_P12_PASSWORD to what "
        f"{folder / 'seal_p12_password'} holds, then delete that file."
    ]
