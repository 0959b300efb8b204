"""One document to many: a template made from the file, and a job of requests for at most 250 people each.

Dropbox Sign gives a job no name and a person of it no reference. So the requests of a job bear in their
metadata which batch and part they belong to, and which address is which of our rows. Jobs know no end of
their requests either; each request is given one as soon as it is there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from providers.base import instant
from providers.dropbox_sign import LABEL, bodies
from providers.dropbox_sign.access import BUSY_S, FULL_PAGE, STILL_BUSY, last_page
from providers.dropbox_sign.lists import Lists
from providers.dropbox_sign.words import address_of, is_done, listed, metadata_of, signatures_of
from providers.errors import Refused, Unavailable, Unsupported
from providers.http import GARBLED
from providers.interface import BulkRequest, BulkRow, BulkRowState, BulkState, mark

BATCH, PART, ROWS = "countersign_batch", "countersign_part", "countersign_rows_"
ROLE = "Signer"
MOST_ROWS = 250
MOST_VALUES, LONGEST_VALUE = 8, 1000  # of the metadata: ten in all, of a thousand characters each
MOST_ENDS = 40  # requests that are given their end in one look
PATIENCE = timedelta(hours=1)  # a job that has grown no further by then will not
SEARCHED = timedelta(days=7)  # jobs of an earlier attempt are not older

EACH_ONCE = mark("With Dropbox Sign each address can be in a bulk send once only.")
NOT_MADE = mark("Dropbox Sign made no request for this person.")

log = logging.getLogger(__name__)


class Bulk(Lists):
    def send_bulk(self, request: BulkRequest) -> BulkState:
        addresses = [each.email.lower() for each in request.rows]
        if len(set(addresses)) < len(addresses):
            raise Unsupported(EACH_ONCE)
        if not request.placements:
            raise Unsupported(bodies.NO_SPOT)
        if request.remote_id:
            return self.bulk_state(request.remote_id)
        ends = bodies.expiry(request.expires_at, self.connection.clock())
        parts = parts_of(request.rows)
        template_id = (self.template_there(request.id) if request.is_repeat else "") or self.template(request)
        jobs = self.jobs_there(request.id, parts) if request.is_repeat else {}
        for number, rows in enumerate(parts):
            if number not in jobs:
                jobs[number] = self.job(request, template_id, number, rows)
        return BulkState(f"{ends}:" + ",".join(jobs[number] for number in range(len(parts))))

    def template(self, request: BulkRequest) -> str:
        body = {
            "title": request.title,
            "subject": request.title,
            "signer_roles": [{"name": ROLE, "order": 0}],
            "form_fields_per_document": bodies.fields_of_one(request.placements),
            "metadata": {BATCH: request.id},
            "test_mode": self.is_test,
        }
        files = bodies.content_of(request.document)
        made = self.ask("POST", "/template/create", data=bodies.form(body), files=files).object()
        return identified(made.get("template"), "template_id")

    def template_there(self, request_id: str) -> str:
        """What an earlier attempt made of the file: among the newest, else by search."""
        for search in ({}, {"query": f"metadata:{request_id}"}):
            query = {"page": "1", "page_size": str(FULL_PAGE), **search}
            page = self.ask("GET", "/template/list", params=query).object()
            for each in listed(page, "templates"):
                if metadata_of(each).get(BATCH) == request_id and each.get("template_id"):
                    return str(each["template_id"])
        return ""

    def job(self, request: BulkRequest, template_id: str, number: int, rows: tuple[BulkRow, ...]) -> str:
        """Start one part. While the template is still being made it is answered by 409."""
        body: dict[str, Any] = {
            "template_ids": [template_id],
            "title": request.title,
            "subject": request.title,
            "message": request.message,
            "signer_list": [
                {"signers": [{"role": ROLE, "name": each.name, "email_address": each.email}]} for each in rows
            ],
            "metadata": {BATCH: request.id, PART: str(number), **written(rows)},
            "allow_decline": True,
            "test_mode": self.is_test,
        }
        if self.client_id:
            body["client_id"] = self.client_id
        made = self.ask("POST", "/signature_request/bulk_send_with_template", json=body).object()
        return identified(made.get("bulk_send_job"), "bulk_send_job_id")

    def jobs_there(self, request_id: str, parts: list[tuple[BulkRow, ...]]) -> dict[int, str]:
        """Parts that an earlier attempt started. A job shows whose it is once it has made a request.

        Raises Unavailable while a job of fitting size shows nothing: it could be ours.
        """
        found: dict[int, str] = {}
        nameless: list[int] = []
        now = self.connection.clock()
        for job in self.pages("/bulk_send_job/list", "bulk_send_jobs"):
            made_at = instant(job.get("created_at"))
            if made_at is not None and made_at + SEARCHED < now:
                break
            page = self.job_page(str(job.get("bulk_send_job_id")), 1, size=1)
            first = next(iter(listed(page, "signature_requests")), None)
            said = metadata_of(first) if first else {}
            if said.get(BATCH) == request_id and str(said.get(PART)).isdigit():
                found[int(str(said[PART]))] = str(job["bulk_send_job_id"])
            elif first is None and (made_at is None or made_at + PATIENCE > now):
                nameless.append(int(job.get("total") or 0))
        if any(len(rows) in nameless for number, rows in enumerate(parts) if number not in found):
            raise Unavailable(STILL_BUSY, retry_after_s=BUSY_S * 6)
        return found

    # --- How it stands -------------------------------------------------------------------------

    def bulk_state(self, remote_id: str) -> BulkState:
        said, _, jobs = remote_id.partition(":")
        rows: list[BulkRowState] = []
        is_final, may_end = True, MOST_ENDS
        for job_id in jobs.split(","):
            job, requests = self.whole_job(job_id)
            keys = {key: value for each in requests for key, value in read_back(each).items()}
            made = [
                BulkRowState(keys[person], str(each["signature_request_id"]))
                for each in requests
                if each.get("signature_request_id") and (person := digest_in(each)) in keys
            ]
            endless = [each for each in requests if needs_end(each)]
            for each in endless[:may_end]:
                self.end_at(each, int(said))
            made_at = instant(job.get("created_at"))
            is_old = made_at is not None and made_at + PATIENCE <= self.connection.clock()
            if is_old:
                missing = set(keys.values()) - {each.key for each in made}
                made += [BulkRowState(key, problem=NOT_MADE) for key in sorted(missing)]
            is_final &= (is_old or len(requests) >= int(job.get("total") or 0)) and len(endless) <= may_end
            may_end = max(0, may_end - len(endless))
            rows += made
        return BulkState(remote_id, tuple(rows), is_final)

    def whole_job(self, job_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What is said of a job, and all requests it has made so far."""
        page = self.job_page(job_id, 1)
        job = page.get("bulk_send_job")
        requests = listed(page, "signature_requests")
        for number in range(2, last_page(page) + 1):
            requests += listed(self.job_page(job_id, number), "signature_requests")
        return (job if isinstance(job, dict) else {}), requests

    def job_page(self, job_id: str, number: int, size: int = FULL_PAGE) -> dict[str, Any]:
        query = {"page": str(number), "page_size": str(size)}
        return self.ask("GET", f"/bulk_send_job/{job_id}", params=query).object()

    def end_at(self, request: Mapping[str, Any], ends: int) -> None:
        """Give a request of a job its end. One that takes none goes on without, with a line in the log."""
        signature = signatures_of(request)[0]
        body = {
            "signature_id": signature.get("signature_id"),
            "name": signature.get("signer_name"),
            "expires_at": ends,
        }
        remote_id = request.get("signature_request_id")
        try:
            self.ask("POST", f"/signature_request/update/{remote_id}", json=body)
        except Refused:
            log.warning("provider.no_end", extra={"fields": {"provider": LABEL, "remote_id": remote_id}})


