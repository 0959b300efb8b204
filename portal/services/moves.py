"""Changing provider: what it would break, one request sent through another account, all that is open.

A request keeps its text: the same frozen PDF goes out again, and each person who was asked is told why in
their own language. It is withdrawn where it was before it goes out anew, so nobody can sign twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from portal.errors import Conflict, Invalid, PortalError
from portal.i18n import gettext as _
from portal.i18n import mark, use
from portal.models.base import transaction
from portal.models.connections import Connection
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope, PolicyRule
from portal.models.templates import Template
from portal.services import (
    audit,
    connections,
    envelopes,
    installation,
    jobs,
    policies,
    sendable,
    sending,
    templates,
)
from portal.services.audit import INSTALLATION, SYSTEM, Actor
from providers import registry
from providers.interface import EventKind, ProviderEvent

PLAN = "provider_switch"  # the installation fact: what is to happen on which day
LEAST_LEFT = timedelta(days=3)  # to answer, for whoever is asked anew
BEFORE_SENDING = ("draft", "internal_review", "negotiation", "approval", "ready_to_sign")
MOVED = mark(
    "We now have contracts signed through %(provider)s. You are asked again there; the text is the same."
)

log = logging.getLogger(__name__)


# --- What it would break ----------------------------------------------------------------------


@dataclass(frozen=True)
class Obstacle:
    """One template, rule or draft that cannot go through the new provider, and why."""

    name: str
    url: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Of one kind: how many there are, and those that cannot go."""

    total: int
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def fine(self) -> int:
        return self.total - len(self.obstacles)


@dataclass(frozen=True)
class Report:
    provider: str
    templates: Group
    rules: Group
    drafts: Group
    lost: tuple[str, ...] = field(default=())  # what the present default does and the new one does not


def report(target: Connection | None, now: datetime) -> Report:
    """What would change if new contracts went through `target` (None: built-in signing)."""
    name = target.provider if target is not None else "builtin"
    return Report(
        registry.label(name),
        Group(*counted(active_templates(), lambda each: template_obstacle(each, name))),
        Group(*counted(policies.active_rules(), lambda each: rule_obstacle(each, name))),
        Group(*counted(drafts(), lambda each: draft_obstacle(each, target, now))),
        lost(connections.default(), name),
    )


def counted(rows: list[Any], judge: Any) -> tuple[int, tuple[Obstacle, ...]]:
    return len(rows), tuple(found for row in rows if (found := judge(row)) is not None)


def active_templates() -> list[Template]:
    return list(Template.select().where(Template.retired_at.is_null()).order_by(Template.key))


def drafts() -> list[Contract]:
    query = Contract.select().where(Contract.state.in_(BEFORE_SENDING)).order_by(Contract.updated_at.desc())
    return list(query.limit(1000))


def template_obstacle(template: Template, provider: str) -> Obstacle | None:
    """Languages people would be written to in, which the provider does not speak."""
    spoken = registry.capabilities(provider).languages
    version = templates.newest(template)
    used = templates.languages_of(version) if version is not None else []
    silent = [each for each in used if each not in spoken]
    if not silent:
        return None
    label = registry.label(provider)
    reasons = [
        _("%(provider)s does not write in %(language)s.", provider=label, language=each.upper())
        for each in silent
    ]
    name = templates.name_of(version, "en") if version is not None else template.key
    return Obstacle(name, "/templates", tuple(reasons))


def rule_obstacle(rule: PolicyRule, provider: str) -> Obstacle | None:
    """A factor that neither the provider nor our gate in front of it can check."""
    person = {"role": "signer", "name": policies.SIDES[rule.applies_to], "phone": "+447700900123", "key": ""}
    can = registry.capabilities(provider)
    gate = registry.capabilities("builtin").factors if can.embedded or provider == "builtin" else frozenset()
    chosen = sendable.way([rule.factor], person, provider)
    for factor in chosen.gated:
        ways = {"sms", "totp"} if factor == "sms_or_totp" else {factor}
        if not ways & gate:
            label, named = registry.label(provider), policies.FACTORS[factor]
            reason = _("%(provider)s cannot check this factor: %(factor)s.", provider=label, factor=named)
            return Obstacle(policies.shown_name(rule), f"/policies/{rule.id}", (reason,))
    return None


def draft_obstacle(contract: Contract, target: Connection | None, now: datetime) -> Obstacle | None:
    name = target.provider if target is not None else "builtin"
    reasons = list(dict.fromkeys(sendable.blocks(contract, list(contract.recipients), name).values()))
    if target is not None and contract.has_phi and not connections.has_agreement(target, now.date()):
        reasons += connections.usable_for(contract, target)
    if not reasons:
        return None
    return Obstacle(
        f"{contract.reference} {contract.title}", f"/contracts/{contract.reference}", tuple(reasons)
    )


