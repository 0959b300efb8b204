"""Every address of the portal, made from its URL map: new routes are tried without anybody naming them.

A rule's parameters are filled from the rich installation. A parameter that no line of `VALUES` knows
fails the suite: whoever adds one says here what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import AnyConverter, Rule

from portal.models.contracts import Contract, Document, Revision
from portal.models.envelopes import Task
from portal.models.lives import Letter
from portal.models.negotiation import Comment, Negotiator, Proposal
from portal.pages import section_forms
from portal.pages.section_fields import SECTIONS, STEPS
from portal.services import annexes, envelopes, revisions, sessions, template_drafts, templates
from providers import registry
from tests.security.world import World

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
# Addresses made for people who prove nothing, each with what it gives them.
PUBLIC = {
    "access": "asks for a mailed link to one's own contracts",
    "ceremony.invitation": "opens a mailed link: who holds its token is its reader",
    "calendar_feed.read": "one person's calendar: who holds its secret address is its reader",
    "ceremony.logo": "the company's logo, as on each of its mails",
    "health": "says that the portal is alive and ready; its figures, to this machine alone",
    "invitations": "takes a code in place of a link, and says whether a message is ours",
    "language": "the language buttons",
    "mail_webhooks": "calls of mail services, each proved by its signature",
    "negotiations.link": "opens a mailed link: who holds its token is its reader",
    "negotiations.enter": "takes a mailed link up",
    "mine": "asks for a mailed link to one's own contracts",
    "sign_in": "the way in",
    "sign_on.back": "where identity providers send people back to: nothing without the browser's errand",
    "sign_on.begin": "the way to an identity provider",
    "second_factor.invitation": "opens a mailed invitation: who holds its token is its reader",
    "second_factor.accept": "takes a mailed invitation up",
    "sms_receipts": "what gateways report of text messages, each proved by its signature",
    "static_file": "style sheets and scripts",
    "verify": "checks a PDF for anybody, and shows nothing of it",
    "webhooks": "calls of e-signature providers: kept as they came, believed once a job has verified them",
}
# Addresses that machines call: no form's token can prove them, so each has a proof of its own. What
# they answer to a call without it.
OWN_PROOF = {
    "mail_webhooks.receive": (401, 404),
    "sms_receipts.take": (403, 404),
    "webhooks.receive": (200, 403, 404),
}
# What such a call may write before it is proved: itself, and the job that verifies it.
KEPT_UNPROVED = {"webhooks.receive": {"job", "webhook_call"}}
# Pages that must keep something when they are only read, and the tables they write to.
WRITES_BY_READING = {
    "second_factor.page": {"session"},  # the new seed, until its first code is typed
    "second_factor.picture": {"session"},
    "ceremony.copy": {"audit_event", "audit_detail", "chain_head"},  # who took a copy, and when
}


def is_public(endpoint: str) -> bool:
    return endpoint in PUBLIC or endpoint.partition(".")[0] in PUBLIC


class Unknown(LookupError):
    """A parameter of a rule that nothing here can fill."""


def rules(app: Flask, method: str | None = None) -> list[Rule]:
    """The rules of the map in a fixed order, those for one method if asked."""
    found = [rule for rule in app.url_map.iter_rules() if method is None or method in (rule.methods or ())]
    return sorted(found, key=lambda rule: (rule.rule, sorted(rule.methods or ())))


# --- Filling parameters ----------------------------------------------------------------------------


def contract_of(world: World, given: dict[str, Any]) -> Contract:
    return next(each for each in world.contracts.values() if each.reference == given["reference"])


def references(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    return [each.reference for each in world.contracts.values()]


def recipient_ids(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    if "reference" not in given:
        return [each.id for each in world.recipients.values()]
    envelope = envelopes.latest(contract_of(world, given))
    return [each.id for each in envelopes.recipients_of(envelope)] if envelope else []


def document_ids(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    mine = Document.contract == contract_of(world, given)
    if "/annexes/" in rule.rule:
        mine &= Document.kind == annexes.KIND
    rows = Document.select(Document.id).where(mine)
    return [row.id for row in rows.order_by(Document.id)]


def task_ids(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    return [row.id for row in Task.select().where(Task.contract == contract_of(world, given))]


def keys(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    """What a key names depends on where it stands: a clause, a person to be asked, a row of terms."""
    if rule.rule.startswith("/templates/"):
        return [version.template.key for version in templates.offered()]
    contract = contract_of(world, given)
    if "/recipients/" in rule.rule:
        return [each["key"] for each in contract.recipients]
    if not Revision.select().where(Revision.contract == contract).exists():
        return ["none-yet"]  # its words were deleted; a record of it stayed
    if "/clauses/" in rule.rule:
        return [each["key"] for each in revisions.current(contract).clauses[:2]]
    terms = revisions.current(contract).terms
    found: Any = terms
    for name in given.get("path", "calendars").split("."):
        found = found.get(name) or {} if isinstance(found, dict) else {}
    rows = list(found) if isinstance(found, dict) else [row["key"] for row in found]
    return [str(each) for each in rows[:1]] or ["none-yet"]


def sections(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    step = given.get("step")
    if "<path>" in rule.rule:
        return [section for section in SECTIONS if any(True for _path in row_paths(section))]
    return [section for section in SECTIONS if step is None or section in STEPS[step][1]]


def row_paths(section: str) -> Iterator[str]:
    """Lists of rows in a section's form, nested ones included."""
    names = [item.name for item in SECTIONS[section]]
    for item in SECTIONS[section]:
        names += [f"{item.name}.{each.name}" for each in getattr(item, "items", ())]
    for name in names:
        if section_forms.rows_item(section, name) is not None:
            yield name


