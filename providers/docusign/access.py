"""How DocuSign lets us in: JWT grant or authorization code, and which account and host come with it.

All of it over our own client: the vendor's hard-codes https and no timeout. Tokens carry the account's id,
its name and `base_uri`, the host that every later call goes to; hosts are never written down here, as an
account may live in any region.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from providers.base import RemoteProvider, expiry_of
from providers.errors import NotConfigured, Refused
from providers.http import NOT_LET_IN, Expired
from providers.interface import Tokens, mark

HOSTS = {"sandbox": "account-d.docusign.com", "production": "account.docusign.com"}
REHEARSED = "https://demo.docusign.net"  # its host is replaced
SUFFIXES = (".docusign.net", ".docusign.com", ".docusign.mil")
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = {"jwt": "signature impersonation", "code": "signature extended"}
ASSERTION_LASTS = timedelta(minutes=10)  # at most an hour; it is used at once

CONSENT = mark(
    "DocuSign waits for consent: open the consent address (press Connect, as the step “Give consent once”"
    " says), sign in as the user of the User ID and press Allow Access."
)
BAD_KEY = mark("The RSA private key cannot be read. Copy it whole, with its first and last line.")
NO_GRANT = mark("DocuSign does not accept the integration key, user and private key: %(reason)s")
NO_ACCOUNT = mark("This user has no DocuSign account.")
NOT_THIS_ACCOUNT = mark("This user has no DocuSign account %(account)s.")
ODD_HOST = mark("DocuSign named a host that is not its own.")
NOT_ALLOWED = mark("DocuSign was not allowed access: %(reason)s")


class Access(RemoteProvider):
    """The half of the adapter that gets in."""

    # --- What later calls need -----------------------------------------------------------------

    @property
    def account_id(self) -> str:
        return "rehearsal" if self.connection.is_rehearsal else self.facts["account_id"]

    @property
    def host(self) -> str:
        """Scheme, host and base path of the account's API."""
        base = REHEARSED if self.connection.is_rehearsal else self.facts["base_uri"]
        return self.address(f"{base}/restapi")

    @property
    def facts(self) -> Mapping[str, str]:
        """What the tokens brought: account_id, account_name, base_uri, email, user."""
        self.access_token()
        tokens = self.tokens
        if tokens is None:
            raise NotConfigured(NOT_LET_IN, provider=self.label)
        return tokens.facts

    # --- OAuth ---------------------------------------------------------------------------------

    @property
    def oauth_host(self) -> str:
        return HOSTS.get(self.setting("environment"), HOSTS["sandbox"])

    def oauth(self, path: str) -> str:
        return self.address(f"https://{self.oauth_host}", path)

    def authorise_url(self, *, redirect_url: str, state: str) -> str:
        """The vendor's page: for the JWT grant it asks for consent, once."""
        asked = {
            "response_type": "code",
            "scope": SCOPES[self.setting("method")],
            "client_id": self.setting("integration_key"),
            "redirect_uri": redirect_url,
            "state": state,
        }
        return f"{self.oauth('/oauth/auth')}?{urlencode(asked)}"

    def authorise(self, answer: Mapping[str, str], *, redirect_url: str) -> Tokens:
        """Tokens for the code that came back. For the JWT grant, coming back is the consent itself."""
        if answer.get("error") or not answer.get("code"):
            said = answer.get("error_description") or answer.get("error") or "no code"
            raise Refused(NOT_ALLOWED, reason=said[:200])
        if self.setting("method") == "jwt":
            return self.renew(None)
        asked = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": redirect_url}
        try:
            return self.with_account(self.token(asked), None)
        except Expired as error:
            raise NotConfigured(NOT_LET_IN, provider=self.label) from error

    def renew(self, tokens: Tokens | None) -> Tokens:
        if self.setting("method") == "jwt":
            return self.with_account(self.granted(), tokens)
        if tokens is None or not tokens.refresh:
            raise NotConfigured(NOT_LET_IN, provider=self.label)
        found = self.token({"grant_type": "refresh_token", "refresh_token": tokens.refresh})
        return self.with_account({"refresh_token": tokens.refresh, **found}, tokens)

    def granted(self) -> dict[str, Any]:
        """A token by our own key. Raises NotConfigured, saying what an administrator must do."""
        asked = {"grant_type": JWT_GRANT, "assertion": self.assertion()}
        try:
            return self.http.request("POST", self.oauth("/oauth/token"), data=asked).object()
        except Refused as error:
            if error.code == "consent_required":
                raise NotConfigured(CONSENT) from error
            reason = f"{error.code} {error.params.get('reason', '')}".strip()
            raise NotConfigured(NO_GRANT, reason=reason) from error

    def assertion(self) -> str:
        """A signed claim that we may act for the user; the key is in no error of ours."""
        import jwt

        now = self.connection.clock()
        claims = {
            "iss": self.setting("integration_key"),
            "sub": self.setting("user_id"),
            "aud": self.oauth_host,
            "iat": int(now.timestamp()),
            "exp": int((now + ASSERTION_LASTS).timestamp()),
            "scope": SCOPES["jwt"],
        }
        try:
            return jwt.encode(claims, self.setting("private_key").strip() + "\n", algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise NotConfigured(BAD_KEY) from None

    def token(self, asked: dict[str, str]) -> dict[str, Any]:
        """What the token address answers to the integration key and its secret."""
        login = (self.setting("integration_key"), self.setting("secret_key"))
        return self.http.request("POST", self.oauth("/oauth/token"), data=asked, auth=login).object()

    # --- Whose account -------------------------------------------------------------------------

    def with_account(self, found: Mapping[str, Any], before: Tokens | None) -> Tokens:
        """Tokens of an OAuth answer, with the account they reach; that is asked for once."""
        access = str(found.get("access_token") or "")
        if not access:
            raise Refused(NOT_ALLOWED, reason="no access_token")
        wanted = self.setting("account_id")
        facts = before.facts if before else {}
        here = facts.get("base_uri") and facts.get("oauth_host") == self.oauth_host
        if not here or (wanted and facts.get("account_id") != wanted):
            facts = self.discovered(access, wanted)
        return Tokens(
            access, expiry_of(found, self.connection.clock()), str(found.get("refresh_token") or ""), facts
        )

    def discovered(self, access: str, wanted: str) -> dict[str, str]:
        """Account and host of a token: the account wanted, else the user's default one."""
        headers = {"Authorization": f"Bearer {access}"}
        found = self.http.request("GET", self.oauth("/oauth/userinfo"), headers=headers).object()
        accounts = [each for each in found.get("accounts") or [] if isinstance(each, dict)]
        chosen = [
            each for each in accounts
            if (each.get("account_id") == wanted if wanted else str(each.get("is_default")).lower() == "true")
        ]  # fmt: skip
        if not wanted and not chosen:
            chosen = accounts
        if not chosen:
            raise NotConfigured(NOT_THIS_ACCOUNT, account=wanted) if wanted else NotConfigured(NO_ACCOUNT)
        base = urlsplit(str(chosen[0].get("base_uri") or ""))
        if base.scheme != "https" or not (base.hostname or "").endswith(SUFFIXES):
            raise NotConfigured(ODD_HOST)
        return {
            "account_id": str(chosen[0].get("account_id") or ""),
            "account_name": str(chosen[0].get("account_name") or ""),
            "base_uri": f"https://{base.hostname}",
            "oauth_host": self.oauth_host,
            "email": str(found.get("email") or ""),
            "user": str(found.get("name") or ""),
        }
