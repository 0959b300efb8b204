"""The contracts that get killed over: built once through the services, then copied for each round."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.models.base import transaction
from portal.models.contracts import Contract, Document
from portal.models.envelopes import Envelope
from portal.models.people import Person, Session
from portal.services import (
    acts,
    ceremonies,
    connections,
    envelopes,
    factors,
    imports,
    jobs,
    links,
    revisions,
    sessions,
    uploads,
)
from tests.cast import assemble
from tests.services import signing

# Between the stage and the first kill, so that reminders, an expiry and a late timestamp are due.
LATER = timedelta(hours=49)
SIGNER, STAFF = "countersign-signing", "countersign"  # cookies


def outbox(now: datetime) -> dict[str, Any]:
    """A busy outbox: one contract to seal, one to send, one whose seal lacks its outside time, one
    that runs out of time, one whose signer is to be reminded, and a trail that was never folded."""
    cast = assemble(now)
    late = send(cast, now)
    sign_all(late, now)
    run(now)
    run_out = send(cast, now, expires_at=now + timedelta(hours=2))
    forgotten = send(cast, now)
    signed = send(cast, now)
    sign_all(signed, now)
    waiting = signing.send(cast, now, signing.ready(cast, now, crowd(cast)))
    return {
        "late": late.id, "run_out": run_out.id, "forgotten": forgotten.id, "signed": signed.id,
        "waiting": waiting.id,
    }  # fmt: skip


def desk(now: datetime) -> dict[str, Any]:
    """What people have on their screens: a first and a last signature in the review, a contract to
    send, one to withdraw, a file to upload and a text to fix."""
    cast = assemble(now)
    first = send(cast, now)
    last = send(cast, now)
    act(last, "claire", now)
    voidable = send(cast, now)
    ready = signing.ready(cast, now, crowd(cast))
    run(now)
    return {
        "cookie": full_session(cast.ana, now), "reference": ready.reference,
        "voidable_reference": voidable.contract.reference,
        "first": at_review(first, "claire", now), "last": at_review(last, "ana", now),
        "ready": ready.id, "voidable": voidable.id,
        "declining": at_review(voidable, "claire", now), "ana": cast.ana.id,
        "draft": draft(cast, now).id, "pdf": signing.printed().pdf,
    }  # fmt: skip


def crowds(now: datetime, count: int) -> dict[str, Any]:
    """Contracts for races: pairs of last signers, and single signers whose sender may still withdraw."""
    cast = assemble(now)
    pairs, singles = [], []
    for _number in range(count):
        both = send(cast, now, people=[signing.theirs(), signing.ours(cast, routing_order=1)])
        pairs.append({"envelope": both.id, **{k: at_review(both, k, now) for k in ("claire", "ana")}})
        single = send(cast, now, people=[signing.theirs()])
        singles.append({"envelope": single.id, "claire": at_review(single, "claire", now)})
    one = send(cast, now, people=[signing.theirs()])
    run(now)
    return {"pairs": pairs, "singles": singles, "one": at_review(one, "claire", now), "ana": cast.ana.id}


def vendor(now: datetime, provider: str, settings: dict[str, str], server: str) -> dict[str, Any]:
    """An account at a simulated vendor: a contract to be sent through it, and its archive to be brought."""
    cast = assemble(now)
    by = signing.actor(cast.ada)
    account = connections.create(provider, "Simulated", settings, by=by, now=now, server=server)
    connections.checked(account, connections.provider(account).check(), by=by, now=now)
    envelope = signing.send(cast, now, connection=connections.get(account.id))
    imports.start(connections.get(account.id), None, None, by=by, now=now)
    return {"envelope": envelope.id, "connection": account.id}


def pile(now: datetime, count: int) -> dict[str, Any]:
    """So many jobs of a kind that only a race knows."""
    with transaction():
        for number in range(count):
            jobs.add("note", {"number": number}, now=now)
    return {"count": count}


def full_session(person: Person, now: datetime) -> str:
    """A browser of staff that has just proved both factors."""
    token = sessions.open_for(person, stage=sessions.FULL, now=now)
    Session.update(stepped_up_at=now).execute()
    return token


def crowd(cast: Any) -> list[dict[str, Any]]:
    """Two who are asked at once, one of ours after them, and somebody who gets a copy."""
    copy = signing.theirs("marc", role="copy", name="Marc Delorme", phone="")
    approver = signing.theirs("luc", role="approver", name="Luc Petit", phone="")
    second = signing.theirs("lea", role="approver", name="Léa Petit", phone="")
    return [signing.theirs(), signing.ours(cast), approver, second, copy]


def send(cast: Any, now: datetime, people: list[dict[str, Any]] | None = None, **values: Any) -> Envelope:
    envelope = signing.send(cast, now, signing.ready(cast, now, people), **values)
    run(now, kinds=("send_envelope",))
    return Envelope.get_by_id(envelope.id)


def run(now: datetime, kinds: tuple[str, ...] = ()) -> None:
    """Run what is due, or only jobs of these kinds."""
    if not kinds:
        jobs.run_due("stage", lambda: now)
        return
    held = jobs.Job.kind.not_in(kinds) & (jobs.Job.status == "ready")
    jobs.Job.update(status="held").where(held).execute()
    jobs.run_due("stage", lambda: now)
    jobs.Job.update(status="ready").where(jobs.Job.status == "held").execute()


def sign_all(envelope: Envelope, now: datetime) -> None:
    for key in ("claire", "ana"):
        act(envelope, key, now)


def act(envelope: Envelope, key: str, now: datetime) -> None:
    """The whole way of one signer, with the act at its end."""
    sign(now, at_review(envelope, key, now))


def at_review(envelope: Envelope, key: str, now: datetime) -> dict[str, str]:
    """Take a signer through link, consent, factors and signature, up to the last button."""
    who = signing.recipient(envelope, key)
    by = signing.Actor("recipient", who.id, who.name, who.email, "192.0.2.7", "Browser/1")
    link, place = ceremonies.of_link(links.issue(who, now=now), now)
    token = sessions.open_outside("", now=now)
    ceremonies.enter(link, place, sessions.digest(token), by=by, now=now)
    acts.agree(ceremonies.find(who.id, token, now), who.language, None, by=by, now=now)
    with transaction():
        for wanted in who.factors:
            factors.meet(ceremonies.find(who.id, token, now), "totp" if wanted == "totp" else "sms", now)
    signature = acts.Signature(who.language, who.name, "Director", has_authority=True, has_read=True)
    acts.prepare(ceremonies.find(who.id, token, now), signature, by=by, now=now)
    return {
        "recipient": who.id, "path": f"/ceremony/{who.id}", "token": token,
        "sha256": Document.get_by_id(envelope.document.id).sha256,
    }  # fmt: skip


def draft(cast: Any, now: datetime) -> Contract:
    """A contract whose text is somebody's file, not yet fixed."""
    from portal.services import contracts

    contract = contracts.create(
        entity=cast.entity, side="supplier", owner=cast.ana, title="Order form", kind="file",
        counterparty=cast.customer, recipients=[signing.theirs(), signing.ours(cast)],
        signatory=cast.signatory, by=signing.actor(cast.ana), now=now,
    )  # fmt: skip
    file = uploads.take(signing.printed().pdf, "order.pdf", person=cast.ana, now=now)
    uploads.attach(contract, file, mode=revisions.NO_TERMS, by=signing.actor(cast.ana), now=now)
    return Contract.get_by_id(contract.id)


# --- What is done at the desk -------------------------------------------------------------------------------


def sign(now: datetime, at: dict[str, str]) -> str:
    place = ceremonies.find(at["recipient"], at["token"], now)
    acts.confirm(place, document_sha256=at["sha256"], by=place.actor("192.0.2.7", "Browser/1"), now=now)
    return "done"


def void(now: datetime, envelope_id: str, person_id: str) -> str:
    by = signing.actor(Person.get_by_id(person_id))
    envelopes.void(envelopes.get(envelope_id), reason="The price is wrong.", by=by, now=now)
    return "done"


def upload(now: datetime, content: bytes, person_id: str) -> str:
    kept = uploads.take(content, "form.pdf", person=Person.get_by_id(person_id), now=now)
    return str(kept.id)


def fix(now: datetime, contract_id: str, person_id: str) -> str:
    by = signing.actor(Person.get_by_id(person_id))
    return str(revisions.make_ready(Contract.get_by_id(contract_id), by=by, now=now).sha256)


STAGES = {"outbox": outbox, "desk": desk, "crowds": crowds, "pile": pile, "vendor": vendor}
ACTS = {"sign": sign, "void": void, "upload": upload, "fix": fix}
