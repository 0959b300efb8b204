"""Calls to the account's API, and finding again what an earlier call made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from providers.docusign import sdk
from providers.docusign.access import Access
from providers.docusign.bodies import transaction_id
from providers.docusign.words import OUR_ID, THROTTLED, our_id, reasons
from providers.errors import Refused
from providers.http import BUSY_REST_S, REFUSED, Client, Reply

# DocuSign knows a transactionId for seven days. Beyond, the field with our id is searched this far back.
SEARCHED = timedelta(days=400)
WITH_PEOPLE = "recipients,custom_fields"


class Calm(Client):
    """Two limits, one header: `X-RateLimit-Reset` is when the hour's calls begin anew.

    A burst (500 calls in 30 seconds) is over sooner.
    """

    def _rest(self, headers: Mapping[str, str]) -> float:
        if headers.get("x-burstlimit-remaining") == "0" and headers.get("x-ratelimit-remaining", "0") != "0":
            return BUSY_REST_S
        return super()._rest(headers)


class Calls(Access):
    """The half of the adapter that asks."""

    def client(self) -> Client:
        return Calm(self.label, reasons=reasons, throttled=THROTTLED, reset_header="X-RateLimit-Reset")

    @property
    def api(self) -> sdk.Apis:
        """The vendor's own methods, aimed at this account's host."""
        return sdk.apis(self.call, self.host)

    def ask(self, method: Callable[..., Any], *place: str, **what: Any) -> Reply:
        """One of the vendor's methods, for this account; `place` is what follows the account in the path."""
        reply: Reply = method(self.account_id, *place, **what, _preload_content=False)
        return reply

    def envelope(self, remote_id: str) -> dict[str, Any]:
        """An envelope as it stands, with its people."""
        return self.ask(self.api.envelopes.get_envelope, remote_id, include=WITH_PEOPLE).object()

    def found(self, request_id: str) -> dict[str, Any] | None:
        """The envelope that bears our id, with its people."""
        list_them = self.api.envelopes.list_status_changes
        asked = {"transaction_ids": transaction_id(request_id), "include": WITH_PEOPLE}
        reply = self.ask(list_them, **asked).object()
        for each in listed(reply, "envelopes"):
            if our_id(each) in ("", request_id):
                return each
        for each in listed(reply, "envelopeTransactionStatuses"):
            if each.get("envelopeId") and each.get("transactionId") == asked["transaction_ids"]:
                return self.envelope(str(each["envelopeId"]))
        since = (self.connection.clock() - SEARCHED).isoformat()
        asked = {"custom_field": f"{OUR_ID}={request_id}", "from_date": since, "include": WITH_PEOPLE}
        older = listed(self.ask(list_them, **asked).object(), "envelopes")
        return next((each for each in older if our_id(each) == request_id), None)

    def updated(self, reply: Reply) -> None:
        """Raises Refused when a change of people, answered with 200, was not made."""
        for each in listed(reply.object(), "recipientUpdateResults"):
            told = each.get("errorDetails")
            problem = told if isinstance(told, dict) else {}
            code = str(problem.get("errorCode") or "SUCCESS")
            if code != "SUCCESS":
                refused = Refused(
                    REFUSED, provider=self.label, reason=str(problem.get("message") or code)[:300]
                )
                refused.status, refused.code = reply.status, code
                raise refused


def listed(reply: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The objects of a list in a reply, which may be null or missing."""
    found = reply.get(name)
    return (each for each in found if isinstance(each, dict)) if isinstance(found, list) else iter(())


def number(reply: Mapping[str, Any], name: str) -> int:
    """A count, which DocuSign writes as a string; 0 where it is missing."""
    said = str(reply.get(name) or "")
    return int(said) if said.isdigit() else 0
