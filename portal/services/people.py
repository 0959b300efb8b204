"""People with an account: invited, given roles, disabled and enabled; their own profile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import peewee

from portal.errors import Conflict, Invalid, NotFound
from portal.i18n import LANGUAGES
from portal.i18n import gettext as _
from portal.models.base import is_sqlite, lock_row, transaction
from portal.models.people import Person, PersonRole
from portal.models.sign_on import forget_links
from portal.services import (
    audit,
    notices,
    passwords,
    permissions,
    person_tokens,
    second_factors,
    sessions,
    sign_in,
)
from portal.services.audit import Actor
from portal.sla.shape import zones

COMMAND = Actor("system", "people add")
ZONES = tuple(sorted(zones()))


# --- Finding --------------------------------------------------------------------------------------


def get(person_id: str) -> Person:
    """A member of staff with roles loaded. Raises NotFound."""
    person: Person | None = Person.get_or_none((Person.id == person_id) & Person.counterparty_id.is_null())
    if person is None:
        raise NotFound()
    return person


def staff(*, active: bool = False) -> list[Person]:
    """Everybody of ours by name, roles loaded; `active` leaves out invited and disabled ones."""
    query = Person.select().where(Person.counterparty_id.is_null()).order_by(Person.name, Person.id)
    if active:
        query = query.where(Person.disabled_at.is_null() & Person.activated_at.is_null(False))
    found = list(query)
    held: dict[str, list[str]] = {}
    for row in PersonRole.select():
        held.setdefault(row.person_id, []).append(row.role)  # type: ignore[attr-defined]
    for person in found:
        permissions.remember_roles(person, held.get(person.id, ()))
    return found


def holding(permission: str) -> list[Person]:
    """Active staff who may do this: whom to choose from as owner, say."""
    return [person for person in staff(active=True) if permissions.allows(person, permission)]


def state(person: Person) -> str:
    """invited, active, refused (too many wrong codes) or disabled."""
    if person.disabled_at is not None:
        return "disabled"
    if person.activated_at is None:
        return "invited"
    return "refused" if person.factor_failures >= second_factors.MOST_FAILURES else "active"


# --- Inviting ----------------------------------------------------------------------------------------


def invite(
    email: str,
    *,
    name: str,
    roles: Iterable[str],
    by: Actor,
    now: datetime,
    language: str = "en",
    counterparty_id: str | None = None,
    mail: bool = True,
) -> tuple[Person, str]:
    """A new person and the token of their invitation, which is also mailed unless `mail` is off.

    Staff need at least one role; people of a counterparty have none. Raises Invalid.
    """
    email = email.strip().lower()
    wanted = checked_roles(roles, required=counterparty_id is None)
    taken = Invalid({"email": _("Somebody with this address has an account already.")})
    if Person.get_or_none(Person.email == email) is not None:
        raise taken
    try:
        with transaction():
            person = Person.create(
                email=email,
                name=name.strip() or email.split("@")[0],
                language=language if language in LANGUAGES else LANGUAGES[0],
                counterparty_id=counterparty_id,
                created_at=now,
            )
            write_roles(person, wanted)
            facts = {"roles": sorted(wanted)}
            audit.append(
                "person.invited", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now,
                facts=facts, personal={"email": email, "name": person.name},
            )  # fmt: skip
            token = issue_invitation(person, by=by, now=now, mail=mail)
    except peewee.IntegrityError as error:  # somebody else was inviting them at the same moment
        raise taken from error
    return person, token


def invite_from_command(email: str, *, name: str, roles: Sequence[str], base_url: str, now: datetime) -> str:
    """The one-time invitation link that `countersign people add` prints; no mail is sent.

    For an address with an account the roles are added, and the link lets its owner choose a new
    password and second factor; the old ones hold until it is used. Raises Invalid.
    """
    email = email.strip().lower()
    person = Person.get_or_none(Person.email == email)
    if person is None:
        if "@" not in email.strip("@") or any(c.isspace() for c in email):
            raise Invalid({"email": _("This is not a mail address. Write it as name@example.com.")})
        _person, token = invite(email, name=name, roles=roles, by=COMMAND, now=now, mail=False)
        return f"{base_url.rstrip('/')}/invitation/{token}"
    if not person.is_staff or person.disabled_at is not None:
        raise Conflict(_("This address belongs to an account that is disabled or of another company."))
    with transaction():
        wanted = checked_roles(roles) | permissions.roles_of(person)
        if wanted != permissions.roles_of(person):
            change_roles(person, wanted, by=COMMAND, now=now)
        token = issue_invitation(person, by=COMMAND, now=now, mail=False)
    return f"{base_url.rstrip('/')}/invitation/{token}"


def invite_again(person: Person, *, by: Actor, now: datetime) -> str:
    """A fresh invitation for who has not accepted theirs; the earlier link is dead. Raises Conflict."""
    if state(person) != "invited":
        raise Conflict(_("This person has accepted the invitation already."))
    notices.check_rate("mail", person.email, by.id, now)
    with transaction():
        audit.append("person.invited_again", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now)
        return issue_invitation(person, by=by, now=now, mail=True)


def issue_invitation(person: Person, *, by: Actor, now: datetime, mail: bool) -> str:
    token = person_tokens.issue(person_tokens.INVITATION, email=person.email, person=person, now=now)
    if mail:
        days = person_tokens.LIFE[person_tokens.INVITATION].days
        facts = {"by_name": by.name, "days": days}
        sign_in.mail_link(person, "invitation", f"/invitation/{token}", now, facts)
    return token


def find_invitation(token: str, now: datetime) -> Person:
    """Whom this link invites. Raises NotFound when it has ended."""
    found = person_tokens.find(token, person_tokens.INVITATION, now)
    if found is None or found.person is None:
        raise NotFound(
            _("This invitation has ended or was accepted already. Ask who invited you for a new one.")
        )
    return found.person


def accept(
    token: str, *, name: str, password: str, repeated: str, source: str, language: str = "", now: datetime
) -> Person:
    """Accept an invitation with a name and a password; the second factor comes next.

    `language` is the one they read the invitation's page in; from then on it is theirs.

    Where the account was in use before, its former factor, recovery codes and sessions are dead.
    Raises Invalid beside `name`, `password` or `repeated`, NotFound when the link is no longer good.
    """
    person = find_invitation(token, now)
    if not name.strip():
        raise Invalid({"name": _("Fill this in.")})
    made = passwords.hashed(sign_in.checked_new(person, password, repeated, name))
    by = Actor("person", person.id, name.strip(), person.email, source)
    with transaction():
        if person_tokens.use(token, person_tokens.INVITATION, now) is None:
            raise NotFound(_("This invitation has ended or was accepted already."))
        if person.totp_secret:
            second_factors.reset(person, by=by, now=now, why="")
        sessions.end_all(person, by=by, now=now)
        person_tokens.revoke_all(person)
        person.name, person.password_hash, person.activated_at = name.strip(), made, now
        person.save(only=[Person.name, Person.password_hash, Person.activated_at])
        choose_language(person, language)
        audit.append("person.accepted", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now)
    return person


# --- Roles ------------------------------------------------------------------------------------------------


def set_roles(person: Person, roles: Iterable[str], *, by: Actor, now: datetime) -> None:
    """Give exactly these roles; they hold from the next request on.

    Raises Invalid without a role, Conflict where no administrator would be left.
    """
    wanted = checked_roles(roles)
    with transaction():
        queue_up_administrators()
        if permissions.ADMINISTRATOR not in wanted:
            keep_an_administrator(person)
        change_roles(person, wanted, by=by, now=now)


def checked_roles(roles: Iterable[str], *, required: bool = True) -> frozenset[str]:
    wanted = frozenset(roles)
    if unknown := wanted - set(permissions.ROLES):
        known = ", ".join(permissions.ROLES)
        raise Invalid({"roles": _("There is no role “%(role)s”. The roles are: %(known)s.",
                                  role=sorted(unknown)[0], known=known)})  # fmt: skip
    if required and not wanted:
        raise Invalid({"roles": _("Choose at least one role.")})
    if not required and wanted:
        raise Invalid({"roles": _("People of another company have no role here.")})
    return wanted


def change_roles(person: Person, wanted: frozenset[str], *, by: Actor, now: datetime) -> None:
    permissions.forget_roles(person)
    before = permissions.roles_of(person)
    if before == wanted:
        return
    write_roles(person, wanted)
    facts = {"added": sorted(wanted - before), "removed": sorted(before - wanted)}
    audit.append(
        "person.roles_changed", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now, facts=facts
    )


def write_roles(person: Person, wanted: frozenset[str]) -> None:
    PersonRole.delete().where(PersonRole.person == person).execute()
    for role in sorted(wanted):
        PersonRole.insert(person=person, role=role).execute()
    permissions.remember_roles(person, wanted)


def queue_up_administrators() -> None:
    """Let two changes of administrators go one after the other."""
    if not is_sqlite():
        rows = PersonRole.select().where(PersonRole.role == permissions.ADMINISTRATOR)
        list(lock_row(rows.order_by(PersonRole.person)))


def keep_an_administrator(leaving: Person) -> None:
    """Raise Conflict unless an active administrator other than this person is left."""
    if not PersonRole.select().where(
        (PersonRole.person == leaving) & (PersonRole.role == permissions.ADMINISTRATOR)
    ):
        return
    others = (
        Person.select()
        .join(PersonRole)
        .where(
            (PersonRole.role == permissions.ADMINISTRATOR)
            & (Person.id != leaving.id)
            & Person.disabled_at.is_null()
            & Person.activated_at.is_null(False)
        )
    )
    if not others.exists():
        raise Conflict(_("This is the last administrator. Make somebody else an administrator first."))


# --- Disabling ----------------------------------------------------------------------------------------------


def disable(person: Person, *, why: str, by: Actor, now: datetime) -> None:
    """Shut the account: every session and mailed link ends at once.

    Raises Conflict for the last administrator and for oneself.
    """
    if by.id == person.id:
        raise Conflict(_("You cannot disable your own account. Another administrator can."))
    with transaction():
        queue_up_administrators()
        keep_an_administrator(person)
        Person.update(disabled_at=now).where(Person.id == person.id).execute()
        person.disabled_at = now
        sessions.end_all(person, by=by, now=now)
        person_tokens.revoke_all(person)
        audit.append(
            "person.disabled", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now,
            personal={"reason": why},
        )  # fmt: skip


def enable(person: Person, *, by: Actor, now: datetime) -> None:
    """Open a disabled account again, with the password and factor it had."""
    with transaction():
        Person.update(disabled_at=None).where(Person.id == person.id).execute()
        person.disabled_at = None
        audit.append("person.enabled", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now)


def reset_factor(person: Person, *, why: str, by: Actor, now: datetime) -> None:
    """For a lost phone: factor, recovery codes, password, linked sign-in and sessions end at once.

    A fresh invitation is mailed, so that whoever only knows the password cannot enrol in their
    place. Raises Invalid without a reason, Conflict for oneself or a disabled account.
    """
    if not why.strip():
        raise Invalid({"reason": _("Say how you made sure who asks, and why.")})
    if by.id == person.id:
        raise Conflict(_("You cannot reset your own second factor. Replace it on your account page."))
    if state(person) in ("disabled", "invited"):
        raise Conflict(_("This account has no second factor to reset."))
    with transaction():
        second_factors.reset(person, by=by, now=now, why=why.strip())
        Person.update(password_hash=None).where(Person.id == person.id).execute()
        person.password_hash = None
        forget_links(person)
        sessions.end_all(person, by=by, now=now)
        person_tokens.revoke_all(person)
        token = person_tokens.issue(person_tokens.INVITATION, email=person.email, person=person, now=now)
        sign_in.mail_link(person, "factor_reset", f"/invitation/{token}", now, {"by_name": by.name})


# --- One's own profile -----------------------------------------------------------------------


def change_profile(
    person: Person,
    *,
    name: str,
    title: str,
    language: str,
    zone: str,
    phone: str,
    by: Actor,
    now: datetime,
) -> None:
    """Change what others see of a person, and how they read. `phone` is E.164 or empty. Raises Invalid."""
    errors = {}
    if not name.strip():
        errors["name"] = _("Fill this in.")
    if language not in LANGUAGES:
        errors["language"] = _("Choose one of the answers offered.")
    if zone not in ZONES:
        errors["zone"] = _("Choose one of the answers offered.")
    if errors:
        raise Invalid(errors)
    wanted = {
        "name": name.strip(), "title": title.strip(), "language": language, "zone": zone, "phone": phone,
    }  # fmt: skip
    changed = {field: value for field, value in wanted.items() if getattr(person, field) != value}
    if not changed:
        return
    with transaction():
        Person.update(changed).where(Person.id == person.id).execute()
        for field, value in changed.items():
            setattr(person, field, value)
        audit.append(
            "person.profile_changed", ("person", person.id), chain=audit.INSTALLATION, by=by, now=now,
            facts={"fields": sorted(changed)}, personal=changed,
        )  # fmt: skip


def choose_language(person: Person, language: str) -> None:
    """Remember the language somebody chose in the footer."""
    if language in LANGUAGES and person.language != language:
        Person.update(language=language).where(Person.id == person.id).execute()
        person.language = language
