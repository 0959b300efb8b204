"""A small OpenID provider on loopback, with real keys and a page to choose who signs in.

It keeps its state (codes, keys, tokens) and misbehaves on request. Its tokens are written with
`cryptography` alone, so that what the product reads was not written by the product's library.
By hand: `python -m tests.simulators.oidc --port 9007`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import html
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode
from wsgiref.simple_server import WSGIServer, make_server

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from portal.clock import utc_now
from tests.simulators.tsa import _Quiet

MOODS = (
    "well", "slow", "down", "huge", "redirects", "garbage", "lies", "wrong_nonce", "wrong_audience",
    "two_audiences", "expired", "future", "old", "none", "hmac", "other_key", "unknown_key", "other_issuer",
    "unverified", "no_mail", "wrong_at_hash", "wrong_client", "other_userinfo", "names_another", "refuses",
)  # fmt: skip
Answer = tuple[str, list[tuple[str, str]], bytes]


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int) -> str:
    return text(value.to_bytes((value.bit_length() + 7) // 8))


@dataclass
class Key:
    """A signing key with its name; RSA (RS256) or P-256 (ES256)."""

    name: str
    private: Any

    @classmethod
    def new(cls, kind: str) -> Key:
        made = (
            ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
        )
        return cls(secrets.token_hex(4), made)

    @property
    def algorithm(self) -> str:
        return "ES256" if isinstance(self.private, ec.EllipticCurvePrivateKey) else "RS256"

    def public(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        common = {"kid": self.name, "use": "sig", "alg": self.algorithm}
        if self.algorithm == "RS256":
            return common | {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        x, y = (text(each.to_bytes(32)) for each in (numbers.x, numbers.y))
        return common | {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def sign(self, said: bytes) -> bytes:
        if self.algorithm == "RS256":
            return bytes(self.private.sign(said, padding.PKCS1v15(), hashes.SHA256()))
        r, s = utils.decode_dss_signature(self.private.sign(said, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


@dataclass
class Grant:
    """What a code stands for, once."""

    person: str
    asked: dict[str, str]
    methods: list[str]
    at: float
    spent: bool = False


@dataclass
class Provider:
    """`people` are claims by login name; `mood` is one of MOODS."""

    clock: Callable[[], datetime] = utc_now
    client_id: str = "countersign"
    secret: str = "a secret / with+odd:signs"
    kind: str = "rsa"
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    mood: str = "well"
    posts_secret: bool = True
    in_userinfo: tuple[str, ...] = ()  # claims that stand there alone
    issuer: str = ""
    keys: list[Key] = field(default_factory=list)
    codes: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, Grant] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.keys = self.keys or [Key.new(self.kind)]

    def rotate(self) -> None:
        """A new signing key; the former is no longer published."""
        self.keys = [Key.new(self.kind)]

    def add(self, login: str, **claims: Any) -> str:
        """Somebody with an account here; returns their subject."""
        subject = f"subject-{login}"
        self.people[login] = {"sub": subject, "email_verified": True, "name": login.title()} | claims
        return subject

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.requests.append(f"{method} {path}")
        if path != "/authorize" and (trouble := self.trouble()) is not None:
            status, headers, reply = trouble
        elif path == "/authorize":
            status, headers, reply = self.authorize(query, form) if method == "POST" else self.ask(query)
        else:
            routes = {
                "/.well-known/openid-configuration": self.describe,
                "/jwks": lambda: said({"keys": [key.public() for key in self.keys]}),
                "/token": lambda: self.token(form, environ.get("HTTP_AUTHORIZATION", "")),
                "/userinfo": lambda: self.userinfo(environ.get("HTTP_AUTHORIZATION", "")),
            }
            nowhere: Callable[[], Answer] = lambda: said({"error": "not_found"}, "404 Not Found")  # noqa: E731
            status, headers, reply = routes.get(path, nowhere)()
        start(status, [*headers, ("Content-Length", str(len(reply)))])
        return [reply]

    def trouble(self) -> Answer | None:
        if self.mood == "slow":
            self.release.wait(20)
        if self.mood == "down":
            return said({}, "500 Internal Server Error")
        if self.mood == "huge":
            return said({"x": "x" * 1_000_000})
        if self.mood == "garbage":
            return "200 OK", [("Content-Type", "text/html")], b"<p>Welcome to the guest network"
        if self.mood == "redirects":
            return "302 Found", [("Location", f"{self.issuer}/elsewhere")], b""
        return None

    # --- What it says about itself ----------------------------------------------------------

    def describe(self) -> Answer:
        methods = ["client_secret_post"] if self.posts_secret else ["client_secret_basic"]
        return said(
            {
                "issuer": f"{self.issuer}/other" if self.mood == "lies" else self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "token_endpoint_auth_methods_supported": methods,
                "id_token_signing_alg_values_supported": [key.algorithm for key in self.keys],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    # --- The page where a person proves who they are -----------------------------------------

    def ask(self, asked: dict[str, str]) -> Answer:
        choices = "".join(f"<option>{html.escape(login)}</option>" for login in self.people)
        page = (
            "<!doctype html><html lang=en><title>Simulated provider</title><h1>Simulated provider</h1>"
            f"<form method=post action='/authorize?{html.escape(urlencode(asked))}'>"
            f"<p><label>Account <select name=person>{choices}</select></label>"
            "<p><label><input type=checkbox name=second value=yes> Prove a second factor</label>"
            "<p><button>Sign in</button> <button name=cancel value=yes>Cancel</button></form>"
        )
        return "200 OK", [("Content-Type", "text/html; charset=utf-8")], page.encode()

    def authorize(self, asked: dict[str, str], form: dict[str, str]) -> Answer:
        """Back to the client with a code, or with the reason why not."""
        back = {"state": asked.get("state", ""), "iss": self.issuer}
        if self.mood == "names_another":
            back["iss"] = "https://elsewhere.example"
        if form.get("cancel") or self.mood == "refuses":
            back["error"] = "access_denied"
        elif asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256":
            back["error"] = "invalid_request"
        else:
            code = secrets.token_urlsafe(16)
            at = self.clock().timestamp() - (0 if asked.get("prompt") == "login" else 3600)
            methods = ["pwd", "mfa"] if form.get("second") else ["pwd"]
            self.codes[code] = Grant(form.get("person", ""), asked, methods, at)
            back["code"] = code
        return "303 See Other", [("Location", f"{asked['redirect_uri']}?{urlencode(back)}")], b""

    # --- Code for tokens ----------------------------------------------------------------------

    def token(self, form: dict[str, str], authorization: str) -> Answer:
        if not self.knows(form, authorization):
            return said({"error": "invalid_client"}, "401 Unauthorized")
        grant = self.codes.get(form.get("code", ""))
        if grant is None or grant.spent or not self.fits(grant, form):
            return said({"error": "invalid_grant"}, "400 Bad Request")
        grant.spent = True
        access = secrets.token_urlsafe(16)
        self.tokens[access] = grant
        return said(
            {"access_token": access, "token_type": "Bearer", "id_token": self.id_token(grant, access)}
        )

    def knows(self, form: dict[str, str], authorization: str) -> bool:
        if self.posts_secret:
            given = (form.get("client_id"), form.get("client_secret"))
        else:
            pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            given = tuple(unquote_plus(each) for each in pair.split(":"))  # type: ignore[assignment]
        return given == (self.client_id, self.secret) and self.mood != "wrong_client"

    def fits(self, grant: Grant, form: dict[str, str]) -> bool:
        made = text(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        return (
            made == grant.asked["code_challenge"] and form.get("redirect_uri") == grant.asked["redirect_uri"]
        )

    def claims(self, grant: Grant, access: str) -> dict[str, Any]:
        now = self.clock().timestamp()
        half = hashlib.sha256(access.encode()).digest()[:16]
        made = {
            "iss": self.issuer, "aud": self.client_id, "iat": now, "exp": now + 300,
            "nonce": grant.asked.get("nonce"), "auth_time": int(grant.at), "amr": grant.methods,
            "at_hash": text(half),
        } | self.people[grant.person]  # fmt: skip
        for name in self.in_userinfo:
            made.pop(name, None)
        wrong: dict[str, dict[str, Any]] = {
            "wrong_nonce": {"nonce": "another"},
            "wrong_audience": {"aud": "somebody-else"},
            "two_audiences": {"aud": [self.client_id, "somebody-else"]},
            "expired": {"iat": now - 500, "exp": now - 200},
            "future": {"iat": now + 500, "exp": now + 900},
            "old": {"iat": now - 5000, "exp": now + 900},
            "other_issuer": {"iss": "https://elsewhere.example"},
            "unverified": {"email_verified": False},
            "wrong_at_hash": {"at_hash": text(bytes(16))},
        }
        made |= wrong.get(self.mood, {})
        if self.mood == "no_mail":
            made = {name: value for name, value in made.items() if not name.startswith("email")}
        return made

    def id_token(self, grant: Grant, access: str) -> str:
        key = self.keys[0]
        header = {"alg": key.algorithm, "kid": key.name, "typ": "JWT"}
        header |= {"none": {"alg": "none"}, "hmac": {"alg": "HS256"}}.get(self.mood, {})
        signer = key
        if self.mood == "other_key":
            signer = Key(key.name, Key.new(self.kind).private)
        if self.mood == "unknown_key":
            signer = Key.new(self.kind)
            header["kid"] = signer.name
        body = ".".join(text(json.dumps(each).encode()) for each in (header, self.claims(grant, access)))
        if self.mood == "none":
            return f"{body}."
        if self.mood == "hmac":
            public = json.dumps(key.public()).encode()
            return f"{body}.{text(hmac.new(public, body.encode(), hashlib.sha256).digest())}"
        return f"{body}.{text(signer.sign(body.encode()))}"

    def userinfo(self, authorization: str) -> Answer:
        grant = self.tokens.get(authorization.removeprefix("Bearer "))
        if grant is None:
            return said({"error": "invalid_token"}, "401 Unauthorized")
        known = self.people[grant.person]
        if self.mood == "no_mail":
            known = {"sub": known["sub"]}
        return said(known | ({"sub": "somebody-else"} if self.mood == "other_userinfo" else {}))


def said(what: dict[str, Any], status: str = "200 OK") -> Answer:
    return (
        status,
        [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        json.dumps(what).encode(),
    )


class Threaded(ThreadingMixIn, WSGIServer):
    """Browsers keep connections open that ask for nothing yet."""

    daemon_threads = True
    block_on_close = False


@contextmanager
def running(provider: Provider, port: int = 0) -> Iterator[Provider]:
    """Serve the provider on loopback, at a free port unless one is given."""
    with make_server("127.0.0.1", port, provider, Threaded, _Quiet) as server:
        provider.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield provider
        finally:
            provider.release.set()
            server.shutdown()
            thread.join()


def main() -> None:
    """Run by hand, with the people of the sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, default=9007)
    parser.add_argument("--mail", action="append", default=[], help="a mail address that has an account")
    chosen = parser.parse_args()
    provider = Provider()
    for address in chosen.mail or ["ana@larkfield.example", "nobody@elsewhere.example"]:
        provider.add(address.partition("@")[0], email=address, groups=["staff"])
    with running(provider, chosen.port):
        print(f"issuer {provider.issuer}\nclient id {provider.client_id}\nclient secret {provider.secret}")
        threading.Event().wait()


if __name__ == "__main__":
    main()
