"""What each side is told while a contract is negotiated: the first text with a link, then news, gathered.

Several acts within a quarter of an hour are one message. The link of an invitation opens the
contract for that address alone, after a pressed button.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.models.base import transaction
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Agreement, Comment, Negotiator, Proposal
from portal.services import audit, jobs, notices, sessions

GATHER = timedelta(minutes=15)
LINK_LIFE = timedelta(days=60)


def tell_of_text(
    contract: Contract, revision: Revision, note: str, *, by: audit.Actor, now: datetime
) -> None:
    """Write to everybody invited that a text is there, inside the caller's transaction."""
    live = (Negotiator.contract == contract) & Negotiator.ended_at.is_null()
    for negotiator in Negotiator.select().where(live):
        send_link(negotiator, contract, revision, note, by=by, now=now)


def send_link(
    negotiator: Negotiator,
    contract: Contract,
    revision: Revision,
    note: str,
    *,
    by: audit.Actor,
    now: datetime,
) -> None:
    """A fresh link for one person; the one before is dead."""
    token = sessions.new_token()
    Negotiator.update(link_sha256=sessions.digest(token), link_expires_at=now + LINK_LIFE).where(
        Negotiator.id == negotiator.id
    ).execute()
    notices.queue(
        "negotiation_text", address=negotiator.email, name=negotiator.name, language=negotiator.language,
        contract=contract, now=now, zone=zone_of(contract), sender_id=by.id if by.kind == "person" else "",
        context={
            "sender": by.name, "message": note, "number": revision.number,
            "link": notices.url(f"/negotiate/{token}"),
        },
    )  # fmt: skip


def find_link(token: str, now: datetime) -> Negotiator | None:
    """Whose link this is while it is good; reading changes nothing."""
    found: Negotiator | None = Negotiator.get_or_none(
        (Negotiator.link_sha256 == sessions.digest(token))
        & (Negotiator.link_expires_at > now)
        & Negotiator.ended_at.is_null()
    )
    return found


def note_opened(negotiator: Negotiator, *, by: audit.Actor, now: datetime) -> None:
    """The first time they open it, on the trail."""
    with transaction():
        first = (Negotiator.id == negotiator.id) & Negotiator.opened_at.is_null()
        if Negotiator.update(opened_at=now).where(first).execute():
            audit.append(
                "negotiator.opened", ("negotiator", negotiator.id), chain=negotiator.contract.id,
                by=by, now=now, personal={"name": negotiator.name},
            )  # fmt: skip


def tell(contract: Contract, from_side: str, *, now: datetime) -> None:
    """Tell the other side of news, gathered over a quarter of an hour; inside the caller's transaction."""
    slot = int(now.timestamp() // GATHER.total_seconds())
    jobs.add(
        "tell_negotiation_news", {"contract": contract.id, "from": from_side, "since": now.isoformat()},
        key=f"negotiation_news:{contract.id}:{from_side}:{slot}", now=now, run_at=now + GATHER,
    )  # fmt: skip


@jobs.handler("tell_negotiation_news")
def send_news(payload: dict[str, Any], context: jobs.Context) -> None:
    """One message with what came from a side since the first of these news."""
    contract = Contract.get_or_none(Contract.id == payload["contract"])
    if contract is None or contract.state != "negotiation":
        return
    since, side = datetime.fromisoformat(payload["since"]), payload["from"]
    counts = counted(contract, side, since)
    if not any(counts.values()):
        return
    now = context.clock()
    with transaction():
        if side == "theirs":
            tell_owner(contract, counts, now)
        else:
            for negotiator in Negotiator.select().where(
                (Negotiator.contract == contract) & Negotiator.ended_at.is_null()
            ):
                tell_outside(negotiator, contract, counts, now)


def counted(contract: Contract, side: str, since: datetime) -> dict[str, int]:
    """What a side did since then: new proposals, answers to the other's, comments for both."""
    proposed = (Proposal.contract == contract) & (Proposal.side == side) & (Proposal.created_at >= since)
    answered = (Proposal.contract == contract) & (Proposal.side != side) & (Proposal.decided_at >= since)
    said = (
        (Comment.contract == contract)
        & (Comment.side == side)
        & ~Comment.is_internal
        & (Comment.created_at >= since)
    )
    agreed = (Agreement.contract == contract) & (Agreement.side == side) & (Agreement.agreed_at >= since)
    return {
        "proposals": Proposal.select().where(proposed).count(),
        "answers": Proposal.select().where(answered & Proposal.state.not_in(("open", "withdrawn"))).count(),
        "comments": Comment.select().where(said).count(),
        "agreed": Agreement.select().where(agreed & Agreement.ended_at.is_null()).count(),
    }


def tell_owner(contract: Contract, counts: dict[str, int], now: datetime) -> None:
    owner = contract.owner
    notices.queue(
        "negotiation_news", address=owner.email, name=owner.name, language=owner.language, zone=owner.zone,
        contract=contract, person_id=owner.id, now=now,
        context={
            "other": contract.counterparty.name if contract.counterparty else "", "counts": counts,
            "link": notices.url(f"/contracts/{contract.reference}/negotiation"),
        },
    )  # fmt: skip


def tell_outside(negotiator: Negotiator, contract: Contract, counts: dict[str, int], now: datetime) -> None:
    notices.queue(
        "negotiation_news", address=negotiator.email, name=negotiator.name, language=negotiator.language,
        contract=contract, zone=zone_of(contract), now=now,
        context={
            "other": contract.entity.name, "counts": counts,
            "link": notices.url(f"/negotiations/{contract.reference}"),
        },
    )  # fmt: skip


def zone_of(contract: Contract) -> str:
    return str(contract.counterparty.zone if contract.counterparty else contract.entity.zone)
