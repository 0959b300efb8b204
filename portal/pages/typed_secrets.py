"""Secrets typed into a form that was refused: they go back with it encrypted, so that nothing is typed twice
and nothing is ever shown.

The text is good for an hour, for the person who typed it and for the same provider alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from portal import scrub
from portal.clock import utc_now
from portal.documents.crypto import Unreadable
from portal.pages.forms import Form
from portal.pages.guards import person
from portal.services import installation

FIELD = "typed"
LIFE = timedelta(hours=1)
PURPOSE = "typed-secrets"


def sealed(provider: str, secrets: Mapping[str, str]) -> str:
    """What the hidden field holds."""
    said = {"for": [PURPOSE, provider, person().id], "at": utc_now().isoformat(), "secrets": dict(secrets)}
    return installation.current().box.seal(json.dumps(said))


def opened(form: Form, provider: str) -> dict[str, str]:
    """Setting to secret, from an earlier answer to the same person; empty for anything else."""
    text = str(form.value(FIELD))
    if not text:
        return {}
    try:
        said = json.loads(installation.current().box.open(text))
    except (Unreadable, ValueError):
        return {}
    if not isinstance(said, dict) or said.get("for") != [PURPOSE, provider, person().id]:
        return {}
    if utc_now() - datetime.fromisoformat(said["at"]) > LIFE:
        return {}
    found: dict[str, str] = said["secrets"]
    scrub.hide(found.values())
    return found
