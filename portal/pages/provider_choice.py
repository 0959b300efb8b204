"""Through which provider a contract goes: the choice on the send page, and its state afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal.i18n import gettext as _
from portal.models.connections import Connection
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope
from portal.models.templates import TemplateVersion
from portal.pages.forms import Form
from portal.services import connections, remote, sendable, sending
from providers import registry

BUILT_IN = "builtin"
USUAL = "usual"  # in a form that does not know its template yet


def chosen(form: Form, version: TemplateVersion | None = None) -> Connection | None:
    """What the form says: an account, or None for built-in signing. Notes a reason for anything else."""
    value = str(form.value("connection") or BUILT_IN)
    if value == USUAL:
        value = preselected(version)
    if value == BUILT_IN:
        return None
    found = {each.id: each for each in connections.usable()}.get(value)
    if found is None:
        form.refuse("connection", _("This account cannot be used any more. Choose another one."))
    return found


def preselected(version: TemplateVersion | None = None) -> str:
    """The value of the choice to begin with: what the template says, else what is usual here."""
    if version is not None and version.template.is_signed_here:
        return BUILT_IN
    own: Connection | None = version.template.connection if version is not None else None
    usual = own if own is not None and own.status == "active" else connections.default()
    return usual.id if usual is not None else BUILT_IN


def everything() -> list[tuple[str, str]]:
    """(value, label) of each way there is; one alone is no choice."""
    return [(BUILT_IN, _("Countersign, built in")), *((each.id, each.name) for each in connections.usable())]


def options(contract: Contract) -> list[tuple[str, str, str]]:
    """(value, label, remark) of each way for one contract."""
    found = [(BUILT_IN, _("Countersign, built in"), "")]
    for each in connections.usable():
        remark = " ".join(connections.usable_for(contract, each))
        if each.account.get("is_test"):
            remark = remark or _("For tests: what is signed there binds nobody.")
        found.append((each.id, each.name, remark))
    return found


def how_checked(
    contract: Contract, people: list[dict[str, Any]], connection: Connection | None
) -> dict[str, str]:
    """By person: who checks them, in a sentence; empty for built-in signing."""
    if connection is None:
        return {}
    label = registry.label(connection.provider)
    found = {}
    for key, way in sendable.ways(contract, people, connection.provider).items():
        if way.is_embedded:
            found[key] = _("Checked by Countersign first, then signs at %(provider)s.", provider=label)
        elif way.native:
            found[key] = _("Asked and checked by %(provider)s.", provider=label)
        else:
            found[key] = _("Asked by %(provider)s.", provider=label)
    return found


def standing(envelope: Envelope, now: datetime) -> dict[str, Any] | None:
    """How a request at an outside provider stands, for its page; None for built-in signing."""
    if envelope.provider == BUILT_IN:
        return None
    account = remote.account_of(envelope)
    url = f"/contracts/{envelope.contract.reference}/signing"
    return {
        "label": registry.label(envelope.provider),
        "account": account.name if account is not None else "",
        "problem": envelope.problem,
        "raw_status": envelope.raw_status,
        "polled_at": envelope.polled_at,
        "rests_until": connections.is_open(account, now) if account is not None else None,
        "is_withdrawing": envelope.withdrawal is not None and envelope.status in ("queued", "sent"),
        "has_stopped": sending.has_stopped(envelope),
        "may_try": sending.waits(envelope),
        "again_url": f"{url}/again",
        "refresh_url": f"{url}/refresh" if envelope.status == "sent" else "",
        "record_url": f"{url}/evidence.pdf" if envelope.companion else "",
        "vendor_url": f"{url}/vendor-evidence" if envelope.vendor_evidence else "",
    }


def moved_from(envelope: Envelope) -> str:
    """Which request it replaces, in words."""
    old = envelope.replaces
    return (
        _("Sent again, after %(provider)s.", provider=registry.label(old.provider)) if old is not None else ""
    )
