"""From our gate to the provider's signing page, and back.

The address is fetched at the press, shown to that browser alone and never stored. What the gate had
checked is kept with the recipient before they go; that they signed is believed only when the provider
says so.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from portal.errors import Conflict, TooMany, Unavailable
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.envelopes import Recipient
from portal.services import (
    audit,
    calls,
    ceremonies,
    envelopes,
    factors,
    jobs,
    limits,
    notices,
    polling,
    remote,
)
from portal.services.audit import Actor
from portal.services.ceremonies import Place
from providers import registry
from providers.errors import ProviderError
from providers.interface import Frame

# Addresses fetched for one person, and looks at how it stands when they come back.
FETCHES = (limits.Cap(30, timedelta(hours=1)),)
LOOKS = (limits.Cap(20, timedelta(minutes=10)),)
# A provider that is slow holds up two people's requests in a process, not all of them.
AT_ONCE = threading.BoundedSemaphore(2)


def label(place: Place) -> str:
    """Whose signing page it is."""
    return registry.label(place.envelope.provider)


def returns(place: Place) -> bool:
    """Whether that page leads back here by itself."""
    return registry.capabilities(place.envelope.provider).returns


def go(place: Place, *, by: Actor, now: datetime) -> tuple[str, Frame | None]:
    """The provider's signing address for this person, now, and what a page needs to open it in a frame.

    Raises Conflict before every step of the gate is done and while the provider is not ready, TooMany
    when it was asked for again and again, Unavailable where the provider says no.
    """
    with transaction():
        fresh = ceremonies.hold(place, now, until="factors")
        if ceremonies.state(fresh, now) != "elsewhere":
            raise Conflict(_("A step before this one is still open. Load the page again."))
    limits.check("hand_over", place.recipient.id, by.address, now, FETCHES)
    with transaction():
        fresh = ceremonies.hold(place, now, until="factors")
        checked = factors.evidence(fresh)
        gate = {
            "at": now.isoformat(timespec="seconds"), "factors": checked, "address": by.address,
            "user_agent": by.user_agent,
        }  # fmt: skip
        Recipient.update(gate=gate).where(Recipient.id == fresh.recipient.id).execute()
        audit.append(
            "recipient.handed_over", ("recipient", fresh.recipient.id), chain=fresh.contract.id, by=by,
            now=now,
            facts={
                "provider": fresh.envelope.provider, "factors": [each["factor"] for each in checked],
                "consent_sha256": fresh.consent.text_sha256 if fresh.consent else "",
                "document_sha256": fresh.document.sha256,
            },
        )  # fmt: skip
    envelope = envelopes.get(place.envelope.id)
    try:
        with calls.to(remote.account_of(envelope), now):
            provider = remote.provider_of(envelope)
            url = provider.signing_url(
                remote.handle(envelope), place.recipient.key,
                return_url=notices.url(f"/ceremony/{place.recipient.id}/return"),
            )  # fmt: skip
            return url, provider.frame()
    except ProviderError as error:
        if error.retry:
            raise Conflict(
                _("%(provider)s is not ready for you yet. Try again in a moment.", provider=label(place))
            ) from error
        raise Unavailable(
            _(
                "%(provider)s does not open its page now. Ask the person who sent this.",
                provider=label(place),
            )
        ) from error  # fmt: skip


def look(place: Place, now: datetime) -> None:
    """Ask the provider once how it stands; the page says what is known, whatever the answer.

    Where too many ask just now, or it does not answer, a job asks in a moment.
    """
    try:
        limits.check("return", place.recipient.id, "", now, LOOKS)
    except TooMany:
        return
    if AT_ONCE.acquire(blocking=False):
        try:
            polling.look(place.envelope.id, now)
            return
        except (jobs.Retry, jobs.GiveUp):
            pass
        finally:
            AT_ONCE.release()
    with transaction():
        key = f"look:{place.envelope.id}:{now.isoformat(timespec='minutes')}"
        polling.ask_soon(place.envelope.id, now, key=key)
