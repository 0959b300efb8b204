"""In whose name a mail goes out, who gets the answers, and where it comes back to when it fails.

A mail about a contract comes from the company that is party to it, and answers to it reach the
owner: a person, not a machine. Returned mail goes where we read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parseaddr

from portal.channels import addresses
from portal.models.contracts import Contract
from portal.models.notices import Notice
from portal.models.parties import LegalEntity
from portal.services import gateways, return_box

LOGO = "cid:logo"


@dataclass(frozen=True)
class Identity:
    sender: str
    reply_to: str = ""
    returns_to: str = ""
    logo: bytes = field(default=b"", repr=False)


def of(notice: Notice, html: str) -> Identity:
    """What the mail's headers say, and the picture where its HTML shows one."""
    contract = Contract.get_or_none(Contract.id == notice.contract_id) if notice.contract_id else None
    entity = contract.entity if contract is not None else first_entity()
    owner = contract.owner if contract is not None else None
    answers = owner is not None and owner.disabled_at is None and owner.email != notice.address
    picture = entity.logo_mail if entity is not None and LOGO in html else None
    return Identity(
        sender=sender_of(entity if contract is not None else None),
        reply_to=addresses.written(owner.name, owner.email) if owner is not None and answers else "",
        returns_to=return_box.address(),
        logo=bytes(picture) if picture else b"",
    )


def sender_of(entity: LegalEntity | None) -> str:
    """From: the company's own name and address where it has them, else those of the installation."""
    name, address = parseaddr(gateways.in_force(gateways.MAIL).sender)
    if entity is not None:
        name, address = entity.sender_name or name, entity.sender_address or address
    return addresses.written(name, address)


def first_entity() -> LegalEntity | None:
    """The company that writes where no contract says which."""
    found: LegalEntity | None = (
        LegalEntity.select().where(LegalEntity.retired_at.is_null()).order_by(LegalEntity.created_at).first()
    )
    return found


def domains() -> list[str]:
    """Every domain that mails go out from, the installation's own first."""
    senders = [sender_of(None)]
    query = LegalEntity.select().where((LegalEntity.sender_address != "") & LegalEntity.retired_at.is_null())
    senders += [entity.sender_address for entity in query.order_by(LegalEntity.name)]
    found = [addresses.domain_of(parseaddr(each)[1]) for each in senders]
    return [each for each in dict.fromkeys(found) if each and each != "localhost"]
