"""The client's side of OpenID Connect: discovery, the way out, the code, the identity token.

Authorization code flow with PKCE (S256), state and nonce. Only tokens signed with an asymmetric
algorithm by a key the provider publishes are read: neither `none` nor a shared secret.
Sources: OpenID Connect Core 1.0, sections 3.1.2 to 3.1.3; RFC 7636; RFC 9207; RFC 8176.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from portal.channels import Unavailable, web

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
LEEWAY = timedelta(seconds=60)
OLDEST = timedelta(minutes=10)  # of a token that was made just now
KEPT_S = 3600.0  # discovery and keys, in this process
AWAY_S = 15.0  # that it did not answer, so that nobody waits for it again and again
LARGEST_TOKEN = 128 * 1024
SHORTEST_MODULUS = 342  # base64 characters: 2048 bits
DISCOVERY = "/.well-known/openid-configuration"

POSSESSED = frozenset({"otp", "sms", "tel", "pop", "mca"})
KNOWN = frozenset({"pwd", "pin", "kba"})
BODY = frozenset({"face", "fpt", "iris", "retina", "vbm"})
# Said by the signed token or not at all.
SIGNED_ONLY = frozenset({"iss", "aud", "azp", "nonce", "amr", "acr", "auth_time", "tid"})
# A key that is unlocked by its owner stands for two factors, as passkeys and smart cards do.
STRONG = frozenset({"mfa", "hwk", "swk", "fido", "sc"})
STRONG_ACR = frozenset(
    {
        "phr", "phrh",
        "http://schemas.openid.net/pape/policies/2007/06/multi-factor",
        "http://schemas.microsoft.com/claims/multipleauthn",
        "https://refeds.org/profile/mfa",
    }
)  # fmt: skip


class Untrusted(ValueError):
    """What the provider, or the browser on its way back, brought is not believed; why, for the log."""


class WrongClient(Exception):
    """The provider does not take client id and secret."""


@dataclass(frozen=True)
class Client:
    """We, as the provider knows us. `is_local`: only tried out on this machine (see web.fetch)."""

    issuer: str
    client_id: str
    secret: str = field(repr=False)
    redirect: str
    is_local: bool = False


@dataclass(frozen=True)
class Metadata:
    """What a provider says about itself."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    posts_secret: bool
    names_itself: bool  # `iss` comes back with every code
    algorithms: tuple[str, ...]
    challenges: tuple[str, ...]


@dataclass(frozen=True)
class Attempt:
    """One way to the provider and back, bound to one browser."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> Attempt:
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


# --- Discovery -----------------------------------------------------------------------------------


@dataclass
class Kept:
    """What was found when; no metadata when nothing answered."""

    at: float
    metadata: Metadata | None
    keys: KeySet | None = None


_kept: dict[str, Kept] = {}


def metadata(client: Client, *, fresh: bool = False) -> Metadata:
    """The provider's endpoints, kept for an hour. Raises Unavailable or Untrusted."""
    return look_up(client, fresh=fresh)[1]


def look_up(client: Client, *, fresh: bool = False) -> tuple[Kept, Metadata]:
    kept, now = _kept.get(client.issuer), time.monotonic()
    if kept is not None and not fresh and now - kept.at < (KEPT_S if kept.metadata else AWAY_S):
        if kept.metadata is None:
            raise Unavailable("it did not answer a moment ago")
        return kept, kept.metadata
    try:
        said = discover(client)
    except Unavailable:
        _kept[client.issuer] = Kept(time.monotonic(), None)
        raise
    kept = _kept[client.issuer] = Kept(time.monotonic(), said)
    return kept, said


def discover(client: Client) -> Metadata:
    found = object_from(client, client.issuer.rstrip("/") + DISCOVERY)
    if found.get("issuer") != client.issuer:
        raise Untrusted("discovery names another issuer")
    addresses = {}
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        value = found.get(name)
        if value is None and name == "userinfo_endpoint":
            value = ""
        elif not isinstance(value, str) or not is_fit(value, client):
            raise Untrusted(f"discovery has no {name} to use")
        addresses[name] = value
    return Metadata(
        authorization=addresses["authorization_endpoint"],
        token=addresses["token_endpoint"],
        keys=addresses["jwks_uri"],
        userinfo=addresses["userinfo_endpoint"],
        posts_secret="client_secret_post" in words(found.get("token_endpoint_auth_methods_supported")),
        names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        algorithms=words(found.get("id_token_signing_alg_values_supported")),
        challenges=words(found.get("code_challenge_methods_supported")),
    )


