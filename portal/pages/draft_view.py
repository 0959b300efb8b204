"""What the draft page shows: one plain sentence per section, one section opened, what is still missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portal.documents import markdown
from portal.i18n import current, lazy, ngettext
from portal.i18n import gettext as _
from portal.models.contracts import Contract, ContractContact, Revision
from portal.models.people import Person
from portal.pages import choices, section_forms
from portal.pages.forms import Form
from portal.pages.section_fields import STEPS, TITLES
from portal.services import conditional, contracts, deviations, drafts, parties, permissions, revisions
from portal.sla import sentences, shape, variables, words
from portal.sla.terms import WEEKDAYS
from portal.sla.validate import Fault

GROUPS = (
    ("who", lazy("Who"), ("people", "languages")),
    ("service", lazy("What is promised"),
     ("severities", "calendars", "clocks", "peaks", "uptime", "credits", "escalation")),
    ("work", lazy("What is covered and how it changes"), ("scope", "maintenance", "release")),
    ("money", lazy("Money, time and law"), ("money", "dates", "liability", "law")),
    ("text", lazy("Wording"), ("clauses",)),
)  # fmt: skip


FILE_GROUPS = tuple(group for group in GROUPS if group[0] != "text")  # the wording is in the file


@dataclass
class Line:
    """One sentence of the page; `was` holds the template's where it differs."""

    label: str
    text: str
    was: str | None = None
    key: str = ""
    faults: list[Fault] = field(default_factory=list)


@dataclass
class SectionView:
    key: str
    title: str
    lines: list[Line] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass
class Kit:
    """What the controls of a section choose from."""

    section: str
    title: str
    rows_url: str
    languages: list[str]
    calendars: list[tuple[str, str]]
    severities: list[tuple[str, str]]
    weekdays: list[tuple[str, str]]
    countries: list[tuple[str, str]]
    country: str
    currency: str


def sections(contract: Contract, revision: Revision, faults: list[Fault]) -> dict[str, SectionView]:
    """Every section of the draft with its sentences, in no particular order."""
    views = {key: SectionView(key, str(title)) for key, title in TITLES.items()}
    terms = revision.terms
    if revisions.terms_mode(contract) != revisions.NO_TERMS and not shape.read(terms)[1]:
        for each in sentences.sections(terms, current(), base=deviations.base_terms(contract, terms)):  # type: ignore[arg-type]
            view = views[drafts.section_for(each.key)]
            view.lines.append(Line(each.label, each.sentence, each.differs_from, each.key))
    views["people"].lines = people_lines(contract)
    views["languages"].lines = [Line(_("Languages"), languages_sentence(contract))]
    views["clauses"].lines = [
        Line(_("Wording"), *wording(contract, revision)),
        *(Line(each.condition, standing_sentence(each)) for each in conditional.standing(contract, revision)),
    ]
    for view in views.values():
        view.faults = [fault for fault in faults if drafts.section_for(fault.path) == view.key]
        if not view.lines:
            view.lines = [Line(view.title, _("Nothing is agreed here."))]
        for fault in view.faults:
            said = next((each for each in view.lines if each.key and fault.path.startswith(each.key)), None)
            (said or view.lines[0]).faults.append(fault)
    return views


def people_lines(contract: Contract) -> list[Line]:
    named = contracts.people(contract)
    ours = [named_with_role(each) for each in named if each.side == "ours" and each.role != "owner"]
    theirs = [named_with_role(each) for each in named if each.side == "theirs"]
    owner = _("%(name)s owns the contract.", name=contract.owner.name)
    party = contract.counterparty.name if contract.counterparty else _("The other party")
    return [
        Line(contract.entity.name, " ".join([owner, ", ".join(ours) + "." if ours else ""]).strip()),
        Line(party, ", ".join(theirs) + "." if theirs else _("Nobody is named yet.")),
    ]


def named_with_role(each: ContractContact) -> str:
    name = each.person.name if each.person else each.contact.name
    return f"{name} ({contracts.ROLE_NAMES.get(each.role, each.role)})"


def languages_sentence(contract: Contract) -> str:
    if len(contract.languages) == 1:
        return {"en": _("In English."), "fr": _("In French.")}[contract.languages[0]]
    names = {"en": _("English"), "fr": _("French")}
    first, second = (names[language] for language in contract.languages[:2])
    prevailing = names[contract.prevailing_language]
    return _(
        "In facing columns, %(first)s and %(second)s; %(prevailing)s prevails.",
        first=first, second=second, prevailing=prevailing,
    )  # fmt: skip


def wording(contract: Contract, revision: Revision) -> tuple[str, str | None]:
    """How many clauses there are, and how many of them are not the template's."""
    count = len(revision.clauses)
    text = ngettext("%(num)s clause.", "%(num)s clauses.", count)
    given = revisions.base(contract)
    if given is None:
        return text, None
    if given.clauses == revision.clauses:
        return " ".join([text, _("The wording is that of the template.")]), None
    before = {each["key"]: each for each in given.clauses}
    changed = [each for each in revision.clauses if before.get(each["key"]) != each]
    gone = set(before) - {each["key"] for each in revision.clauses}
    return text, ngettext("%(num)s clause differs", "%(num)s clauses differ", len(changed) + len(gone) or 1)


