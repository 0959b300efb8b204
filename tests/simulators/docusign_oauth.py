"""The account server of the simulated DocuSign: consent page, JWT grant, codes, refreshing, userinfo.

The assertion is read with `cryptography` alone, so that it is not judged by the library that wrote it.
"""

from __future__ import annotations

import base64
import html
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.simulators.vendor import Request, Response, answer, redirect, web_page

INTEGRATION_KEY = "8c6a3c52-58f8-4a0e-9d64-7a3f0c3c2b10"
USER = "3d2c9f7e-0f4b-4b9b-8a53-1d6a6f5e9c77"
ACCOUNT = "624e3e00-442a-4b32-8b6e-2f1a9c40f1aa"
HOST = "account-d.docusign.com"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS = timedelta(hours=1)


@cache
def key_pair() -> tuple[str, Any]:
    """The RSA key that the app was given (PEM) and its public half; made once in a run."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return pem.decode(), private.public_key()


def refused(code: str, said: str = "", status: int = 400) -> Response:
    return answer({"error": code} | ({"error_description": said} if said else {}), status)


def part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class AccountServer:
    clock: Callable[[], datetime]
    secret: str = "the-secret-key"
    base_uri: str = "https://demo.docusign.net"
    has_consent: bool = True
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, datetime] = field(default_factory=dict)  # access token -> its end
    refreshes: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)  # grant types of every token request

    def route(self, request: Request) -> Response:
        place = (request.method, request.path)
        if request.path == "/oauth/auth":
            return self.allow(request) if request.method == "POST" else self.page(request)
        if place == ("POST", "/oauth/token"):
            return self.token(request)
        if place == ("GET", "/oauth/userinfo"):
            return self.userinfo(request)
        return Response(404)

    def lets_in(self, token: str) -> bool:
        return token in self.tokens and self.tokens[token] > self.clock()

    # --- The page ------------------------------------------------------------------------------

    def page(self, request: Request) -> Response:
        wanted = request.query
        if wanted.get("client_id") != INTEGRATION_KEY or wanted.get("response_type") != "code":
            return web_page("The client id provided is not registered", "<p>invalid_request</p>", 400)
        if not wanted.get("redirect_uri") or "signature" not in wanted.get("scope", "").split():
            return web_page("The redirect URI or scope is not valid", "<p>invalid_request</p>", 400)
        inner = (
            "<p>Countersign would like to:</p><ul>"
            + "".join(f"<li>{html.escape(each)}</li>" for each in wanted["scope"].split())
            + "</ul><form method='post'><button name='act' value='allow'>Allow Access</button> "
            "<button name='act' value='cancel'>Cancel</button></form>"
        )
        return web_page("DocuSign", inner)

    def allow(self, request: Request) -> Response:
        wanted = request.query
        back = {"state": wanted["state"]} if "state" in wanted else {}
        if request.form().get("act") != "allow":
            back |= {"error": "access_denied", "error_description": "The user did not allow access."}
        else:
            code = secrets.token_urlsafe(24)
            self.codes[code] = wanted
            self.has_consent = self.has_consent or "impersonation" in wanted["scope"].split()
            back["code"] = code
        joiner = "&" if "?" in wanted["redirect_uri"] else "?"
        return redirect(wanted["redirect_uri"] + joiner + urlencode(back))

    # --- Tokens --------------------------------------------------------------------------------

    def token(self, request: Request) -> Response:
        if not request.headers["content-type"].startswith("application/x-www-form-urlencoded"):
            return refused("invalid_request", "unsupported content type")
        form = request.form()
        kind = form.get("grant_type", "")
        self.asked.append(kind)
        if kind == JWT_GRANT:
            return self.granted(form.get("assertion", ""))
        if request.basic() != (INTEGRATION_KEY, self.secret):
            return refused("invalid_client", status=401)
        if kind == "authorization_code" and form.get("code") in self.codes:
            self.codes.pop(form["code"])
            return self.issued(refreshes=True)
        if kind == "refresh_token" and form.get("refresh_token") in self.refreshes:
            self.refreshes.discard(form["refresh_token"])
            return self.issued(refreshes=True)
        return refused("invalid_grant")

    def granted(self, assertion: str) -> Response:
        try:
            head, claims, signature = assertion.split(".")
            key_pair()[1].verify(
                part(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            said, algorithm = json.loads(part(claims)), json.loads(part(head))["alg"]
        except (ValueError, KeyError, InvalidSignature):
            return refused("invalid_grant", "no_valid_keys_or_signatures")
        now = self.clock().timestamp()
        if algorithm != "RS256" or said.get("iss") != INTEGRATION_KEY or said.get("aud") != HOST:
            return refused("invalid_grant", "issuer_not_found")
        if said.get("sub") != USER:
            return refused("invalid_grant", "user_not_found")
        if not now - 300 < said.get("iat", 0) <= now + 300 or not now < said.get("exp", 0) <= now + 3600:
            return refused("invalid_grant", "expired_assertion")
        if not self.has_consent or "impersonation" not in said.get("scope", "").split():
            return refused("consent_required")
        return self.issued(refreshes=False)

    def issued(self, *, refreshes: bool) -> Response:
        access = secrets.token_urlsafe(48)
        self.tokens[access] = self.clock() + LASTS
        said = {"access_token": access, "token_type": "Bearer", "expires_in": int(LASTS.total_seconds())}
        if refreshes:
            said["refresh_token"] = secrets.token_urlsafe(48)
            self.refreshes.add(said["refresh_token"])
        return answer(said)

    def userinfo(self, request: Request) -> Response:
        if not self.lets_in(request.bearer()):
            return refused("invalid_token", status=401)
        mine = {
            "account_id": ACCOUNT, "is_default": True, "account_name": "Larkfield Software",
            "base_uri": self.base_uri,
        }  # fmt: skip
        other = {
            "account_id": "00000000-442a-4b32-8b6e-2f1a9c40f1aa", "is_default": False,
            "account_name": "Another", "base_uri": "https://na3.docusign.net",
        }  # fmt: skip
        return answer({
            "sub": USER, "name": "Ana Larkfield", "given_name": "Ana", "family_name": "Larkfield",
            "email": "ana@larkfield.example", "accounts": [other, mine],
        })  # fmt: skip