def is_fit(url: str, client: Client) -> bool:
    try:
        web.judge(url, is_local=client.is_local)
    except web.Forbidden:
        return False
    return True


def words(value: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def keys(client: Client, *, fresh: bool = False) -> KeySet:
    """The provider's public signing keys, RSA and EC alone. Raises Unavailable or Untrusted."""
    kept, where = look_up(client)
    if kept.keys is None or fresh:
        kept.keys = signing_keys(object_from(client, where.keys).get("keys"))
    return kept.keys


def signing_keys(given: Any) -> KeySet:
    found: list[Any] = []
    for each in given if isinstance(given, list) else ():
        if not isinstance(each, dict) or each.get("use", "sig") != "sig":
            continue
        try:
            if each.get("kty") == "RSA" and len(str(each.get("n"))) >= SHORTEST_MODULUS:
                found.append(RSAKey.import_key(each))
            elif each.get("kty") == "EC":
                found.append(ECKey.import_key(each))
        except (JoseError, ValueError, KeyError, TypeError):
            continue  # a curve we do not know, say
    if not found:
        raise Untrusted("no signing key is published")
    return KeySet(found)


def object_from(client: Client, url: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    try:
        answer = web.fetch(url, is_local=client.is_local, headers=headers)
    except web.Forbidden as error:
        raise Untrusted(str(error)) from error
    if answer.status != 200:
        raise Unavailable(f"{urlsplit(url).hostname} answered {answer.status}")
    try:
        return answer.json()
    except ValueError as error:
        raise Untrusted("the answer is not JSON") from error


# --- The way out ---------------------------------------------------------------------------------


def way_out(client: Client, attempt: Attempt, **more: str) -> str:
    """Where to send the browser; `more` are further parameters, empty ones left out."""
    where = metadata(client).authorization
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge(attempt.verifier),
        "code_challenge_method": "S256",
    } | {name: value for name, value in more.items() if value}
    return where + ("&" if urlsplit(where).query else "?") + urlencode(asked)


def challenge(verifier: str) -> str:
    return unpadded(hashlib.sha256(verifier.encode()).digest())


def unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# --- The way back -----------------------------------------------------------------------------------


def demand_ours(client: Client, attempt: Attempt, state: str, issuer: str) -> None:
    """That this answer belongs to the attempt and comes from its provider. Raises Untrusted."""
    if not hmac.compare_digest(state.encode(), attempt.state.encode()):
        raise Untrusted("the state is another")
    if issuer and issuer != client.issuer:
        raise Untrusted("another provider answers")
    if not issuer and metadata(client).names_itself:
        raise Untrusted("the provider does not name itself")


def claims(
    client: Client, attempt: Attempt, code: str, now: datetime, wanted: frozenset[str] = frozenset({"email"})
) -> dict[str, Any]:
    """Exchange the code; what the identity token says, checked.

    Userinfo is asked only where the token lacks one of the `wanted` claims.
    Raises Unavailable, Untrusted or WrongClient.
    """
    answer = ask_token(client, code, attempt.verifier)
    said = read_token(client, answer.get("id_token"), attempt.nonce, answer.get("access_token"), now)
    missing = wanted - said.keys()
    return more_claims(client, said, answer.get("access_token")) | said if missing else said


def ask_token(client: Client, code: str, verifier: str) -> dict[str, Any]:
    where = metadata(client)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect,
        "code_verifier": verifier,
    }
    headers = {}
    if where.posts_secret:
        form |= {"client_id": client.client_id, "client_secret": client.secret}
    else:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    try:
        answer = web.fetch(where.token, is_local=client.is_local, form=form, headers=headers)
    except web.Forbidden as error:
        raise Untrusted(str(error)) from error
    if answer.status >= 500 or answer.status == 429:
        raise Unavailable(f"the token endpoint answered {answer.status}")
    try:
        found = answer.json()
    except ValueError as error:
        raise Untrusted("the token answer is not JSON") from error
    if found.get("error") in ("invalid_client", "unauthorized_client") or answer.status == 401:
        raise WrongClient
    if answer.status != 200:
        raise Untrusted("the code was refused")
    return found


