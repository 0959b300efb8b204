"""What mail servers write back about a mail: returned, delayed, delivered, and by which sign it is ours.

The standard form is a `multipart/report` (RFC 3464); Exim, qmail and a few others write plain text
instead. Answers of people and of their absence are nothing of the kind, and yield nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message

RETURNED, DELAYED, DELIVERED = "returned", "delayed", "delivered"
ACTIONS = {"failed": RETURNED, "delayed": DELAYED, "delivered": DELIVERED}
LONGEST_REASON = 400
LONGEST_TEXT = 200_000

ID = r"([0-9a-hjkmnp-tv-z]{20})"
OURS = re.compile(rf"^(?:Message-ID:\s*<{ID}@|X-Countersign-Id:\s*{ID}\s*$)", re.I | re.M)
IN_REFERENCES = re.compile(rf"<{ID}@")
IN_ADDRESS = re.compile(rf"\b{ID}(?=@|$)", re.I)
SIGNED = re.compile(r"^DKIM-Signature:((?:.|\r?\n[ \t])*)", re.I | re.M)
ADDRESS = re.compile(r"[^\s<>\"(),:;]{1,64}@[^\s<>\"(),:;]{1,255}")
CODE = re.compile(r"(?<![\d.])(?:[245]\d\d[ -].*|[245]\.\d{1,3}\.\d{1,3}.*)")
FROM_A_MACHINE = re.compile(r"mailer-daemon|postmaster|mail delivery", re.I)
SAYS_RETURNED = re.compile(
    r"undeliver|deliver\w* (?:failure|failed|status|has failed)|failure notice|returned (?:mail|to sender)"
    r"|could not be delivered|mail delivery (?:failed|system)|non remis|échec",
    re.I,
)
QMAIL = re.compile(r"^<([^<>\s]+@[^<>\s]+)>:\s*\n(.+?)(?:\n\s*\n|\Z)", re.M | re.S)


@dataclass(frozen=True)
class Report:
    """What became of one mail to one person, as somebody outside says.

    `ids` and `remote_id` are signs of which mail is meant, `addresses` whom it was for: both must
    fit. `signed_by` are the (domain, selector) pairs with which the returned mail had been signed.
    """

    outcome: str  # returned | delayed | delivered
    ids: tuple[str, ...]
    addresses: tuple[str, ...]
    reason: str = ""
    remote_id: str = ""
    signed_by: tuple[tuple[str, str], ...] = ()


def read(raw: bytes) -> list[Report]:
    """The reports in a mail that came back; none for every other mail."""
    mail = message_from_bytes(raw, policy=policy.compat32)
    if mail.get_content_type() == "multipart/report":
        kind = str(mail.get_param("report-type", "")).lower()
        return list(standard(mail)) if kind in ("", "delivery-status") else []
    return list(in_plain_words(mail))


# --- RFC 3464 --------------------------------------------------------------------------------


def standard(mail: Message) -> Iterator[Report]:
    blocks = [block for part in mail.walk() if part.get_content_type() == "message/delivery-status"
              for block in part.get_payload() if isinstance(block, Message)]  # fmt: skip
    if not blocks:
        return
    text = text_of(mail)
    ids = signs(mail, text, str(blocks[0].get("Original-Envelope-Id", "")))
    meant = meant_for(text)
    for block in blocks:
        outcome = ACTIONS.get(str(block.get("Action", "")).strip().lower())
        if outcome is None:
            continue
        named = [typed(block.get(name)) for name in ("Original-Recipient", "Final-Recipient")]
        said = f"{str(block.get('Status', '')).strip()} {typed(block.get('Diagnostic-Code'))}"
        yield Report(
            outcome, ids, tuple(filter(None, [*named, *meant])), one_line(said), signed_by=signatures(text)
        )


def typed(value: object) -> str:
    """What stands behind `rfc822;` or `smtp;`."""
    return one_line(str(value or "").partition(";")[2])


# --- What older servers write ----------------------------------------------------------------


def in_plain_words(mail: Message) -> Iterator[Report]:
    """Exim names those it could not reach in a header, qmail in its text; others say so in the subject."""
    text = text_of(mail)
    named = ADDRESS.findall(str(mail.get("X-Failed-Recipients", "")))
    is_qmail = "qmail-send" in text[:2000]
    said = (
        [(address, reason) for address, reason in QMAIL.findall(text.replace("\r\n", "\n"))]
        if is_qmail
        else []
    )
    if named:
        said = [(address, reason_in(text)) for address in named]
    elif not said and comes_from_a_server(mail) and SAYS_RETURNED.search(str(mail.get("Subject", ""))):
        said = [(address, reason_in(text)) for address in dict.fromkeys(ADDRESS.findall(text[:4000]))]
    if not said:
        return
    ids, meant = signs(mail, text, ""), meant_for(text)
    if is_qmail or named:
        for address, reason in said:
            yield Report(RETURNED, ids, (address, *meant), one_line(reason), signed_by=signatures(text))
        return
    everybody = tuple(address for address, _reason in said)
    yield Report(RETURNED, ids, (*everybody, *meant), one_line(said[0][1]), signed_by=signatures(text))


def comes_from_a_server(mail: Message) -> bool:
    """Whether no person wrote it: an empty return path, or a postmaster who does not answer for somebody."""
    sender = f"{mail.get('From', '')} {mail.get('Sender', '')}"
    empty = str(mail.get("Return-Path", "")).strip() == "<>"
    return bool(FROM_A_MACHINE.search(sender)) or (empty and mail.get("Auto-Submitted", "") != "auto-replied")


def reason_in(text: str) -> str:
    found = CODE.search(text)
    return found[0] if found else ""


# --- Whose it is -----------------------------------------------------------------------------


def text_of(mail: Message) -> str:
    """All its readable parts, the headers of the mail that came back included."""
    pieces: list[str] = []
    for part in mail.walk():
        if part is not mail and part.get_content_maintype() == "message":
            continue
        if part is not mail and part.get("Message-ID"):  # the returned mail itself
            pieces.append("\n".join(f"{name}: {value}" for name, value in part.items()))
        if part.get_content_maintype() == "text":
            content = part.get_payload(decode=True)
            pieces.append(content.decode("utf-8", "replace") if isinstance(content, bytes) else "")
    return "\n".join(pieces)[:LONGEST_TEXT]


def signs(mail: Message, text: str, envelope_id: str) -> tuple[str, ...]:
    """Every number of ours that the report names, the surest first."""
    found = IN_ADDRESS.findall(envelope_id.strip())
    found += [one or other for one, other in OURS.findall(text)]
    for name in ("To", "Delivered-To", "X-Original-To", "Envelope-To"):
        found += [each for value in mail.get_all(name, []) for each in IN_ADDRESS.findall(str(value))]
    for name in ("In-Reply-To", "References"):
        found += IN_REFERENCES.findall(str(mail.get(name, "")))
    return tuple(dict.fromkeys(each.lower() for each in found))


def meant_for(text: str) -> tuple[str, ...]:
    """To whom the returned mail says it was sent: a forwarded address differs from the one that failed."""
    lines = re.findall(r"^To:\s*(.*(?:\r?\n[ \t].*)*)", text, re.M)
    return tuple(dict.fromkeys(address for line in lines for address in ADDRESS.findall(line)))


def signatures(text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for header in SIGNED.findall(text):
        tags = dict(each for each in tags_of(header))
        if tags.get("d") and tags.get("s"):
            found.append((tags["d"].lower(), tags["s"].lower()))
    return tuple(dict.fromkeys(found))


def tags_of(header: str) -> Iterable[tuple[str, str]]:
    for part in header.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            yield name.strip(), "".join(value.split())


def one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]
