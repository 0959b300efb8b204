"""Named instants at which a test may stop the process dead. In a running portal nothing happens."""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Mark an instant between two steps whose order matters, `noun.after_step`."""
    if hook is not None:
        hook(name)
