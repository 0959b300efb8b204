"""The same installation on PostgreSQL, which refuses what SQLite lets pass: nulls, large numbers, races."""

from __future__ import annotations

import pytest

from portal.models import base
from portal.services import audit_chains
from tests.conftest import empty_postgres, skip_or_fail
from tests.security import catalogue, routes
from tests.security import world as worlds
from tests.security.browser import Portal
from tests.security.payloads import ALWAYS, HOSTILE
from tests.security.test_bad_input import all_fields, attempts
from tests.threads import at_once

QUERY = "?" + "&".join(
    f"{name}=%00{10**30}"
    for name in ("q", "after", "before", "sort", "owner", "party", "state", "open", "next")
)
FEW = ("stranger", "ana", "ada", "half", "fresh", "stale", "proved", "claire", "gina", "theo")


@pytest.fixture
def postgres(request, tmp_path):
    url = request.getfixturevalue("postgres_database")
    if not url:
        skip_or_fail("no PostgreSQL at 127.0.0.1:5432")
    empty_postgres(url)
    given = worlds.found(tmp_path, DATABASE_URL=url)
    worlds.open_world(given)
    with worlds.quick_work():
        yield Portal.open(worlds.build(given))
    base.disconnect()


def test_neither_addresses_nor_forms_break_a_page_on_postgresql(postgres, monkeypatch, is_long):
    """What was written stays: one form after the other meets what the ones before have left."""
    monkeypatch.setattr(catalogue, "READERS", FEW)
    faults, tricks = [], ("%00", "%ff", "9" * 40, "x" * 5000, "%f0%9f%92%a9")
    for rule in routes.rules(postgres.app):
        method = "POST" if "POST" in rule.methods else "GET"
        for given in routes.arguments(postgres.world, postgres.app, rule, breadth=1)[:1]:
            for name, value in given.items():
                for trick in tricks:
                    path = routes.address(postgres.app, rule, given).replace(str(value), trick)
                    reader = "ana" if "ceremony" not in path else "claire"
                    faults += [f"{name}: {f}" for f in postgres.ask(reader, path, method).faults]
            asked = routes.address(postgres.app, rule, given) + QUERY
            faults += [f"query: {f}" for f in postgres.ask("ana", asked, method).faults]
    pages = catalogue.open_pages(postgres, breadth=2)
    faults += [f"{answer}: {fault}" for answer in pages for fault in answer.faults]
    samples = catalogue.collect(postgres, pages)
    for sample in samples.values():
        kinds = [(kind, all_fields(sample, HOSTILE[kind])) for kind in ALWAYS]
        for what, values in attempts(sample, True) if is_long else [("nothing", {}), *kinds]:
            answer = sample.send(postgres, values)
            faults += [f"{sample.endpoint} ({what}): {fault}" for fault in answer.faults]

    assert not faults, f"{len(faults)}\n" + "\n".join(faults[:30])
    assert len(samples) > 35


def test_the_same_form_twice_at_once_breaks_nothing_on_postgresql(postgres, monkeypatch):
    """Here two requests really run at the same time: rows, unique keys and locks must hold."""
    monkeypatch.setattr(catalogue, "READERS", FEW)
    pages = catalogue.open_pages(postgres, breadth=2)
    candidates = catalogue.collect(postgres, pages)
    faults = []
    for sample in candidates.values():
        for answer in at_once(lambda sample=sample: sample.send(postgres, sample.values()), 2, threads=2):
            faults += [f"{sample.endpoint}: {fault}" for fault in getattr(answer, "faults", [repr(answer)])]

    assert not faults, f"{len(faults)}\n" + "\n".join(faults[:30])
    assert audit_chains.verify()["valid"]
