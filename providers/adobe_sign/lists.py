"""What lies in the account: completed agreements, and batches (Send in Bulk, called MegaSign in the API)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from providers.adobe_sign.account import identified, listed
from providers.adobe_sign.bodies import batch, keys_by_address, rows_csv, with_fields
from providers.adobe_sign.declared import EACH_ONCE, NO_SPOT
from providers.adobe_sign.events import Webhooks
from providers.adobe_sign.states import COMPLETED, sets_of
from providers.base import instant
from providers.errors import Unsupported
from providers.interface import (
    ArchivedEnvelope,
    ArchivePage,
    BulkRequest,
    BulkRowState,
    BulkState,
)

KINDS = ("AGREEMENT", "MEGASIGN_CHILD", "WIDGET_INSTANCE")
PAGE = 50
PATIENCE = timedelta(hours=1)  # a batch that has grown no further by then will not


class Lists(Webhooks):
    # --- Completed agreements ------------------------------------------------------------------

    def archive(self, since: datetime, until: datetime, cursor: str = "") -> ArchivePage:
        """All that the connected user may see, by their last change, which is never before completion."""
        start = int(cursor or 0)
        reply = self.ask(
            "POST",
            "/search",
            json={
                "scope": ["AGREEMENT_ASSETS"],
                "agreementAssetsCriteria": {
                    "type": list(KINDS),
                    "status": list(COMPLETED),
                    "modifiedDate": {"range": {"min": exact(since), "max": exact(until)}},
                    "visibility": "SHOW_ALL",
                    "sortByField": "MODIFIED_DATE",
                    "sortOrder": "ASC",
                    "startIndex": start,
                    "pageSize": PAGE,
                },
            },
        )
        found = reply.object().get("agreementAssetsResults")
        results = found if isinstance(found, dict) else {}
        page = results.get("searchPageInfo")
        following = page.get("nextIndex") if isinstance(page, dict) else None
        total = results.get("totalHits")
        envelopes = [archived(each) for each in listed(results, "agreementAssetsResultList")]
        return ArchivePage(
            tuple(each for each in envelopes if is_within(each, since, until)),
            str(following) if isinstance(following, int) and following > start else "",
            total if isinstance(total, int) else None,
        )

    # --- Batches -------------------------------------------------------------------------------

    def send_bulk(self, request: BulkRequest) -> BulkState:
        if not request.placements:
            raise Unsupported(NO_SPOT)
        addresses = [each.email.lower() for each in request.rows]
        if len(set(addresses)) < len(addresses):
            raise Unsupported(EACH_ONCE)
        found = request.remote_id or (self.batch_id(request) if request.is_repeat else "")
        if found:
            return self.bulk_state(found)
        content = with_fields(request.document.read(), request.placements)
        file_id = self.upload(request.document.name, content, "application/pdf")
        rows_id = self.upload("recipients.csv", rows_csv(request), "text/csv")
        body = batch(request, file_id, rows_id, self.connection.clock())
        return BulkState(identified(self.ask("POST", "/megaSigns", json=body)))

    def batch_id(self, request: BulkRequest) -> str:
        """The batch we named so; the list shows no names of ours, so each of that title is read."""
        for each in self.pages("/megaSigns", "megaSignList"):
            if each.get("name") != request.title:
                continue
            whole = self.ask("GET", f"/megaSigns/{each.get('id')}").object()
            external = whole.get("externalId")
            if isinstance(external, dict) and external.get("id") == request.id:
                return str(each.get("id"))
        return ""

    def bulk_state(self, remote_id: str) -> BulkState:
        """Who is who is told once all are made: it takes a call for each of them."""
        whole = self.ask("GET", f"/megaSigns/{remote_id}").object()
        keys = self.keys_of(remote_id, whole)
        made_at = instant(whole.get("createdDate"))
        is_old = made_at is not None and made_at + PATIENCE <= self.connection.clock()
        children = list(self.pages(f"/megaSigns/{remote_id}/agreements", "megaSignChildAgreementList"))
        if len(children) < len(keys) and not is_old:
            return BulkState(remote_id)
        rows = [
            BulkRowState(key, str(child["id"]))
            for child in children
            if child.get("id") and (key := self.key_of(str(child["id"]), keys))
        ]
        return BulkState(remote_id, tuple(rows), is_final=True)

    def keys_of(self, remote_id: str, whole: dict[str, Any]) -> dict[str, str]:
        """Address to our key, from the rows as Adobe hands them back."""
        info = whole.get("childAgreementsInfo")
        file = info.get("fileInfo") if isinstance(info, dict) else None
        file_id = file.get("childAgreementsInfoFileId") if isinstance(file, dict) else None
        return keys_by_address(self.ask("GET", f"/megaSigns/{remote_id}/childAgreementsInfo/{file_id}").body)

    def key_of(self, agreement_id: str, keys: dict[str, str]) -> str:
        sets = sets_of(self.ask("GET", f"/agreements/{agreement_id}/members").object())
        return next((keys[email] for each in sets for email in each.emails if email in keys), "")


def archived(found: dict[str, Any]) -> ArchivedEnvelope:
    external = found.get("externalId")
    ours = external.get("id") if isinstance(external, dict) else external
    return ArchivedEnvelope(
        str(found.get("id") or ""),
        str(found.get("name") or ""),
        instant(found.get("modifiedDate")),
        str(ours or ""),
        tuple(
            (str(each.get("fullName") or ""), str(each.get("email") or ""))
            for each in listed(found, "participantList")
        ),
    )


def is_within(envelope: ArchivedEnvelope, since: datetime, until: datetime) -> bool:
    return envelope.completed_at is None or since <= envelope.completed_at < until


def exact(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
