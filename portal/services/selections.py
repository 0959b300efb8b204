"""What is done to several contracts at once: each by the rules of one, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from portal.errors import PortalError
from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.models.contracts import Contract
from portal.models.people import Person
from portal.services import contracts, envelopes, reminders, remote_acts
from portal.services.audit import Actor

Outcome = tuple[Contract, bool, str]  # whether something was done, and a sentence


def remind(person: Person, chosen: Sequence[Contract], *, by: Actor, now: datetime) -> list[Outcome]:
    """Write again to everybody whose turn it is, in contracts that are the person's to send."""
    return [remind_in(contract, person, by, now) for contract in chosen]


def remind_in(contract: Contract, person: Person, by: Actor, now: datetime) -> Outcome:
    if not contracts.is_author(contract, person):
        return contract, False, _("It belongs to a colleague.")
    envelope = envelopes.open_for(contract)
    people = envelopes.recipients_of(envelope) if envelope is not None else []
    asked = [each for each in people if each.status in envelopes.ASKED]
    if not asked:
        return contract, False, _("Nobody is asked to sign it at the moment.")
    count, problem = 0, ""
    for recipient in asked:
        is_ours = envelopes.we_write(recipient, recipient.envelope)
        remind_by = reminders.remind_now if is_ours else remote_acts.remind
        try:
            remind_by(recipient, by=by, now=now)
            count += 1
        except PortalError as error:
            problem = error.message
    if not count:
        return contract, False, problem
    return contract, True, ngettext("One person was reminded.", "%(num)s people were reminded.", count)
