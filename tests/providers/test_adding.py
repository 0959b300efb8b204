"""The example of docs/providers/adding.md is taken from the page and asked what every provider is asked."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from types import ModuleType

import pytest

from portal.settings import ROOT
from providers import registry

PAGE = (ROOT / "docs" / "providers" / "adding.md").read_text(encoding="utf-8")
HEADED = re.compile(r"^## \d\. .*?`(?P<path>[\w/]+)\.py`\n(?P<text>.*?)(?=^## )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def written() -> dict[str, str]:
    """Module name to the code the page gives for it."""
    return {
        found["path"].replace("/", "."): BLOCK.findall(found["text"])[0] for found in HEADED.finditer(PAGE)
    }


def load(name: str, code: str) -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module
    parent, _, short = name.rpartition(".")
    setattr(import_module(parent), short, module)
    exec(compile(code, f"docs/providers/adding.md ({name})", "exec"), vars(module))
    return module


CODE = written()
load("providers.paperclip", CODE["providers.paperclip"])
load("tests.simulators.paperclip", CODE["tests.simulators.paperclip"])
_example = load("tests.providers.test_paperclip", CODE["tests.providers.test_paperclip"])


class TestTheExample(_example.TestPaperclip):
    """Everything of the conformance suite, and that the page says nothing else than the code needs."""

    @pytest.fixture(autouse=True)
    def registered(self, monkeypatch):
        monkeypatch.setitem(registry.MODULES, "paperclip", "providers.paperclip")

    def test_the_page_gives_every_file_its_code(self):
        assert list(CODE) == [
            "providers.paperclip", "providers.registry", "tests.simulators.paperclip",
            "tests.providers.test_paperclip",
        ]  # fmt: skip

    def test_the_page_names_the_registry_line(self):
        assert f'"paperclip": "{registry.MODULES["paperclip"]}"' in CODE["providers.registry"]
