"""Whether both sides have agreed on exactly this text: by its fingerprint, until either takes it back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal.errors import Conflict
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Agreement, Comment, Proposal
from portal.services import audit, contract_states
from portal.services.contract_states import Attempt
from portal.sla import canonical

SCHEMA = "countersign-text/1"
OURS, THEIRS = "ours", "theirs"


def text_sha256(contract: Contract, revision: Revision) -> str:
    """What both sides agree on: terms, clauses and languages, whatever becomes of people and PDF."""
    text: dict[str, Any] = {
        "schema": SCHEMA,
        "reference": contract.reference,
        "languages": list(contract.languages),
        "prevailing": contract.prevailing_language,
        "terms": revision.terms,
        "clauses": revision.clauses,
    }
    return canonical.sha256(text)


def latest(contract: Contract) -> Revision:
    """The newest state of the text."""
    found: Revision = (
        Revision.select()
        .where((Revision.contract == contract) & (Revision.number > 0))
        .order_by(Revision.number.desc())
        .get()
    )
    return found


def last_shared(contract: Contract) -> Revision | None:
    """The newest text that the other side was shown; None before it was shown any."""
    shared = (Revision.contract == contract) & Revision.shared_at.is_null(False)
    found: Revision | None = Revision.select().where(shared).order_by(Revision.number.desc()).first()
    return found


def live(contract: Contract) -> list[Agreement]:
    """The words given and not taken back, for any text."""
    rows = Agreement.select().where((Agreement.contract == contract) & Agreement.ended_at.is_null())
    return list(rows.order_by(Agreement.id))


def sides(contract: Contract, revision: Revision) -> dict[str, Agreement]:
    """Who has agreed on this text, by side."""
    digest = text_sha256(contract, revision)
    return {each.side: each for each in live(contract) if each.text_sha256 == digest}


def both(contract: Contract, revision: Revision) -> bool:
    return len(sides(contract, revision)) == 2


def open_proposals(contract: Contract) -> list[Proposal]:
    """What waits for an answer, unassigned remains of a file included, oldest first."""
    rows = Proposal.select().where((Proposal.contract == contract) & (Proposal.state == "open"))
    return list(rows.order_by(Proposal.id))


def void(contract: Contract, *, by: audit.Actor, now: datetime) -> None:
    """Take back every word given, inside the caller's transaction, and say so on the trail."""
    ended = (
        Agreement.update(ended_at=now)
        .where((Agreement.contract == contract) & Agreement.ended_at.is_null())
        .execute()
    )
    if ended:
        audit.append(
            "contract.agreement_ended", ("contract", contract.id), chain=contract.id, by=by, now=now,
            facts={"count": ended},
        )  # fmt: skip


def demand_open(contract: Contract) -> None:
    """Raise Conflict while both sides stand by the newest text: it is fixed until it is opened again."""
    if contract.state == "negotiation" and both(contract, latest(contract)):
        raise Conflict(_("Both sides have agreed on this text. Open the text again before you change it."))


def demand_agreed(contract: Contract) -> None:
    """Raise Conflict where a text was shared and both sides have not agreed on the newest one."""
    missing = not_agreed(contract) if contract.state in contract_states.EDITABLE else ""
    if missing:
        raise Conflict(missing)


@contract_states.guard("comments_answered")
def comments_answered(contract: Contract, attempt: Attempt) -> str:
    """No remark of our own side is left open."""
    waiting = (Comment.contract == contract) & Comment.is_internal & Comment.settled_at.is_null()
    if Comment.select().where(waiting).exists():
        return _("Internal comments are still open. Settle them first.")
    return ""


@contract_states.guard("both_agreed")
def both_agreed(contract: Contract, attempt: Attempt) -> str:
    return not_agreed(contract)


def not_agreed(contract: Contract) -> str:
    """What stands between this text and signing; "" for nothing.

    Where the text was never shown to the other side nobody is asked: signing it is
    their word.
    """
    if last_shared(contract) is None:
        return ""
    if open_proposals(contract):
        return _("Some proposals still wait for an answer.")
    if not both(contract, latest(contract)):
        return _("Both sides have to agree on this text first.")
    return ""
