"""Programs that are not ours, by which some tests judge what we made."""

from __future__ import annotations

import os
import shutil

import pytest


def require_tool(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails where all must run."""
    path = shutil.which(name)
    if path:
        return path
    if os.environ.get("COUNTERSIGN_TEST_STRICT") == "1":
        pytest.fail(f"{name} is not installed, and COUNTERSIGN_TEST_STRICT asks for everything")
    pytest.skip(f"no {name}")
