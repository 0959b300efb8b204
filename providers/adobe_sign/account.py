"""Being let in, on which shard, and whose account it is.

Accounts live on shards. The account's own access point comes with the redirect and the tokens, or from
GET /baseUris; it is kept and asked for again only when Adobe says that it has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from providers.adobe_sign.declared import (
    CAPABILITIES,
    DOMAINS,
    HOSTS,
    LABEL,
    NAME,
    OTHER_HOST,
    SCOPES,
    SETTINGS,
)
from providers.base import RemoteProvider, expiry_of
from providers.errors import NotConfigured, Refused, Unavailable
from providers.http import GARBLED, NOT_LET_IN, Client, Expired, Reply
from providers.interface import Account, Connection, Tokens

API = "/api/rest/v6"
ACCESS_POINT, ENVIRONMENT = "api_access_point", "environment"  # facts beside the tokens
WRONG_SHARD = "INVALID_API_ACCESS_POINT"
MODIFIED = 412
PAGE = 100


def reasons(status: int, found: Any) -> tuple[str, str]:
    """{"code", "message"} from the API, {"error", "error_description"} from OAuth."""
    if not isinstance(found, dict):
        return "", ""
    code = str(found.get("code") or found.get("error") or "")
    return code, str(found.get("message") or found.get("error_description") or code)


class AdobeAccount(RemoteProvider):
    name, label, capabilities, settings = NAME, LABEL, CAPABILITIES, SETTINGS

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._access_point = ""

    def client(self) -> Client:
        return Client(LABEL, reasons=reasons, refused=(WRONG_SHARD,), rest_field="retryAfter")

    # --- Requests ------------------------------------------------------------------------------

    def ask(self, method: str, path: str, **what: Any) -> Reply:
        """An API call. Where the account has moved to another shard, it is made once more there."""
        try:
            return self.call(method, self.url(path), **what)
        except Refused as error:
            if error.code != WRONG_SHARD or self.connection.is_rehearsal:
                raise
        self._access_point = self.discover()
        return self.call(method, self.url(path), **what)

    def put(self, path: str, body: dict[str, Any], *, read: str, etag: str = "") -> None:
        """Change what has not changed since `etag`; read again once where it has (412)."""
        try:
            self.put_once(path, body, etag or etag_of(self.ask("GET", read)))
        except Refused as error:
            if error.status != MODIFIED:
                raise
            self.put_once(path, body, etag_of(self.ask("GET", read)))

    def put_once(self, path: str, body: dict[str, Any], etag: str) -> None:
        """Adobe answers nothing or JSON; anything else says nothing of what became of it."""
        reply = self.ask("PUT", path, headers={"If-Match": etag}, json=body)
        if reply.body:
            reply.json()

    def pages(self, path: str, key: str, **asked: str) -> Iterator[dict[str, Any]]:
        """Each object of a list, page after page."""
        cursor = ""
        while True:
            wanted = {**asked, "pageSize": str(PAGE), **({"cursor": cursor} if cursor else {})}
            found = self.ask("GET", path, params=wanted).object()
            yield from listed(found, key)
            page = found.get("page")
            cursor = str(page.get("nextCursor") or "") if isinstance(page, dict) else ""
            if not cursor or self.connection.is_rehearsal:
                return

    def url(self, path: str) -> str:
        return self.address(self.access_point() + API, path)

    # --- Shards --------------------------------------------------------------------------------

    def access_point(self) -> str:
        """Scheme and host of the account's shard."""
        environment = self.setting("environment")
        if self.connection.is_rehearsal:
            return HOSTS[environment][0]
        if not self._access_point:
            facts = self.tokens.facts if self.tokens else {}
            known = facts.get(ACCESS_POINT) if facts.get(ENVIRONMENT) == environment else None
            self._access_point = self.trusted(known) if known else self.discover()
        return self._access_point

    def discover(self) -> str:
        """Ask where the account lives, and keep it: Adobe wants this asked once, not with each call."""
        url = self.address(HOSTS[self.setting("environment")][0] + API, "/baseUris")
        found = self.trusted(self.call("GET", url).object().get("apiAccessPoint"))
        before = self.tokens or Tokens("")
        self._tokens = replace(before, facts={**before.facts, **self.facts(found)})
        self.connection.keep(self._tokens)
        return found

    def facts(self, access_point: str) -> dict[str, str]:
        return {ACCESS_POINT: access_point, ENVIRONMENT: self.setting("environment")}

    def trusted(self, said: object) -> str:
        """Scheme and host of an access point. Raises Refused unless it is Adobe's own, by https."""
        parts = urlsplit(str(said or ""))
        host = parts.hostname or ""
        if parts.scheme != "https" or not host.endswith(DOMAINS[self.setting("environment")]):
            raise Refused(OTHER_HOST, provider=LABEL)
        return f"https://{host}"

    # --- Being let in --------------------------------------------------------------------------

    @property
    def uses_key(self) -> bool:
        return self.setting("method") == "integration_key"

    def authorisation(self) -> dict[str, str]:
        if self.uses_key and not self.connection.is_rehearsal:
            return {"Authorization": f"Bearer {self.setting('integration_key')}"}
        return super().authorisation()

    def own_client_id(self) -> str:
        """The id Adobe sends with each webhook call; empty where it was not given."""
        return self.setting("key_client_id" if self.uses_key else "client_id")

    def authorise_url(self, *, redirect_url: str, state: str) -> str:
        if self.uses_key:
            raise self.cannot()
        asked = {
            "redirect_uri": redirect_url,
            "response_type": "code",
            "client_id": self.setting("client_id"),
            "state": state,
            "scope": " ".join(SCOPES),
        }
        host = HOSTS[self.setting("environment")][1].format(shard=self.setting("shard"))
        return self.address(host, "/public/oauth/v2") + "?" + urlencode(asked)

    def authorise(self, answer: Mapping[str, str], *, redirect_url: str) -> Tokens:
        """The redirect names the shard to exchange the code at; our secret goes to Adobe's hosts only."""
        if not answer.get("code"):
            raise Refused(NOT_LET_IN, provider=LABEL)
        shard = self.trusted(answer.get(ACCESS_POINT) or HOSTS[self.setting("environment")][0])
        return self.granted(
            shard, "token", grant_type="authorization_code", code=answer["code"], redirect_uri=redirect_url
        )

    def renew(self, tokens: Tokens | None) -> Tokens:
        if self.uses_key or tokens is None or not tokens.refresh:
            raise NotConfigured(NOT_LET_IN, provider=LABEL)
        shard = self.trusted(tokens.facts.get(ACCESS_POINT) or HOSTS[self.setting("environment")][0])
        return self.granted(shard, "refresh", grant_type="refresh_token", refresh_token=tokens.refresh)

    def granted(self, shard: str, what: str, **asked: str) -> Tokens:
        now = self.connection.clock()
        ours = {"client_id": self.setting("client_id"), "client_secret": self.setting("client_secret")}
        try:
            reply = self.http.request(
                "POST", self.address(shard, f"/oauth/v2/{what}"), data={**asked, **ours}
            )
        except Expired as error:
            raise Refused(NOT_LET_IN, provider=LABEL) from error
        found = reply.object()
        access = found.get("access_token")
        if not isinstance(access, str) or not access:
            raise Refused(GARBLED, provider=LABEL)
        lives = self.trusted(found.get(ACCESS_POINT) or shard)
        refresh = str(found.get("refresh_token") or asked.get("refresh_token", ""))
        return Tokens(access, expiry_of(found, now), refresh, self.facts(lives))

    # --- Whose account -------------------------------------------------------------------------

    def check(self) -> Account:
        found = self.ask("GET", "/users/me").object()
        person = f"{found.get('firstName') or ''} {found.get('lastName') or ''}".strip()
        email = str(found.get("email") or "")
        return Account(
            str(found.get("id") or ""),
            str(found.get("company") or person or email),
            email,
            is_test=self.setting("environment") != "production",
        )

    def upload(self, name: str, content: bytes, media: str) -> str:
        """A file Adobe keeps for seven days, to be named in what is made next."""
        made = self.ask(
            "POST",
            "/transientDocuments",
            files={"File": (name, content, media)},
            data={"File-Name": name, "Mime-Type": media},
        )
        return identified(made, "transientDocumentId")


def identified(reply: Reply, key: str = "id") -> str:
    """The id of what was made. Raises Unavailable without one: what became of it is not known."""
    found = reply.object().get(key)
    if not isinstance(found, str) or not found:
        raise Unavailable(GARBLED, provider=LABEL)
    return found


def etag_of(reply: Reply) -> str:
    return reply.headers.get("etag", "")


def listed(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list that may be missing or null."""
    return [each for each in found.get(key) or [] if isinstance(each, dict)]
