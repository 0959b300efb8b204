"""Every setting once. The only module that reads the environment.

`read` collects bad and missing values and reports them together, so that nobody mends
one only to meet the next.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "COUNTERSIGN_"


class BadSettings(Exception):
    """One or more settings cannot be used; the message names each on its own line."""


@dataclass(frozen=True)
class Setting:
    name: str
    meaning: str
    default: str = ""
    secret: bool = False
    schemes: tuple[str, ...] = ()


SETTINGS = (
    Setting(
        "DATABASE_URL",
        "database: sqlite:///PATH or postgresql://USER@HOST/NAME; a file under DATA_DIR by default",
        schemes=("sqlite", "postgresql", "postgres"),
        secret=True,
    ),
    Setting("DATA_DIR", "folder for database, keys and documents", "var"),
    Setting("BASE_URL", "address people use, as in https://contracts.example.com", schemes=("http", "https")),
    Setting("SECRET_KEY", "signs form tokens; made at first start, 32 characters or more", secret=True),
    Setting(
        "ENCRYPTION_KEYS",
        "comma-separated base64 keys of 32 bytes; the first encrypts, all decrypt; made at first start",
        secret=True,
    ),
    Setting("MAIL_URL", "mailbox:, or smtp://USER:PASSWORD@HOST:PORT, or smtps://", "mailbox:",
            secret=True, schemes=("mailbox", "smtp", "smtps")),
    Setting("MAIL_FROM", "sender address of mails", "Countersign <countersign@localhost>"),
    Setting("BOUNCE_URL",
            "mailbox of returned mail: imaps://USER:PASSWORD@HOST/INBOX, pop3s:// or maildir:PATH",
            secret=True, schemes=("imaps", "imap", "pop3s", "pop3", "maildir")),
    Setting("BOUNCE_ADDRESS", "address mails come back to; * stands for the number of the mail"),
    Setting("DNS_SERVERS", "comma-separated addresses of name servers, as in 192.0.2.53 or 127.0.0.1:5353"),
    Setting("SMS_URL", "mailbox:, or webhook+https://HOST/PATH", "mailbox:",
            secret=True, schemes=("mailbox", "webhook+https", "webhook+http")),
    Setting("STORAGE_URL", "file:PATH or s3://BUCKET/PREFIX; a folder under DATA_DIR by default",
            secret=True, schemes=("file", "s3")),
    Setting("TSA_URL", "address of an RFC 3161 timestamp authority", schemes=("http", "https")),
    Setting("SEAL_P12", "PKCS#12 file with your own sealing key and certificate"),
    Setting("SEAL_P12_PASSWORD", "password of that file", secret=True),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Checked values. Paths are absolute; keys are raw bytes; empty means not set."""

    data_dir: Path
    database_url: str
    base_url: str
    mail_url: str
    mail_from: str
    sms_url: str
    bounce_address: str
    dns_servers: tuple[tuple[str, int], ...]
    storage_url: str
    tsa_url: str
    seal_p12: Path | None
    seal_p12_password: str
    bounce_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    encryption_keys: tuple[bytes, ...] = field(repr=False)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def uses_mailbox(self) -> bool:
        return self.mail_url.startswith("mailbox:") and self.sms_url.startswith("mailbox:")

    @property
    def base_url_is_local(self) -> bool:
        return not self.base_url or is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def sample_marker(self) -> Path:
        """Present only in a data folder that `make run` or `demo` filled with sample data."""
        return self.data_dir / "sample"

    @property
    def key_dir(self) -> Path:
        return self.data_dir / "keys"

    @property
    def authority_dir(self) -> Path:
        return self.key_dir / "authority"


def read(environ: Mapping[str, str] | None = None, *, create_keys: bool = False) -> Settings:
    """Settings from the environment and the data folder.

    With `create_keys`, missing secrets are made and kept in DATA_DIR/keys (mode 600); without,
    missing keys stay empty, so that read-only commands never create any.
    Raises BadSettings naming every bad value.
    """
    environ = os.environ if environ is None else environ
    given = {s.name: environ.get(PREFIX + s.name, "").strip() for s in SETTINGS}
    faults = unknown_names(environ) + bad_schemes(given)
    data_dir = Path(given["DATA_DIR"]) if given["DATA_DIR"] else ROOT / "var"
    data_dir = data_dir if data_dir.is_absolute() else Path.cwd() / data_dir
    sources = {s.name: source_of(s, given[s.name]) for s in SETTINGS}
    secret_key = given["SECRET_KEY"] or kept(data_dir, "secret_key", sources, "SECRET_KEY", create_keys)
    keys_text = given["ENCRYPTION_KEYS"] or kept(
        data_dir, "encryption_keys", sources, "ENCRYPTION_KEYS", create_keys
    )
    if given["SECRET_KEY"] and len(secret_key) < 32:
        faults.append(f"{PREFIX}SECRET_KEY is shorter than 32 characters.")
    keys = parse_keys(keys_text, faults)
    p12 = Path(given["SEAL_P12"]) if given["SEAL_P12"] else None
    if p12 is not None and not p12.is_file():
        faults.append(f"{PREFIX}SEAL_P12 names {p12}, which is not a file.")
    base_url = given["BASE_URL"].rstrip("/")
    if base_url and not urlsplit(base_url).hostname:
        faults.append(f"{PREFIX}BASE_URL has no host name: write it as https://contracts.example.com.")
    if base_url and (urlsplit(base_url).path or urlsplit(base_url).query):
        faults.append(f"{PREFIX}BASE_URL must end after the host name and port.")
    tls = parse_qs(urlsplit(given["MAIL_URL"]).query).get("tls", ["required"])[0]
    if tls not in ("required", "opportunistic", "none"):
        faults.append(f"{PREFIX}MAIL_URL says tls={tls}; write required, opportunistic or none.")
    dns_servers = parse_servers(given["DNS_SERVERS"], faults)
    if given["BOUNCE_ADDRESS"] and not re.fullmatch(r"[^\s@*]*\*?[^\s@*]*@[^\s@*]+", given["BOUNCE_ADDRESS"]):
        faults.append(f"{PREFIX}BOUNCE_ADDRESS is not a mail address.")
    if faults:
        raise BadSettings("\n".join(faults))
    return Settings(
        data_dir=data_dir,
        database_url=given["DATABASE_URL"] or f"sqlite:///{data_dir / 'countersign.db'}",
        base_url=base_url,
        mail_url=given["MAIL_URL"] or "mailbox:",
        mail_from=given["MAIL_FROM"] or default_of("MAIL_FROM"),
        sms_url=given["SMS_URL"] or "mailbox:",
        bounce_url=given["BOUNCE_URL"],
        bounce_address=given["BOUNCE_ADDRESS"],
        dns_servers=dns_servers,
        storage_url=given["STORAGE_URL"] or f"file:{data_dir / 'documents'}",
        tsa_url=given["TSA_URL"],
        seal_p12=p12,
        seal_p12_password=given["SEAL_P12_PASSWORD"],
        secret_key=secret_key,
        encryption_keys=keys,
        sources=sources,
    )


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    known = {PREFIX + s.name for s in SETTINGS}
    own = {PREFIX + "TEST_STRICT", PREFIX + "TEST_LONG"}
    return [
        f"{name} is not a setting. `countersign settings` lists them."
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known and name not in own
    ]


