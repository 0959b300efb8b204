"""Every job handler, brought together for the worker and for tests."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "portal.services.audit_chains",
    "portal.services.demonstrations",
    "portal.services.enquiries",
    "portal.services.envelopes",
    "portal.services.leftovers",
    "portal.services.notices",
    "portal.services.reminders",
    "portal.services.sealing",
    "portal.services.sign_in",
    "portal.services.sending",
    "portal.services.uploads",
)


def load() -> None:
    """Import the modules that register handlers."""
    for name in MODULES:
        import_module(name)


def warm() -> None:
    """Load what the first seal would otherwise wait for."""
    from portal.services import sealing

    sealing.warm()