def lost(before: Connection | None, after: str) -> tuple[str, ...]:
    """What the present default checks or does by itself and the new one does not."""
    old = registry.capabilities(before.provider if before is not None else "builtin")
    new, label = registry.capabilities(after), registry.label(after)
    said = []
    named = {
        "approvers": _("People who approve without signing"),
        "corrections": _("Correcting an address after sending"),
        "delegation": _("Handing over to somebody else"),
        "bulk": _("One document to many people in one call"),
    }
    for name, text in named.items():
        if getattr(old, name) and not getattr(new, name):
            said.append(_("%(what)s: not at %(provider)s.", what=text, provider=label))
    return tuple(said)


# --- One request ------------------------------------------------------------------------------


def may_move(envelope: Envelope) -> bool:
    """Whether one action may send it through another account: withdrawn, or never arrived."""
    if envelope.status == "queued":
        return envelope.provider != "builtin" and sending.waits(envelope)
    return envelope.status == "voided" and is_ready(envelope.contract)


def is_ready(contract: Contract) -> bool:
    return Contract.get_by_id(contract.id).state == "ready_to_sign"


def targets(envelope: Envelope) -> list[tuple[str, str, str]]:
    """(id, name, why it cannot) of each other way to send it; the built-in way has the id ""."""
    contract, now_at = envelope.contract, envelope.provider
    chosen = envelope.__data__.get("connection")
    found = [] if now_at == "builtin" else [("", registry.label("builtin"), "")]
    for each in connections.usable():
        if each.id != chosen:
            reasons = connections.usable_for(contract, each)
            reasons += list(sendable.blocks(contract, list(contract.recipients), each.provider).values())
            found.append((each.id, each.name, " ".join(dict.fromkeys(reasons))))
    return found


def send_through(envelope: Envelope, target: Connection | None, *, by: Actor, now: datetime) -> Envelope:
    """Send an unsent or withdrawn request through another account: the same text, one more trail event.

    What the first provider may have after all is ended there as soon as it answers. Raises Conflict
    where it is neither, Invalid where the new account does not do.
    """
    with transaction():
        old = envelopes.lock(envelope.id)
        if not may_move(old):
            raise Conflict(_("Withdraw it first; then it can go through another provider."))
        if old.status == "queued":
            give_up(old, by, now)
        return again(envelopes.get(old.id), target, by=by, now=now)


def give_up(envelope: Envelope, by: Actor, now: datetime) -> None:
    """End here what never arrived; a provider that was asked is asked to end it when it answers."""
    reason = with_reason(envelope.contract.prevailing_language, envelope.provider)
    event = ProviderEvent(EventKind.VOIDED, now, reason=reason)
    envelopes.apply_event(envelope.id, event, by=by, now=now)
    envelopes.end_there(envelope, now)


def with_reason(language: str, provider: str) -> str:
    with use(language):
        return _("It could not be sent through %(provider)s.", provider=registry.label(provider))


def again(
    old: Envelope, target: Connection | None, *, by: Actor, now: datetime, asked_by: str = ""
) -> Envelope:
    """The same contract, text and people through `target`, with at least three days to answer."""
    contract = Contract.get_by_id(old.contract.id)
    fresh = envelopes.send(
        contract, message=old.message, expires_at=max(old.expires_at, now + LEAST_LEFT), by=by, now=now,
        connection=target, replaces=old,
    )  # fmt: skip
    audit.append(
        "envelope.moved", ("envelope", fresh.id), chain=contract.id, by=by, now=now,
        facts={
            "from": old.provider, "to": fresh.provider, "replaces": old.id, "asked_by": asked_by or by.id,
        },
    )  # fmt: skip
    return fresh


# --- Everything that is open ------------------------------------------------------------------


def move_all(
    source: Connection | None,
    target: Connection | None,
    *,
    by: Actor,
    now: datetime,
    only: list[str] | None = None,
) -> int:
    """Withdraw what is open at one account and send it through another, each by a job; how many.

    People who had signed already sign again: a signature binds only within its own signing request.
    """
    if target is not None and target.status != "active":
        raise Conflict(_("Check the account first; then it can be used."))
    count = 0
    with transaction():
        for envelope in open_at(source):
            if only is not None and envelope.id not in only:
                continue
            to = target.id if target is not None else ""
            jobs.add(
                "move_envelope", {"envelope": envelope.id, "to": to, "by": [by.kind, by.id]},
                key=f"move:{envelope.id}", now=now, max_attempts=500,
            )  # fmt: skip
            count += 1
        audit.append(
            "connection.move_asked", ("connection", source.id if source is not None else "builtin"),
            chain=INSTALLATION, by=by, now=now,
            facts={"to": target.id if target is not None else "builtin", "count": count},
        )  # fmt: skip
    return count


