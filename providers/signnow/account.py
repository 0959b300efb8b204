"""Being let in, whose account it is, and its folders."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from providers.base import RemoteProvider, expiry_of
from providers.errors import NotConfigured, Refused, Unavailable
from providers.http import GARBLED, NOT_LET_IN, Client, Expired, Reply
from providers.interface import Account, EnvelopeState, Tokens
from providers.signnow.bodies import file_name
from providers.signnow.declared import CAPABILITIES, HOSTS, LABEL, NAME, NO_FOLDER, SETTINGS
from providers.signnow.states import listed, state_of

SHORT_PAGE, FULL_PAGE = 500, 100  # documents on a page of a folder, without and with their invitations
LOOK_BACK = timedelta(days=90)  # how long ago a document of ours may have been made to be found again
DOCUMENTS, TEMPLATES, ARCHIVE = "Documents", "Templates", "Archive"


def reasons(status: int, found: Any) -> tuple[str, str]:
    """Code and sentence out of the four shapes signNow answers in.

    {"errors": [{"code", "message"}]}, {"code", "message"}, {"error", "code"?} and {"404": sentence}. With
    `error` that word is the code: the number beside it is the same for unrelated things.
    """
    if not isinstance(found, dict):
        return "", ""
    first = next(iter(listed(found, "errors")), found)
    word = first.get("error")
    if isinstance(word, str):
        return word, str(first.get("error_description") or first.get("message") or word)
    said = first.get("message") or found.get(str(status)) or ""
    return str(first.get("code", "")), str(said)


class SignNowAccount(RemoteProvider):
    name, label, capabilities, settings = NAME, LABEL, CAPABILITIES, SETTINGS

    def client(self) -> Client:
        # A token that has ended is answered with 400, never 401.
        return Client(LABEL, reasons=reasons, expired=("invalid_token",))

    # --- Being let in --------------------------------------------------------------------------

    def url(self, path: str) -> str:
        return self.address(HOSTS[self.setting("environment")][0], path)

    def authorisation(self) -> dict[str, str]:
        if self.setting("method") == "api_key" and not self.connection.is_rehearsal:
            return {"Authorization": f"Bearer {self.setting('api_key')}"}
        return super().authorisation()

    def application(self) -> dict[str, str]:
        """The header of calls that the application makes itself, without an account."""
        return {"Authorization": f"Basic {self.setting('basic_token')}"}

    def as_application(self, method: str, path: str, *, accept: tuple[int, ...] = (), **what: Any) -> Reply:
        try:
            return self.http.request(
                method, self.url(path), accept=accept, headers=self.application(), **what
            )
        except Expired as error:
            raise NotConfigured(NOT_LET_IN, provider=LABEL) from error

    def authorise_url(self, *, redirect_url: str, state: str) -> str:
        if self.setting("method") != "oauth":
            raise self.cannot()
        asked = {
            "response_type": "code",
            "client_id": self.client_id(),
            "redirect_uri": redirect_url,
            "state": state,
        }
        return self.address(HOSTS[self.setting("environment")][1], "/authorize") + "?" + urlencode(asked)

    def client_id(self) -> str:
        """The Basic token is made of the application's id and its secret."""
        try:
            found = base64.b64decode(self.setting("basic_token"), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise NotConfigured(NOT_LET_IN, provider=LABEL) from error
        return found.partition(":")[0]

    def authorise(self, answer: Mapping[str, str], *, redirect_url: str) -> Tokens:
        if not answer.get("code"):
            raise Refused(NOT_LET_IN, provider=LABEL)
        return self.granted(grant_type="authorization_code", code=answer["code"], scope="*")

    def renew(self, tokens: Tokens | None) -> Tokens:
        if self.setting("method") == "api_key":
            raise NotConfigured(NOT_LET_IN, provider=LABEL)
        if tokens and tokens.refresh:
            try:
                return self.granted(grant_type="refresh_token", refresh_token=tokens.refresh, scope="*")
            except (Refused, Expired):
                if self.setting("method") != "password":
                    raise
        if self.setting("method") != "password":
            raise NotConfigured(NOT_LET_IN, provider=LABEL)
        return self.granted(
            grant_type="password",
            username=self.setting("username"),
            password=self.setting("password"),
            scope="*",
        )

    def granted(self, **asked: str) -> Tokens:
        now = self.connection.clock()
        found = self.http.request(
            "POST", self.url("/oauth2/token"), data=asked, headers=self.application()
        ).object()
        access = found.get("access_token")
        if not isinstance(access, str) or not access:
            raise Refused(GARBLED, provider=LABEL)
        return Tokens(
            access, expiry_of(found, now), str(found.get("refresh_token") or asked.get("refresh_token", ""))
        )

    # --- Whose account -------------------------------------------------------------------------

    def user(self) -> dict[str, Any]:
        return self.call("GET", self.url("/user")).object()

    def check(self) -> Account:
        found = self.user()
        organisation = found.get("organization")
        person = f"{found.get('first_name') or ''} {found.get('last_name') or ''}".strip()
        email = str(found.get("primary_email") or "")
        named = organisation.get("name") if isinstance(organisation, dict) else ""
        return Account(
            str(found.get("id", "")),
            str(named or person or email),
            email,
            is_test=self.setting("environment") != "production",
        )

    def sender(self) -> str:
        """The address the account signs in with; an invitation must come from it."""
        return str(self.user().get("primary_email") or "")

    # --- Folders and documents -----------------------------------------------------------------

    def document(self, document_id: str) -> Reply:
        return self.call("GET", self.url(f"/document/{document_id}"))

    def folder_id(self, name: str) -> str | None:
        """One of the account's own folders, which every account has."""
        found = self.call("GET", self.url("/user/folder")).object()
        mine = [
            each for each in listed(found, "folders") if each.get("name") == name and not each.get("shared")
        ]
        return str(mine[0]["id"]) if mine else None

    def documents_folder(self) -> str:
        found = self.folder_id(DOCUMENTS)
        if found is None:
            raise Refused(NO_FOLDER, provider=LABEL, folder=DOCUMENTS)
        return found

    def folder(self, folder_id: str, **asked: str | int) -> dict[str, Any]:
        return self.call("GET", self.url(f"/folder/{folder_id}"), params=asked).object()

    def short_list(self, folder_id: str, **asked: str | int) -> Iterator[dict[str, Any]]:
        """Id, name and file name of each document of a folder and those below it."""
        offset = 0
        while True:
            found = listed(
                self.folder(
                    folder_id, **asked, limit=SHORT_PAGE, offset=offset, exclude_documents_relations="true"
                ),
                "documents",
            )
            yield from found
            if len(found) < SHORT_PAGE:
                return
            offset += SHORT_PAGE

    def find_id(self, request_id: str) -> str | None:
        """The document uploaded for a request of ours, newest first, by the name of its file."""
        since = self.connection.clock() - LOOK_BACK
        asked: dict[str, str | int] = {"filters": "documents-created", "filter-values": unix(since)}
        recent = self.short_list(self.documents_folder(), **asked, sortby="created", order="desc")
        wanted = file_name(request_id)
        return next((str(each["id"]) for each in recent if each.get("original_filename") == wanted), None)

    def find(self, request_id: str) -> EnvelopeState | None:
        found = self.find_id(request_id)
        if found is None:
            return None
        reply = self.document(found)
        return state_of(reply.object(), {}, self.connection.clock(), raw=reply.body)

    def upload(self, request_id: str, content: bytes) -> str:
        """A new document, under a file name by which it is found again."""
        made = self.call(
            "POST", self.url("/document"), files={"file": (file_name(request_id), content, "application/pdf")}
        )
        return identified(made)


def identified(reply: Reply) -> str:
    """The id of what was made. Raises Unavailable without one: what became of it is not known."""
    found = reply.object().get("id")
    if not isinstance(found, str) or not found:
        raise Unavailable(GARBLED, provider=LABEL)
    return found


def unix(at: datetime) -> int:
    return int(at.timestamp())
