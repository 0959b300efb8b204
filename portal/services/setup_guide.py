"""From an empty installation to the first real send: what is done, what is next, and where.

Every step is computed from the facts at each look; nothing is ticked by hand but what only a person
can judge (the rules are right).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.i18n import format_datetime
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Envelope
from portal.models.parties import LegalEntity, Signatory
from portal.models.people import Person
from portal.services import (
    addresses,
    audit,
    backups,
    entities,
    gateways,
    installation,
    mail_setup,
    permissions,
    policies,
    recovery,
    return_reasons,
    sms_setup,
)
from portal.services.audit import Actor

DONE, TODO, ADVISED = "done", "todo", "advised"
BACKUP_FRESH = timedelta(days=7)
RULES_CONFIRMED = "rules_confirmed"
ARRIVED = ("sent", "delivered")


@dataclass(frozen=True)
class Step:
    """One line of the checklist. `advised` steps do not hold up the first real send."""

    key: str
    title: str
    state: str  # done | todo | advised
    about: str  # how it stands, and why it matters while it is not done
    path: str = ""  # where it is done
    action: str = ""  # what the link there says
    command: str = ""  # what is typed where the portal runs, where no page can do it


@dataclass(frozen=True)
class Guide:
    steps: list[Step]

    @property
    def done(self) -> int:
        return sum(step.state == DONE for step in self.steps)

    @property
    def next(self) -> Step | None:
        """The first step that must still be taken; then the first advised one."""
        open_steps = [step for step in self.steps if step.state == TODO]
        return next(iter(open_steps or [s for s in self.steps if s.state == ADVISED]), None)

    @property
    def is_finished(self) -> bool:
        """Whether nothing but advice is left."""
        return all(step.state != TODO for step in self.steps)


def look(now: datetime) -> Guide:
    """The whole checklist as it stands now."""
    return Guide([step(now) for step in STEPS])


def unfinished(now: datetime) -> Guide | None:
    """The checklist while an administrator should be led to it from home; None on sample data."""
    if installation.current().settings.sample_marker.is_file():
        return None
    guide = look(now)
    return None if guide.is_finished else guide


# --- The steps, in the order in which they are easiest -----------------------------------------------


def company(now: datetime) -> Step:
    title = _("Your company")
    found = entities.in_use()
    if not found:
        return Step(
            "company", title, TODO,
            _("A contract needs one of your companies: name, address, law and courts."),
            "/entities/new", _("Add your company"),
        )  # fmt: skip
    bare = next((each for each in found if gaps_of(each)), None)
    if bare is not None:
        missing = ", ".join(gaps_of(bare))
        return Step(
            "company", title, TODO,
            _("%(company)s lacks: %(missing)s. They are printed in every contract.",
              company=bare.name, missing=missing),
            f"/entities/{bare.id}", _("Complete it"),
        )  # fmt: skip
    return Step("company", title, DONE, ", ".join(each.name for each in found), "/entities", _("Look"))


def gaps_of(entity: LegalEntity) -> list[str]:
    """What a contract prints of a company of ours and is not known, in words."""
    wanted = {
        "address": _("address"), "governing_law": _("governing law"), "courts": _("courts"),
        "phone": _("telephone number"),
    }  # fmt: skip
    return [word for field, word in wanted.items() if not getattr(entity, field)]


def signatory(now: datetime) -> Step:
    title = _("Who may sign for it")
    rows = Signatory.select(Signatory, Person).join(Person).where(Signatory.ended_at.is_null())
    names = sorted({row.person.name for row in rows if is_valid(row, now)})
    if names:
        return Step("signatory", title, DONE, ", ".join(names), "/entities", _("Look"))
    found = entities.in_use()
    return Step(
        "signatory", title, TODO,
        _("Nobody may sign for your company yet: name a person, up to what value and until when."),
        f"/entities/{found[0].id}" if found else "/entities", _("Name a signatory"),
    )  # fmt: skip


def is_valid(row: Signatory, now: datetime) -> bool:
    today = now.date()
    begun = row.valid_from is None or row.valid_from <= today
    return begun and (row.valid_until is None or today <= row.valid_until)


def people(now: datetime) -> Step:
    title = _("Who owns contracts")
    owners = permissions.who_may("contract.create", most=6)
    active = {
        row.id for row in Person.select(Person.id).where(
            Person.id.in_([each.id for each in owners]) & Person.activated_at.is_null(False)
        )
    }  # fmt: skip
    names = [each.name for each in owners if each.id in active]
    if names:
        return Step("people", title, DONE, ", ".join(names), "/people", _("Look"))
    if owners:
        about = _("Invited: %(names)s. They have not come yet.", names=", ".join(o.name for o in owners))
        return Step("people", title, TODO, about, "/people", _("Look"))
    about = _("Drafting and sending is for contract owners. Invite one, or take the role yourself.")
    return Step("people", title, TODO, about, "/people", _("Invite a contract owner"))


def rules(now: datetime) -> Step:
    title = _("Signer checks")
    confirmed = installation.fact(RULES_CONFIRMED)
    active = len(policies.active_rules())
    if confirmed:
        at = format_datetime(datetime.fromisoformat(confirmed["at"]))
        about = _("%(count)s rules hold. %(name)s found them right, %(at)s.",
                  count=active, name=confirmed["name"], at=at)  # fmt: skip
        return Step("rules", title, DONE, about, "/policies", _("Look"))
    about = _(
        "%(count)s rules say when a signer proves more than the mailed link. Read them once.", count=active
    )
    return Step("rules", title, TODO, about, "/policies", _("Read the rules"))


def confirm_rules(*, by: Actor, now: datetime) -> None:
    """A person read the rules and finds them right for this company."""
    with transaction():
        installation.set_fact(RULES_CONFIRMED, {"at": now.isoformat(), "by": by.id, "name": by.name}, now)
        audit.append(
            "policies.confirmed", ("installation", audit.INSTALLATION), chain=audit.INSTALLATION, by=by,
            now=now, facts={"rules": [str(rule.id) for rule in policies.active_rules()]},
        )  # fmt: skip


def mail(now: datetime) -> Step:
    title, path = _("Mail"), "/settings/mail"
    found, test = gateways.in_force(gateways.MAIL), mail_setup.last_test()
    if not found.is_real:
        about = _("Nobody outside can be written to yet. A mail server is tried before it is kept.")
        return Step("mail", title, TODO, about, path, _("Set a mail server"))
    sender = _("Mails come from %(sender)s.", sender=found.sender)
    if test is None:
        about = _("%(sender)s Send yourself a test mail.", sender=sender)
        return Step("mail", title, TODO, about, path, _("Send a test mail"))
    if test.status not in ARRIVED:
        why = return_reasons.why(test) or _("it waits to go out")
        return Step(
            "mail", title, TODO, _("The test mail has not gone out: %(why)s", why=why), path, _("Look")
        )
    return Step("mail", title, DONE, sender, path, _("Look"))


def text_messages(now: datetime) -> Step:
    title, path = _("Text messages"), "/settings/text-messages"
    found = sms_setup.state(now)
    if not found.is_connected:
        about = _(
            "Codes by text message need a gateway. Without one, signers use an authenticator app or a code "
            "you hand over."
        )
        return Step("text_messages", title, ADVISED, about, path, _("Connect a gateway"))
    named = _("Through %(name)s, as %(sender)s.", name=found.name, sender=found.sender or found.name)
    test = sms_setup.last_test()
    if test is None:
        about = _("%(gateway)s Send yourself a test message.", gateway=named)
        return Step("text_messages", title, TODO, about, path, _("Send a test message"))
    if test.status not in ARRIVED:
        why = return_reasons.why(test) or _("it waits to go out")
        about = _("The test message has not gone out: %(why)s", why=why)
        return Step("text_messages", title, TODO, about, path, _("Look"))
    return Step("text_messages", title, DONE, named, path, _("Look"))


def recovery_key(now: datetime) -> Step:
    title, path = _("The recovery key"), "/settings/recovery"
    known = recovery.state(now)
    if known.is_good:
        return Step("recovery_key", title, DONE, recovery.in_words(known), path, _("Look"))
    about = _(
        "%(state)s Without it no backup can be opened when this server is lost.",
        state=recovery.in_words(known),
    )
    return Step("recovery_key", title, TODO, about, path, _("Download the recovery key"))


def address(now: datetime) -> Step:
    title, path = _("The address people come to"), "/settings/address"
    settings = installation.current().settings
    if settings.base_url_is_local:
        about = _(
            "Only this machine can open the links in mails. Set the address people will type, then start "
            "Countersign again:"
        )
        command = addresses.line_of("BASE_URL", addresses.EXAMPLE)
        return Step("address", title, TODO, about, path, _("Look"), command)
    wrong = [each for each in addresses.findings(settings) if each.tone == addresses.DANGER]
    if wrong:
        about = f"{wrong[0].sentence} {wrong[0].remedy}"
        return Step("address", title, TODO, about, path, _("Look"), wrong[0].line)
    confirmed = addresses.confirmation(settings)
    if confirmed is None or not confirmed.holds:
        about = _("Evidence names where each signer came from. See whether yours is recorded rightly.")
        return Step("address", title, TODO, about, path, _("Check your own address"))
    return Step("address", title, DONE, settings.base_url, path, _("Look"))


def backup(now: datetime) -> Step:
    title, command = _("A backup"), "countersign backup /path/to/backups"
    last = backups.last_outcome()
    if last is None:
        about = _("None yet. Without one, a broken disk takes every contract with it.")
        return Step("backup", title, ADVISED, about, command=command)
    if not last["ok"]:
        about = _("The last one failed: %(why)s", why=last["reason"])
        return Step("backup", title, ADVISED, about, command=command)
    about = _("The last one: %(at)s.", at=format_datetime(last["at"]))
    state = DONE if now - last["at"] < BACKUP_FRESH else ADVISED
    return Step("backup", title, state, about, command=command)


def first_send(now: datetime) -> Step:
    title = _("The first contract out for signature")
    first = (
        Envelope.select(Envelope.sent_at)
        .where(Envelope.sent_at.is_null(False))
        .order_by(Envelope.id)
        .limit(1)
        .first()
    )
    if first is not None and gateways.in_force(gateways.MAIL).is_real:
        about = _("Sent %(at)s.", at=format_datetime(first.sent_at))
        return Step("first_send", title, DONE, about, "/contracts", _("Look"))
    about = _("Eight answers make a draft; then it is checked, sent and signed.")
    return Step("first_send", title, TODO, about, "/contracts/new", _("Draft a contract"))


STEPS: tuple[Callable[[datetime], Step], ...] = (
    company, signatory, people, mail, text_messages, rules, recovery_key, address, backup, first_send,
)  # fmt: skip
