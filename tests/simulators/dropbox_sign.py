"""A simulated Dropbox Sign: `python -m tests.simulators.dropbox_sign --port 9004`.

Behaves as the vendor's API file and pages say: a form with bracketed names, an end in 1 to 90 days cut to
the hour, one reminder an hour, cancelling that is answered before it is done, 410 afterwards, 409 while the
finished file is made. The script it serves stands for the vendor's embedded client and opens the signing
page in a frame.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulators.dropbox_sign_account import CLIENT_ID, refuse, unix
from tests.simulators.dropbox_sign_bulk import DropboxSignBulk
from tests.simulators.vendor import Envelope, Part, Request, Response, Signer, answer, document, main

EMAIL = re.compile(r"[^@\s()]+@[^@\s()]+\.[a-z]+")
E164 = re.compile(r"\+[1-9]\d{6,14}")
KNOWN = frozenset((
    "title", "subject", "message", "signers", "cc_email_addresses", "form_fields_per_document", "metadata",
    "expires_at", "allow_decline", "allow_reassign", "test_mode", "client_id", "signing_options", "files",
))  # fmt: skip
FIELD = ("document_index", "api_id", "type", "required", "signer", "x", "y", "width", "height")
OF_SIGNER = {"name", "email_address", "order", "pin", "sms_phone_number", "sms_phone_number_type"}
SCRIPT = b"""window.HelloSign = class {
  constructor(options) { this.options = options || {}; this.heard = {}; }
  on(name, act) { (this.heard[name] = this.heard[name] || []).push(act); }
  emit(name, said) { for (const act of this.heard[name] || []) act(said); }
  open(url, options) {
    const chosen = Object.assign({}, this.options, options);
    if (typeof chosen.clientId !== "string" || !chosen.clientId)
      throw new TypeError('"clientId" is required');
    const address = new URL(url);
    address.searchParams.append("client_id", chosen.clientId);
    address.searchParams.append("skip_domain_verification", chosen.skipDomainVerification ? 1 : 0);
    this.frame = document.createElement("iframe");
    this.frame.className = "x-hellosign-embedded__iframe";
    this.frame.title = "Dropbox Sign";
    this.frame.style.width = "100%";
    this.frame.style.height = "24rem";
    this.frame.src = address.href;
    const names = {
      "hellosign:userSignRequest": "sign", "hellosign:userDeclineRequest": "decline",
      "hellosign:userFinishRequest": "finish",
    };
    window.addEventListener("message", (message) => {
      if (message.origin === address.origin && message.data && names[message.data.type])
        this.emit(names[message.data.type], message.data.payload);
    });
    (chosen.container || document.body).appendChild(this.frame);
    this.emit("open", { url: url, iFrameUrl: address.href });
  }
  close() { if (this.frame) this.frame.remove(); this.emit("close"); }
};
"""


class DropboxSign(DropboxSignBulk):
    name = "dropbox_sign"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.prepares = 1  # how often a finished file is answered by 409 first
        self.conflicts = 0  # sendings that are answered by 409 although they are done
        self.cancels_at_once = True  # False: as the vendor, until `cancel_now`

    # --- Routes --------------------------------------------------------------------------------

    def route(self, request: Request) -> Response:
        if request.path.startswith("/public/js/embedded/"):
            return Response(200, SCRIPT, {"Content-Type": "text/javascript"})
        if request.path == "/editor/embeddedSign":
            return self.embedded_page(request)
        if request.path.startswith("/oauth/"):
            return self.oauth(request)
        path = request.path.removeprefix("/v3")
        if not self.lets_in(request):
            return self.unknown_caller()
        if request.method != "GET" and request.headers["content-type"].startswith("application/json"):
            self.bodies.append((request.method, path, request.json()))
        made = self.api(request, path.strip("/").split("/"))
        made.headers |= {
            "X-RateLimit-Limit": "2000", "X-RateLimit-Remaining": "1999",
            "X-Ratelimit-Reset": str(int(self.clock().timestamp()) + 600),
        }  # fmt: skip
        return made

    def api(self, request: Request, parts: list[str]) -> Response:
        match request.method, parts:
            case "GET", ["account"]:
                return answer(self.account())
            case "PUT", ["account"]:
                return self.call_at("", request.json())
            case "GET", ["api_app", client_id] if client_id == CLIENT_ID:
                return answer(self.app())
            case "PUT", ["api_app", client_id] if client_id == CLIENT_ID:
                return self.call_at(client_id, request.json())
            case "GET", ["signature_request", "list"]:
                return self.listing(request.query)
            case "POST", ["signature_request", "send" | "create_embedded" as kind]:
                return self.create(request, is_embedded=kind == "create_embedded")
            case "POST", ["signature_request", "bulk_send_with_template"]:
                return self.bulk_send(request)
            case "GET", ["bulk_send_job", "list"]:
                return self.list_jobs(request.query)
            case "GET", ["bulk_send_job", job_id]:
                return self.get_job(job_id, request.query)
            case "POST", ["template", "create"]:
                files, texts = self.form_of(request)
                return self.create_template(nested(texts), files)
            case "GET", ["template", "list"]:
                return self.list_templates(request.query)
            case "GET", ["embedded", "sign_url", signature_id]:
                return self.sign_url(signature_id)
            case method, ["signature_request", act, envelope_id]:
                return self.on_request(method, act, self.envelopes.get(envelope_id), request)
            case "GET", ["signature_request", envelope_id]:
                return self.on_request("GET", "", self.envelopes.get(envelope_id), request)
        return refuse("not_found", "Not found.", 404)

    def on_request(self, method: str, act: str, found: Envelope | None, request: Request) -> Response:
        if found is None or found.status == "draft":
            return refuse("not_found", "Not found.", 404)
        if found.status == "voided":
            return refuse("deleted", "This resource has been deleted.", 410)
        match method, act:
            case "GET", "":
                return answer({"signature_request": self.shown(found)})
            case "GET", "files":
                return self.files(found, request.query)
            case "POST", "cancel":
                return self.cancel(found)
            case "POST", "remind":
                return self.remind(found, request.json())
            case "POST", "update":
                return self.update(found, request.json())
        return refuse("not_found", "Not found.", 404)

    # --- Sending -------------------------------------------------------------------------------

    def create(self, request: Request, *, is_embedded: bool) -> Response:
        if not request.headers["content-type"].startswith("multipart/form-data"):
            return refuse("bad_request", "A file or a file_url is required", path="files")
        files, texts = self.form_of(request)
        asked = nested(texts)
        problem = self.problem(asked, files, is_embedded)
        if problem is not None:
            return problem
        made = self.new_envelope(asked.get("title", ""), files["files[0]"].content)
        self.fill(made, asked, is_embedded)
        self.start(made)
        if self.conflicts:
            self.conflicts -= 1
            return refuse("conflict", "An identical request is already being processed.", 409)
        return answer({"signature_request": self.shown(made)})

    def form_of(self, request: Request) -> tuple[dict[str, Part], dict[str, str]]:
        """Files and fields of a form, kept as they were sent."""
        parts = request.parts()
        files = {name: each for name, each in parts.items() if each.file_name}
        texts = {name: each.text for name, each in parts.items() if not each.file_name}
        self.forms.append((request.path, texts))
        return files, texts

    def problem(self, asked: dict[str, Any], files: dict[str, Any], is_embedded: bool) -> Response | None:
        """The first thing the vendor would refuse."""
        known = KNOWN | (set() if is_embedded else {"signing_redirect_url"})
        if unknown := sorted(set(asked) - known):
            return refuse("bad_request", "Unrecognized parameter", path=unknown[0])
        if set(files) != {"files[0]"} or not files["files[0]"].content.startswith(b"%PDF-"):
            return refuse("bad_request", "A PDF file is required", path="files")
        if is_embedded and not asked.get("client_id"):
            return refuse("bad_request", "Missing parameter: client_id", path="client_id")
        if asked.get("client_id", CLIENT_ID) != CLIENT_ID:
            return refuse("forbidden", "Invalid client id", 403, "client_id")
        for name in ("test_mode", "allow_decline"):
            if asked.get(name, "false") not in ("true", "false"):
                return refuse("bad_request", "This value should be of type boolean.", path=name)
        if len(asked.get("title", "")) > 255 or len(asked.get("message", "")) > 5000:
            return refuse("bad_request", "This value is too long.", path="title")
        for number, each in enumerate(asked.get("signers") or [{}]):
            if said := self.signer_problem(each, is_test=asked.get("test_mode") == "true"):
                return refuse("bad_request", said, path=f"signers[{number}]")
        for number, each in enumerate(asked.get("cc_email_addresses") or []):
            if not EMAIL.fullmatch(each):
                return refuse("bad_request", "This is no address", path=f"cc_email_addresses[{number}]")
        return self.fields_problem(asked) or self.end_problem(asked.get("expires_at", ""))

    @staticmethod
    def signer_problem(signer: dict[str, str], *, is_test: bool) -> str:
        if set(signer) - OF_SIGNER:
            return "Unrecognized parameter"
        if not signer.get("name") or not EMAIL.fullmatch(signer.get("email_address", "")):
            return "A name and an email_address are required"
        if "order" in signer and not signer["order"].isdigit():
            return "order is no integer"
        if "pin" in signer and not 4 <= len(signer["pin"]) <= 12:
            return "pin must have 4 to 12 characters"
        if "sms_phone_number" in signer:
            if is_test:
                return "SMS is not available in test mode"
            if not E164.fullmatch(signer["sms_phone_number"]):
                return "sms_phone_number must be in E.164 format"
        return ""

    @staticmethod
    def fields_problem(asked: dict[str, Any]) -> Response | None:
        fields, count = asked.get("form_fields_per_document") or [], len(asked["signers"])
        for number, each in enumerate(fields):
            path = f"form_fields_per_document[{number}]"
            if missing := [name for name in FIELD if name not in each]:
                return refuse("bad_request", f"{missing[0]} is required", path=path)
            numbers = [each[name] for name in ("document_index", "x", "y", "width", "height", "page")]
            if not all(re.fullmatch(r"\d+", value) for value in numbers):
                return refuse("bad_request", "This value should be of type integer.", path=path)
            if not each["signer"].isdigit() or int(each["signer"]) >= count or each["type"] != "signature":
                return refuse("bad_request", "Invalid signer or type", path=path)
        if len({each["api_id"] for each in fields}) < len(fields):
            return refuse("bad_request", "api_id must be unique", path="form_fields_per_document")
        if fields and {int(each["signer"]) for each in fields} != set(range(count)):
            return refuse("bad_request", "Each signer needs a field", path="form_fields_per_document")
        return None

    def end_problem(self, ends: str) -> Response | None:
        if not ends:
            return None
        left = int(ends) - self.clock().timestamp() if ends.isdigit() else -1
        if not timedelta(days=1).total_seconds() <= left <= timedelta(days=90).total_seconds():
            return refuse("bad_request", "expires_at must be 1 to 90 days from now", path="expires_at")
        return None

    def fill(self, made: Envelope, asked: dict[str, Any], is_embedded: bool) -> None:
        made.message, made.return_url = asked.get("message", ""), asked.get("signing_redirect_url", "")
        made.our_id = asked.get("metadata", {}).get("countersign_id", "")
        if asked.get("expires_at"):
            ends = int(asked["expires_at"])
            made.expires_at = datetime.fromtimestamp(ends - ends % 3600, UTC)
        made.facts |= {
            "metadata": asked.get("metadata", {}), "subject": asked.get("subject"),
            "client_id": asked.get("client_id"), "is_embedded": is_embedded,
            "test_mode": asked.get("test_mode") == "true",
            "allow_decline": asked.get("allow_decline") == "true",
            "has_order": any("order" in each for each in asked["signers"]),
        }  # fmt: skip
        fields = asked.get("form_fields_per_document") or []
        for number, each in enumerate(asked["signers"]):
            factors = {"access_code": each["pin"]} if "pin" in each else {}
            if "sms_phone_number" in each:
                factors["sms"] = each["sms_phone_number"]
            made.people.append(
                Signer(
                    secrets.token_hex(16), each["name"], each["email_address"],
                    order=int(each.get("order", 0)), is_embedded=is_embedded, factors=factors,
                    fields=[field for field in fields if field["signer"] == str(number)],
                )
            )  # fmt: skip
        for address in asked.get("cc_email_addresses") or []:
            made.people.append(Signer(secrets.token_hex(16), "", address, role="copy"))

    # --- Acts ----------------------------------------------------------------------------------

    def act(self, envelope_id: str, email: str, what: str, reason: str = "") -> None:
        if what == "decline" and not self.envelopes[envelope_id].facts.get("allow_decline"):
            raise ValueError("declining was not allowed")
        super().act(envelope_id, email, what, reason)

    def cancel(self, found: Envelope) -> Response:
        if found.status != "sent":
            return refuse("bad_request", "This request cannot be cancelled.")
        if self.cancels_at_once:
            self.end(found, "voided")
        return Response(200)

    def cancel_now(self, envelope_id: str) -> None:
        self.end(self.envelopes[envelope_id], "voided")

    def remind(self, found: Envelope, body: Any) -> Response:
        address = body.get("email_address") if isinstance(body, dict) else None
        if found.facts["is_embedded"]:
            return refuse("bad_request", "Reminders cannot be sent for embedded signature requests.")
        person = next(
            (p for p in found.people if p.email == address and p.status in ("sent", "opened")), None
        )
        if person is None or found.status != "sent":
            return refuse("bad_request", "There is nobody to remind.", path="email_address")
        last = person.facts.get("reminded_at")
        if last and self.clock() - last < timedelta(hours=1):
            return refuse("bad_request", "A reminder was sent within the last hour.")
        person.facts["reminded_at"] = self.clock()
        person.reminded += 1
        self.mail(person, found)
        return answer({"signature_request": self.shown(found)})

    def update(self, found: Envelope, body: Any) -> Response:
        """Name, address or end; another address makes another signature_id."""
        asked = body if isinstance(body, dict) else {}
        person = next((p for p in found.people if p.id == asked.get("signature_id")), None)
        if person is None or person.role == "copy":
            return refuse("not_found", "Not found.", 404, "signature_id")
        if found.status != "sent" or person.status in ("signed", "declined"):
            return refuse("bad_request", "This signer has acted already.")
        if not asked.get("email_address") and not asked.get("name"):
            return refuse("bad_request", "email_address or name is required")
        person.name = asked.get("name") or person.name
        if asked.get("expires_at"):
            if problem := self.end_problem(str(asked["expires_at"])):
                return problem
            found.expires_at = datetime.fromtimestamp(int(asked["expires_at"]) // 3600 * 3600, UTC)
        if asked.get("email_address") and asked["email_address"] != person.email:
            person.email, person.id = asked["email_address"], secrets.token_hex(16)
            person.factors = {}
            if person.status != "waiting" and not person.is_embedded:
                self.mail(person, found)
        return answer({"signature_request": self.shown(found)})

    # --- Signing pages and files ---------------------------------------------------------------

    def sign_url(self, signature_id: str) -> Response:
        for envelope in self.envelopes.values():
            for person in envelope.people:
                if person.id == signature_id and person.is_embedded and person.status == "signed":
                    return refuse("conflict", "This signature request was signed already.", 409)
                if person.id == signature_id and person.is_embedded and envelope.status == "sent":
                    if person.status == "waiting":
                        return refuse("bad_request", "It is not this signer's turn.")
                    token = self.link(envelope, person)
                    url = f"{self.origin}/editor/embeddedSign?signature_id={signature_id}&token={token}"
                    ends = unix(self.clock() + timedelta(hours=1))
                    return answer({"embedded": {"sign_url": url, "expires_at": ends}})
        return refuse("not_found", "Not found.", 404)

    def embedded_page(self, request: Request) -> Response:
        """The page inside the frame; once somebody has acted it tells the page around it."""
        made = self.signing_page(request.query.get("token", ""), request)
        if request.method == "POST" and made.status == 200:
            declined = request.form().get("act") == "decline"
            kinds = ["hellosign:userDeclineRequest"] if declined else [
                "hellosign:userSignRequest", "hellosign:userFinishRequest",
            ]  # fmt: skip
            told = "".join(f'parent.postMessage({{type: "{kind}", payload: {{}}}}, "*");' for kind in kinds)
            made.body = made.body.replace(b"</body>", f"<script>{told}</script></body>".encode())
        return made

    def files(self, found: Envelope, query: dict[str, str]) -> Response:
        if query.get("file_type", "pdf") != "pdf":
            return refuse("bad_request", "zip is not simulated", path="file_type")
        if found.status == "completed" and found.facts.setdefault("prepares", self.prepares):
            found.facts["prepares"] -= 1
            return refuse("conflict", "Files are still being processed. Please try again later.", 409)
        return document(found.executed or found.file)


def nested(flat: dict[str, str]) -> dict[str, Any]:
    """`signers[0][name]` as lists and objects; a list starts at 0 and has no holes."""
    made: dict[str, Any] = {}
    for name, value in flat.items():
        keys = re.findall(r"[^\[\]]+", name)
        place = made
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value

    def listed(found: Any) -> Any:
        if not isinstance(found, dict):
            return found
        inner = {key: listed(value) for key, value in found.items()}
        if inner and all(key.isdigit() for key in inner):
            if sorted(map(int, inner)) != list(range(len(inner))):
                raise ValueError(f"a list with holes: {sorted(inner)}")
            return [inner[str(number)] for number in range(len(inner))]
        return inner

    return {key: listed(value) for key, value in made.items()}


if __name__ == "__main__":
    main(DropboxSign())
