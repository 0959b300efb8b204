"""What one running installation holds: settings, ciphers, sealing authority, store.

The wiring (wsgi, cli, worker) opens it once per process; services ask `current()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from portal.documents.crypto import DocumentCipher, SecretBox
from portal.models import base
from portal.models.audit import InstallationFact
from portal.settings import Settings
from portal.tally import Tally

if TYPE_CHECKING:
    from portal.documents.authority import Authority
    from portal.documents.store import Store


@dataclass
class Installation:
    """Lazily opened parts, so that a web process loads no sealing library."""

    settings: Settings

    @cached_property
    def box(self) -> SecretBox:
        """Encrypts small secrets: TOTP seeds, message bodies."""
        return SecretBox(list(self.settings.encryption_keys))

    @cached_property
    def tally(self) -> Tally:
        """How many requests this process and its siblings have answered."""
        return Tally(self.settings.run_dir)

    @cached_property
    def store(self) -> Store:
        """Documents, encrypted at rest, write-once."""
        from portal.documents.store import open_store

        return open_store(self.settings.storage_url, DocumentCipher(list(self.settings.encryption_keys)))

    @cached_property
    def authority(self) -> Authority:
        """The key and certificate this company seals with."""
        from portal.documents import authority

        return authority.load(
            self.settings.authority_dir, self.settings.seal_p12, self.settings.seal_p12_password
        )


_current: Installation | None = None


def open_installation(settings: Settings) -> Installation:
    """Bind the database and make `settings` the ones every service of this process uses."""
    global _current
    base.connect(settings.database_url)
    _current = Installation(settings)
    return _current


def current() -> Installation:
    if _current is None:
        raise RuntimeError("the installation is not open")
    return _current


def create_authority(settings: Settings, *, name: str, now: datetime) -> None:
    """Make seal key and certificate authority at first start; existing ones stay."""
    from portal.documents import authority

    if not settings.authority_dir.exists():
        authority.create(settings.authority_dir, name=name, now=now)


def fact(name: str, default: Any = None) -> Any:
    """A small fact about this installation, or the default."""
    row = InstallationFact.get_or_none(InstallationFact.name == name)
    return default if row is None else row.value


def address() -> str:
    """Where people reach the portal: BASE_URL, else where it was last started to listen."""
    known = current().settings.base_url or fact("address", "http://127.0.0.1:8000")
    return str(known)


def set_fact(name: str, value: Any, now: datetime) -> None:
    InstallationFact.insert(name=name, value=value, updated_at=now).on_conflict(
        conflict_target=[InstallationFact.name],
        update={InstallationFact.value: value, InstallationFact.updated_at: now},
    ).execute()
