"""Templates: reusable wording with support levels, published in versions that never change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from portal.errors import Conflict, NotFound
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
    """Publish the templates that come with the portal, and a new version where their wording moved on.

    One that people have retired, or whose newest version they wrote, is theirs and left alone.
    """
    for each in wording.templates():
        if is_taken_over(each.key):
            continue
        offered = {
            level: {"label": label_of(level), "terms": levels.defaults(key, level, **NEUTRAL)}
            for key, level in levels.PRESETS
            if key == each.key
        }
        publish(each.key, each.name, each.clauses, offered, change_note="", by=by, now=now)


def is_taken_over(key: str) -> bool:
    """Whether people look after this template: what comes with the portal no longer changes it."""
    template = Template.get_or_none(Template.key == key)
    latest = newest(template) if template is not None else None
    return bool(template and template.retired_at) or bool(latest is not None and latest.authors)


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
    """A new published version that nobody had to approve; the latest one is kept where nothing changed."""
    digest = digest_of(clauses, offered)
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
            created_at=now,
            published_at=now,
        )
        note("template.published", template, by=by, now=now, version=version.number, sha256=digest)
    return version


def digest_of(clauses: Sequence[Any], offered: dict[str, Any]) -> str:
    """The hash of a version's content: what is approved, published and named by contracts."""
    return canonical.sha256({"schema": SCHEMA, "clauses": list(clauses), "levels": offered})


def note(
    act: str, template: Template, *, by: audit.Actor, now: datetime, reason: str = "", **facts: Any
) -> None:
    """Tell the trail what happened to a template, inside the caller's transaction."""
    audit.append(
        act,
        ("template", template.id),
        chain=audit.INSTALLATION,
        by=by,
        now=now,
        facts={"template": template.key, **facts},
        personal={"reason": reason},
    )


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
    return newest_of(retired=False)


def newest_of(*, retired: bool) -> list[TemplateVersion]:
    """The newest published version of each template that is, or is not, retired."""
    templates = (
        Template.select()
        .where(Template.retired_at.is_null(not retired))
        .order_by(Template.created_at, Template.id)
    )
    return [version for template in templates if (version := newest(template)) is not None]


def by_key(key: str) -> Template:
    """A template by its key. Raises NotFound."""
    found: Template | None = Template.get_or_none(Template.key == key) if "\0" not in key else None
    if found is None:
        raise NotFound
    return found


def published_versions(template: Template) -> list[TemplateVersion]:
    """Every published version, newest first."""
    published = (TemplateVersion.template == template) & TemplateVersion.published_at.is_null(False)
    return list(TemplateVersion.select().where(published).order_by(TemplateVersion.number.desc()))


def retire(template: Template, *, by: audit.Actor, now: datetime) -> None:
    """No new contract begins with it; those made from it stay as they are. Twice does nothing twice."""
    with transaction():
        in_use = (Template.id == template.id) & Template.retired_at.is_null()
        if Template.update(retired_at=now).where(in_use).execute():
            note("template.retired", template, by=by, now=now)


def bring_back(template: Template, *, by: audit.Actor, now: datetime) -> None:
    """New contracts may begin with it again."""
    with transaction():
        retired = (Template.id == template.id) & Template.retired_at.is_null(False)
        if Template.update(retired_at=None).where(retired).execute():
            note("template.brought_back", template, by=by, now=now)


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
    return title_of(version.template, language)


def title_of(template: Template, language: str) -> str:
    """The same, where no version is at hand."""
    names: dict[str, str] = template.name
    return names.get(language) or next(iter(names.values()))