def open_at(source: Connection | None) -> list[Envelope]:
    """Open requests of an account, or of built-in signing, oldest first."""
    where = (Envelope.connection == source) if source is not None else Envelope.connection.is_null()
    return list(Envelope.select().where(where & Envelope.status.in_(envelopes.OPEN)).order_by(Envelope.id))


@jobs.handler("move_envelope")
def move_job(payload: dict[str, Any], context: jobs.Context) -> None:
    """Withdraw one where it is, then send it anew. Running twice sends nothing twice."""
    old = envelopes.get(payload["envelope"])
    by, now = Actor(*payload["by"]), context.clock()
    target = connections.get(payload["to"]) if payload["to"] else None
    if Envelope.select().where(Envelope.replaces == old).exists():
        return
    if old.status in envelopes.OPEN:
        label = registry.label(target.provider if target is not None else "builtin")
        if old.withdrawal is None:
            said = {"message": MOVED, "params": {"provider": label}}
            envelopes.void(old, reason=_(MOVED, provider=label), by=by, now=now, said=said)
        old = envelopes.get(old.id)
        if old.status in envelopes.OPEN:
            raise jobs.Retry(old.problem or "waiting for the provider to withdraw it", timedelta(seconds=15))
    if old.status != "voided":
        return  # signed, declined or over by itself meanwhile: nothing is left to move
    with transaction():
        context.hold()
        try:
            # An administrator decides for contracts of others; whose decision it was stands in the trail.
            again(old, target, by=SYSTEM, now=now, asked_by=by.id)
        except Invalid as invalid:
            raise jobs.GiveUp(" ".join(invalid.errors.values())) from invalid
        except PortalError as error:
            raise jobs.GiveUp(error.message) from error


# --- Planned for a day ------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    target: Connection | None
    starts_on: date
    last_day_on: date | None  # of what is open at the former one; then it is moved


def plan(
    target: Connection | None, starts_on: date, last_day_on: date | None, *, by: Actor, now: datetime
) -> None:
    """Make `target` the default from a day on; what is open at the former one is moved after its last day.

    Raises Invalid for days that are past or the wrong way round.
    """
    errors = {}
    if starts_on < now.date():
        errors["starts_on"] = _("Choose today or a later day.")
    if last_day_on is not None and last_day_on < starts_on:
        errors["last_day_on"] = _("Choose a day that is not before the first one.")
    if errors:
        raise Invalid(errors)
    if target is not None and target.status != "active":
        raise Conflict(_("Check the account first; then it can be used."))
    with transaction():
        before = connections.default()
        said = {
            "to": target.id if target is not None else "", "from": before.id if before is not None else "",
            "starts_on": starts_on.isoformat(), "by": [by.kind, by.id],
            "last_day_on": last_day_on.isoformat() if last_day_on is not None else "", "is_begun": False,
        }  # fmt: skip
        installation.set_fact(PLAN, said, now)
        audit.append(
            "connection.switch_planned",
            ("connection", target.id if target is not None else "builtin"),
            chain=INSTALLATION,
            by=by,
            now=now,
            facts={k: said[k] for k in ("from", "starts_on", "last_day_on")},
        )
    follow(now)


def planned() -> Plan | None:
    """The change that is still to come, in whole or in part."""
    said = installation.fact(PLAN)
    if not said:
        return None
    target = connections.get(said["to"]) if said["to"] else None
    last = date.fromisoformat(said["last_day_on"]) if said["last_day_on"] else None
    return Plan(target, date.fromisoformat(said["starts_on"]), last)


def forget_plan(*, by: Actor, now: datetime) -> None:
    with transaction():
        installation.set_fact(PLAN, {}, now)
        audit.append(
            "connection.switch_dropped", ("connection", "builtin"), chain=INSTALLATION, by=by, now=now
        )


@jobs.recurring("follow_provider_switch", timedelta(minutes=15))
def follow_job(payload: dict[str, Any], context: jobs.Context) -> None:
    follow(context.clock())


def follow(now: datetime) -> None:
    """Do what the plan says for today; again changes nothing."""
    with transaction():
        said = installation.fact(PLAN)
        if not said:
            return
        today, by = now.date().isoformat(), Actor(*said["by"])
        target = connections.get(said["to"]) if said["to"] else None
        source = connections.get(said["from"]) if said["from"] else None
        if not said["is_begun"] and said["starts_on"] <= today:
            if target is not None and target.status != "active":
                log.warning("provider switch: the account is not active any more")
                return
            connections.make_default(target, by=by, now=now)
            said = {**said, "is_begun": True}
            installation.set_fact(PLAN, said, now)
        if said["is_begun"] and said["last_day_on"] and said["last_day_on"] < today:
            move_all(source, target, by=SYSTEM, now=now)
            said = {}
            installation.set_fact(PLAN, said, now)
        elif said["is_begun"] and not said["last_day_on"]:
            installation.set_fact(PLAN, {}, now)
