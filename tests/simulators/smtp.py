"""A mail server on loopback that takes mail, puts it off, refuses it, is slow or hangs up, as told.

`moods` is what it does at each step: a reply such as "450 4.7.1 later", "drop" to hang up, "slow" to
say nothing until it is closed, "cut" to take a message and hang up before saying so. What it took
lies in `mails`. With `returns`, a Maildir, it takes everything and then writes back, as servers do,
that the mail could not be delivered.
"""

from __future__ import annotations

import asyncio
import datetime
import email
import email.policy
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.processes import free_port


@dataclass
class Post:
    """What the server does and what it has seen; the tests read and change it as it runs."""

    moods: dict[str, str] = field(default_factory=dict)  # hello | mail | rcpt | data -> what to do
    mails: list[EmailMessage] = field(default_factory=list)
    options: list[str] = field(default_factory=list)  # of the last MAIL and RCPT
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    calls: int = 0
    known: dict[str, str] = field(default_factory=dict)  # user -> password
    grey: set[str] = field(default_factory=set)  # seen once
    is_grey: bool = False
    returns: Path | None = None
    status: str = "5.1.1"
    said: str = "550 5.1.1 no such user"
    offers_dsn: bool = True
    port: int = 0

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: Any
    ) -> Any:
        session.host_name = hostname
        self.calls += 1
        refused = await self.act(server, "hello")
        if refused:
            return [refused]
        if not self.offers_dsn:
            return responses
        return [*responses[:-1], "250-DSN", responses[-1]]

    async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:
        session.host_name = hostname
        return await self.act(server, "hello") or "250 here"

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.options = list(options)
        refused = await self.act(server, "mail")
        if refused:
            return refused
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.options += list(options)
        refused = await self.act(server, "rcpt")
        if refused:
            return refused
        if self.is_grey and address not in self.grey:
            self.grey.add(address)
            return "450 4.2.0 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        refused = await self.act(server, "data")
        if refused:
            return refused
        self.take(envelope)
        if self.moods.get("data") == "cut":
            server.transport.abort()
            await asyncio.sleep(0)
        return f"250 2.0.0 Ok: queued as Q{len(self.mails):09d}"

    async def act(self, server: Any, step: str) -> str:
        mood = self.moods.get(step, "")
        if mood == "drop":
            server.transport.abort()
            return "421 gone"
        elif mood == "slow":
            await asyncio.sleep(30)
        return mood if mood[:3].isdigit() else ""

    def take(self, envelope: Any) -> None:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.senders.append(envelope.mail_from)
        self.recipients += envelope.rcpt_tos
        if self.returns is not None:
            options = dict(each.partition("=")[::2] for each in envelope.mail_options)
            for address in envelope.rcpt_tos:
                put(self.returns, returned(mail, address, self.status, self.said, options.get("ENVID", "")))

    def allows(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = self.known.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=right, handled=False, message=None if right else "535 5.7.8 wrong password")


class Wide(SMTP):
    """Takes the parameters of RFC 3461 (ENVID, RET, NOTIFY), which aiosmtpd leaves out."""

    async def smtp_MAIL(self, arg: str | None) -> None:
        await super().smtp_MAIL(without(arg, "ENVID=", "RET="))

    async def smtp_RCPT(self, arg: str | None) -> None:
        await super().smtp_RCPT(without(arg, "NOTIFY="))


def without(arg: str | None, *names: str) -> str | None:
    if arg is None:
        return None
    return " ".join(each for each in arg.split(" ") if not each.upper().startswith(names))


@contextmanager
def running(post: Post, certificate: ssl.SSLContext | None = None, *, from_the_start: bool = False,
            offers_auth_openly: bool = True, smtputf8: bool = False) -> Iterator[Post]:  # fmt: skip
    """The server at a free port, `post.port`; with a certificate by STARTTLS or `from_the_start`."""
    extras: dict[str, Any] = {"authenticator": post.allows if post.known else None}
    if certificate is not None and not from_the_start:
        extras["tls_context"] = certificate
    controller = Listening(
        post, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=smtputf8,
        ssl_context=certificate if from_the_start else None,
        auth_require_tls=not offers_auth_openly, data_size_limit=40_000_000, **extras,
    )  # fmt: skip
    controller.start()
    post.port = controller.port
    try:
        yield post
    finally:
        controller.stop()


class Listening(Controller):
    def factory(self) -> SMTP:
        return Wide(self.handler, **self.SMTP_kwargs)


# --- Certificates ------------------------------------------------------------------------------


def certificate_for(folder: Path, name: str = "localhost") -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own, and the file that lets others trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), *([x509.IPAddress(IPv4Address("127.0.0.1"))] if name == "localhost" else [])]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


# --- Mail that comes back ------------------------------------------------------------------------


def maildir(folder: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    return folder


def put(folder: Path, mail: bytes) -> None:
    count = len(list((folder / "new").iterdir())) + len(list((folder / "cur").iterdir()))
    (folder / "new" / f"{count:06d}.letter").write_bytes(mail)


def returned(mail: Message, address: str, status: str, said: str, envelope_id: str = "",
             action: str = "failed", *, auto: str = "auto-replied") -> bytes:  # fmt: skip
    """The report of RFC 3464 about one mail, as Postfix writes it."""
    headers = "".join(f"{name}: {value}\n" for name, value in mail.items())
    given = f"Original-Envelope-Id: {envelope_id}\n" if envelope_id else ""
    return (
        "Return-Path: <>\nFrom: MAILER-DAEMON@relay.example (Mail Delivery System)\n"
        "Subject: Undelivered Mail Returned to Sender\nTo: returns@larkfield.example\n"
        f"Auto-Submitted: {auto}\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="here"\n\n'
        "--here\nContent-Type: text/plain\n\nThis is the mail system at host relay.example.\n\n"
        "--here\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; relay.example\n{given}\n"
        f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; {said}\n\n"
        f"--here\nContent-Type: text/rfc822-headers\n\n{headers}\n--here--\n"
    ).encode()