def bad_schemes(given: Mapping[str, str]) -> list[str]:
    return [
        f"{PREFIX}{s.name} must start with {' or '.join(f'{scheme}:' for scheme in s.schemes)}."
        for s in SETTINGS
        if s.schemes and given[s.name] and given[s.name].split(":", 1)[0] not in s.schemes
    ]


def parse_keys(text: str, faults: list[str]) -> tuple[bytes, ...]:
    keys = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        try:
            key = base64.urlsafe_b64decode(part)
        except ValueError:
            key = b""
        if len(key) != 32:
            faults.append(f"{PREFIX}ENCRYPTION_KEYS holds a key that is not 32 bytes in base64.")
        keys.append(key)
    return tuple(keys)


def parse_servers(text: str, faults: list[str]) -> tuple[tuple[str, int], ...]:
    """`192.0.2.53`, `192.0.2.53:5353`, `2001:db8::1` or `[2001:db8::1]:5353`, by comma."""
    servers = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        try:
            bare = part if part.count(":") > 1 and "]" not in part else ""
            parts = urlsplit(f"//[{bare}]" if bare else f"//{part}")
            servers.append((str(ip_address(parts.hostname or "")), parts.port or 53))
        except ValueError:
            faults.append(f"{PREFIX}DNS_SERVERS holds {part}, which is not an IP address.")
    return tuple(servers)


def kept(data_dir: Path, name: str, sources: dict[str, str], setting: str, create: bool) -> str:
    """A secret kept under DATA_DIR/keys; made there once when `create`."""
    path = data_dir / "keys" / name
    if create and not path.exists():
        write_once(path, base64.urlsafe_b64encode(secrets.token_bytes(32)))
    if not path.exists():
        return ""
    sources[setting] = f"file {path}"
    return path.read_text().strip()


def write_once(path: Path, content: bytes) -> None:
    """Create a private file whole or not at all; an existing one stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def describe(settings: Settings) -> list[dict[str, Any]]:
    """Every setting with its value (secrets masked) and where the value comes from."""
    values = {
        "DATABASE_URL": masked_url(settings.database_url),
        "DATA_DIR": str(settings.data_dir),
        "BASE_URL": settings.base_url,
        "SECRET_KEY": masked(settings.secret_key),
        "ENCRYPTION_KEYS": masked("x" if settings.encryption_keys else ""),
        "MAIL_URL": masked_url(settings.mail_url),
        "MAIL_FROM": settings.mail_from,
        "SMS_URL": masked_url(settings.sms_url),
        "BOUNCE_URL": masked_url(settings.bounce_url),
        "BOUNCE_ADDRESS": settings.bounce_address,
        "DNS_SERVERS": ", ".join(f"{host}:{port}" for host, port in settings.dns_servers),
        "STORAGE_URL": masked_url(settings.storage_url),
        "TSA_URL": masked_url(settings.tsa_url),
        "SEAL_P12": str(settings.seal_p12 or ""),
        "SEAL_P12_PASSWORD": masked(settings.seal_p12_password),
    }
    return [
        {"name": PREFIX + s.name, "value": values[s.name], "source": settings.sources[s.name],
         "meaning": s.meaning}
        for s in SETTINGS
    ]  # fmt: skip


def masked(value: str) -> str:
    return "(set, hidden)" if value else ""


def masked_url(url: str) -> str:
    """The address without user name and password."""
    parts = urlsplit(url)
    if not parts.username and not parts.password:
        return url
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"(hidden)@{host}{port}").geturl()


def source_of(setting: Setting, given: str) -> str:
    return "environment" if given else ("default" if not setting.secret else "not set")


def default_of(name: str) -> str:
    return next(s.default for s in SETTINGS if s.name == name)


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses, false for every other name."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
