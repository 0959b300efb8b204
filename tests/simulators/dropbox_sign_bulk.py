"""The simulated Dropbox Sign's templates and bulk send jobs. A job makes a few requests with each look."""

from __future__ import annotations

import secrets
from typing import Any

from tests.simulators.dropbox_sign_account import CLIENT_ID, DropboxSignAccount, paged, refuse, unix
from tests.simulators.vendor import Request, Response, Signer, answer

AT_ONCE = 5  # requests that a job makes between two looks
OF_TEMPLATE = {
    "title", "subject", "message", "signer_roles", "form_fields_per_document", "metadata", "test_mode",
    "client_id",
}  # fmt: skip
OF_BULK = {
    "template_ids", "signer_list", "title", "subject", "message", "metadata", "allow_decline", "test_mode",
    "client_id", "ccs", "custom_fields", "signing_redirect_url",
}  # fmt: skip


class DropboxSignBulk(DropboxSignAccount):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.templates: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.template_waits = 0  # how often a template is still being made
        self.loses = 0  # people of each job that no request is made for
        self.is_slow = False  # jobs make nothing at all

    # --- Templates -----------------------------------------------------------------------------

    def create_template(self, asked: dict[str, Any], files: dict[str, Any]) -> Response:
        if unknown := sorted(set(asked) - OF_TEMPLATE):
            return refuse("bad_request", "Unrecognized parameter", path=unknown[0])
        if set(files) != {"files[0]"} or not files["files[0]"].content.startswith(b"%PDF-"):
            return refuse("bad_request", "A PDF file is required", path="files")
        roles, fields = asked.get("signer_roles"), asked.get("form_fields_per_document")
        if not roles or not fields:
            return refuse("bad_request", "This value should not be blank", path="signer_roles")
        if not {each["signer"] for each in fields} <= {str(number) for number in range(len(roles))}:
            return refuse("bad_request", "Invalid signer", path="form_fields_per_document")
        template_id = self.new_id()
        self.templates[template_id] = {
            "file": files["files[0]"].content, "roles": roles, "fields": fields, "waits": self.template_waits,
            "title": asked.get("title", ""), "metadata": asked.get("metadata", {}),
            "updated_at": unix(self.clock()),
        }  # fmt: skip
        return answer({"template": self.shown_template(template_id)})

    def shown_template(self, template_id: str) -> dict[str, Any]:
        found = self.templates[template_id]
        return {
            "template_id": template_id, "title": found["title"], "message": "", "is_creator": True,
            "is_embedded": False, "can_edit": True, "is_locked": False, "metadata": found["metadata"],
            "signer_roles": found["roles"], "cc_roles": [], "updated_at": found["updated_at"],
        }  # fmt: skip

    def list_templates(self, query: dict[str, str]) -> Response:
        found = [self.shown_template(each) for each in reversed(self.templates)]
        if query.get("query"):
            wanted = query["query"].removeprefix("metadata:")
            found = [] if self.is_search_late else [e for e in found if wanted in str(e["metadata"])]
        return paged("templates", found, query)

    # --- Jobs ----------------------------------------------------------------------------------

    def bulk_send(self, request: Request) -> Response:
        asked = request.json()
        if not isinstance(asked, dict):
            return refuse("bad_request", "JSON is required")
        if unknown := sorted(set(asked) - OF_BULK):
            return refuse("bad_request", "Unrecognized parameter", path=unknown[0])
        [template_id] = asked.get("template_ids") or [""]
        template, people = self.templates.get(template_id), asked.get("signer_list")
        if template is None:
            return refuse("not_found", "Template not found.", 404, "template_ids")
        if template["waits"]:
            template["waits"] -= 1
            return refuse("conflict", "The template is still being processed.", 409)
        if not isinstance(people, list) or not 1 <= len(people) <= 250:
            return refuse("bad_request", "1 to 250 signers are allowed", path="signer_list")
        roles = {each["name"] for each in template["roles"]}
        for each in people:
            [signer] = each["signers"]
            if (
                signer.get("role") not in roles
                or not signer.get("name")
                or "@" not in signer["email_address"]
            ):
                return refuse("bad_request", "role, name and email_address are required", path="signer_list")
        metadata = asked.get("metadata", {})
        if len(metadata) > 10 or any(len(k) > 40 or len(v) > 1000 for k, v in metadata.items()):
            return refuse("bad_request", "At most 10 of 1000 characters", path="metadata")
        if asked.get("client_id", CLIENT_ID) != CLIENT_ID or not isinstance(asked.get("test_mode"), bool):
            return refuse("bad_request", "This value should be of type boolean.", path="test_mode")
        job_id = self.new_id()
        left = people[: len(people) - self.loses]
        self.jobs[job_id] = {
            "asked": asked, "template": template_id, "left": left, "made": [], "total": len(people),
            "created_at": unix(self.clock()),
        }  # fmt: skip
        return answer({"bulk_send_job": self.shown_job(job_id)})

    def shown_job(self, job_id: str) -> dict[str, Any]:
        job = self.jobs[job_id]
        return {
            "bulk_send_job_id": job_id, "total": job["total"], "is_creator": True,
            "created_at": job["created_at"],
        }  # fmt: skip

    def list_jobs(self, query: dict[str, str]) -> Response:
        return paged("bulk_send_jobs", [self.shown_job(each) for each in reversed(self.jobs)], query)

    def get_job(self, job_id: str, query: dict[str, str]) -> Response:
        if job_id not in self.jobs:
            return refuse("not_found", "Not found.", 404)
        job = self.jobs[job_id]
        made = [self.shown(self.envelopes[each]) for each in job["made"]]
        response = paged("signature_requests", made, query, bulk_send_job=self.shown_job(job_id))
        if not self.is_slow:
            self.make_some(job_id)
        return response

    def make_some(self, job_id: str) -> None:
        job = self.jobs[job_id]
        asked, template = job["asked"], self.templates[job["template"]]
        for each in job["left"][:AT_ONCE]:
            [signer] = each["signers"]
            made = self.new_envelope(asked.get("title", ""), template["file"])
            made.message = asked.get("message", "")
            made.facts |= {
                "metadata": asked.get("metadata", {}), "client_id": asked.get("client_id"),
                "is_embedded": False, "allow_decline": asked.get("allow_decline", False), "job": job_id,
                "template_ids": asked["template_ids"], "test_mode": asked["test_mode"],
            }  # fmt: skip
            made.people = [
                Signer(
                    secrets.token_hex(16), signer["name"], signer["email_address"], order=0,
                    fields=template["fields"], facts={"role": signer["role"]},
                )
            ]  # fmt: skip
            job["made"].append(made.id)
            self.start(made)
        del job["left"][:AT_ONCE]
