"""From a draft of a template to a published version: asked for, approved by others, frozen.

Who must approve is policy: a list of roles, each of which has to say yes, or no role at all, when any
one other person who may edit templates is enough. Nobody who wrote in a draft approves it. Answers are
bound to the hash of what was asked about; the last one that was missing publishes in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.errors import Conflict, Invalid, NotAllowed
from portal.i18n import gettext as _
from portal.models.base import lock_row, transaction
from portal.models.people import Person, PersonRole
from portal.models.templates import TemplateApproval, TemplateVersion
from portal.services import audit, installation, notices, permissions, template_drafts, templates

FACT = "publication_approvers"
SEEDED = ("legal", "service_approver")
ONE_OTHER = ""  # stands for any one other person, where policy names no role


@dataclass(frozen=True)
class Need:
    """One yes that a publication needs, and whose it is."""

    role: str
    name: str  # of the role
    by: str = ""  # who has given it
    at: datetime | None = None
    people: Sequence[str] = ()  # who can give it


# -- Policy -------------------------------------------------------------------------------------


def seed(now: datetime) -> None:
    """What a new installation starts with; a choice made since stays."""
    if installation.fact(FACT) is None:
        with transaction():
            installation.set_fact(FACT, list(SEEDED), now)


def roles_asked() -> list[str]:
    """The roles that must say yes; none where any one other person is enough."""
    found: list[str] = installation.fact(FACT, [])
    return [role for role in permissions.ROLES if role in found]


def choose_roles(roles: Sequence[str], *, by: audit.Actor, now: datetime) -> None:
    """Change who must approve what is asked for from now on. Raises Invalid for what is no role."""
    if not set(roles) <= set(can_approve()):
        raise Invalid({"roles": _("Choose one of the answers offered.")})
    with transaction():
        before = roles_asked()
        if before == list(roles):
            return
        installation.set_fact(FACT, list(roles), now)
        audit.append(
            "template.approvers_chosen", ("policy", FACT), chain=audit.INSTALLATION, by=by, now=now,
            facts={"before": before, "roles": list(roles)},
        )  # fmt: skip


def can_approve() -> list[str]:
    """The roles that policy may ask: every role of staff that approves something."""
    return [role for role in permissions.ROLES if role in permissions.APPROVERS]


# -- Who still has to say yes -------------------------------------------------------------------


def needs(draft: TemplateVersion) -> list[Need]:
    """Every yes the draft needs, given or not, in the order of the roles."""
    given = approvals(draft)
    found = []
    for role in roles_asked() or [ONE_OTHER]:
        yes = next((each for each in given if role in each.roles or role == ONE_OTHER), None)
        found.append(
            Need(
                role, role_name(role), by=yes.person.name if yes else "", at=yes.at if yes else None,
                people=[each.name for each in holders(role) if each.id not in draft.authors],
            )
        )  # fmt: skip
    return found


def approvals(draft: TemplateVersion) -> list[TemplateApproval]:
    """What has been said yes to in the present round, oldest first."""
    mine = (
        (TemplateApproval.version == draft)
        & (TemplateApproval.decision == "approved")
        & (TemplateApproval.sha256 == draft.sha256)
    )
    if draft.asked_at is None:
        return []
    query = TemplateApproval.select().where(mine & (TemplateApproval.at >= draft.asked_at))
    return list(query.order_by(TemplateApproval.at, TemplateApproval.id))


def given(version: TemplateVersion) -> list[TemplateApproval]:
    """Everything that was ever said of a version, newest first."""
    query = TemplateApproval.select().where(TemplateApproval.version == version)
    return list(query.order_by(TemplateApproval.at.desc(), TemplateApproval.id))


def role_name(role: str) -> str:
    return str(permissions.ROLES[role][0]) if role else _("One other person who may edit templates")


def holders(role: str) -> list[Person]:
    """Everybody who can give a role's yes, by name."""
    roles = [role] if role else [r for r, held in permissions.PERMISSIONS.items() if "template.edit" in held]
    holding = PersonRole.select(PersonRole.person).where(PersonRole.role.in_(roles))
    query = Person.select().where(
        Person.id.in_(holding) & Person.counterparty_id.is_null() & Person.disabled_at.is_null()
    )
    return list(query.order_by(Person.name, Person.id))


def may_answer(draft: TemplateVersion, person: Person) -> bool:
    """Whether this person's answer is still wanted."""
    return draft.asked_at is not None and bool(open_roles(draft, person))


def open_roles(draft: TemplateVersion, person: Person) -> list[str]:
    """The roles in which the person may answer: theirs, still open, and the text not their own."""
    if person.id in draft.authors:
        return []
    missing = [need.role for need in needs(draft) if not need.by]
    held = permissions.roles_of(person)
    return [
        role
        for role in missing
        if role in held or (role == ONE_OTHER and permissions.allows(person, "template.edit"))
    ]


# -- Asking and answering -------------------------------------------------------------------------


def ask(draft: TemplateVersion, note: str, *, by: audit.Actor, now: datetime) -> None:
    """Fix a draft and write to those who must approve it.

    Raises Invalid without a change note or while the draft has faults, Conflict when it waits already.
    """
    note = " ".join(note.split())
    if not note:
        raise Invalid({"note": _("Say what changes; contracts’ owners read it.")})
    with transaction():
        row = locked(draft)
        if row.asked_at is not None:
            raise Conflict(_("It waits for approval already."))
        if template_drafts.faults(row):
            raise Conflict(_("Correct what is marked first."))
        row.sha256 = templates.digest_of(row.clauses, row.levels)
        latest = templates.newest(row.template)
        if latest is not None and latest.sha256 == row.sha256:
            raise Conflict(_("Nothing has changed since version %(number)s.", number=latest.number))
        row.change_note, row.asked_at, row.asked_by_id = note, now, by.id
        row.save()
        templates.note("template.publication_asked", row.template, by=by, now=now, sha256=row.sha256)
        for person in asked_people(row):
            tell("template_asked", row, person, by=by, now=now)
    take(draft, row)


