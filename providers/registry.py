"""Which providers there are. Adding one is a line in `MODULES`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from providers.errors import NotConfigured
from providers.interface import Capabilities, Ceremony, Provider

MODULES = {
    "builtin": "providers.builtin",
}

_ceremony: Ceremony | None = None


def set_ceremony(ceremony: Ceremony) -> None:
    """Hand over what built-in signing needs; wsgi, cli and worker alone call this."""
    global _ceremony
    _ceremony = ceremony


def names() -> list[str]:
    return list(MODULES)


def capabilities(name: str) -> Capabilities:
    """What a provider can do, without a connection. Raises NotConfigured for a name not here."""
    found: Capabilities = _module(name).CAPABILITIES
    return found


def get(name: str) -> Provider:
    """A provider ready to be used. Raises NotConfigured when something it needs is missing."""
    if name == "builtin":
        from providers.builtin import BuiltIn

        return BuiltIn(_ceremony)
    raise NotConfigured(f"{name} has no connection.")


def _module(name: str) -> ModuleType:
    if name not in MODULES:
        raise NotConfigured(f"{name} is not a provider here.")
    return import_module(MODULES[name])