def read_token(client: Client, token: Any, nonce: str, access_token: Any, now: datetime) -> dict[str, Any]:
    """The claims of an identity token that holds for us, for this attempt, now. Raises Untrusted."""
    if not isinstance(token, str) or len(token) > LARGEST_TOKEN:
        raise Untrusted("there is no identity token")
    said, algorithm = verified(client, token)
    if said.get("iss") != client.issuer:
        raise Untrusted("the token has another issuer")
    demand_audience(said, client.client_id)
    demand_time(said, now)
    if not hmac.compare_digest(str(said.get("nonce", "")).encode(), nonce.encode()):
        raise Untrusted("the nonce is another")
    subject = said.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise Untrusted("the token names nobody")
    if "at_hash" in said:
        made = hashlib.new("sha" + algorithm[2:], str(access_token or "").encode()).digest()
        if not hmac.compare_digest(str(said["at_hash"]).encode(), unpadded(made[: len(made) // 2]).encode()):
            raise Untrusted("the access token is another")
    return said


def verified(client: Client, token: str) -> tuple[dict[str, Any], str]:
    """Claims and algorithm of a token signed by a published key; keys are read again once."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError) as error:
        raise Untrusted("the identity token cannot be read") from error
    algorithm = str(header.get("alg"))
    if algorithm not in ALGORITHMS:
        raise Untrusted("the token is signed in a way that proves nothing")
    key = fitting(keys(client), header, algorithm) or fitting(keys(client, fresh=True), header, algorithm)
    if key is None:
        raise Untrusted("the token is signed with an unknown key")
    try:
        return dict(jwt.decode(token, key, algorithms=[algorithm]).claims), algorithm
    except (JoseError, ValueError, TypeError) as error:
        raise Untrusted("the signature is wrong") from error


def fitting(published: KeySet, header: dict[str, Any], algorithm: str) -> Any:
    """The key that the token names; without a name, the only one of its kind."""
    kind = "EC" if algorithm.startswith("ES") else "RSA"
    found = [
        key for key in published.keys
        if key.key_type == kind and key.get("alg") in (None, algorithm)
        and ("kid" not in header or key.kid == header["kid"])
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def demand_audience(said: dict[str, Any], client_id: str) -> None:
    audience = said.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if client_id not in named:
        raise Untrusted("the token is for somebody else")
    if (len(named) > 1 or "azp" in said) and said.get("azp") != client_id:
        raise Untrusted("the token was given to somebody else")


def demand_time(said: dict[str, Any], now: datetime) -> None:
    at = now.timestamp()
    times = {name: number(said.get(name)) for name in ("exp", "iat")}
    made, ends = times["iat"], times["exp"]
    if ends is None or made is None:
        raise Untrusted("the token has no times")
    if at >= ends + LEEWAY.total_seconds():
        raise Untrusted("the token has ended")
    if made > at + LEEWAY.total_seconds() or (number(said.get("nbf")) or 0) > at + LEEWAY.total_seconds():
        raise Untrusted("the token is not good yet")
    if made < at - OLDEST.total_seconds():
        raise Untrusted("the token is old")


def number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def more_claims(client: Client, said: dict[str, Any], access_token: Any) -> dict[str, Any]:
    """What userinfo says about the same subject, but for what only the token may say."""
    where = metadata(client).userinfo
    if not where or not isinstance(access_token, str):
        return {}
    found = object_from(client, where, {"Authorization": f"Bearer {access_token}"})
    if found.get("sub") != said["sub"]:
        raise Untrusted("userinfo is about somebody else")
    return {name: value for name, value in found.items() if name not in SIGNED_ONLY}


# --- What was proved there ------------------------------------------------------------------------------


def is_multi_factor(said: dict[str, Any], acr: str = "") -> bool:
    """Whether the token says that two factors were proved; `acr` is one more value that means it."""
    if said.get("acr") in STRONG_ACR or (acr and said.get("acr") == acr):
        return True
    methods = set(words(said.get("amr")))
    kinds = sum(bool(methods & kind) for kind in (POSSESSED, KNOWN, BODY))
    return bool(methods & STRONG) or kinds > 1


def is_fresh(said: dict[str, Any], since: datetime) -> bool:
    """Whether the person proved themselves after `since`, as far as clocks agree."""
    at = number(said.get("auth_time"))
    return at is not None and at >= (since - LEEWAY).timestamp()
