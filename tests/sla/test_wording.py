from __future__ import annotations

import re

import pytest

from portal.documents import markdown
from portal.sla import levels, variables, wording
from portal.sla.terms import empty
from tests.sla.samples import PARTIES, premium, terms

VARIABLE = re.compile(r"\{\{(.*?)\}\}")
REFERENCE = re.compile(r"\[\[(.*?)\]\]")
ALL = [(template.key, clause["key"]) for template in wording.templates() for clause in template.clauses]


def clause(template: str, key: str) -> wording.Clause:
    return next(each for each in wording.template(template).clauses if each["key"] == key)


def test_each_template_has_its_levels_and_its_clauses() -> None:
    assert tuple(each.key for each in wording.templates()) == levels.TEMPLATES
    assert all(18 <= len(each.clauses) <= 25 for each in wording.templates())
    with pytest.raises(KeyError):
        wording.template("unheard-of")


def test_every_clause_file_is_used() -> None:
    files = {path.stem for path in (wording.SEEDS / "clauses").glob("*.md")}

    assert files == {key for _template, key in ALL}


@pytest.mark.parametrize(("template", "key"), ALL)
def test_both_languages_of_a_clause_ask_for_the_same(template: str, key: str) -> None:
    text, heading = clause(template, key)["text"], clause(template, key)["heading"]

    assert set(text) == set(heading) == {"en", "fr"}
    assert sorted(VARIABLE.findall(text["en"])) == sorted(VARIABLE.findall(text["fr"]))
    assert sorted(REFERENCE.findall(text["en"])) == sorted(REFERENCE.findall(text["fr"]))
    assert text["en"].count("\n\n") == text["fr"].count("\n\n")
    assert set(VARIABLE.findall(text["en"])) <= variables.names()


@pytest.mark.parametrize("template", levels.TEMPLATES)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_clause_is_filled_and_numbered(template: str, language: str) -> None:
    filled = variables.variables(terms(template, "standard"), PARTIES, language)
    numbered = markdown.number_clauses(wording.template(template).clauses)
    numbers = {each["key"]: each["number"] for each in numbered}

    texts = [markdown.plain_text(each["text"][language], filled, numbers) for each in numbered]

    assert not any("{{" in text or "[[" in text for text in texts)
    assert "Northwind Software" in texts[0]
    assert numbers["targets"] == "4.1"


def test_french_clauses_put_a_space_that_cannot_break_before_tall_punctuation() -> None:
    for template, key in ALL:
        assert not re.search(r"[^\u202f\u00a0\[\]{}][;:?!](\s|$)", clause(template, key)["text"]["fr"]), key


def test_what_is_open_says_so() -> None:
    blank = {"name": "", "form": "", "registration": "", "address": ""}
    filled = variables.variables(empty(), {"supplier": blank, "customer": blank}, "en")  # type: ignore[typeddict-item]

    assert {name for name, text in filled.items() if not text} == {"notice", "carve_outs"}
    assert filled["fee"] == filled["supplier"] == filled["start"] == "(to be agreed)"


def test_variables_come_from_the_terms() -> None:
    filled = variables.variables(premium(), PARTIES, "fr")

    assert filled["supplier_details"] == (
        "Northwind Software SAS, RCS Lyon 512 345 678, 4 quai Perrache, 69002 Lyon"
    )
    assert filled["fee"] == "12\u202f500,00\u00a0EUR"
    assert filled["length"] == "24 mois"
    assert filled["uptime"].startswith("Le produit est disponible au moins 99,9\u202f%")
    assert filled["governing_law"] == "le droit français"
