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


def options(contract: Contract, people: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(value, label, remark) of each way for one contract: what stands against it, and who checks whom."""
    found = [(BUILT_IN, _("Countersign, built in"), "")]
    for each in connections.usable():
        remarks = connections.usable_for(contract, each)
        if not remarks and each.account.get("is_test"):
            remarks = [_("For tests: what is signed there binds nobody.")]
        found.append((each.id, each.name, " ".join((*remarks, *who_checks(contract, people, each)))))
    return found


def who_checks(contract: Contract, people: list[dict[str, Any]], connection: Connection) -> list[str]:
    """A sentence for those whom Countersign checks first, whom the provider checks, whom it only asks."""
    label = registry.label(connection.provider)
    ways = sendable.ways(contract, people, connection.provider)
    first, there, asked = [], [], []
    for person in people:
        way = ways[person["key"]]
        if person["role"] != "copy":
            (first if way.is_embedded else there if way.native else asked).append(str(person["name"]))
    found = []
    if first:
        found.append(_("Checked by Countersign first: %(names)s.", names=", ".join(first)))
    if there:
        found.append(
            _("Asked and checked by %(provider)s: %(names)s.", provider=label, names=", ".join(there))
        )
    if asked:
        found.append(_("Asked by %(provider)s: %(names)s.", provider=label, names=", ".join(asked)))
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
