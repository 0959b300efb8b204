"""Which providers there are. Adding one is a line in `MODULES`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from providers.errors import NotConfigured
from providers.interface import Capabilities, Ceremony, Connection, Provider, Setting, Step, mark

MODULES = {
    "builtin": "providers.builtin",
    "docusign": "providers.docusign",
    "adobe_sign": "providers.adobe_sign",
    "signnow": "providers.signnow",
    "dropbox_sign": "providers.dropbox_sign",
    "pandadoc": "providers.pandadoc",
}
NO_SUCH = mark("%(name)s is not a provider here.")
NO_CONNECTION = mark("No account at %(name)s is connected.")

_ceremony: Ceremony | None = None


def set_ceremony(ceremony: Ceremony) -> None:
    """Hand over what built-in signing needs; wsgi, cli and worker alone call this."""
    global _ceremony
    _ceremony = ceremony


def names() -> list[str]:
    return list(MODULES)


def remote_names() -> list[str]:
    """Those that need a connection."""
    return [name for name in MODULES if name != "builtin"]


def label(name: str) -> str:
    """How the provider calls itself, the same in every language. Raises NotConfigured."""
    found: str = _module(name).LABEL
    return found


def capabilities(name: str) -> Capabilities:
    """What a provider can do, without a connection. Raises NotConfigured for a name not here."""
    found: Capabilities = _module(name).CAPABILITIES
    return found


def settings(name: str) -> tuple[Setting, ...]:
    """What a connection to it must hold."""
    found: tuple[Setting, ...] = _module(name).SETTINGS
    return found


def steps(name: str) -> tuple[Step, ...]:
    """How to connect it, in the vendor's own words."""
    found: tuple[Step, ...] = _module(name).STEPS
    return found


def get(name: str, connection: Connection | None = None) -> Provider:
    """A provider ready to be used. Raises NotConfigured when something it needs is missing."""
    module = _module(name)
    if name == "builtin":
        built_in: Provider = module.BuiltIn(_ceremony)
        return built_in
    if connection is None:
        raise NotConfigured(NO_CONNECTION, name=module.LABEL)
    found: Provider = module.connect(connection)
    return found


def _module(name: str) -> ModuleType:
    if name not in MODULES:
        raise NotConfigured(NO_SUCH, name=name)
    return import_module(MODULES[name])
