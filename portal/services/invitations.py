"""Into a signing without a link: by the code of a mail, or by one that our side reads out.

Whoever comes in by a code goes on exactly as after a link: consent, the factors the rules ask for,
reading. A code read out says nothing about the mailbox, and the evidence says so; so it is made for
outside people only, the person is told by mail that it was made, and it is refused where a contract
with health information asks its recipient for no other proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.envelopes import InvitationCode, Recipient
from portal.models.people import Person
from portal.services import (
    audit,
    ceremonies,
    envelopes,
    factors,
    invitation_codes,
    links,
    notices,
    outside_factors,
    signing_mails,
)
from portal.services.audit import Actor

SPOKEN = {
    "A": "Alfa", "B": "Bravo", "C": "Charlie", "D": "Delta", "E": "Echo", "F": "Foxtrot", "G": "Golf",
    "H": "Hotel", "J": "Juliett", "K": "Kilo", "M": "Mike", "N": "November", "P": "Papa", "Q": "Quebec",
    "R": "Romeo", "S": "Sierra", "T": "Tango", "V": "Victor", "W": "Whiskey", "X": "X-ray", "Y": "Yankee",
    "Z": "Zulu",
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A code to be read out: shown once, never again."""

    code: str
    until: datetime

    @property
    def spoken(self) -> str:
        """Its letters in the alphabet of radio and telephone, the same in every language."""
        groups = (" ".join(SPOKEN.get(letter, letter) for letter in group) for group in self.code.split("-"))
        return ", ".join(groups)


def tell(contract: Contract, recipient_id: str, *, by: Actor, now: datetime) -> Told:
    """Make a code to be read out to somebody on the telephone; one made before is dead.

    The person is told by mail. Raises Conflict with the reason where none is made, NotFound for
    people of other contracts, TooMany when they were written to often.
    """
    with transaction():
        recipient = outside_factors.recipient_in(contract, recipient_id)
        envelope = envelopes.lock(recipient.envelope.id)
        recipient = Recipient.get_by_id(recipient.id)
        reason = why_not(contract, recipient, now)
        if reason:
            raise Conflict(reason)
        notices.check_rate("mail", recipient.email, by.id, now)
        caller: Person = Person.get_by_id(by.id)
        code = invitation_codes.issue(recipient, now=now, way=invitation_codes.TOLD, by=caller)
        until = min(envelope.expires_at, now + invitation_codes.TOLD_LIFE)
        audit.append(
            "invitation_code.made", ("recipient", recipient.id), chain=contract.id, by=by, now=now,
            facts={"until": until.isoformat(timespec="seconds")}, personal={"name": recipient.name},
        )  # fmt: skip
        signing_mails.tell_code_was_made(recipient, envelope, caller, until, now)
    return Told(code, until)


def why_not(contract: Contract, recipient: Recipient, now: datetime) -> str:
    """What keeps our side from reading a code out to this person; empty where nothing does."""
    envelope = recipient.envelope
    if envelope.status != "sent":
        return envelopes.how_it_stands(envelope)
    if now >= envelope.expires_at:
        return _("The time to sign has run out.")
    if recipient.status not in envelopes.ASKED:
        return _("It is not the turn of %(name)s, so there is nothing to open.", name=recipient.name)
    if recipient.side == "ours":
        return _("Our own people come in by the link or the code in their mail.")
    if recipient.problem == "not_for_me":
        return _("%(name)s says that this is not for them. Correct the person first.", name=recipient.name)
    if contract.has_phi and not recipient.factors:
        return _(
            "This contract holds health information and %(name)s proves nothing else: a code by telephone "
            "would be the only proof. Send a reminder instead.", name=recipient.name,
        )  # fmt: skip
    return ""


def enter(code: InvitationCode, session_sha256: str, *, by: Actor, now: datetime) -> None:
    """Use a code up and give this session the right to its recipient's pages.

    Raises Invalid, in the words of `invitation_codes.find`, for all but the first who comes.
    """
    at = now.isoformat(timespec="seconds")
    came_in = {factors.MAIL_CODE: at}
    if code.way == invitation_codes.TOLD and code.created_by is not None:
        came_in = {factors.TOLD_CODE: at, "told_by": str(code.created_by.id)}
    with transaction():
        invitation_codes.claim(code, now)
        ceremonies.admit(code.recipient, session_sha256, links.SIGN, by=by, now=now, came_in=came_in)
