"""Messages the portal sends: written with the fact they tell of, delivered by a job.

`queue` renders a mail or text message in the reader's language, keeps it encrypted and adds the
job that hands it to the gateway (`deliveries`), all in the caller's transaction. Once a real gateway
has taken it the words are emptied; with `mailbox:` they stay, since the mailbox page shows them.

What a contract with PHI says never leaves by mail: `queue` replaces its title and drops what
people wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from portal.errors import TooMany
from portal.i18n import gettext as _
from portal.models.base import new_id
from portal.models.contracts import Contract
from portal.models.notices import Notice
from portal.models.parties import LegalEntity
from portal.services import gateways, installation, jobs, mail_logos, mail_senders, rendering, sms_use

# Written by people, so it may hold anything: never mailed for a contract with PHI.
FREE_TEXT = ("message", "reason", "file_name")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# channel -> (most, within) to one address, and by one sender. Only acts of people are counted
# against them; what the portal owes somebody (a finished contract, say) is always sent.
TO_ADDRESS = {"mail": ((12, HOUR), (40, DAY))}
MOST_TRIES = 2000  # a message is given up by its age, not by a number of tries
BY_SENDER = {"mail": ((200, HOUR), (1000, DAY))}


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
    useful_until: datetime | None = None,
) -> Notice:
    """Write one message and the job that delivers it, inside the caller's transaction.

    Templates get `context`, and always: name, url (makes an address absolute), company (name,
    address, logo_url, logo_size), and with a contract reference, title and has_phi. `attachments` are
    document ids; with PHI none is taken. After `useful_until` (a code that has died) it is sent no more.
    Raises sms_use.SmsClosed, to be rolled back, where no more text messages are paid for.
    """
    said = words(name, context or {}, contract)
    render = rendering.mail if channel == "mail" else rendering.sms
    rendered = render(kind, language, zone, said)
    is_paid = channel == gateways.SMS and gateways.in_force(channel).is_real
    segments, cost = sms_use.reserve(rendered.text, now) if is_paid else (0, 0)
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
        useful_until=useful_until,
        segments=segments,
        cost_millionths=cost,
    )
    jobs.add(
        "deliver_notice", {"notice": notice.id}, key=f"deliver:{notice.id}", now=now, max_attempts=MOST_TRIES
    )
    return notice


def words(name: str, context: Mapping[str, Any], contract: Contract | None) -> dict[str, Any]:
    """What a template is given."""
    said = {**context, "name": name, "url": url}
    if contract is None:
        return {"company": company(), **said}
    said |= {
        "company": company(contract.entity),
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


def company(entity: LegalEntity | None = None) -> dict[str, Any]:
    """The company that writes; the first of ours where no contract says which."""
    found = entity or mail_senders.first_entity()
    if found is None:
        return {"name": "Countersign", "address": "", "logo_url": "", "logo_size": (0, 0)}
    logo = bytes(found.logo_mail) if found.logo_mail else b""
    return {
        "name": found.name,
        "address": one_line(found.address),
        "logo_url": mail_senders.LOGO if logo else "",
        "logo_size": mail_logos.size(logo),
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
