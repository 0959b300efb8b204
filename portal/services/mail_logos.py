"""Logos for mails, made from those on the pages: by a job in a child, never in a web process."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from portal.documents import children, mail_logo
from portal.models.base import transaction
from portal.models.parties import LegalEntity
from portal.services import jobs

log = logging.getLogger(__name__)


def ask(now: datetime) -> None:
    """Have what is missing made, inside the caller's transaction."""
    jobs.add("make_mail_logos", now=now)


@jobs.handler("make_mail_logos")
def make(payload: dict[str, Any], context: jobs.Context) -> None:
    """Make the small picture of every logo that has none yet."""
    lacking = LegalEntity.logo.is_null(False) & LegalEntity.logo_mail.is_null()
    for entity in LegalEntity.select().where(lacking):
        context.renew()
        logo = bytes(entity.logo or b"")
        try:
            made = mail_logo.small_png(logo, entity.logo_type)
        except (children.ChildFailed, children.Refused) as error:
            log.warning("the logo of %s cannot be made small: %s", entity.id, error)
            continue
        with transaction():
            same = (LegalEntity.id == entity.id) & (LegalEntity.logo == logo)
            LegalEntity.update(logo_mail=made).where(same).execute()


@jobs.recurring("make_missing_mail_logos", timedelta(days=1))
def make_missing(payload: dict[str, Any], context: jobs.Context) -> None:
    """Those of logos that were there before mails could bear any."""
    make(payload, context)


def size(png: bytes) -> tuple[int, int]:
    """Width and height to show a small logo at: half of what its PNG holds."""
    return int.from_bytes(png[16:20], "big") // 2, int.from_bytes(png[20:24], "big") // 2
