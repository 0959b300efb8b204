"""One document to many: a list of people, a draft, and one call that makes a copy for each of them.

The whole batch is queued or none of it. List, draft and batch bear our id, so that what an earlier call made
is continued; only the last call sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from providers.docusign import bodies
from providers.docusign.calls import Calls, listed, number
from providers.docusign.sdk import shape
from providers.docusign.words import OUR_ID, marks, our_id, people_of
from providers.errors import Refused, Unavailable
from providers.http import GARBLED, REFUSED
from providers.interface import BulkRequest, BulkRowState, BulkState

PAGE = 1000  # the most that a page of a batch may hold
SOUGHT = 50  # envelopes asked for by id at once, so that the address stays short


class Bulk(Calls):
    def send_bulk(self, request: BulkRequest) -> BulkState:
        if request.is_repeat:
            batch = request.remote_id or self.batch_named(request.id)
            if batch:
                return self.bulk_state(batch)
        now, can = self.connection.clock(), self.capabilities
        bodies.days_left(request.expires_at, now)
        for row in request.rows:
            bodies.demand_language(row.language, can)
        content = bodies.content_of(request.document, can)
        list_id = (self.list_named(request.id) if request.is_repeat else "") or self.made(
            self.api.bulk.create_bulk_send_list, "listId", bulk_sending_list=bodies.bulk_list(request)
        )
        draft = self.found(request.id) if request.is_repeat else None
        draft_id = str(draft["envelopeId"]) if draft else self.made(
            self.api.envelopes.create_envelope,
            "envelopeId",
            envelope_definition=bodies.bulk_draft(request, content, now, list_id),
        )  # fmt: skip
        order = shape("BulkSendRequest", envelope_or_template_id=draft_id, batch_name=request.id)
        self.demand_sendable(list_id, order)
        send = self.api.bulk.create_bulk_send_request
        return BulkState(self.made(send, "batchId", list_id, bulk_send_request=order))

    def made(self, method: Any, name: str, *place: str, **what: Any) -> str:
        """The id of what a call made. Raises Unavailable where the answer does not hold it."""
        found = self.ask(method, *place, **what).object().get(name)
        if not found:
            raise Unavailable(GARBLED, provider=self.label)
        return str(found)

    def demand_sendable(self, list_id: str, order: Any) -> None:
        """Raises Refused, with the vendor's reasons, for a list that does not fit its draft."""
        test = self.api.bulk.create_bulk_send_test_request
        reply = self.ask(test, list_id, bulk_send_request=order).object()
        if reply.get("canBeSent") is False:
            said = reply.get("validationErrorDetails") or reply.get("validationErrors") or []
            raise Refused(REFUSED, provider=self.label, reason="; ".join(map(str, said))[:300])

    def batch_named(self, name: str) -> str:
        reply = self.ask(self.api.bulk.get_bulk_send_batches, search_text=name, count="100").object()
        batches = listed(reply, "bulkBatchSummaries")
        return next((str(each.get("batchId")) for each in batches if each.get("batchName") == name), "")

    def list_named(self, name: str) -> str:
        reply = self.ask(self.api.bulk.get_bulk_send_lists).object()
        lists = listed(reply, "bulkListSummaries")
        return next((str(each.get("bulkSendListId")) for each in lists if each.get("name") == name), "")

    # --- How it stands -------------------------------------------------------------------------

    def bulk_state(self, remote_id: str) -> BulkState:
        batch = self.ask(self.api.bulk.get_bulk_send_batch_status, remote_id).object()
        rows = [BulkRowState(key, envelope_id) for envelope_id, key in self.copies(remote_id).items() if key]
        rows += self.problems(batch)
        done = number(batch, "sent") + number(batch, "failed")
        is_final = number(batch, "queued") == 0 and done >= number(batch, "batchSize")
        return BulkState(remote_id, tuple(rows), is_final)

    def copies(self, batch_id: str) -> dict[str, str]:
        """Our key by the id of each envelope made so far."""
        found: dict[str, str] = {}
        while True:
            reply = self.ask(
                self.api.bulk.get_bulk_send_batch_envelopes,
                batch_id,
                count=str(PAGE),
                start_position=str(len(found)),
                include="recipients",
            ).object()
            page = {str(each["envelopeId"]): key_of(each) for each in listed(reply, "envelopes")
                    if each.get("envelopeId")}  # fmt: skip
            if not page.keys() - found.keys():
                return found | self.keys_of([each for each, key in found.items() if not key])
            found |= page
            if len(found) >= number(reply, "totalSetSize"):
                return found | self.keys_of([each for each, key in found.items() if not key])

    def keys_of(self, envelope_ids: list[str]) -> dict[str, str]:
        """Our keys of envelopes whose batch does not tell them."""
        found: dict[str, str] = {}
        for start in range(0, len(envelope_ids), SOUGHT):
            some = ",".join(envelope_ids[start : start + SOUGHT])
            reply = self.ask(
                self.api.envelopes.list_status_changes,
                envelope_ids=some,
                include="recipients,custom_fields",
                count=str(SOUGHT),
            ).object()
            found |= {str(each.get("envelopeId")): key_of(each) for each in listed(reply, "envelopes")}
        return found

    def problems(self, batch: dict[str, Any]) -> list[BulkRowState]:
        """People whose copy could not be made. They are told by address; the list has our key for each."""
        errors = list(listed(batch, "bulkErrors"))
        if not errors or not batch.get("mailingListId"):
            return []
        reply = self.ask(self.api.bulk.get_bulk_send_list, str(batch["mailingListId"])).object()
        keys = {address: key for key, address in in_list(reply)}
        return [
            BulkRowState(keys[address], problem=str(error.get("errorMessage") or "?")[:300])
            for error in errors
            for address in (str(each).lower() for each in error.get("recipientEmails") or [])
            if address in keys
        ]


def key_of(envelope: dict[str, Any]) -> str:
    """Our key as the copy bears it: beside its person, else in its field."""
    beside = next((key for person, _ in people_of(envelope) if (key := marks(person)[0])), "")
    return beside or our_id(envelope)


def in_list(reply: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """(key, address) of each copy in a list."""
    for each in listed(reply, "bulkCopies"):
        fields = {str(field.get("name")): str(field.get("value")) for field in listed(each, "customFields")}
        for person in listed(each, "recipients"):
            key = marks(person)[0] or fields.get(OUR_ID, "")
            if key:
                yield key, str(person.get("email") or "").lower()
