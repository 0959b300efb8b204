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
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from portal.proxies import Trusted, parse_trusted

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "COUNTERSIGN_"
SECRET_VALUE = re.compile(r"([^=&]*secret[^=&]*)=[^&]*", re.IGNORECASE)
UNREADY = "not-ready"


class BadSettings(Exception):
    """One or more settings cannot be used; the message names each on its own line."""


@dataclass(frozen=True)
class Setting:
    name: str
    meaning: str
    default: str = ""
    secret: bool = False
    schemes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


SETTINGS = (
    Setting(
        "DATABASE_URL",
        "database: sqlite:///PATH or postgresql://USER@HOST/NAME; a file under DATA_DIR by default",
        schemes=("sqlite", "postgresql", "postgres"),
        secret=True,
    ),
    Setting("DATA_DIR", "folder for database, keys and documents", "var"),
    Setting("BASE_URL", "address people use, as in https://contracts.example.com", schemes=("http", "https")),
    Setting("TRUSTED_PROXIES", "comma-separated addresses or networks of the proxies in front, or unix"),
    Setting("TLS_CERT", "certificate chain in PEM, where the portal itself answers https"),
    Setting("TLS_KEY", "private key of that certificate in PEM, without a password"),
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
    Setting("SMS_URL", "mailbox:, or twilio://SID:TOKEN@HOST?from=NUMBER, "
            "vonage://KEY:SECRET@HOST?from=NAME, webhook+https://KEY@HOST/PATH",
            "mailbox:",
            secret=True, schemes=("mailbox", "twilio", "vonage", "webhook+https", "webhook+http")),
    Setting("STORAGE_URL", "file:PATH or s3://BUCKET/PREFIX; a folder under DATA_DIR by default",
            secret=True, schemes=("file", "s3")),
    Setting("TSA_URL", "address of an RFC 3161 timestamp authority", schemes=("http", "https")),
    Setting("SEAL_P12", "PKCS#12 file with your own sealing key and certificate"),
    Setting("SEAL_P12_PASSWORD", "password of that file", secret=True),
    Setting("METRICS_TOKEN", "whoever sends it as Bearer may read /metrics from elsewhere; 16 characters or "
            "more", secret=True),
    Setting("LOG_REQUESTS", "a line in the log for each request: off or on", "off", choices=("off", "on")),
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
    metrics_token: str = field(repr=False)
    log_requests: bool
    bounce_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    encryption_keys: tuple[bytes, ...] = field(repr=False)
    trusted_proxies: Trusted = field(default_factory=Trusted)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def https(self) -> bool:
        """Whether people come by https: cookies are then bound to it."""
        return self.base_url.startswith("https://") or (not self.base_url and self.tls_cert is not None)

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
    def run_dir(self) -> Path:
        """What only the running processes need: their counts of requests."""
        return self.data_dir / "run"

    @property
    def unready_marker(self) -> Path:
        """Present while a restore is not finished; holds what is left to do, in words."""
        return self.data_dir / UNREADY

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
    Raises BadSettings naming every bad value, or what a restore left to do before the first start.
    """
    environ = os.environ if environ is None else environ
    given = {s.name: environ.get(PREFIX + s.name, "").strip() for s in SETTINGS}
    faults = unknown_names(environ) + bad_schemes(given) + bad_choices(given)
    data_dir = Path(given["DATA_DIR"]) if given["DATA_DIR"] else ROOT / "var"
    data_dir = data_dir if data_dir.is_absolute() else Path.cwd() / data_dir
    if create_keys:
        refuse_unready(data_dir)
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
    if given["METRICS_TOKEN"] and len(given["METRICS_TOKEN"]) < 16:
        faults.append(f"{PREFIX}METRICS_TOKEN is shorter than 16 characters.")
    tls = parse_qs(urlsplit(given["MAIL_URL"]).query).get("tls", ["required"])[0]
    if tls not in ("required", "opportunistic", "none"):
        faults.append(f"{PREFIX}MAIL_URL says tls={tls}; write required, opportunistic or none.")
    dns_servers = parse_servers(given["DNS_SERVERS"], faults)
    if given["BOUNCE_ADDRESS"] and not re.fullmatch(r"[^\s@*]*\*?[^\s@*]*@[^\s@*]+", given["BOUNCE_ADDRESS"]):
        faults.append(f"{PREFIX}BOUNCE_ADDRESS is not a mail address.")
    faults += bad_base_url(base_url) + bad_tls(given, base_url)
    trusted, bad_proxies = parse_trusted(given["TRUSTED_PROXIES"])
    faults += [f"{PREFIX}TRUSTED_PROXIES {fault}" for fault in bad_proxies]
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
        metrics_token=given["METRICS_TOKEN"],
        log_requests=given["LOG_REQUESTS"] == "on",
        secret_key=secret_key,
        encryption_keys=keys,
        trusted_proxies=trusted,
        tls_cert=Path(given["TLS_CERT"]) if given["TLS_CERT"] else None,
        tls_key=Path(given["TLS_KEY"]) if given["TLS_KEY"] else None,
        sources=sources,
    )


def refuse_unready(data_dir: Path) -> None:
    """Raise BadSettings with what a restore left to do before anything may start here."""
    if (data_dir / UNREADY).exists():
        raise BadSettings((data_dir / UNREADY).read_text().strip())


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    known = {PREFIX + s.name for s in SETTINGS}
    own = {PREFIX + name for name in ("TEST_STRICT", "TEST_LONG", "PRISM", "SPECS")}
    return [
        f"{name} is not a setting. `countersign settings` lists them."
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and name not in known
        and name not in own
        and not name.startswith(PREFIX + "LIVE_")
    ]


def bad_schemes(given: Mapping[str, str]) -> list[str]:
    return [
        f"{PREFIX}{s.name} must start with {' or '.join(f'{scheme}:' for scheme in s.schemes)}."
        for s in SETTINGS
        if s.schemes and given[s.name] and given[s.name].split(":", 1)[0] not in s.schemes
    ]


def bad_choices(given: Mapping[str, str]) -> list[str]:
    return [
        f"{PREFIX}{s.name} is {' or '.join(s.choices)}."
        for s in SETTINGS
        if s.choices and given[s.name] and given[s.name] not in s.choices
    ]


def bad_base_url(base_url: str) -> list[str]:
    """What is wrong with the address people use; "" is not set and right."""
    if not base_url:
        return []
    try:
        parts, port_is_right = urlsplit(base_url), urlsplit(base_url).port != 0
    except ValueError:
        return [f"{PREFIX}BASE_URL has a port or an address that cannot be."]
    faults = []
    if not parts.hostname:
        faults.append(f"{PREFIX}BASE_URL has no host name: write it as https://contracts.example.com.")
    if parts.path or parts.query or parts.fragment or not port_is_right:
        faults.append(f"{PREFIX}BASE_URL must end after the host name and port.")
    if parts.username is not None:
        faults.append(f"{PREFIX}BASE_URL must hold no user name or password: people see it in every mail.")
    return faults


def bad_tls(given: Mapping[str, str], base_url: str) -> list[str]:
    """TLS_CERT and TLS_KEY come together, as files, and never beside an http address."""
    names = [name for name in ("TLS_CERT", "TLS_KEY") if given[name]]
    faults = [
        f"{PREFIX}{name} names {given[name]}, which is not a file."
        for name in names
        if not Path(given[name]).is_file()
    ]
    if len(names) == 1:
        faults.append(f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY are only of use together.")
    if names and base_url.startswith("http://"):
        faults.append(f"{PREFIX}TLS_CERT makes the portal answer https, but BASE_URL says http.")
    return faults


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
    for folder in (path.parent.parent, path.parent):  # `mode` is not for parents made on the way
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
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
        "TRUSTED_PROXIES": str(settings.trusted_proxies),
        "TLS_CERT": str(settings.tls_cert or ""),
        "TLS_KEY": str(settings.tls_key or ""),
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
        "METRICS_TOKEN": masked(settings.metrics_token),
        "LOG_REQUESTS": "on" if settings.log_requests else "off",
    }
    return [
        {"name": PREFIX + s.name, "value": values[s.name], "source": settings.sources[s.name],
         "meaning": s.meaning}
        for s in SETTINGS
    ]  # fmt: skip


def secret_values(settings: Settings) -> set[str]:
    """Every value that no log line, page or error may hold, in each form it is written in."""
    urls = (
        settings.database_url,
        settings.mail_url,
        settings.bounce_url,
        settings.storage_url,
        settings.tsa_url,
        settings.sms_url,
    )
    found = {settings.secret_key, settings.seal_p12_password, settings.metrics_token}
    found = found.union(*map(url_secrets, urls))
    for key in settings.encryption_keys:
        found |= {base64.urlsafe_b64encode(key).decode(), base64.b64encode(key).decode(), key.hex()}
    return found - {""}


def url_secrets(url: str) -> set[str]:
    """What must never be read of an address, as written and as meant: its password, the key where a
    gateway's address has a name, and what is called a secret behind its question mark."""
    parts = urlsplit(url)
    found = {parts.password or ""} | {
        value for name, value in parse_qsl(parts.query) if "secret" in name.lower()
    }
    if parts.scheme.startswith(("webhook", "twilio", "vonage")):
        found.add(parts.username or "")
    return (found | {unquote(value) for value in found}) - {""}


def masked(value: str) -> str:
    return "(set, hidden)" if value else ""


def masked_url(url: str) -> str:
    """The address without user name, password and secrets behind its question mark."""
    parts = urlsplit(url)
    parts = parts._replace(query=SECRET_VALUE.sub(r"\1=(hidden)", parts.query))
    if not parts.username and not parts.password:
        return parts.geturl()
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
