"""The files that belong to a contract besides its text, and which document prevails over which.

An annex is a PDF that came through intake. It is listed by name and SHA-256 in what is printed, its
pages stand behind the contract so that whoever signs reads them page by page, and its hash is frozen
and sealed with the text. Changes of it are in `annex_changes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portal.i18n import format_number, lazy, use
from portal.i18n import gettext as _
from portal.models.contracts import Contract, Document
from portal.services import documents
from portal.sla.validate import Fault

KIND = "annex"  # of a document
KINDS = {
    "dpa": lazy("Data processing agreement (DPA)"),
    "baa": lazy("Business associate agreement (BAA)"),
    "price_list": lazy("Price list"),
    "runbook": lazy("Runbook"),
    "other": lazy("Other document"),
}
BAA = "baa"
# What may prevail over what; a contract keeps the order as a list of these.
PLACES = {
    "contract": lazy("this contract"),
    "annexes": lazy("its annexed documents"),
    "master": lazy("the master agreement"),
}
HEAD = (lazy("Number"), lazy("Document"), lazy("Pages"), lazy("SHA-256 fingerprint"))


def of(contract: Contract) -> list[Document]:
    """The annexes in their order."""
    found = documents.of(contract, KIND)
    return sorted(found, key=lambda each: (each.facts["annex"]["position"], each.id))


def name_of(annex: Document) -> str:
    return str(annex.facts["annex"]["name"])


def kind_of(annex: Document) -> str:
    return str(annex.facts["annex"]["kind"])


def faults(contract: Contract, terms: dict[str, Any]) -> list[Fault]:
    """Health information may be seen, yet the agreement that the law asks for is not among the annexes."""
    if not terms.get("commercial", {}).get("phi") or any(kind_of(each) == BAA for each in of(contract)):
        return []
    return [
        Fault(
            "commercial.phi",
            "baa",
            _("Health information may be seen: add the business associate agreement (BAA) as an annex."),
        )
    ]


def frozen(contract: Contract) -> dict[str, Any]:
    """What a frozen revision says of them; nothing where there is nothing to say."""
    listed = [
        {
            "number": number, "kind": kind_of(each), "name": name_of(each), "sha256": each.sha256,
            "pages": each.pages,
        }
        for number, each in enumerate(of(contract), start=1)
    ]  # fmt: skip
    said = {
        "annexes": listed,
        "master_agreement": contract.master_agreement,
        "precedence": list(contract.precedence),
    }
    return {name: value for name, value in said.items() if value}


# -- Printing -----------------------------------------------------------------------------------


def schedule(contract: Contract, languages: Sequence[str]) -> list[dict[str, Any]]:
    """The list of annexes and the order of documents, as one more schedule; none where there is neither."""
    listed, said = of(contract), sentences(contract, languages)
    if not listed and not said:
        return []
    return [
        {
            "key": "annexes",
            "title": in_each(languages, lambda: _("Annexed documents")),
            "tables": [table(listed, languages)] if listed else [],
            "sentences": said,
        }
    ]


def table(listed: Sequence[Document], languages: Sequence[str]) -> dict[str, Any]:
    return {
        "key": "annexes",
        "caption": None,
        "head": in_each(languages, lambda: [str(each) for each in HEAD]),
        "rows": [
            {
                "key": f"annex-{number}",
                "cells": in_each(languages, lambda number=number, each=each: cells(number, each)),
            }
            for number, each in enumerate(listed, start=1)
        ],
    }


def cells(number: int, annex: Document) -> list[str]:
    kind = str(KINDS.get(kind_of(annex), ""))
    name = name_of(annex)
    said = name if kind_of(annex) == "other" or kind == name else f"{name} – {kind}"
    return [format_number(number), said, format_number(annex.pages), broken(annex.sha256)]


def broken(sha256: str) -> str:
    """A fingerprint that may be broken over lines."""
    return " ".join(sha256[at : at + 8] for at in range(0, len(sha256), 8))


def sentences(contract: Contract, languages: Sequence[str]) -> list[dict[str, Any]]:
    """The master agreement, where the files stand, and the order of precedence."""
    found = []
    if of(contract):
        found.append(
            sentence(
                "place", languages, lambda: _("Place"),
                lambda: _("These documents follow this contract, in this order, and are part of it."),
            )
        )  # fmt: skip
    if contract.master_agreement:
        found.append(
            sentence(
                "master", languages, lambda: _("Master agreement"),
                lambda: _("This contract is made under: %(master)s", master=contract.master_agreement),
            )
        )  # fmt: skip
    if contract.precedence:
        found.append(
            sentence(
                "precedence", languages, lambda: _("Order of precedence"),
                lambda: _(
                    "Where these documents contradict each other, the one named first prevails: %(order)s.",
                    order=order_in_words(contract.precedence),
                ),
            )
        )  # fmt: skip
    return found


def order_in_words(precedence: Sequence[str]) -> str:
    return "; ".join(str(PLACES[each]) for each in precedence if each in PLACES)


def sentence(key: str, languages: Sequence[str], label: Any, text: Any) -> dict[str, Any]:
    return {"key": key, "label": in_each(languages, label), "text": in_each(languages, text)}


def in_each(languages: Sequence[str], write: Any) -> dict[str, Any]:
    """What `write` says in each language."""
    found = {}
    for language in languages:
        with use(language):
            found[language] = write()
    return found
