"""Bulk sending of the simulated DocuSign: lists, the test of a list against its draft, batches.

A batch is queued first and worked off by the next question about it.
"""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.simulators.docusign_shapes import complaints
from tests.simulators.vendor import Envelope, Request, Response, answer

if TYPE_CHECKING:
    from tests.simulators.docusign import DocuSign

MOST = 1000


@dataclass
class Batch:
    id: str
    name: str
    list_id: str
    draft: Envelope
    copies: list[dict[str, Any]]
    is_done: bool = False
    made: list[Envelope] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def counted(self) -> dict[str, Any]:
        queued = 0 if self.is_done else len(self.copies)
        return {
            "batchId": self.id, "batchName": self.name, "batchSize": str(len(self.copies)),
            "queued": str(queued), "sent": str(len(self.made)), "failed": str(len(self.errors)),
        }  # fmt: skip


class BulkSending:
    def __init__(self, vendor: DocuSign) -> None:
        self.vendor = vendor
        self.lists: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, Batch] = {}
        self.fails: dict[str, str] = {}  # address -> why no copy can be made for it

    def route(self, request: Request, parts: list[str]) -> Response:
        match (request.method, *parts):
            case ("POST", "bulk_send_lists"):
                return self.create_list(request.json())
            case ("GET", "bulk_send_lists"):
                found = [{"bulkSendListId": k, "name": v.get("name", "")} for k, v in self.lists.items()]
                return answer({"bulkListSummaries": found})
            case ("GET", "bulk_send_lists", list_id) if list_id in self.lists:
                return answer({"listId": list_id, **self.lists[list_id]})
            case ("POST", "bulk_send_lists", list_id, "test" | "send" as act) if list_id in self.lists:
                return self.use(list_id, request.json(), act)
            case ("GET", "bulk_send_batch"):
                text = request.query.get("search_text", "")
                found = [each.counted() for each in self.batches.values() if text in each.name]
                return answer({"bulkBatchSummaries": found, "totalSetSize": str(len(found))})
            case ("GET", "bulk_send_batch", batch_id) if batch_id in self.batches:
                return self.status(self.batches[batch_id])
            case ("GET", "bulk_send_batch", batch_id, "envelopes") if batch_id in self.batches:
                shown = [self.vendor.shown(each, "recipients") for each in self.batches[batch_id].made]
                return self.vendor.paged(shown, request.query)
        return self.vendor.refused("INVALID_REQUEST_PARAMETER", "The bulk send list or batch was not found.")

    def create_list(self, body: Any) -> Response:
        wrong = list(complaints("BulkSendingList", body))
        copies = body.get("bulkCopies") or [] if isinstance(body, dict) else []
        if wrong or not copies:
            return self.vendor.refused("INVALID_REQUEST_BODY", "; ".join(wrong) or "There are no copies.")
        if len(copies) > MOST:
            return self.vendor.refused("BULK_SEND_MAX_COPIES_EXCEEDED", f"At most {MOST} copies.")
        for each in copies:
            for person in each.get("recipients") or []:
                if bool(person.get("roleName")) is bool(person.get("recipientId")):
                    return self.vendor.refused("BULK_SEND_RECIPIENT_ID_REQUIRED", "roleName or recipientId.")
                if not person.get("name"):
                    return self.vendor.refused(
                        "BULK_SEND_RECIPIENT_NAME_REQUIRED", "A recipient has no name."
                    )
                if "@" not in person.get("email", ""):
                    return self.vendor.refused(
                        "BULK_SEND_EMAIL_ADDRESS_REQUIRED_FOR_EMAIL_RECIPIENT", "A recipient has no email."
                    )
        list_id = str(uuid.uuid4())
        self.lists[list_id] = body
        return answer({"listId": list_id, **body}, 201)

    def use(self, list_id: str, body: Any, act: str) -> Response:
        wrong = list(complaints("BulkSendRequest", body))
        draft = self.vendor.envelopes.get((body or {}).get("envelopeOrTemplateId", ""))
        if wrong or draft is None:
            return self.vendor.refused("INVALID_REQUEST_BODY", "; ".join(wrong) or "No such draft.")
        problems = self.misfits(self.lists[list_id], draft)
        if act == "test":
            return answer({"canBeSent": not problems, "validationErrors": problems}, 201)
        if problems:
            return self.vendor.refused(problems[0], "The list does not fit the draft.")
        batch = Batch(
            str(uuid.uuid4()), body.get("batchName", ""), list_id, draft, self.lists[list_id]["bulkCopies"]
        )
        self.batches[batch.id] = batch
        return answer({**batch.counted(), "totalQueued": str(len(batch.copies)), "errors": []}, 201)

    @staticmethod
    def misfits(found: dict[str, Any], draft: Envelope) -> list[str]:
        problems = []
        if draft.status != "draft":
            problems.append("BULK_SEND_ENVELOPE_NOT_IN_SENDABLE_STATE")
        roles = {person.facts.get("roleName") for person in draft.people}
        for each in found["bulkCopies"]:
            if {person.get("roleName") for person in each["recipients"]} != roles:
                problems.append("BULK_SEND_RECIPIENTS_DO_NOT_MATCH")
            named = {one["name"] for one in each.get("customFields") or []}
            if not named <= draft.facts["fields"].keys():
                problems.append("BULK_SEND_CUSTOM_FIELD_DOES_NOT_EXIST")
        return sorted(set(problems))

    def status(self, batch: Batch) -> Response:
        said = batch.counted()
        if not batch.is_done:
            batch.is_done = True
            for each in batch.copies:
                self.make(batch, each)
        return answer({
            **said, "mailingListId": batch.list_id, "envelopeIdOrTemplateId": batch.draft.id,
            "bulkErrors": batch.errors,
        })  # fmt: skip

    def make(self, batch: Batch, wanted: dict[str, Any]) -> None:
        addresses = [person["email"] for person in wanted["recipients"]]
        if why := next((self.fails[each] for each in addresses if each in self.fails), ""):
            batch.errors.append({"errorMessage": why, "recipientEmails": addresses})
            return
        values = {one["name"]: one["value"] for one in wanted.get("customFields") or []}
        fields = {**batch.draft.facts["fields"], **values}
        made = self.vendor.new_envelope(batch.draft.title, batch.draft.file, fields.get("countersign_id", ""))
        made.facts = {**copy.deepcopy(batch.draft.facts), "fields": fields, "transactionId": ""}
        made.expires_at = batch.draft.expires_at
        by_role = {person["roleName"]: person for person in wanted["recipients"]}
        for person in batch.draft.people:
            chosen = by_role[person.facts["roleName"]]
            facts = {**person.facts, "customFields": chosen.get("customFields") or []}
            made.people.append(replace(person, name=chosen["name"], email=chosen["email"], facts=facts))
        batch.made.append(made)
        self.vendor.start(made)