def recall(draft: TemplateVersion, *, by: audit.Actor, now: datetime) -> None:
    """Take the question back, to go on writing; what was said yes to counts no more."""
    with transaction():
        row = locked(draft)
        if row.asked_at is None:
            return
        back_to_work(row)
        templates.note("template.publication_recalled", row.template, by=by, now=now)
    take(draft, row)


def approve(draft: TemplateVersion, person: Person, *, seen: str, by: audit.Actor, now: datetime) -> bool:
    """Say yes to the text with the hash `seen`; the last yes publishes it. True once it is published.

    Raises NotAllowed for an author or somebody who is not asked, Conflict for another text.
    """
    with transaction():
        row, roles = answering(draft, person, seen)
        held = [role for role in roles if role]
        TemplateApproval.add(
            version=row, person=person, decision="approved", roles=held, sha256=row.sha256, at=now
        )
        templates.note(
            "template.publication_approved", row.template, by=by, now=now, sha256=row.sha256, roles=held
        )
        is_last = all(need.by for need in needs(row))
        if is_last:
            publish(row, by=by, now=now)
    take(draft, row)
    return is_last


def send_back(
    draft: TemplateVersion, person: Person, reason: str, *, seen: str, by: audit.Actor, now: datetime
) -> None:
    """Say no with a reason: the draft goes back to those who write it. Raises as `approve`, and Invalid."""
    reason = reason.strip()
    if not reason:
        raise Invalid({"reason": _("Say why.")})
    with transaction():
        row, _roles = answering(draft, person, seen)
        TemplateApproval.add(
            version=row, person=person, decision="returned", reason=reason, sha256=row.sha256, at=now
        )
        templates.note("template.publication_returned", row.template, by=by, now=now, reason=reason)
        tell_authors("template_returned", row, by=by, now=now, reason=reason)
        back_to_work(row)
    take(draft, row)


def publish(row: TemplateVersion, *, by: audit.Actor, now: datetime) -> None:
    """Freeze an approved draft under the next number, inside the caller's transaction."""
    latest = templates.newest(row.template)
    row.number = latest.number + 1 if latest else 1
    row.published_at, row.asked_at = now, None
    row.save()
    templates.note(
        "template.published", row.template, by=by, now=now, version=row.number, sha256=row.sha256,
        approved_by=[each.person.id for each in given(row) if each.decision == "approved"],
    )  # fmt: skip
    tell_authors("template_published", row, by=by, now=now)


def answering(draft: TemplateVersion, person: Person, seen: str) -> tuple[TemplateVersion, list[str]]:
    """The locked draft and the roles the person answers in."""
    row = locked(draft)
    if row.asked_at is None or row.sha256 != seen:
        raise Conflict(_("The draft has changed since you opened it. Look at it again first."))
    if person.id in row.authors:
        raise NotAllowed(_("You wrote in this draft, so somebody else must approve it."))
    roles = open_roles(row, person)
    if not roles:
        raise NotAllowed(_("Your answer is not asked for."))
    return row, roles


def locked(draft: TemplateVersion) -> TemplateVersion:
    row: TemplateVersion | None = lock_row(
        TemplateVersion.select().where(TemplateVersion.id == draft.id)
    ).get_or_none()
    if row is None or row.published_at is not None:
        raise Conflict(_("This version is published: begin the next one from it."))
    return row


def back_to_work(row: TemplateVersion) -> None:
    row.asked_at, row.asked_by_id, row.sha256 = None, None, ""
    row.save()


def take(draft: TemplateVersion, row: TemplateVersion) -> None:
    """Let the caller's object say what the locked row says."""
    draft.__data__.update(row.__data__)


# -- Messages -------------------------------------------------------------------------------------


def asked_people(row: TemplateVersion) -> list[Person]:
    """Everybody whose answer is wanted, each once; never those who wrote it."""
    found = {
        person.id: person
        for role in roles_asked() or [ONE_OTHER]
        for person in holders(role)
        if person.id not in row.authors
    }
    return list(found.values())


def tell_authors(
    kind: str, row: TemplateVersion, *, by: audit.Actor, now: datetime, reason: str = ""
) -> None:
    for person in Person.select().where(Person.id.in_(row.authors) & Person.disabled_at.is_null()):
        if person.id != by.id:
            tell(kind, row, person, by=by, now=now, reason=reason)


def tell(
    kind: str, row: TemplateVersion, person: Person, *, by: audit.Actor, now: datetime, reason: str = ""
) -> None:
    path = f"/templates/{row.id}" if row.published_at else f"/templates/drafts/{row.id}"
    notices.queue(
        kind, address=person.email, name=person.name, language=person.language, zone=person.zone, now=now,
        person_id=person.id, sender_id=by.id if by.kind == "person" else "",
        context={
            "template": templates.title_of(row.template, person.language), "who": by.name,
            "number": row.number, "note": row.change_note, "reason": reason, "link": notices.url(path),
        },
    )  # fmt: skip