def paths(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    return list(row_paths(given["section"]))


def tokens(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    first = rule.rule.strip("/").split("/")[0].replace("-", "_")
    names = {"sign": ("sign", "copy", "voided", "expired"), "mine": ("access",)}.get(first, (first,))
    if not set(names) <= set(world.tokens):
        raise Unknown(f"a token for {rule.rule}")
    return [world.tokens[name] for name in names]


def letter_ids(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    return [row.id for row in Letter.select().where(Letter.contract == contract_of(world, given))]


def kept(name: str) -> Callable[[World, Rule, dict[str, Any]], list[str]]:
    return lambda world, rule, given: world.ids[name]


def names(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    """A provider that can be connected, or a session of one's own."""
    return registry.remote_names() if "/providers/" in rule.rule else session_names(world, rule, given)


def session_names(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
    return [row.sha256[:20] for row in sessions.of(world.cast.ana, world.now)]


def rows_of(model: Any) -> Callable[[World, Rule, dict[str, Any]], list[str]]:
    """The ids of a table's rows that belong to the contract of the address."""

    def found(world: World, rule: Rule, given: dict[str, Any]) -> list[str]:
        rows = model.select(model.id).where(model.contract == contract_of(world, given)).order_by(model.id)
        return [row.id for row in rows]

    return found


VALUES: dict[str, Callable[[World, Rule, dict[str, Any]], list[Any]]] = {
    "reference": references,
    "recipient_id": recipient_ids,
    "document_id": document_ids,
    "task_id": task_ids,
    "negotiator_id": rows_of(Negotiator),
    "comment_id": rows_of(Comment),
    "proposal_id": rows_of(Proposal),
    "key": keys,
    "section": sections,
    "path": paths,
    "step": lambda world, rule, given: list(STEPS),
    "token": tokens,
    "number": lambda world, rule, given: [2 if rule.endpoint.startswith("bulk.") else 1],
    "batch_id": kept("batch"),
    "name": names,
    "entity_id": kept("entity"),
    "party_id": kept("party"),
    "contact_id": kept("contact"),
    "signatory_id": kept("signatory"),
    "person_id": kept("person"),
    "notice_id": kept("notice"),
    "version_id": kept("template_version"),
    "draft_id": kept("template_draft"),
    "library_key": kept("library_clause"),
    "campaign_id": kept("campaign"),
    "clause_key": lambda world, rule, given: [
        each["key"] for each in template_drafts.get(given["draft_id"]).clauses[:2]
    ],
    "rule_id": lambda world, rule, given: world.ids[
        "approval_rule" if rule.endpoint.startswith("approval_rules.") else "policy_rule"
    ],
    "substitute_id": kept("substitute"),
    "job_id": kept("job"),
    "sign_on_id": kept("sign_on_provider"),
    "connection_id": kept("connection"),
    "view_id": kept("saved_view"),
    "receiver_id": kept("event_receiver"),
    "delivery_id": kept("event_delivery"),
    "import_id": kept("archive_import"),
    "imported_id": kept("imported_envelope"),
    "existing_id": kept("existing_batch"),
    "letter_id": letter_ids,
}


def arguments(world: World, app: Flask, rule: Rule, *, breadth: int = 1000) -> list[dict[str, Any]]:
    """Every way to fill the rule from the installation, at most `breadth` values a parameter."""
    if rule.endpoint == "static_file":
        _slash, _static, digest, name = app.jinja_env.globals["asset"]("css/base.css").split("/", 3)  # type: ignore[operator]
        return [{"digest": digest, "name": name}]
    found: list[dict[str, Any]] = [{}]
    for name in parameters(rule):
        most = 1000 if name == "reference" else breadth
        found = [
            given | {name: value} for given in found for value in choices(world, rule, name, given)[:most]
        ]
    return spread(found, breadth)


def spread(found: list[dict[str, Any]], breadth: int) -> list[dict[str, Any]]:
    """Those of the first `breadth` contracts that have what the rest of the rule asks for."""
    references = list(dict.fromkeys(given["reference"] for given in found if "reference" in given))
    return [
        given for given in found if "reference" not in given or given["reference"] in references[:breadth]
    ]


def parameters(rule: Rule) -> list[str]:
    """Names in the order of the address."""
    return [each for is_dynamic, each in rule._trace if is_dynamic and each in rule.arguments]


def choices(world: World, rule: Rule, name: str, given: dict[str, Any]) -> list[Any]:
    converter = rule._converters[name]
    if isinstance(converter, AnyConverter):
        return sorted(converter.items)
    if name not in VALUES:
        raise Unknown(f"<{name}> in {rule.rule}")
    return VALUES[name](world, rule, given)


def address(app: Flask, rule: Rule, given: dict[str, Any]) -> str:
    built = app.url_map.bind("localhost").build(rule.endpoint, given, force_external=False)
    return str(built)


def missing(rule: Rule, given: dict[str, Any]) -> dict[str, Any]:
    """The same arguments with names that nothing has, as long as the real ones."""
    return {
        name: value if isinstance(rule._converters[name], AnyConverter) or isinstance(value, int)
        else "0" * len(str(value))
        for name, value in given.items()
    }  # fmt: skip
