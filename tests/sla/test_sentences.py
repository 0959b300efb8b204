from __future__ import annotations

import copy
from typing import Any

import pytest

from portal.sla import schedules, sentences, shape, variables
from portal.sla.examples import to_example
from portal.sla.terms import empty
from tests.sla.samples import PARTIES, premium, terms


def said(document: Any, key: str, language: str = "en") -> str:
    return next(each.sentence for each in sentences.sections(document, language) if each.key == key)


def test_a_severity_is_one_plain_sentence_each() -> None:
    assert said(premium(), "severities.S1") == (
        "Answered within 30 minutes, day and night. Fixed within 4 hours. News every hour."
    )
    assert said(premium(), "severities.S4") == (
        "Answered within 1 service day (Business hours). Fixed in the next release."
    )


def test_french_is_written_with_its_own_spaces() -> None:
    document = premium()

    assert said(document, "severities.S1", "fr") == (
        "Réponse sous 30 minutes, jour et nuit. Résolution sous 4 heures. Point d’étape toutes les heures."
    )
    assert "99,9\u202f%" in said(document, "uptime", "fr")
    assert "12\u202f500,00\u00a0EUR" in said(document, "commercial.fee", "fr")
    assert "contournement\u202f;" not in said(document, "scope", "fr")
    assert "approuvées\u202f; réseaux" in said(document, "scope", "fr")


def test_a_fix_in_other_hours_names_them() -> None:
    document = premium()
    document["severities"][0]["resolution"] = {"min": 90, "calendar": "sales"}

    assert "Fixed within 1 hour 30 minutes (Sales-critical hours)." in said(document, "severities.S1")


def test_every_kind_of_target_has_words() -> None:
    document = premium()
    document["severities"][0] |= {
        "response": {"calendar_days": 1},
        "resolution": {"months": 2},
        "update": {"calendar_days": 7},
    }
    document["severities"][1] |= {"response": None, "resolution": {"release": "monthly"}, "update": None}

    assert said(document, "severities.S1") == (
        "Answered within 1 calendar day. Fixed within 2 months. News every week."
    )
    assert said(document, "severities.S2") == (
        "No time is promised for an answer. Fixed in the monthly release."
    )


def test_hours_join_equal_days_and_count_exceptions() -> None:
    hours = said(premium(), "calendars")

    assert "Monday to Saturday 07:00–22:00; Sunday 10:00–19:00 (Europe/Paris)" in hours
    assert "Closed on 22 holidays." in hours


def test_the_notice_day_is_written_out() -> None:
    assert "3 months before the end" in said(premium(), "commercial.renewal")
    assert "The last day for it is 30 Sep 2028." in said(premium(), "commercial.renewal")


def test_credits_of_every_kind_have_words() -> None:
    document = premium()
    document["credits"] |= {
        "proportional": {"multiple": "2"},
        "per_day": {"over_min": 5, "hourly_multiple": "10"},
        "extension": {"per_min": 15, "days": 1, "clocks": ["response", "escalation"]},
        "claim": "request",
        "claim_window_days": 30,
        "sole_remedy": True,
    }
    document["credits"]["caps"] = {"period_pct": None, "year_pct": "10", "year_amount": None, "term_pct": "8"}

    text = said(document, "credits")

    assert "For each day with more than 5 minutes of outage: 10 times the hourly fee." in text
    assert "over the target (response and escalation answer) the contract runs 1 day longer" in text
    assert "Must be claimed within 30 days of the end of the period." in text
    assert "Credits are the only remedy for a missed target" in text
    assert "At most 8% of all fees of the contract." in text


def test_only_what_differs_from_the_template_is_marked() -> None:
    mine, base = premium(), premium()
    mine["severities"][0]["response"] = {"min": 20, "calendar": "always"}

    found = sentences.differences(mine, base, "en")
    marked = {each.key: each.differs_from for each in sentences.sections(mine, "en", base=base)}

    assert [each.key for each in found] == ["severities.S1"]
    assert found[0].was.startswith("Answered within 30 minutes")
    assert found[0].now.startswith("Answered within 20 minutes")
    assert [key for key, was in marked.items() if was] == ["severities.S1"]
    assert sentences.difference_line(found[0], "en").startswith("The template says: Answered within 30")


def test_added_and_removed_rows_are_differences() -> None:
    mine, base = premium(), premium()
    added = copy.deepcopy(mine["severities"][3])
    added["key"] = "S5"
    mine["severities"] = [*mine["severities"][:3], added]

    found = {each.key: each for each in sentences.differences(mine, base, "fr")}

    assert found["severities.S5"].was == ""
    assert found["severities.S4"].now == ""
    assert sentences.difference_line(found["severities.S5"], "fr") == "Absent du modèle."


def test_two_levels_of_a_template_differ_where_their_figures_do() -> None:
    keys = [
        each.key for each in sentences.differences(premium(), terms("sales-critical-24x7", "basic"), "en")
    ]

    assert {"severities.S1", "uptime", "credits", "maintenance"} <= set(keys)
    assert "clocks" not in keys


# -- Drafts that are not finished ---------------------------------------------------------------


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for name, inner in inside for path in paths(inner, (*at, name)))]


def small() -> Any:
    """A whole contract with few rows of a kind."""
    document: Any = premium(length_months=12)
    for calendar in document["calendars"].values():
        del calendar["overrides"][2:]
    return document


def damaged(path: tuple[Any, ...], blank: Any, document: Any = None) -> Any:
    """The document with one place emptied or, for "REMOVE", taken away."""
    document = copy.deepcopy(document or small())
    place = document
    for name in path[:-1]:
        place = place[name]
    if blank == "REMOVE":
        del place[path[-1]]
    else:
        place[path[-1]] = copy.deepcopy(blank)
    return document


def emptied() -> list[tuple[tuple[Any, ...], Any]]:
    """Every place of a contract that may be empty without breaking its shape."""
    tried = [(path, blank) for path in paths(small())[1:] for blank in (None, "", {}, [], "REMOVE")]
    return [each for each in tried if not shape.read(damaged(*each))[1]]


def write_everything(document: Any) -> None:
    for language in ("en", "fr"):
        sentences.sections(document, language, base=premium())
        variables.variables(document, PARTIES, language)
    schedules.schedules(document, ["en", "fr"])
    to_example(document)


def test_an_empty_draft_can_be_written() -> None:
    write_everything(empty())


def test_a_draft_with_any_place_left_empty_can_be_written() -> None:
    places = emptied()

    for path, blank in places:
        write_everything(damaged(path, blank))
    assert len(places) > 250


@pytest.mark.parametrize("language", ["en", "fr"])
def test_no_sentence_is_left_untranslated(language: str) -> None:
    english = {each.key: each.label for each in sentences.sections(premium(), "en")}
    other = {each.key: each.label for each in sentences.sections(premium(), language)}

    same = {key for key in english if english[key] == other[key]}

    assert same == (set(english) if language == "en" else {"maintenance"})
