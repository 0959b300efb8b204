"""What each role may do: one table. A person may hold several roles and then may do all of it.

Every staff role reads every contract of the company; what an owner changes is their own, unless
they also hold `contract.edit_all`. People of a counterparty hold no role and no permission: what
they see follows from the contracts they are part of.
"""

from __future__ import annotations

from typing import Any

from portal.errors import NotAllowed
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.people import Person, PersonRole

ADMINISTRATOR = "administrator"

# Role, its name, and what it is for, in the order people choose from.
ROLES = {
    "owner": (lazy("Contract owner"), lazy("Drafts contracts, sends them for signature and renews them.")),
    "legal": (lazy("Legal approver"), lazy("Approves legal terms and keeps the templates.")),
    "finance": (lazy("Finance approver"), lazy("Approves prices, credits and payment terms.")),
    "service_approver": (lazy("Service approver"), lazy("Approves support levels and service duties.")),
    "privacy": (lazy("Privacy approver"), lazy("Approves contracts that touch personal or health data.")),
    "executive": (lazy("Executive approver"), lazy("Approves large or unusual contracts.")),
    "service_manager": (lazy("Service manager"), lazy("Runs contracts: incidents, maintenance and reviews.")),
    ADMINISTRATOR: (lazy("Administrator"), lazy("Manages people, rules, companies, keys and messages.")),
    "auditor": (lazy("Auditor"), lazy("Reads everything, history included, and changes nothing.")),
}

APPROVERS = frozenset({"legal", "finance", "service_approver", "privacy", "executive"})

READ = frozenset({"contract.read", "party.read", "entity.read", "template.read", "policy.read"})
APPROVE = READ | {"contract.approve", "contract.comment"}
OVERSEE = READ | {
    "privacy.read",
    "person.read",
    "connection.read",
    "installation.read",
    "audit.read",
    "audit.export",
}

PERMISSIONS: dict[str, frozenset[str]] = {
    "owner": READ
    | {
        "contract.create",
        "contract.edit",
        "contract.comment",
        "contract.send",  # send for signature, remind, call back
        "contract.withdraw",
        "contract.renew",
        "party.edit",
        "factor.reset",  # a signer's new phone
        "audit.read",
    },
    "legal": APPROVE
    | {"contract.hold", "contract.unarchive", "contract.delete"}
    | {"contract.edit_all", "contract.edit", "contract.void", "party.edit", "template.edit", "audit.read"},
    "finance": APPROVE,
    "service_approver": APPROVE | {"template.edit"},
    "privacy": APPROVE | {"audit.read", "privacy.read", "privacy.edit"},
    "executive": APPROVE | {"contract.void"},
    "service_manager": READ | {"contract.comment", "contract.run", "party.edit", "audit.read"},
    ADMINISTRATOR: OVERSEE
    | {
        "contract.delete",  # with legal, never alone
        "contract.reassign",  # a new owner, when the old one has left
        "person.edit",
        "entity.edit",
        "party.edit",
        "template.edit",
        "policy.edit",
        "connection.edit",
        "installation.edit",
        "privacy.edit",  # export and erase what is held about people, say where data lies
        "factor.reset",
    },
    "auditor": OVERSEE,
}


def roles_of(person: Person) -> frozenset[str]:
    """The person's roles; read once per loaded person. Always empty for people of a counterparty."""
    known: frozenset[str] | None = person.__dict__.get("role_names")
    if known is None:
        rows = PersonRole.select().where(PersonRole.person == person)
        known = remember_roles(person, (row.role for row in rows))
    return known


def remember_roles(person: Person, roles: Any) -> frozenset[str]:
    """Keep the roles beside the loaded person, so that one request asks for them once."""
    names = frozenset(roles) if person.is_staff else frozenset()
    person.__dict__["role_names"] = names
    return names


def forget_roles(person: Person) -> None:
    person.__dict__.pop("role_names", None)


def allows(person: Person | None, permission: str) -> bool:
    """Whether any role of the person holds the permission."""
    if person is None or person.disabled_at is not None:
        return False
    return any(permission in PERMISSIONS.get(role, ()) for role in roles_of(person))


def who_may(permission: str, *, most: int = 500) -> list[Person]:
    """The staff whose roles hold the permission, by name, in one query; id and name only."""
    roles = [role for role, held in PERMISSIONS.items() if permission in held]
    holders = PersonRole.select(PersonRole.person).where(PersonRole.role.in_(roles))
    query = Person.select(Person.id, Person.name).where(
        Person.id.in_(holders) & Person.counterparty_id.is_null() & Person.disabled_at.is_null()
    )
    return list(query.order_by(Person.name).limit(most))


def demand(person: Person | None, permission: str) -> None:
    """Raise NotAllowed unless the person holds the permission."""
    if not allows(person, permission):
        raise NotAllowed(_("Your role does not allow this."))


def may_edit(person: Person | None, owner_id: str) -> bool:
    """Whether the person may change a contract with this owner."""
    if person is None or not allows(person, "contract.edit"):
        return False
    return person.id == owner_id or allows(person, "contract.edit_all")


def all_permissions() -> frozenset[str]:
    return frozenset().union(*PERMISSIONS.values())
