"""The comparison says what the code declares, no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal.i18n import use
from portal.services import comparison
from portal.settings import ROOT
from providers import registry
from providers.interface import FACTORS, Capabilities


@pytest.fixture
def declared(monkeypatch):
    """Columns for two providers of the test: one that can do little, one that embeds."""
    import sys
    from types import ModuleType

    def add(name: str, can: Capabilities) -> None:
        module = ModuleType(f"tests.{name}")
        module.LABEL, module.CAPABILITIES = name.capitalize(), can
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(registry.MODULES, name, module.__name__)

    return add


def row(label: str, name: str) -> comparison.Cell:
    found = next(each for each in comparison.rows() if each.label == label)
    return found.cells[registry.names().index(name)]


def test_what_the_provider_cannot_check_our_gate_checks_where_it_can_embed(declared):
    declared("pigeon", Capabilities(embedded=True, factors=frozenset({"access_code"})))
    declared("letter", Capabilities())

    assert row("Authenticator app (TOTP)", "pigeon").text == "Checked by Countersign first"
    assert row("Authenticator app (TOTP)", "letter").kind == comparison.NO
    assert row("Access code", "pigeon").kind == comparison.PROVIDER
    assert row("Knowledge questions (KBA)", "pigeon").kind == comparison.NO
    assert row("Authenticator app (TOTP)", "builtin").kind == comparison.OURS


def test_every_capability_a_buyer_asks_for_has_a_row(declared):
    """Each capability, switched alone, changes some cell or is about how the portal talks to the provider."""
    silent = {
        "embeds_each", "embedded_in_order", "framed", "returns", "reminds_embedded", "voiding",
        "largest_file_bytes", "asks_recipients", "seals", "factors",
    }  # fmt: skip
    plain = Capabilities(webhooks=True)
    for name, value in vars(plain).items():
        if name in silent:
            continue
        other = {"languages": frozenset({"en"}), "evidence": "application/pdf"}.get(name, not value)
        declared("before", plain)
        declared("after", replace(plain, **{name: other}))
        changed = [r.label for r in comparison.rows() if r.cells[-2].text != r.cells[-1].text]
        assert changed, f"{name} is in no row of the comparison"


def test_every_factor_has_a_row(declared):
    for factor in FACTORS:
        declared("after", Capabilities(factors=frozenset({factor})))
        assert any(r.cells[-1].kind == comparison.PROVIDER and r.label for r in comparison.rows()), factor


def test_every_provider_sold_has_its_plan_facts():
    assert {name for name in registry.remote_names()} <= set(comparison.market.FACTS)
    for each in comparison.plans():
        assert all(cell.text not in ("", "–") for cell in each.cells), each.label


def test_it_is_told_in_french():
    with use("fr"):
        labels = [each.label for each in comparison.rows()]

    assert "Signing order" not in labels
    assert len(labels) == len(set(labels))


def test_the_page_of_the_docs_is_up_to_date():
    written = (ROOT / "docs" / "providers" / "comparison.md").read_text(encoding="utf-8")

    assert comparison.markdown() in written, "run python -m portal.services.comparison and put it there"
