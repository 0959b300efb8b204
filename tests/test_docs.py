"""Every setting, audit event, capability and error has its line in the docs."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.services.contract_states import MOVES
from portal.settings import SETTINGS
from providers.interface import Capabilities

ROOT = Path(__file__).parents[1]
ACT = re.compile(r"[a-z_]+\.[a-z_]+")


def first_cells(page: str) -> list[str]:
    """What stands in backticks in the first column of a page's tables."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


# -- Audit events ---------------------------------------------------------------------------------


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "portal").rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def appends(call: ast.Call) -> bool:
    """`audit.append(...)`, or `append(...)` in portal/services/audit.py itself."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr == "append" and getattr(call.func.value, "id", "") == "audit"
    return name_of(call) == "append"


def wrappers() -> set[str]:
    """Functions that hand their own first parameter to the trail: `record(act, ...)`, `note(act, ...)`."""
    found = set()
    for _path, module in modules():
        for function in ast.walk(module):
            if not isinstance(function, ast.FunctionDef) or not function.args.args:
                continue
            act = function.args.args[0].arg
            calls = [each for each in ast.walk(function) if isinstance(each, ast.Call) and each.args]
            if any(appends(each) and getattr(each.args[0], "id", None) == act for each in calls):
                found.add(function.name)
    return found - {"append"}


def words_in(node: ast.expr, function: ast.AST) -> Iterator[str]:
    """What the first argument may be: literals, either end of a condition, what a name was set to;
    of an f-string its pattern."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.escape(node.value)
    elif isinstance(node, ast.IfExp):
        yield from words_in(node.body, function)
        yield from words_in(node.orelse, function)
    elif isinstance(node, ast.JoinedStr):
        parts = [
            re.escape(str(each.value)) if isinstance(each, ast.Constant) else "[a-z_]+"
            for each in node.values
        ]
        yield "".join(parts)
    elif isinstance(node, ast.Name):
        for each in ast.walk(function):
            if isinstance(each, ast.Assign) and getattr(each.targets[0], "id", "") == node.id:
                yield from words_in(each.value, function)


def patterns() -> dict[str, str]:
    """Every act the code writes, as a pattern, with the file that writes it."""
    known, found = wrappers(), {}
    for path, module in modules():
        for function in ast.walk(module):
            if not isinstance(function, ast.FunctionDef):
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and call.args and (appends(call) or name_of(call) in known):
                    for word in words_in(call.args[0], function):
                        if r"\." in word or "." in word:
                            found.setdefault(word, path.name)
    return found


WRITTEN = patterns()
DOCUMENTED = first_cells("events.md")


def test_the_search_finds_every_way_an_event_is_written() -> None:
    assert {"record", "record_of", "note"} <= wrappers()
    for act in ("contract.drafted", "entity.changed", "policy.switched_off", "app.enrolled", "chains.folded"):
        assert re.escape(act) in WRITTEN, act
    assert len(WRITTEN) > 70


@pytest.mark.parametrize("act", sorted(WRITTEN))
def test_every_event_has_its_line(act: str) -> None:
    assert any(re.fullmatch(act, each) for each in DOCUMENTED), f"{WRITTEN[act]} writes {act}"


def test_every_move_of_a_contract_has_its_line() -> None:
    assert {f"contract.{move.verb}" for move in MOVES.values()} - set(DOCUMENTED) == set()


def test_no_line_names_an_event_that_nothing_writes() -> None:
    invented = [act for act in DOCUMENTED if not any(re.fullmatch(each, act) for each in WRITTEN)]
    moves = {f"contract.{move.verb}" for move in MOVES.values()}
    literal = {re.escape(act) for act in DOCUMENTED} & set(WRITTEN)

    assert invented == []
    assert len(DOCUMENTED) == len(set(DOCUMENTED))
    assert [
        act
        for act in DOCUMENTED
        if act.startswith("contract.") and act not in moves and re.escape(act) not in literal
    ] == []


# -- Settings, capabilities, errors -------------------------------------------------------------------


def test_every_setting_has_its_line() -> None:
    assert set(first_cells("running.md")) == {setting.name for setting in SETTINGS}


def test_every_capability_has_its_line() -> None:
    fields = [each.name for each in dataclasses.fields(Capabilities)]
    assert first_cells("providers/README.md") == fields


def errors_from(root: str, package: str) -> set[str]:
    """The error classes of a package that are this one or derive from it, by name."""
    declared = [
        each
        for path in sorted((ROOT / package).rglob("*.py"))
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(each, ast.ClassDef)
    ]
    found, before = {root}, 0
    while before != len(found):
        before = len(found)
        found |= {each.name for each in declared if found & {base_name(base) for base in each.bases}}
    return found


def base_name(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")


def test_every_error_has_its_line() -> None:
    ours, theirs = errors_from("PortalError", "portal"), errors_from("ProviderError", "providers")

    assert {"Changed", "Unsealable"} <= ours
    assert ours | theirs == set(first_cells("errors.md"))
