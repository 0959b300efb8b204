"""What lies in the account: completed documents, and batches.

A batch is a template, a folder of its own that carries our id, and the documents signNow makes in it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from providers.base import instant
from providers.errors import Unsupported
from providers.interface import (
    ArchivedEnvelope,
    ArchivePage,
    BulkRequest,
    BulkRowState,
    BulkState,
    EnvelopeStatus,
)
from providers.signnow.account import ARCHIVE, DOCUMENTS, FULL_PAGE, TEMPLATES, identified, unix
from providers.signnow.bodies import days_until, field, reminder, request_id_of
from providers.signnow.declared import NO_SPOT, TOO_SOON
from providers.signnow.events import Webhooks
from providers.signnow.states import invites_of, listed, status_of

ROLE = "Signer 1"
REMIND_AFTER_DAYS = 2
PATIENCE = timedelta(hours=1)  # a batch that has grown no further by then will not
KEY = re.compile(r"\(([^()]+)\)$")  # ends the name of a document of a batch
SIZE = re.compile(r"-(\d+)$")  # ends the name of a batch's folder


class Lists(Webhooks):
    # --- Completed documents -------------------------------------------------------------------

    def archive(self, since: datetime, until: datetime, cursor: str = "") -> ArchivePage:
        """Those of the account's Documents and Archive folders, oldest by creation first.

        signNow filters by the time of the last change, which is never before completion.
        """
        name, _, said = (cursor or f"{DOCUMENTS}:0").partition(":")
        offset = int(said)
        folder_id = self.documents_folder() if name == DOCUMENTS else self.folder_id(name)
        documents: list[dict[str, Any]] = []
        if folder_id is not None:
            asked: dict[str, str | int] = {"filters": "documents-updated", "filter-values": unix(since)}
            found = self.folder(
                folder_id, **asked, sortby="created", order="asc", limit=FULL_PAGE, offset=offset
            )
            documents = listed(found, "documents")
        envelopes = tuple(
            made for each in documents if (made := self.archived(each)) and is_within(made, since, until)
        )
        if len(documents) >= FULL_PAGE:
            return ArchivePage(envelopes, f"{name}:{offset + FULL_PAGE}")
        return ArchivePage(envelopes, f"{ARCHIVE}:0" if name == DOCUMENTS else "")

    def archived(self, document: dict[str, Any]) -> ArchivedEnvelope | None:
        """A document that people were invited to sign and did; None for any other."""
        invites = invites_of(document)
        is_signed = invites and status_of(invites, self.connection.clock()) is EnvelopeStatus.COMPLETED
        if not is_signed or document.get("template"):
            return None
        return ArchivedEnvelope(
            str(document.get("id", "")),
            str(document.get("document_name") or ""),
            max((each.at for each in invites if each.at), default=None),
            request_id_of(document),
            tuple((each.name, each.email) for each in invites),
        )

    # --- Batches -------------------------------------------------------------------------------

    def send_bulk(self, request: BulkRequest) -> BulkState:
        """The folder is made right before the batch starts: where it is there, nothing starts again.

        Whether signNow took a batch whose answer was lost shows in that folder within the hour.
        """
        days = days_until(request.expires_at, self.connection.clock())
        if not request.placements:
            raise Unsupported(NO_SPOT)
        if days < 1:
            raise Unsupported(TOO_SOON)
        if request.remote_id:
            return self.bulk_state(request.remote_id)
        documents = self.documents_folder()
        if request.is_repeat and (folder_id := self.batch_folder(documents, request.id)):
            return self.bulk_state(folder_id)
        template_id = self.template(request)
        self.route(template_id, days)
        folder_id = identified(
            self.call(
                "POST",
                self.url("/user/folder"),
                json={"name": f"{batch_name(request.id)}-{len(request.rows)}", "parent_id": documents},
            )
        )
        self.call(
            "POST",
            self.url(f"/template/{template_id}/bulkinvite"),
            files={"file": ("batch.csv", csv_of(request).encode(), "text/csv")},
            data={
                "folder_id": folder_id,
                "client_timestamp": str(unix(self.connection.clock())),
                "document_name": request.title,
                "subject": request.title,
                "email_message": request.message,
            },
        )
        return BulkState(folder_id)

    def bulk_state(self, remote_id: str) -> BulkState:
        rows, offset = [], 0
        while True:
            found = self.folder(remote_id, limit=FULL_PAGE, offset=offset)
            documents = listed(found, "documents")
            rows += [
                BulkRowState(key[1], str(each["id"]))
                for each in documents
                if invites_of(each) and (key := KEY.search(str(each.get("document_name") or "")))
            ]
            if len(documents) < FULL_PAGE:
                break
            offset += FULL_PAGE
        asked = SIZE.search(str(found.get("name") or ""))
        made_at = instant(found.get("created"))
        is_old = made_at is not None and made_at + PATIENCE <= self.connection.clock()
        return BulkState(remote_id, tuple(rows), bool(asked and len(rows) >= int(asked[1])) or is_old)

    def batch_folder(self, documents: str, request_id: str) -> str | None:
        found = self.folder(documents, limit=1, **{"subfolder-data": 1})
        named = re.compile(re.escape(batch_name(request_id)) + r"-\d+")
        return next(
            (str(each["id"]) for each in listed(found, "folders") if named.fullmatch(str(each.get("name")))),
            None,
        )

    def template(self, request: BulkRequest) -> str:
        """The file with one role's fields as a template; an earlier attempt's where there is one."""
        name = batch_name(request.id)
        if request.is_repeat and (templates := self.folder_id(TEMPLATES)):
            made = (each for each in self.short_list(templates) if each.get("document_name") == name)
            if found := next(made, None):
                return str(found["id"])
        earlier = self.find_id(request.id) if request.is_repeat else None
        document_id = earlier or self.upload(request.id, request.document.read())
        spots = [field(each, ROLE, number) for number, each in enumerate(request.placements, start=1)]
        self.call(
            "PUT",
            self.url(f"/document/{document_id}"),
            json={
                "document_name": request.title,
                "fields": spots,
                "client_timestamp": unix(self.connection.clock()),
            },
        )
        return identified(
            self.call("POST", self.url("/template"), json={"document_id": document_id, "document_name": name})
        )

    def route(self, template_id: str, days: int) -> None:
        """What holds for each invitation: its end, reminders, declining."""
        roles = listed(self.document(template_id).object(), "roles")
        again = reminder(REMIND_AFTER_DAYS, days)
        self.call(
            "PUT",
            self.url(f"/document/{template_id}/template/routing/detail"),
            json={
                "template_data": [
                    {
                        "name": each.get("name"),
                        "role_id": each.get("unique_id"),
                        "default_email": "",
                        "inviter_role": False,
                        "signing_order": 1,
                        "expiration_days": days,
                        "reassign": "1",
                        "decline_by_signature": "1",
                        **({"reminder": again} if again else {}),
                    }
                    for each in roles
                ],
                "cc": [],
                "cc_step": [],
            },
        )


def is_within(envelope: ArchivedEnvelope, since: datetime, until: datetime) -> bool:
    return envelope.completed_at is None or since <= envelope.completed_at < until


def batch_name(request_id: str) -> str:
    return f"countersign-{request_id}"


def csv_of(request: BulkRequest) -> str:
    """A row per person, `role|address,document name`. The name ends in our key; commas would end it early."""
    title = " ".join(re.sub(r'[,"]', " ", request.title).split())
    return "".join(f"{ROLE}|{each.email},{title} ({each.key})\n" for each in request.rows)
