"""What lies in the account: completed signature requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from providers.dropbox_sign.access import FULL_PAGE, last_page
from providers.dropbox_sign.events import Callbacks
from providers.dropbox_sign.words import at_the_end, listed, our_id, signatures_of
from providers.errors import Refused
from providers.interface import ArchivedEnvelope, ArchivePage

FIRST_DAY = "2010-01-01"  # before HelloSign was founded
TEAM, OWN = "all", "own"
NO_TEAM = (400, 403, 404)


class Lists(Callbacks):
    def archive(self, since: datetime, until: datetime, cursor: str = "") -> ArchivePage:
        """Those of the whole team where there is one, in Dropbox Sign's own order.

        It searches by creation alone, which is never after completion; the rest is left out here.
        """
        whose, _, said = (cursor or f"{TEAM}:1").partition(":")
        number = int(said)
        try:
            found = self.completed(whose, until, number)
        except Refused as error:
            if cursor or error.status not in NO_TEAM:
                raise
            whose = OWN
            found = self.completed(whose, until, number)
        envelopes = [archived(each) for each in listed(found, "signature_requests")]
        info = found.get("list_info")
        total = info.get("num_results") if isinstance(info, dict) else None
        return ArchivePage(
            tuple(each for each in envelopes if is_within(each, since, until)),
            f"{whose}:{number + 1}" if number < last_page(found) else "",
            total if isinstance(total, int) else None,
        )

    def completed(self, whose: str, until: datetime, number: int) -> dict[str, Any]:
        query = {
            "query": f"complete:true AND created:[{FIRST_DAY} TO {until.date().isoformat()}]",
            "page": str(number),
            "page_size": str(FULL_PAGE),
        }
        if whose == TEAM:
            query["account_id"] = TEAM
        return self.ask("GET", "/signature_request/list", params=query).object()


def archived(found: dict[str, Any]) -> ArchivedEnvelope:
    return ArchivedEnvelope(
        str(found.get("signature_request_id") or ""),
        str(found.get("title") or found.get("original_title") or ""),
        at_the_end(found),
        our_id(found),
        tuple(
            (str(each.get("signer_name") or ""), str(each.get("signer_email_address") or ""))
            for each in signatures_of(found)
        ),
    )


def is_within(envelope: ArchivedEnvelope, since: datetime, until: datetime) -> bool:
    return envelope.completed_at is None or since <= envelope.completed_at < until
