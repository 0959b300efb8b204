"""Messages the portal sends: written with the fact they tell of, delivered by a job.

`queue` renders a mail or text message in the reader's language, keeps it encrypted and adds the
job that hands it to the gateway, all in the caller's transaction. Once a real gateway has taken
it the words are emptied; with `mailbox:` they stay, since the mailbox page shows them.

What a contract with PHI says never leaves by mail: `queue` replaces its title and drops what
people wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from portal import channels, failpoints
from portal.channels import Attachment, Message, Rejected, Unavailable
from portal.errors import TooMany
from portal.i18n import gettext as _
from portal.models.base import new_id, transaction
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Recipient
from portal.models.notices import Notice
from portal.models.parties import LegalEntity
from portal.services import installation, jobs, rendering

# Written by people, so it may hold anything: never mailed for a contract with PHI.
FREE_TEXT = ("message", "reason", "file_name")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# channel -> (most, within) to one address, and by one sender. Only acts of people are counted
# against them; what the portal owes somebody (a finished contract, say) is always sent.
TO_ADDRESS = {"mail": ((12, HOUR), (40, DAY)), "sms": ((6, HOUR), (12, DAY))}
BY_SENDER = {"mail": ((200, HOUR), (1000, DAY)), "sms": ((60, HOUR), (300, DAY))}


def queue(
    kind: str,
    *,
    address: str,
    language: str,
    now: datetime,
    channel: str = "mail",
    name: str = "",
    zone: str | None = None,
    context: Mapping[str, Any] | None = None,
    contract: Contract | None = None,
    recipient_id: str | None = None,
    person_id: str | None = None,
    sender_id: str = "",
    attachments: Sequence[str] = (),
) -> Notice:
    """Write one message and the job that delivers it, inside the caller's transaction.

    Templates get `context`, and always: name, url (makes an address absolute), company (name,
    address, logo_url), and with a contract reference, title and has_phi. `attachments` are document
    ids; with PHI none is taken.
    """
    said = words(name, context or {}, contract)
    render = rendering.mail if channel == "mail" else rendering.sms
    rendered = render(kind, language, zone, said)
    box = installation.current().box
    notice = Notice.create(
        id=new_id(),
        channel=channel,
        kind=kind,
        contract_id=contract.id if contract else None,
        recipient_id=recipient_id,
        person_id=person_id,
        sender_id=sender_id,
        address=address,
        name=name,
        language=language,
        subject=rendered.subject,
        text=box.seal(rendered.text),
        html=box.seal(rendered.html) if rendered.html else "",
        attachments=[] if contract and contract.has_phi else list(attachments),
        created_at=now,
    )
    jobs.add("deliver_notice", {"notice": notice.id}, key=f"deliver:{notice.id}", now=now)
    return notice


def words(name: str, context: Mapping[str, Any], contract: Contract | None) -> dict[str, Any]:
    """What a template is given."""
    said = {**context, "name": name, "url": url}
    if contract is None:
        return {"company": company(), **said}
    entity = contract.entity
    said |= {
        "company": {"name": entity.name, "address": one_line(entity.address), "logo_url": ""},
        "reference": contract.reference,
        "title": contract.reference if contract.has_phi else contract.title,
        "has_phi": contract.has_phi,
    }
    if contract.has_phi:
        said |= {field: "" for field in FREE_TEXT if field in said}
    return said


def one_line(text: str) -> str:
    return ", ".join(part.strip(" ,") for part in text.splitlines() if part.strip(" ,"))


def url(path: str) -> str:
    """The address people can open from a mail."""
    return f"{installation.address()}{path}"


def company() -> dict[str, str]:
    """What the installation calls itself where no contract says which company writes."""
    first = (
        LegalEntity.select().where(LegalEntity.retired_at.is_null()).order_by(LegalEntity.created_at).first()
    )
    return {
        "name": first.name if first else "Countersign",
        "address": one_line(first.address) if first else "",
        "logo_url": "",
    }


def check_rate(channel: str, address: str, sender_id: str, now: datetime) -> None:
    """Raise TooMany when a person's act would write to an address, or for a sender, too often."""
    for column, value, caps in (
        (Notice.address, address, TO_ADDRESS[channel]),
        (Notice.sender_id, sender_id, BY_SENDER[channel]),
    ):
        for most, within in caps if value else ():
            sent = (
                Notice.select()
                .where((column == value) & (Notice.channel == channel) & (Notice.created_at > now - within))
                .count()
            )
            if sent >= most:
                minutes = int(within.total_seconds() // 60)
                raise TooMany(
                    _("Too many messages to %(address)s lately. Try again later.", address=address)
                    if value == address
                    else _("You have sent very many messages lately. Try again later."),
                    retry_after_s=minutes * 15,
                )


def read(notice: Notice) -> tuple[str, str]:
    """Text and HTML of a message that is still kept; empty once a gateway has taken it."""
    box = installation.current().box
    return (
        box.open(notice.text) if notice.text else "",
        box.open(notice.html) if notice.html else "",
    )


@jobs.handler("deliver_notice", outward=True)
def deliver(payload: dict[str, Any], context: jobs.Context) -> None:
    """Hand one message to its gateway, then say so. A kill between the two repeats the same id."""
    notice = Notice.get_or_none(Notice.id == payload["notice"])
    if notice is None or notice.status != "queued":
        return
    settings = installation.current().settings
    gateway = (
        channels.mail_gateway(settings.mail_url, settings.mail_from)
        if notice.channel == "mail"
        else channels.sms_gateway(settings.sms_url)
    )
    Notice.update(attempts=Notice.attempts + 1).where(Notice.id == notice.id).execute()
    failpoints.reach("notice.before_gateway")
    try:
        gateway.send(message_of(notice))
    except Unavailable as error:
        raise jobs.Retry(str(error)) from error
    except Rejected as error:
        raise jobs.GiveUp(str(error)) from error
    failpoints.reach("notice.after_gateway")
    with transaction():
        context.hold()
        taken: dict[str, Any] = {"status": "sent", "sent_at": context.clock(), "failure": ""}
        if not gateway.keeps_text:
            taken |= {"text": "", "html": ""}
        Notice.update(taken).where(Notice.id == notice.id).execute()


def message_of(notice: Notice) -> Message:
    text, html = read(notice)
    return Message(
        id=notice.id,
        to=notice.address,
        name=notice.name,
        subject=notice.subject,
        text=text,
        html=html,
        language=notice.language,
        attachments=tuple(attached(identity) for identity in notice.attachments),
    )


def attached(document_id: str) -> Attachment:
    from portal.services import documents

    document = Document.get_by_id(document_id)
    return Attachment(document.file_name, documents.read(document))


@jobs.on_failure("deliver_notice")
def delivery_failed(payload: dict[str, Any], reason: str, now: datetime) -> None:
    """A message that will never arrive: the owner of the contract sees whom it was for."""
    notice = Notice.get_or_none(Notice.id == payload["notice"])
    if notice is None or notice.status != "queued":
        return
    Notice.update(status="failed", failure=reason[:500]).where(Notice.id == notice.id).execute()
    if notice.recipient_id and notice.channel == "mail":
        Recipient.update(problem="undelivered").where(
            (Recipient.id == notice.recipient_id) & (Recipient.problem == "")
        ).execute()
