"""Templates: reusable wording with support levels, published in versions that never change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from portal.errors import Conflict
from portal.i18n import LANGUAGES, use
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.connections import Connection
from portal.models.contracts import Contract
from portal.models.templates import Template, TemplateVersion
from portal.services import audit
from portal.sla import canonical, levels, wording, words

SCHEMA = "countersign-template/1"
# Levels are kept with answers that stand for none; a draft asks `levels` again with the real ones.
NEUTRAL: dict[str, Any] = {
    "side": "supplier",
    "product": "",
    "start_on": date(2027, 1, 1),
    "length_months": 12,
    "fee": Decimal(0),
    "currency": "EUR",
    "tz": "Europe/London",
}


def seed(now: datetime, *, by: audit.Actor = audit.SYSTEM) -> None:
    """Publish the templates that come with the portal, and a new version where their wording moved on."""
    for each in wording.templates():
        offered = {
            level: {"label": label_of(level), "terms": levels.defaults(key, level, **NEUTRAL)}
            for key, level in levels.PRESETS
            if key == each.key
        }
        publish(each.key, each.name, each.clauses, offered, change_note="", by=by, now=now)


def label_of(level: str) -> dict[str, str]:
    """A level's name in every language."""
    named = {}
    for language in LANGUAGES:
        with use(language):
            named[language] = words.level(level)
    return named


def publish(
    key: str,
    name: dict[str, str],
    clauses: Sequence[Any],
    offered: dict[str, Any],
    *,
    change_note: str,
    by: audit.Actor,
    now: datetime,
) -> TemplateVersion:
    """A new published version; the latest one is kept where nothing changed."""
    digest = canonical.sha256({"schema": SCHEMA, "clauses": list(clauses), "levels": offered})
    with transaction():
        template = Template.get_or_none(Template.key == key) or Template.add(
            key=key, name=name, created_at=now
        )
        latest = newest(template)
        if latest is not None and latest.sha256 == digest:
            return latest
        version: TemplateVersion = TemplateVersion.add(
            template=template,
            number=latest.number + 1 if latest else 1,
            clauses=list(clauses),
            levels=offered,
            sha256=digest,
            change_note=change_note,
            published_at=now,
        )
        audit.append(
            "template.published",
            ("template", template.id),
            chain=audit.INSTALLATION,
            by=by,
            now=now,
            facts={"template": key, "version": version.number, "sha256": digest},
        )
    return version


def choose_account(
    template: Template,
    connection: Connection | None,
    *,
    is_signed_here: bool = False,
    by: audit.Actor,
    now: datetime,
) -> None:
    """Contracts made from it begin with this account or with built-in signing; with neither, with what is
    usual in the installation.

    Raises Conflict for an account that nothing new can be sent through.
    """
    if connection is not None and connection.status != "active":
        raise Conflict(_("Check the account first; then it can be used."))
    with transaction():
        Template.update(connection=connection, is_signed_here=is_signed_here).where(
            Template.id == template.id
        ).execute()
        audit.append(
            "template.account_chosen", ("template", template.id), chain=audit.INSTALLATION, by=by, now=now,
            facts={
                "template": template.key,
                "connection": connection.id if connection is not None else None,
                "is_signed_here": is_signed_here,
            },
        )  # fmt: skip


def newest(template: Template) -> TemplateVersion | None:
    """The latest published version."""
    published = (TemplateVersion.template == template) & TemplateVersion.published_at.is_null(False)
    query = TemplateVersion.select().where(published).order_by(TemplateVersion.number.desc())
    found: TemplateVersion | None = query.first()
    return found


def offered() -> list[TemplateVersion]:
    """The versions a new contract may be made from: the newest of each template in use."""
    templates = (
        Template.select().where(Template.retired_at.is_null()).order_by(Template.created_at, Template.id)
    )
    return [version for template in templates if (version := newest(template)) is not None]


def published(version_id: str) -> TemplateVersion | None:
    """One of the versions on offer, by id."""
    return next((version for version in offered() if version.id == version_id), None)


def get(version_id: str) -> TemplateVersion | None:
    """Any published version: contracts stay on the one they came from."""
    return TemplateVersion.get_or_none(
        (TemplateVersion.id == version_id) & TemplateVersion.published_at.is_null(False)
    )


def uses(version: TemplateVersion, most: int = 100) -> int:
    """How many contracts came from a version, counted up to `most`."""
    return Contract.select(Contract.id).where(Contract.template_version == version).limit(most).count()


def languages_of(version: TemplateVersion) -> list[str]:
    """The languages a version is written in."""
    names: dict[str, str] = version.template.name
    return [language for language in LANGUAGES if language in names]


def name_of(version: TemplateVersion, language: str) -> str:
    """The template's name in the reader's language."""
    names: dict[str, str] = version.template.name
    return names.get(language) or next(iter(names.values()))
