"""How Dropbox Sign lets us in, by an API key or by OAuth, and one call of its API."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from providers.base import NO_CREDENTIALS, RemoteProvider, expiry_of
from providers.dropbox_sign import LABEL, SETTINGS
from providers.dropbox_sign.words import listed, reasons
from providers.errors import NotConfigured, Preparing, Refused, Unavailable
from providers.http import NOT_LET_IN, Client, Expired, Reply
from providers.interface import Tokens, mark

API = "https://api.hellosign.com/v3"
OAUTH = "https://app.hellosign.com"
CONFLICT, GONE = 409, 410
BUSY_S = 5.0
FULL_PAGE = 100

STILL_BUSY = mark("Dropbox Sign is still working on this.")
NOT_ALLOWED = mark("Dropbox Sign was not allowed access: %(reason)s")


class Access(RemoteProvider):
    """The half of the adapter that gets in."""

    label = LABEL
    settings = SETTINGS

    def client(self) -> Client:
        return Client(LABEL, reasons=reasons, reset_header="X-Ratelimit-Reset")

    # --- What later calls need -----------------------------------------------------------------

    @property
    def is_test(self) -> bool:
        return self.setting("environment") != "production"

    @property
    def client_id(self) -> str:
        """Of the API app; empty where none is entered."""
        return "rehearsal" if self.connection.is_rehearsal else self.setting("client_id")

    def own_client_id(self) -> str:
        """The same, where nothing can be done without. Raises NotConfigured."""
        if not self.client_id:
            declared = next(each for each in SETTINGS if each.name == "client_id")
            raise NotConfigured(NO_CREDENTIALS, provider=LABEL, setting=declared.label)
        return self.client_id

    @property
    def callback_key(self) -> str:
        """What callbacks are signed with; empty where it is not known."""
        return self.setting("api_key" if self.setting("method") == "api_key" else "callback_key")

    def authorisation(self) -> dict[str, str]:
        if self.connection.is_rehearsal or self.setting("method") == "oauth":
            return super().authorisation()
        return by_key(self.setting("api_key"))

    def ask(self, method: str, path: str, *, preparing: str = "", **what: Any) -> Reply:
        """One call. A 409 says that the same is being worked on, to be asked again.

        Raises Preparing for it where `preparing` names the request that is made ready, else Unavailable.
        """
        try:
            return self.call(method, self.address(API, path), **what)
        except Refused as error:
            if error.status != CONFLICT:
                raise
            if preparing:
                raise Preparing(preparing, STILL_BUSY, retry_after_s=BUSY_S) from error
            raise Unavailable(STILL_BUSY, retry_after_s=BUSY_S) from error

    def pages(self, path: str, name: str, **query: str) -> Iterator[dict[str, Any]]:
        """Everything of a list, page by page."""
        number = 1
        while True:
            page = {"page": str(number), "page_size": str(FULL_PAGE)}
            found = self.ask("GET", path, params={**query, **page}).object()
            yield from listed(found, name)
            if number >= last_page(found):
                return
            number += 1

    # --- OAuth ---------------------------------------------------------------------------------

    def authorise_url(self, *, redirect_url: str, state: str) -> str:
        """The vendor's page. It goes back to the address the API app names, which must be this one."""
        if self.setting("method") != "oauth":
            raise self.cannot()
        asked = {
            "response_type": "code",
            "client_id": self.own_client_id(),
            "redirect_uri": redirect_url,
            "state": state,
        }
        return f"{self.address(OAUTH, '/oauth/authorize')}?{urlencode(asked)}"

    def authorise(self, answer: Mapping[str, str], *, redirect_url: str) -> Tokens:
        if answer.get("error") or not answer.get("code"):
            said = answer.get("error_description") or answer.get("error") or "no code"
            raise Refused(NOT_ALLOWED, reason=said[:200])
        asked = {
            "grant_type": "authorization_code", "code": answer["code"], "state": answer.get("state", ""),
        }  # fmt: skip
        try:
            return self.token(asked)
        except Expired as error:
            raise NotConfigured(NOT_LET_IN, provider=LABEL) from error

    def renew(self, tokens: Tokens | None) -> Tokens:
        if tokens is None or not tokens.refresh:
            raise NotConfigured(NOT_LET_IN, provider=LABEL)
        return self.token({"grant_type": "refresh_token", "refresh_token": tokens.refresh}, tokens)

    def token(self, asked: dict[str, str], before: Tokens | None = None) -> Tokens:
        """What the token address answers; an answer without a new refresh token keeps the old one."""
        app = {"client_id": self.own_client_id(), "client_secret": self.setting("client_secret")}
        reply = self.http.request("POST", self.address(OAUTH, "/oauth/token"), json={**app, **asked})
        found = reply.object()
        access = str(found.get("access_token") or "")
        if not access:
            raise Refused(NOT_ALLOWED, reason="no access_token")
        refresh = str(found.get("refresh_token") or (before.refresh if before else ""))
        return Tokens(access, expiry_of(found, self.connection.clock()), refresh)


def by_key(key: str) -> dict[str, str]:
    """Basic authentication: the key is the user name, and there is no password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def last_page(found: Mapping[str, Any]) -> int:
    """How many pages a list has; the one at hand where it does not say."""
    info = found.get("list_info")
    pages = info.get("num_pages") if isinstance(info, dict) else None
    return pages if isinstance(pages, int) else 0
