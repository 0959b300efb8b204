"""What happened to a template, in the reader's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from portal.i18n import gettext as _
from portal.models.audit import AuditDetail, AuditEvent
from portal.models.templates import Template
from portal.services import audit
from portal.services.timeline import Event, Happening, note_of, who

WORDS: dict[str, Callable[[Event], str]] = {
    "template.drafted": lambda e: _("%(who)s began a draft", who=who(e)),
    "template.edited": lambda e: _("%(who)s changed the draft", who=who(e)),
    "template.draft_discarded": lambda e: _("%(who)s threw the draft away", who=who(e)),
    "template.publication_asked": lambda e: _("%(who)s asked for publication", who=who(e)),
    "template.publication_recalled": lambda e: _("%(who)s took the draft back to work on it", who=who(e)),
    "template.publication_approved": lambda e: _("%(who)s approved the publication", who=who(e)),
    "template.publication_returned": lambda e: _("%(who)s sent the draft back", who=who(e)),
    "template.published": lambda e: _(
        "Version %(number)s was published", number=e["facts"].get("version", "")
    ),
    "template.account_chosen": lambda e: _("%(who)s chose how its contracts are signed", who=who(e)),
    "template.retired": lambda e: _("%(who)s retired it", who=who(e)),
    "template.brought_back": lambda e: _("%(who)s brought it back into use", who=who(e)),
    "campaign.started": lambda e: _("%(who)s started to bring contracts to version %(number)s",
                                    who=who(e), number=e["facts"].get("version", "")),
}  # fmt: skip
MOST_EVENTS = 2000


def of(template: Template, limit: int = 100) -> list[Happening]:
    """The template's story, newest first; neighbouring edits of one person are one line."""
    found: list[Happening] = []
    for event in events(template):
        write = WORDS.get(event["act"])
        text = write(event) if write else ""
        if not text or (found and event["act"] == "template.edited" and found[-1].text == text):
            continue
        found.append(Happening(datetime.fromisoformat(event["at"]), text, note_of(event)))
    return found[:limit]


def events(template: Template) -> list[Event]:
    """The entries of the installation's history about this template, newest first, as dicts."""
    known = (AuditEvent.chain == audit.INSTALLATION) & AuditEvent.act.in_(list(WORDS))
    rows = AuditEvent.select().where(known).order_by(AuditEvent.number.desc()).limit(MOST_EVENTS)
    bodies = [json.loads(row.body) for row in rows]
    mine = [body for body in bodies if body["subject"]["id"] == template.id]
    kept = {
        row.number: row.values
        for row in AuditDetail.select().where(
            (AuditDetail.chain == audit.INSTALLATION)
            & AuditDetail.number.in_([body["number"] for body in mine])
        )
    }
    return [body | {"details": kept.get(body["number"], {})} for body in mine]
