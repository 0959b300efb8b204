from __future__ import annotations

import re
from typing import Any

from portal.sla import schedules
from portal.sla.terms import empty
from tests.sla.samples import premium


def written(document: Any, languages: tuple[str, ...] = ("en", "fr")) -> dict[str, Any]:
    return {each["key"]: each for each in schedules.schedules(document, languages)}


def table(schedule: Any, key: str) -> Any:
    return next(each for each in schedule["tables"] if each["key"] == key)


def test_there_are_always_seven() -> None:
    assert list(written(premium())) == list("ABCDEFG")
    assert list(written(empty())) == list("ABCDEFG")
    assert all(each["tables"] or each["sentences"] for each in written(empty()).values())


def test_every_part_has_each_language_and_nothing_else() -> None:
    for schedule in written(premium(), ("fr",)).values():
        assert set(schedule["title"]) == {"fr"}
        for each in schedule["tables"]:
            assert set(each["head"]) == {"fr"}
            assert all(set(row["cells"]) == {"fr"} for row in each["rows"])
        assert all(set(each["text"]) == set(each["label"]) == {"fr"} for each in schedule["sentences"])


def test_a_row_keeps_the_key_it_has_in_the_terms() -> None:
    document = premium()
    rows = table(written(document)["C"], "severities")["rows"]

    assert [row["key"] for row in rows] == [each["key"] for each in document["severities"]]
    assert rows[0]["cells"]["en"][2:] == [
        "30 minutes, day and night",
        "4 hours, day and night",
        "every hour, day and night",
    ]


def test_keys_are_unique_within_a_table_and_rows_as_wide_as_their_head() -> None:
    for schedule in written(premium()).values():
        for each in schedule["tables"]:
            keys = [row["key"] for row in each["rows"]]
            assert len(keys) == len(set(keys))
            for language, head in each["head"].items():
                assert {len(row["cells"][language]) for row in each["rows"]} == {len(head)}


def test_both_languages_say_the_same_figures() -> None:
    def figures(cells: list[str]) -> list[str]:
        plain = " ".join(cells).replace("\u202f", "").replace(",", ".")
        return sorted(
            number.rstrip("0").rstrip(".") if "." in number else number
            for number in re.findall(r"\d+(?:\.\d+)?", plain)
        )

    for schedule in written(premium()).values():
        for each in schedule["tables"]:
            if each["key"] == "fees":  # thousands are written with a comma in English
                continue
            for row in each["rows"]:
                assert figures(row["cells"]["en"]) == figures(row["cells"]["fr"]), row


def test_holidays_are_listed_with_their_names_in_both_languages() -> None:
    rows = table(written(premium())["B"], "overrides-business")["rows"]

    cells = next(row["cells"] for row in rows if row["key"] == "2027-07-14")

    assert cells["en"] == ["14 Jul 2027", "National Day", "closed"]
    assert cells["fr"][1:] == ["Fête nationale", "fermé"]


def test_a_temporary_higher_level_has_its_price() -> None:
    document = premium()
    document["commercial"]["peak_level"] = {
        "from": "2027-11-20",
        "to": "2027-12-31",
        "level": "premium",
        "price": "4000.00",
    }

    row = table(written(document)["G"], "fees")["rows"][1]

    assert row["cells"]["en"] == ["Level Premium from 20 Nov 2027 to 31 Dec 2027", "EUR\u00a04,000.00"]
    assert row["cells"]["fr"][1] == "4\u202f000,00\u00a0EUR"
