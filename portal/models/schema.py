"""Every table, and the migrations that bring a database to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peewee
from playhouse.migrations import Runner

from portal.models import (
    approvals,
    audit,
    base,
    bulk,
    campaigns,
    connections,
    contract_texts,
    contracts,
    envelopes,
    event_receivers,
    existing,
    imports,
    jobs,
    library,
    lives,
    negotiation,
    notices,
    parties,
    people,
    sign_on,
    templates,
    views,
)

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"
MODULES = (
    people,
    views,
    sign_on,
    parties,
    templates,
    library,
    contracts,
    campaigns,
    contract_texts,
    connections,
    envelopes,
    bulk,
    imports,
    lives,
    existing,
    negotiation,
    notices,
    jobs,
    event_receivers,
    audit,
    approvals,
)


def tables() -> list[type[peewee.Model]]:
    """All models, each once, in the order they can be created."""
    found = {
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base.Model)
        and value not in (base.Model, base.KeyedModel)
    }
    return peewee.sort_models(found)


def runner() -> Any:
    return Runner(base.db.obj, str(MIGRATIONS))


def up(target: str | None = None) -> list[str]:
    """Apply what is pending, up to `target` where one is named; returns the names."""
    return list(runner().up(target))


def down() -> list[str]:
    """Revert the newest migration."""
    return list(runner().down())


def known() -> list[str]:
    """The migrations that this release has."""
    return [path.stem for path in sorted(MIGRATIONS.glob("[0-9]*.py"))]


def status() -> list[tuple[str, bool]]:
    return [(m.name, bool(m.applied)) for m in runner().status()]


def pending() -> list[str]:
    return [name for name, applied in status() if not applied]