def parts_of(rows: tuple[BulkRow, ...]) -> list[tuple[BulkRow, ...]]:
    """As many rows each as one job takes and its metadata can name; the same rows give the same parts."""
    parts: list[list[BulkRow]] = [[]]
    for row in rows:
        if len(parts[-1]) == MOST_ROWS or len(values([*parts[-1], row])) > MOST_VALUES:
            parts.append([])
        parts[-1].append(row)
    return [tuple(part) for part in parts]


def written(rows: tuple[BulkRow, ...]) -> dict[str, str]:
    """Which address is which row, as metadata: a short hash of the one and our key of the other."""
    return {f"{ROWS}{number}": value for number, value in enumerate(values(rows))}


def values(rows: list[BulkRow] | tuple[BulkRow, ...]) -> list[str]:
    made = [""]
    for row in rows:
        entry = f"{digest(row.email)}:{row.key}"
        if len(made[-1]) + 1 + len(entry) > LONGEST_VALUE:
            made.append("")
        made[-1] = f"{made[-1]} {entry}".strip()
    return made


def read_back(request: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of addresses to our keys, as a request of the job bears them."""
    return dict(entries(request))


def entries(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in metadata_of(request).items():
        if name.startswith(ROWS):
            for entry in str(value).split():
                person, _, key = entry.partition(":")
                yield person, key


def digest(address: str) -> str:
    return hashlib.sha256(address.lower().encode()).hexdigest()[:12]


def digest_in(request: Mapping[str, Any]) -> str:
    """Of the address of a request's one signer."""
    return next((digest(address_of(each)) for each in signatures_of(request)), "")


def needs_end(request: Mapping[str, Any]) -> bool:
    """Whether nobody has acted and no end is set."""
    waits = [each for each in signatures_of(request) if not is_done(each)]
    over = any(request.get(name) is True for name in ("is_complete", "is_declined", "has_error"))
    return bool(waits) and not over and not request.get("expires_at")


def identified(found: Any, name: str) -> str:
    if not isinstance(found, dict) or not found.get(name):
        raise Unavailable(GARBLED, provider=LABEL)
    return str(found[name])