def standing_sentence(each: conditional.Standing) -> str:
    """Whether a clause that hangs on the terms is in the text, and whether that is by its condition."""
    heading = each.heading.get(current()) or next(iter(each.heading.values()), "")
    if each.is_in == each.holds:
        return (
            _("The clause “%(heading)s” is in the text.", heading=heading)
            if each.is_in
            else _("The clause “%(heading)s” is left out.", heading=heading)
        )
    if each.is_in:
        return _("The clause “%(heading)s” is in the text although this is not so.", heading=heading)
    return _("This is so, yet the clause “%(heading)s” was taken out.", heading=heading)


def changed_clauses(contract: Contract, revision: Revision) -> set[str]:
    given = revisions.base(contract)
    before = {each["key"]: each for each in given.clauses} if given else {}
    return {each["key"] for each in revision.clauses if given and before.get(each["key"]) != each}


def clause_context(contract: Contract, revision: Revision) -> dict[str, Any]:
    return {
        "clauses": markdown.number_clauses(revision.clauses),
        "changed_clauses": changed_clauses(contract, revision),
        "variable_names": sorted(variables.names()),
    }


def form_for(section: str, contract: Contract, revision: Revision, faults: list[Fault]) -> Form:
    """The section's form as the terms stand, with its faults beside the fields."""
    form = Form(None, **section_forms.defaults(section, revision.terms, contract.languages))
    section_forms.place_faults(form, section, [f for f in faults if drafts.section_for(f.path) == section])
    return form


def kit_for(section: str, contract: Contract, terms: dict[str, Any], form: Form, rows_url: str) -> Kit:
    return Kit(
        section=section,
        title=str(TITLES[section]),
        rows_url=rows_url,
        languages=list(contract.languages),
        calendars=[(key, words.text(each["label"]) or key) for key, each in terms["calendars"].items()],
        severities=[(row["key"], row["key"]) for row in terms["severities"]],
        weekdays=[(day, words.weekday(day)) for day in WEEKDAYS],
        countries=choices.countries(),
        country=(contract.counterparty.country if contract.counterparty else "") or contract.entity.country,
        currency=terms["commercial"]["currency"] or contract.currency,
    )


def fault_links(
    faults: list[Fault], views: dict[str, SectionView], terms: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """(section, words, fragment) for the summary of what is still missing."""
    found = []
    for fault in faults:
        section = drafts.section_for(fault.path)
        title = views[section].title if section in views else ""
        text = ": ".join(filter(None, (title, row_name(fault.path, terms), fault.message)))
        found.append((section, text, fault.path))
    return found


def row_name(path: str, terms: dict[str, Any]) -> str:
    """Which severity or calendar a fault is about; "" for other places."""
    place, _dot, rest = path.partition(".")
    key = rest.partition(".")[0].partition("[")[0]
    if place == "severities":
        return key
    calendar = terms["calendars"].get(key) if place == "calendars" else None
    return (words.text(calendar.get("label")) or key) if calendar else ""


def people_form(contract: Contract) -> Form:
    """Who is named, one person a role and side."""
    values = {"title": contract.title, "owner": contract.owner.id}
    for each in contracts.people(contract):
        if each.role != "owner":
            values[f"{each.side}.{each.role}"] = (each.person or each.contact).id
    return Form(None, **values)


def people_choices(contract: Contract) -> dict[str, Any]:
    staff = Person.select().where(Person.counterparty_id.is_null() & Person.disabled_at.is_null())
    everyone = list(staff.order_by(Person.name))
    contacts = parties.contacts(contract.counterparty) if contract.counterparty else []
    return {
        "roles": [(role, contracts.ROLE_NAMES[role]) for role in contracts.CONTACT_ROLES],
        "ours": [("", "–"), *((each.id, each.name) for each in everyone)],
        "theirs": [("", "–"), *((each.id, f"{each.name}, {each.title}".rstrip(", ")) for each in contacts)],
        "owners": [(e.id, e.name) for e in everyone if permissions.allows(e, "contract.edit")],
    }


def groups(contract: Contract) -> tuple[Any, ...]:
    """What of the draft can be changed here: of a bare file only who signs it."""
    if contract.kind != "file":
        return GROUPS
    return FILE_GROUPS[:1] if revisions.terms_mode(contract) == revisions.NO_TERMS else FILE_GROUPS


def steps(contract: Contract) -> dict[str, Any]:
    """The steps of the wizard that have something to ask about this contract."""
    shown = {section for _id, _title, inside in groups(contract) for section in inside}
    return {name: step for name, step in STEPS.items() if shown.intersection(step[1])}


def step_of(section: str) -> str:
    """The step of the wizard in which a section lies."""
    return next((step for step, (_title, inside) in STEPS.items() if section in inside), "stakeholders")
