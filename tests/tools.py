"""Programs of others that judge our files: a test without one is skipped, and fails in strict runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def require_tool(name: str) -> str:
    """The path of a program. Without it the test is skipped by name, or fails where
    COUNTERSIGN_TEST_STRICT=1 says that every tool must be there."""
    found = shutil.which(name)
    if found:
        return found
    if os.environ.get("COUNTERSIGN_TEST_STRICT") == "1":
        pytest.fail(f"{name} is not installed, and COUNTERSIGN_TEST_STRICT=1 asks for it")
    pytest.skip(f"{name} is not installed")


def ask(name: str, *arguments: str | Path) -> str:
    """What the program prints, when it is content with what it was given."""
    command = [require_tool(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, f"{name} answered {done.returncode}: {said}"
    return said
