"""Being let in, whose account it is, and documents as PandaDoc tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from providers.base import RemoteProvider, expiry_of
from providers.errors import NotConfigured, Refused, Unavailable
from providers.http import GARBLED, NOT_LET_IN, Client, Expired, Reply
from providers.interface import Account, EnvelopeStatus, Tokens
from providers.pandadoc.declared import CAPABILITIES, HOSTS, LABEL, NAME, SANDBOXES, SETTINGS
from providers.pandadoc.states import ERROR, ID, STATUS, listed, metadata_of

DOCUMENTS = "/public/v1/documents"
SCOPE = "read write"  # `read+write` once it is encoded
TRAIL_PAGE = 100
LAST = {EnvelopeStatus.DRAFT: 1, EnvelopeStatus.FAILED: 2}  # where several bear our id


def reasons(status: int, found: Any) -> tuple[str, str]:
    """Code and sentence out of the shapes PandaDoc answers in.

    {"type", "detail": sentence or {field: [sentences]}} in most places, {"id", "status", "info_message"}
    with 409, {"code", "details": [{"code", "pointer"}]} under /public/v2 and {"error"} from OAuth.
    """
    if not isinstance(found, dict):
        return "", ""
    code = str(found.get("type") or found.get("code") or found.get("error") or found.get("status") or "")
    said = found.get("info_message") or found.get("detail") or found.get("details")
    return code, told(said) or str(found.get("error") or "")


def told(said: Any, name: str = "") -> str:
    """One sentence of whatever a refusal holds."""
    if isinstance(said, dict):
        if "pointer" in said:
            return f"{said.get('code')} ({said['pointer'] or ''})"
        return "; ".join(each for key, value in said.items() if (each := told(value, str(key))))
    if isinstance(said, list):
        return told("; ".join(each for value in said if (each := told(value))), name)
    text = str(said) if said else ""
    return f"{name}: {text}" if name and text and name != "non_field_errors" else text


class PandaDocAccount(RemoteProvider):
    name, label, capabilities, settings = NAME, LABEL, CAPABILITIES, SETTINGS

    def client(self) -> Client:
        return Client(LABEL, reasons=reasons, throttled=("throttled", "too_many_requests"))

    # --- Being let in --------------------------------------------------------------------------

    def url(self, path: str) -> str:
        return self.address(HOSTS[self.setting("environment")][0], path)

    def page(self, path: str) -> str:
        """An address of the application that people see."""
        return self.address(HOSTS[self.setting("environment")][1], path)

    def ask(self, method: str, path: str, **what: Any) -> Reply:
        return self.call(method, self.url(path), **what)

    @property
    def uses_key(self) -> bool:
        return self.setting("method") == "api_key"

    @property
    def is_sandbox(self) -> bool:
        return self.setting("environment") in SANDBOXES

    def authorisation(self) -> dict[str, str]:
        if self.uses_key and not self.connection.is_rehearsal:
            return {"Authorization": f"API-Key {self.setting('api_key')}"}
        return super().authorisation()

    def authorise_url(self, *, redirect_url: str, state: str) -> str:
        if self.uses_key:
            raise self.cannot()
        asked = {
            "client_id": self.setting("client_id"),
            "redirect_uri": redirect_url,
            "scope": SCOPE,
            "response_type": "code",
            "state": state,
        }
        return self.page("/oauth2/authorize") + "?" + urlencode(asked)

    def authorise(self, answer: Mapping[str, str], *, redirect_url: str) -> Tokens:
        if self.uses_key:
            raise self.cannot()
        if not answer.get("code"):
            raise Refused(NOT_LET_IN, provider=LABEL)
        return self.granted(grant_type="authorization_code", code=answer["code"])

    def renew(self, tokens: Tokens | None) -> Tokens:
        if self.uses_key or tokens is None or not tokens.refresh:
            raise NotConfigured(NOT_LET_IN, provider=LABEL)
        return self.granted(grant_type="refresh_token", refresh_token=tokens.refresh)

    def granted(self, **asked: str) -> Tokens:
        now = self.connection.clock()
        ours = {"client_id": self.setting("client_id"), "client_secret": self.setting("client_secret")}
        try:
            found = self.http.request(
                "POST", self.url("/oauth2/access_token"), data={**asked, **ours, "scope": SCOPE}
            ).object()
        except Expired as error:
            raise NotConfigured(NOT_LET_IN, provider=LABEL) from error
        access = found.get("access_token")
        if not isinstance(access, str) or not access:
            raise Unavailable(GARBLED, provider=LABEL)
        return Tokens(
            access, expiry_of(found, now), str(found.get("refresh_token") or asked.get("refresh_token", ""))
        )

    # --- Whose account -------------------------------------------------------------------------

    def check(self) -> Account:
        found = self.ask("GET", "/public/v1/members/current").object()
        person = f"{found.get('first_name') or ''} {found.get('last_name') or ''}".strip()
        email = str(found.get("email") or "")
        return Account(
            id=str(found.get("workspace") or found.get("membership_id") or ""),
            name=str(found.get("workspace_name") or person or email),
            email=email,
            is_test=self.is_sandbox,
            facts={"role": str(found.get("role") or ""), "member": str(found.get("membership_id") or "")},
        )

    # --- Documents -----------------------------------------------------------------------------

    def word_of(self, document_id: str) -> str:
        """Its status in PandaDoc's word."""
        return str(self.ask("GET", f"{DOCUMENTS}/{document_id}").object().get("status") or "")

    def details(self, document_id: str) -> Reply:
        """All there is to know of a document. 409 while PandaDoc is still reading it."""
        return self.ask("GET", f"{DOCUMENTS}/{document_id}/details", accept=(409,))

    def find_id(self, request_id: str) -> tuple[str, bool]:
        """The id of the document that bears our id, and whether one is still too new to tell.

        What the list gives is looked into: it is not documented that it filters by what was written just
        now. Where an attempt left several, one that people were asked to sign comes first.
        """
        asked: dict[str, str | int] = {f"metadata_{ID}": request_id, "order_by": "-date_created", "count": 10}
        waiting, found = False, []
        for each in listed(self.ask("GET", DOCUMENTS, params=asked).object(), "results"):
            document_id = str(each.get("id") or "")
            try:
                reply = self.details(document_id)
            except Refused:
                continue  # deleted meanwhile
            document = reply.object()
            if reply.status == 409:
                waiting = waiting or document.get("status") != ERROR
            elif metadata_of(document).get(ID) == request_id:
                status = STATUS.get(str(document.get("status")), EnvelopeStatus.UNKNOWN)
                found.append((LAST.get(status, 0), document_id))
        return min(found)[1] if found else "", waiting

    def trail(self, document_id: str) -> list[dict[str, Any]] | None:
        """Its audit trail, oldest first; None where our credentials are not an administrator's."""
        entries: list[dict[str, Any]] = []
        path = f"/public/v2/documents/{document_id}/audit-trail"
        while True:
            asked = {"limit": TRAIL_PAGE, "offset": len(entries)}
            try:
                found = self.ask("GET", path, params=asked).object()
            except Refused as error:
                if error.status in (403, 404):
                    return None
                raise
            page = listed(found, "results")
            entries += page
            if len(page) < TRAIL_PAGE:
                return sorted(entries, key=lambda each: str(each.get("date_created") or ""))
