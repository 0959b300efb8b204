"""Whether a code may go to a number: its kind, its country, and whether text messages leave at all."""

from __future__ import annotations

from portal.channels.sms import numbers
from portal.models.envelopes import Recipient
from portal.services import gateways, sms_use


def why_not(number: str) -> str:
    """Why codes do not go to this number, as a sentence to stand beside it; empty where they may.

    Countries count only where text messages leave the house.
    """
    word = numbers.why_not(number) or ("" if is_open_country(number) else "country")
    return str(numbers.WHY[word]) if word else ""


def is_open_country(number: str) -> bool:
    return not gateways.in_force(gateways.SMS).is_real or numbers.is_written_to(number, sms_use.countries())


def can_text(number: str) -> bool:
    """Whether a code would reach this number's owner: false where mails leave and text messages do not."""
    return bool(number) and gateways.can_text() and not why_not(number)


def textable(number: str) -> str:
    """The number, or nothing where no code may go to it: for numbers that were kept for other uses."""
    return "" if number and numbers.why_not(number) else number


def carry_over(recipient: Recipient, earlier: Recipient | None) -> dict[str, object]:
    """What is known of a person's number from an earlier request of the same contract.

    Another number than the one asked before waits as it does after a correction: withdrawing and
    sending anew changes nothing about who could have changed it.
    """
    from portal.services import factors

    if earlier is None:
        return {}
    if earlier.phone != recipient.phone:
        return {"phone_from": recipient.envelope.created_at + factors.NUMBER_HOLD}
    disowned = {"problem": "not_mine"} if earlier.problem == "not_mine" and recipient.phone else {}
    return {"phone_from": earlier.phone_from} | disowned


def earlier(recipient: Recipient, contract_id: str) -> Recipient | None:
    """The same mail address in the contract's request before this one."""
    from portal.models.envelopes import Envelope

    found: Recipient | None = (
        Recipient.select()
        .join(Envelope)
        .where(
            (Envelope.contract == contract_id)
            & (Recipient.email == recipient.email)
            & (Recipient.id != recipient.id)
        )
        .order_by(Envelope.id.desc(), Recipient.id.desc())
        .first()
    )
    return found
