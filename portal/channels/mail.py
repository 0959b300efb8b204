"""Mail over SMTP, with text and HTML twins and the same Message-ID at every try."""

from __future__ import annotations

import re
import smtplib
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from portal.channels import Message, Rejected, Unavailable

SECONDS = 20
PLAIN_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f@<>\"(),:;?\\]{1,64}@[^\s\x00-\x20\x7f@<>\"(),:;?\\]{1,255}\Z")
LONGEST_LINE = 400  # of a name or subject; folding takes the square of it
SECOND_HEADER = re.compile(r"\r|\n(?![ \t]|\Z)")


@dataclass(frozen=True)
class Smtp:
    """One server. Encrypts whenever the server can; a password never goes over an open line."""

    host: str
    port: int
    user: str
    password: str
    implicit_tls: bool
    sender: str
    keeps_text = False

    @classmethod
    def of(cls, url: str, sender: str) -> Smtp:
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or (465 if tls else 587 if parts.username else 25),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            implicit_tls=tls,
            sender=sender,
        )

    def send(self, message: Message) -> None:
        mail = compose(message, self.sender)
        try:
            with self._connected() as server:
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise _refusal(code, said) from error
        except smtplib.SMTPAuthenticationError as error:
            raise Unavailable(f"the mail server refused our name and password ({error.smtp_code})") from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error

    def probe(self, seconds: float) -> None:
        """Connect, encrypt and sign in as for a mail, then leave. Raises Unavailable."""
        try:
            with self._connected(seconds):
                pass
        except smtplib.SMTPAuthenticationError as error:
            raise Unavailable(f"the mail server refused our name and password ({error.smtp_code})") from error
        except smtplib.SMTPResponseException as error:
            raise Unavailable(str(_refusal(error.smtp_code, error.smtp_error))) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error

    def _connected(self, seconds: float = SECONDS) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.implicit_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=seconds)
        try:
            self._let_in(server, context)
        except BaseException:
            server.close()
            raise
        return server

    def _let_in(self, server: smtplib.SMTP, context: ssl.SSLContext) -> None:
        if not self.implicit_tls:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif self.user and not _is_loopback(self.host):
                raise Unavailable("the mail server offers no encryption, so the password stays here")
        if self.user:
            server.login(self.user, self.password)


def compose(message: Message, sender: str) -> EmailMessage:
    """The mail as it goes out. Raises Rejected for an address or header that could carry a second one."""
    name, address = parseaddr(sender)
    if not PLAIN_ADDRESS.match(message.to):
        raise Rejected("not a mail address")
    mail = EmailMessage()
    try:
        local, domain = message.to.rsplit("@", 1)
        mail["From"] = Address(name, addr_spec=address)
        mail["To"] = Address(_plain(message.name), local, domain)
        mail["Subject"] = _plain(_one_line(message.subject))
    except (ValueError, IndexError) as error:
        raise Rejected(f"a header cannot be written: {error}") from error
    mail["Message-ID"] = f"<{message.id}@{address.rsplit('@', 1)[-1] or 'localhost'}>"
    mail["Date"] = formatdate(usegmt=True)
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = message.language
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
    for attachment in message.attachments:
        kind, subtype = attachment.media_type.split("/")
        mail.add_attachment(
            attachment.content, maintype=kind, subtype=subtype, filename=_plain(attachment.file_name)
        )
    if any(SECOND_HEADER.search(mail.policy.fold(name, value)) for name, value in mail.items()):
        raise Rejected("a header would run into a second one")
    return mail


def _plain(text: str) -> str:
    """One line of words. What looks like an encoded word is taken apart: Python before 3.11.10 would
    decode it and write the line ends it hides into the header (CVE-2024-6923)."""
    return " ".join(text.replace("\0", " ").split()).replace("=?", "= ?")[:LONGEST_LINE]


def _one_line(text: str) -> str:
    if any(letter in text for letter in "\r\n\0"):
        raise Rejected("a header holds a line break")
    return text


def _refusal(code: int, said: bytes | str) -> Exception:
    words = said.decode(errors="replace") if isinstance(said, bytes) else said
    kind = Unavailable if 400 <= code < 500 or code <= 0 else Rejected
    return kind(f"{code} {words}"[:500])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
