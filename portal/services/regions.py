"""Where data lies: the region of each provider account, and which of our companies stay within the EU."""

from __future__ import annotations

from datetime import datetime

from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.base import transaction
from portal.models.connections import Connection
from portal.models.parties import LegalEntity
from portal.services import audit
from portal.services.audit import INSTALLATION, Actor

EU = "eu"
REGIONS = {
    "": lazy("not said"),
    EU: lazy("European Union"),
    "uk": lazy("United Kingdom"),
    "us": lazy("United States"),
    "other": lazy("elsewhere"),
}


def stops(entity: LegalEntity | None, connection: Connection) -> str:
    """Why this company of ours may not send through the account; "" when it may."""
    if entity is None or not entity.is_eu_only or connection.region == EU:
        return ""
    return _(
        "%(company)s sends only through accounts in the EU. The region of %(account)s: %(region)s.",
        company=entity.name, account=connection.name, region=REGIONS[connection.region],
    )  # fmt: skip


def set_region(connection: Connection, region: str, *, by: Actor, now: datetime) -> None:
    """Say where an account keeps its data. Raises Invalid."""
    if region not in REGIONS:
        raise Invalid({"region": _("Choose one of the answers offered.")})
    if region == connection.region:
        return
    with transaction():
        Connection.update(region=region).where(Connection.id == connection.id).execute()
        audit.append("connection.region_said", ("connection", connection.id), chain=INSTALLATION, by=by,
                     now=now, facts={"region": region})  # fmt: skip


def keep_within(entity: LegalEntity, *, on: bool, by: Actor, now: datetime) -> None:
    """Let a company send through accounts in the EU alone, or through all."""
    if on == entity.is_eu_only:
        return
    with transaction():
        LegalEntity.update(is_eu_only=on).where(LegalEntity.id == entity.id).execute()
        act = "entity.kept_in_eu" if on else "entity.let_out_of_eu"
        audit.append(act, ("entity", entity.id), chain=INSTALLATION, by=by, now=now)
