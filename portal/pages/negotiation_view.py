"""What both sides see of a negotiation: places of the text with what was said and proposed about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flask import request, url_for

from portal.documents import redline
from portal.i18n import current
from portal.models.contracts import Contract, Revision
from portal.models.negotiation import Comment, Proposal
from portal.pages.forms import Form
from portal.services import agreements, comments, drafts, negotiation, proposals, redlines, revisions
from portal.services.negotiation import Party
from portal.sla import figures, rows


@dataclass
class Place:
    """A clause or a row, with its talk; `html` by language for a clause, `value` for a row."""

    key: str
    title: str
    anchor: str
    number: str = ""
    html: dict[str, Any] = field(default_factory=dict)
    value: str = ""
    comments: list[Comment] = field(default_factory=list)
    proposals: list[Shown] = field(default_factory=list)
    is_open: bool = False


@dataclass(frozen=True)
class Shown:
    """A proposal as its readers see it: stretches by language for a clause, from and to for a row."""

    row: Proposal
    is_mine: bool
    ops: dict[str, list[redline.Op]]
    before: str
    after: str
    takes_out: bool
    strange: list[str]  # figures it brings in that no term holds


def context(contract: Contract, party: Party, endpoint: str, form: Form | None = None) -> dict[str, Any]:
    """Everything the page of either side shows. `endpoint` is the blueprint whose addresses it uses."""
    revision = negotiation.seen_by(contract, party)
    opened = request.args.get("open", "") or (str(form.value("place")) if form else "")
    places = {
        each.key: each for each in (*clause_places(contract, revision), *row_places(contract, revision))
    }
    general = Place("", "", "general")
    for said in comments.of(contract, party.side):
        places.get(said.place, general).comments.append(said)
    leftovers = []
    for proposal in proposals.of(contract, party.side):
        if proposal.kind == "unassigned":
            leftovers.append(proposal)
        else:
            places.get(proposal.place, general).proposals.append(shown(contract, revision, proposal, party))
    for place in places.values():
        place.is_open = place.key == opened
    agreed = agreements.sides(contract, revision)
    return {
        "contract": contract,
        "revision": revision,
        "party": party,
        "clauses": [each for each in places.values() if each.key.startswith("clauses.")],
        "groups": grouped(places),
        "general": general,
        "leftovers": [each for each in leftovers if each.state == "open"],
        "form": form or Form(None),
        "counter": countered(contract, party),
        "to": partial(address, endpoint, contract.reference),
        "agreed": agreed,
        "both": len(agreed) == 2,
        "seen": agreements.text_sha256(contract, revision),
        "waiting": proposals.waiting(contract),
        "is_talking": contract.state in negotiation.TALKING,
        "shared": shared_revisions(contract),
        "raw": partial(raw_text, contract, revision),
        "languages": contract.languages,
    }


def address(endpoint: str, reference: str, name: str, **values: Any) -> str:
    return url_for(f"{endpoint}.{name}", reference=reference, **values)


def clause_places(contract: Contract, revision: Revision) -> list[Place]:
    read = revisions.reading(contract, revision.id)
    found = []
    for at, clause in enumerate(read["clauses"]):
        title = clause["heading"].get(current()) or next(iter(clause["heading"].values()), "")
        html = {language: texts[at] for language, texts in read["html"].items()}
        key = f"clauses.{clause['key']}"
        found.append(Place(key, title, f"talk-{clause['key']}", clause["number"], html))
    return found


def row_places(contract: Contract, revision: Revision) -> list[Place]:
    return [
        Place(f"terms.{row.key}", row.label, anchor_of(row.key), value=row.text)
        for row in rows.rows(revision.terms, current())  # type: ignore[arg-type]
    ]


def anchor_of(key: str) -> str:
    return "row-" + key.replace(".", "-")


def grouped(places: dict[str, Place]) -> list[tuple[str, str, list[Place]]]:
    """The rows by group: its key, its name, its places."""
    found: dict[str, list[Place]] = {group: [] for group in rows.GROUPS}
    for place in places.values():
        if place.key.startswith("terms."):
            found[group_of(place.key)].append(place)
    return [(group, str(rows.GROUPS[group]), listed) for group, listed in found.items() if listed]


def group_of(key: str) -> str:
    top = key.split(".")[1]
    return {"severities": "service", "credits": "uptime", "product": "scope"}.get(top, top)


def shown(contract: Contract, revision: Revision, proposal: Proposal, party: Party) -> Shown:
    is_mine = proposal.side == party.side
    if proposal.kind == "term":
        terms = proposal.revision.terms
        key = proposal.place.removeprefix("terms.")
        before, after = (value_words(terms, key, each) for each in (proposal.before, proposal.after))
        return Shown(proposal, is_mine, {}, before, after, False, [])
    ops = {}
    for language in contract.languages:
        old, new = (
            redlines.plain(contract, proposal.revision, {"text": text or {}}, language)
            for text in (proposal.before, proposal.after)
        )
        ops[language] = redline.words(old, new)
    new_words = " ".join(each.text for stretch in ops.values() for each in stretch if each.op == "insert")
    strange = figures.in_no_row(new_words, revision.terms)  # type: ignore[arg-type]
    return Shown(proposal, is_mine, ops, "", "", proposal.after is None, strange)


def value_words(terms: Any, key: str, value: Any) -> str:
    try:
        return rows.by_key(rows.change(terms, key, value), current())[key].text
    except (KeyError, StopIteration):
        return "–"


def countered(contract: Contract, party: Party) -> Shown | None:
    """The proposal that a counter-proposal is being written to."""
    wanted = request.args.get("counter", "")
    found = Proposal.get_or_none(
        (Proposal.contract == contract) & (Proposal.id == wanted) & (Proposal.state == "open")
    )
    if found is None or found.side == party.side:
        return None
    return shown(contract, negotiation.seen_by(contract, party), found, party)


def raw_text(contract: Contract, revision: Revision, place: Place, counter: Shown | None) -> dict[str, str]:
    """The Markdown a proposal starts from: what the other side asked for, else what stands there."""
    if counter is not None and counter.row.place == place.key and counter.row.after:
        return dict(counter.row.after)
    clause = drafts.clause(revision, place.key.removeprefix("clauses."))
    return dict(clause["text"]) if clause else {}


def shared_revisions(contract: Contract) -> list[Revision]:
    """What the other side was shown, newest first."""
    query = Revision.select().where((Revision.contract == contract) & Revision.shared_at.is_null(False))
    return list(query.order_by(Revision.number.desc()))


# -- Reading forms ----------------------------------------------------------------------------------


def read_change(form: Form, contract: Contract, revision: Revision, place: str) -> Any:
    """What was asked for a place: words by language, a row's value, or None to take a clause out."""
    if place.startswith("terms."):
        return proposals.typed_value(revision, place, form.text("after", most=4000))
    if form.checked("takes_out"):
        return None
    return {
        language: form.text(f"after.{language}", most=drafts.LONGEST_CLAUSE)
        for language in contract.languages
    }


def place_url(contract: Contract, endpoint: str, place: str, **more: Any) -> str:
    """Back to the place something was done about."""
    anchor = "general"
    if place.startswith("clauses."):
        anchor = f"talk-{place.removeprefix('clauses.')}"
    elif place.startswith("terms."):
        anchor = anchor_of(place.removeprefix("terms."))
    return url_for(f"{endpoint}.page", reference=contract.reference, _anchor=anchor, **more)
