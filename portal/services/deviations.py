"""What a text differs in from its template, each with the level that decides who must say yes.

An answer (the fee, the dates, the product, the level) is no difference. A clause whose words are not
the template's asks Legal, or whoever the clause library says; how far a term may go is said by
`portal.sla.ladder`. Somebody else's paper has no template: the whole of it asks Legal.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.i18n import current
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Revision
from portal.services import annexes, clause_library, revisions
from portal.sla import canonical, differences, ladder, shape
from portal.sla.ladder import ACCEPTABLE, APPROVAL, NOT_ALLOWED

ANSWERS = (
    "commercial.fee",
    "commercial.fee_period",
    "commercial.currency",
    "commercial.start_on",
    "commercial.end_on",
    "commercial.length_months",
    "product",
    "side",
    "level",
)
FILE = "file"  # the key of somebody else's paper


@dataclass(frozen=True)
class Deviation:
    """`key` survives revisions; `before` and `after` are words for the reader, `matter` is exact."""

    key: str
    kind: str  # term | clause
    label: str
    before: str
    after: str
    level: str  # acceptable | approval | not_allowed
    role: str
    matter: str = ""


def of(contract: Contract, revision: Revision) -> list[Deviation]:
    """Everything in which the text is not its template's, the gravest first; in the spoken language."""
    found = [
        *paper(contract), *terms(contract, revision), *clauses(contract, revision), *documents(contract),
    ]  # fmt: skip
    order = (NOT_ALLOWED, APPROVAL, ACCEPTABLE)
    return sorted(found, key=lambda each: order.index(each.level))  # type: ignore[arg-type]


def base_terms(contract: Contract, written: dict[str, Any]) -> dict[str, Any] | None:
    """The template's terms with this contract's answers, so that an answer never counts as a difference."""
    given = revisions.base(contract)
    if given is None:
        return None
    base: dict[str, Any] = copy.deepcopy(given.terms)
    for path in ANSWERS:
        parent, _dot, name = path.rpartition(".")
        (base[parent] if parent else base)[name] = (written[parent] if parent else written)[name]
    return base


# -- Terms ----------------------------------------------------------------------------------------


def terms(contract: Contract, revision: Revision) -> list[Deviation]:
    if revisions.terms_mode(contract) == revisions.NO_TERMS or shape.read(revision.terms)[1]:
        return []
    base = base_terms(contract, revision.terms)
    if base is None or shape.read(base)[1]:
        return []
    changed = differences.of(
        revision.terms,  # type: ignore[arg-type]
        base,  # type: ignore[arg-type]
        owed_by_us=contract.side == "supplier",
        languages=contract.languages,
    )
    return [
        Deviation(each.key, "term", each.label, each.before, each.after, each.level, each.role, each.matter)
        for each in changed
    ]


# -- Wording ----------------------------------------------------------------------------------------


def clauses(contract: Contract, revision: Revision) -> list[Deviation]:
    """Each clause that was changed, added or taken out, and a changed order of those that stayed."""
    given = revisions.base(contract)
    if given is None or contract.kind == "file":
        return []
    before, now = ({each["key"]: each for each in side} for side in (given.clauses, revision.clauses))
    found = [
        clause(key, before.get(key), now.get(key), contract.languages)
        for key in {**before, **now}
        if text_of(before.get(key), contract.languages) != text_of(now.get(key), contract.languages)
    ]
    return found + moved(given.clauses, revision.clauses)


def clause(
    key: str, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None, languages: Sequence[str]
) -> Deviation:
    written = now or before or {}
    level, role = clause_library.position(before, now, languages) or (APPROVAL, ladder.LEGAL)
    return Deviation(
        f"clauses.{key}",
        "clause",
        heading(written) or _("Clause without a heading"),
        words(before, languages),
        words(now, languages),
        level,
        role,
        canonical.sha256([text_of(before, languages), text_of(now, languages)]),
    )


def moved(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[Deviation]:
    """One line where clauses of the template stand in another order: references and weight may change."""
    kept = {each["key"] for each in before} & {each["key"] for each in now}
    was, stands = ([each for each in side if each["key"] in kept] for side in (before, now))
    if [each["key"] for each in was] == [each["key"] for each in stands]:
        return []
    return [
        Deviation(
            "clauses", "clause", _("Order of the clauses"), ", ".join(map(heading, was)),
            ", ".join(map(heading, stands)), APPROVAL, ladder.LEGAL,
            canonical.sha256([each["key"] for each in stands]),
        )
    ]  # fmt: skip


def text_of(written: Mapping[str, Any] | None, languages: Sequence[str]) -> Any:
    """What of a clause is agreed: its level, heading and words in the languages of the contract."""
    if written is None:
        return None
    return [
        written["level"],
        *([written["heading"].get(name, ""), written["text"].get(name, "")] for name in languages),
    ]


def words(written: Mapping[str, Any] | None, languages: Sequence[str]) -> str:
    """The clause's words in the reader's language, where it is written in it; "" for none."""
    if written is None:
        return ""
    language = current() if current() in languages else languages[0]
    return str(written["text"].get(language, ""))


def heading(written: Mapping[str, Any]) -> str:
    given: Mapping[str, str] = written.get("heading", {})
    return given.get(current()) or next((each for each in given.values() if each), "")


# Who answers for a document that is added to the text; for all others Legal does.
ANSWERS_FOR = {
    "dpa": ladder.PRIVACY,
    "baa": ladder.PRIVACY,
    "price_list": ladder.FINANCE,
    "runbook": ladder.SERVICE,
}


def documents(contract: Contract) -> list[Deviation]:
    """Annexes stand in no template, nor does a master agreement or which document prevails."""
    found = [
        Deviation(
            f"annexes.{annexes.kind_of(each)}.{annexes.name_of(each)}", "clause",
            _("Annex: %(name)s", name=annexes.name_of(each)), "", str(annexes.KINDS[annexes.kind_of(each)]),
            APPROVAL, ANSWERS_FOR.get(annexes.kind_of(each), ladder.LEGAL), str(each.sha256),
        )
        for each in annexes.of(contract)
    ]  # fmt: skip
    said = [contract.master_agreement, list(contract.precedence)]
    if any(said):
        order = annexes.order_in_words(contract.precedence) if contract.precedence else ""
        sentences = ", ".join(filter(None, (contract.master_agreement, order)))
        found.append(
            Deviation(
                "precedence", "clause", _("Which document prevails"), "", sentences, APPROVAL, ladder.LEGAL,
                canonical.sha256(said),
            )
        )  # fmt: skip
    return found


def paper(contract: Contract) -> list[Deviation]:
    """Somebody else's PDF in place of our template."""
    if contract.kind != "file":
        return []
    files = revisions.uploads(contract)
    return [
        Deviation(
            FILE, "clause", _("The other side’s paper"), "",
            ", ".join(each.file_name for each in files) or _("No PDF yet"),
            APPROVAL, ladder.LEGAL, canonical.sha256([each.sha256 for each in files]),
        )
    ]  # fmt: skip
