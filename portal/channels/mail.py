"""Mail over SMTP, with text and HTML twins and the same Message-ID at every try."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default as usual
from email.utils import formatdate, parseaddr
from urllib.parse import parse_qs, unquote, urlsplit

from portal.channels import Message, Rejected, addresses
from portal.channels.smtp import IMPLICIT, OPPORTUNISTIC, Server

LONGEST_LINE = 400  # of a name or subject; folding takes the square of it
SECOND_HEADER = re.compile(r"\r|\n(?![ \t]|\Z)")
NAMED = "X-Countersign-Id"
# Services that write a Message-ID of their own, and the header that carries ours into their reports.
CARRIERS = {
    "amazonaws.com": ("X-SES-MESSAGE-TAGS", "countersign={id}"),
    "mailgun.org": ("X-Mailgun-Variables", '{{"countersign_id": "{id}"}}'),
    "mailgun.net": ("X-Mailgun-Variables", '{{"countersign_id": "{id}"}}'),
    "sendgrid.net": ("X-SMTPAPI", '{{"unique_args": {{"countersign_id": "{id}"}}}}'),
    "postmarkapp.com": ("X-PM-Metadata-countersign-id", "{id}"),
}


@dataclass(frozen=True)
class Smtp:
    """One server, and whose mail it is where a message does not say so itself."""

    server: Server
    sender: str
    keeps_text = False

    @classmethod
    def of(cls, url: str, sender: str) -> Smtp:
        return cls(server_of(url), sender)

    def send(self, message: Message) -> str:
        mail = compose(message, message.sender or self.sender)
        carrier = next((v for name, v in CARRIERS.items() if is_under(self.server.host, name)), None)
        if carrier:
            mail[carrier[0]] = carrier[1].format(id=message.id)
        _name, own = parseaddr(message.sender or self.sender)
        returns = addresses.for_transport(message.returns_to.replace("*", message.id) or own)
        return self.server.deliver(mail, returns, addresses.for_transport(message.to))


def server_of(url: str) -> Server:
    """From `smtp://USER:PASSWORD@HOST:PORT?tls=required|opportunistic|none` or `smtps://...`.

    Without `tls`, the line is encrypted whenever the server can; a password never goes over an open one.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "smtps"
    asked = parse_qs(parts.query).get("tls", [OPPORTUNISTIC])[0]
    return Server(
        host=parts.hostname or "localhost",
        port=parts.port or (465 if tls else 587 if parts.username else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        encryption=IMPLICIT if tls else asked,
    )


def compose(message: Message, sender: str) -> EmailMessage:
    """The mail as it goes out. Raises Rejected for an address or header that could carry a second one."""
    name, address = parseaddr(sender)
    # Seven bits a letter: any relay passes that on unchanged.
    mail = EmailMessage(policy=usual.clone(cte_type="7bit"))
    try:
        local, domain = addresses.for_transport(message.to).rsplit("@", 1)
        mail["From"] = Address(_plain(name), addr_spec=addresses.for_transport(address))
        mail["To"] = Address(_plain(message.name), local, domain)
        if message.reply_to:
            answers, answers_at = parseaddr(message.reply_to)
            mail["Reply-To"] = Address(_plain(answers), addr_spec=addresses.for_transport(answers_at))
        mail["Subject"] = _plain(_one_line(message.subject))
    except (ValueError, IndexError) as error:
        raise Rejected(f"a header cannot be written: {error}") from error
    mail["Message-ID"] = f"<{message.id}@{addresses.domain_of(address) or 'localhost'}>"
    mail[NAMED] = message.id
    mail["Date"] = formatdate(usegmt=True)
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = message.language
    write(mail, message)
    if any(SECOND_HEADER.search(mail.policy.fold(name, value)) for name, value in mail.items()):
        raise Rejected("a header would run into a second one")
    return mail


def write(mail: EmailMessage, message: Message) -> None:
    """Text, its HTML twin with the logo beside it, and what is attached."""
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
    if message.html and message.logo:
        page = mail.get_payload()[-1]  # type: ignore[index]
        page.add_related(  # type: ignore[union-attr, call-arg]
            message.logo, "image", "png", cid="<logo>", filename="logo.png", disposition="inline"
        )
    for attachment in message.attachments:
        kind, subtype = attachment.media_type.split("/")
        mail.add_attachment(
            attachment.content, maintype=kind, subtype=subtype, filename=_plain(attachment.file_name)
        )


def is_under(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _plain(text: str) -> str:
    """One line of words. What looks like an encoded word is taken apart: Python before 3.11.10 would
    decode it and write the line ends it hides into the header (CVE-2024-6923)."""
    return " ".join(text.replace("\0", " ").split()).replace("=?", "= ?")[:LONGEST_LINE]


def _one_line(text: str) -> str:
    if any(letter in text for letter in "\r\n\0"):
        raise Rejected("a header holds a line break")
    return text
