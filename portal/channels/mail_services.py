"""What the common mail services call back with: proved by their signature first, read afterwards.

Each service has one function: (key, headers, raw body, now) to a `Call`, or Forged. Nothing of a call
is believed before its proof holds; Mailgun alone carries its proof inside the body, so the outermost
shape of that is read first. Headers come with lower-case names.

Written after what these pages are known to say, and not yet tried with a service: Amazon SNS "Verifying
signatures", Mailgun "Securing webhooks", Twilio SendGrid "Event Webhook security features", Postmark
"Webhooks overview", Standard Webhooks 1.0 (Resend, Svix).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from portal.channels.reports import DELAYED, DELIVERED, IN_REFERENCES, RETURNED, Report

WINDOW = timedelta(minutes=5)
TOPIC_WINDOW = timedelta(hours=1)  # SNS signs once and may come back with it for so long
TOPIC = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]{5,30}):\d{12}:[\w-]{1,256}\Z")
CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9a-zA-Z]{8,64}\.pem\Z")


class Forged(Exception):
    """The call proves nothing: no signature, a wrong one, or one from another time."""


@dataclass(frozen=True)
class Call:
    """One call whose proof holds. `number` tells it from every other one of the service."""

    number: str
    reports: tuple[Report, ...] = ()
    confirm: str = ""  # an address to ask for, so that the service begins to call


@dataclass(frozen=True)
class Asked:
    """A call as it came in. `certificate` fetches the PEM at an address that was checked."""

    headers: Mapping[str, str]
    raw: bytes
    now: datetime
    certificate: Callable[[str], bytes]


def read(service: str, key: str, asked: Asked) -> Call:
    """Raises Forged. A body that its proof covers but nobody can read holds no reports."""
    return SERVICES[service](key, asked)


# --- Amazon SES, through an SNS topic ----------------------------------------------------------


def amazon(key: str, asked: Asked) -> Call:
    """Signed with a key whose certificate lies at Amazon; `key` is the topic that may speak."""
    told = parsed(asked.raw)
    topic = TOPIC.match(key)
    if topic is None or told.get("TopicArn") != key:
        raise Forged("another topic")
    demand_fresh(moment(told.get("Timestamp")), asked.now, TOPIC_WINDOW)
    demand_amazon(str(told.get("SigningCertURL")), topic[1], CERTIFICATE_PATH)
    demand_signed_by_amazon(told, asked)
    number = str(told.get("MessageId"))
    if told.get("Type") == "SubscriptionConfirmation":
        demand_amazon(str(told.get("SubscribeURL")), topic[1], re.compile(r"/\Z"))
        return Call(number, confirm=str(told["SubscribeURL"]))
    return Call(number, tuple(amazon_reports(parsed(str(told.get("Message", "")).encode()))))


def demand_amazon(url: str, region: str, path: re.Pattern[str]) -> None:
    """Only Amazon's own host of that region, by https, without a port or a name in front."""
    parts = urlsplit(url)
    hosts = (f"sns.{region}.amazonaws.com", f"sns.{region}.amazonaws.com.cn")
    if parts.scheme != "https" or parts.netloc not in hosts or not path.match(parts.path):
        raise Forged("an address that is not Amazon's")


def demand_signed_by_amazon(told: dict[str, Any], asked: Asked) -> None:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    if told.get("Type") == "Notification":
        names = [each for each in names if each not in ("SubscribeURL", "Token")]
    signed = "".join(f"{name}\n{told[name]}\n" for name in names if told.get(name) is not None)
    digest = hashes.SHA256() if told.get("SignatureVersion") == "2" else hashes.SHA1()  # noqa: S303
    try:
        certificate = x509.load_pem_x509_certificate(asked.certificate(str(told["SigningCertURL"])))
        key = certificate.public_key()
        if not certificate.not_valid_before_utc <= asked.now <= certificate.not_valid_after_utc:
            raise Forged("a certificate of another time")
        if not isinstance(key, rsa.RSAPublicKey):
            raise Forged("an unknown kind of key")
        key.verify(unbase64(told.get("Signature")), signed.encode(), padding.PKCS1v15(), digest)
    except (InvalidSignature, ValueError) as error:
        raise Forged("a wrong signature") from error


def amazon_reports(event: dict[str, Any]) -> Iterable[Report]:
    kind = event.get("eventType") or event.get("notificationType")
    mail = table(event.get("mail"))
    headers = {str(h.get("name")).lower(): str(h.get("value")) for h in rows(mail.get("headers"))}
    named = [headers.get("x-countersign-id", ""), *texts(table(mail.get("tags")).get("countersign"))]
    ids, remote = known(named, headers.get("message-id")), str(mail.get("messageId", ""))
    if kind == "Bounce":
        bounce = table(event.get("bounce"))
        for each in rows(bounce.get("bouncedRecipients")):
            said = f"{each.get('status', '')} {each.get('diagnosticCode', '')}".strip()
            if bounce.get("bounceType") != "Permanent" and not said:
                continue  # somebody's notice of absence
            yield Report(RETURNED, ids, (str(each.get("emailAddress")),), short(said), remote)
    elif kind == "Delivery":
        to = texts(table(event.get("delivery")).get("recipients"))
        yield Report(DELIVERED, ids, to, remote_id=remote)
    elif kind == "DeliveryDelay":
        delay = table(event.get("deliveryDelay"))
        for each in rows(delay.get("delayedRecipients")):
            said = f"{each.get('status', '')} {each.get('diagnosticCode', '')}"
            yield Report(DELAYED, ids, (str(each.get("emailAddress")),), short(said), remote)


# --- Mailgun -----------------------------------------------------------------------------------


def mailgun(key: str, asked: Asked) -> Call:
    """An HMAC over time and token; the token is good once, since it does not cover the rest."""
    told = parsed(asked.raw)
    proof = table(told.get("signature"))
    stamp, token = str(proof.get("timestamp", "")), str(proof.get("token", ""))
    mine = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    if not token or not hmac.compare_digest(mine.encode(), str(proof.get("signature", "")).encode()):
        raise Forged("a wrong signature")
    demand_fresh(at_second(stamp), asked.now)
    return Call(token, tuple(mailgun_reports(table(told.get("event-data")))))


def mailgun_reports(event: dict[str, Any]) -> Iterable[Report]:
    outcome = {"delivered": DELIVERED, "failed": RETURNED}.get(str(event.get("event")))
    if outcome is None:
        return
    if outcome == RETURNED and event.get("severity") == "temporary":
        outcome = DELAYED
    status = table(event.get("delivery-status"))
    said = " ".join(
        str(status.get(name) or "") for name in ("code", "enhanced-code", "message", "description")
    )
    headers = table(table(event.get("message")).get("headers"))
    own = table(event.get("user-variables")).get("countersign_id")
    yield Report(
        outcome, known([own], f"<{headers.get('message-id', '')}>"), (str(event.get("recipient")),),
        short(said) if outcome != DELIVERED else "",
    )  # fmt: skip


# --- SendGrid ----------------------------------------------------------------------------------


def sendgrid(key: str, asked: Asked) -> Call:
    """An ECDSA signature over time and body, by the public key that their page shows."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    stamp = asked.headers.get("x-twilio-email-event-webhook-timestamp", "")
    signature = asked.headers.get("x-twilio-email-event-webhook-signature", "")
    try:
        public = load_der_public_key(unbase64(key))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise Forged("an unknown kind of key")
        public.verify(unbase64(signature), stamp.encode() + asked.raw, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise Forged("a wrong signature") from error
    demand_fresh(at_second(stamp), asked.now)
    number = hashlib.sha256(stamp.encode() + asked.raw).hexdigest()
    return Call(number, tuple(r for each in rows(loaded(asked.raw)) for r in sendgrid_reports(each)))


def sendgrid_reports(event: dict[str, Any]) -> Iterable[Report]:
    words = {"bounce": RETURNED, "dropped": RETURNED, "deferred": DELAYED, "delivered": DELIVERED}
    outcome = words.get(str(event.get("event")))
    if outcome is None:
        return
    said = " ".join(str(event.get(name) or "") for name in ("status", "reason", "response"))
    ids = known([event.get("countersign_id")], str(event.get("smtp-id") or ""))
    yield Report(
        outcome, ids, (str(event.get("email")),), short(said) if outcome != DELIVERED else "",
        remote_id=str(event.get("sg_message_id") or ""),
    )  # fmt: skip


# --- Postmark ----------------------------------------------------------------------------------

POSTMARK_LATER = ("Transient", "DnsError")
POSTMARK_NO_BOUNCE = ("AutoResponder", "Subscribe", "Unsubscribe", "AddressChange", "OpenRelayTest",
                      "ChallengeVerification", "VirusNotification", "InboundError")  # fmt: skip


def postmark(key: str, asked: Asked) -> Call:
    """Signs nothing: the name and password in the address they call are the proof."""
    kind, _space, given = asked.headers.get("authorization", "").partition(" ")
    _name, _colon, password = unbase64_text(given).partition(":")
    if kind.lower() != "basic" or not hmac.compare_digest(password.encode(), key.encode()):
        raise Forged("a wrong password")
    return Call(hashlib.sha256(asked.raw).hexdigest(), tuple(postmark_reports(table(loaded(asked.raw)))))


def postmark_reports(event: dict[str, Any]) -> Iterable[Report]:
    kind, sort = event.get("RecordType"), str(event.get("Type"))
    own = table(event.get("Metadata")).get("countersign-id")
    ids, remote = known([own], ""), str(event.get("MessageID") or "")
    if kind == "Delivery":
        yield Report(DELIVERED, ids, (str(event.get("Recipient")),), remote_id=remote)
    elif kind == "Bounce" and sort not in POSTMARK_NO_BOUNCE:
        said = short(f"{event.get('Details') or ''} {event.get('Description') or ''}")
        outcome = DELAYED if sort in POSTMARK_LATER else RETURNED
        yield Report(outcome, ids, (str(event.get("Email")),), said, remote_id=remote)


# --- Standard Webhooks: Resend and whoever signs like it -----------------------------------------


def standard(key: str, asked: Asked) -> Call:
    """`webhook-id`, `webhook-timestamp`, `webhook-signature`, or the same names with `svix-`."""
    headers = asked.headers
    prefix = "webhook" if "webhook-id" in headers else "svix"
    number, stamp = headers.get(f"{prefix}-id", ""), headers.get(f"{prefix}-timestamp", "")
    secret = unbase64(key.removeprefix("whsec_"))
    mine = hmac.new(secret, f"{number}.{stamp}.".encode() + asked.raw, hashlib.sha256).digest()
    given = [each.partition(",") for each in headers.get(f"{prefix}-signature", "").split(" ")[:8]]
    right = [version == "v1" and is_same(text, mine) for version, _comma, text in given]
    if not number or not secret or not any(right):
        raise Forged("a wrong signature")
    demand_fresh(at_second(stamp), asked.now)
    return Call(number, tuple(standard_reports(table(loaded(asked.raw)))))


def is_same(text: str, digest: bytes) -> bool:
    return hmac.compare_digest(text.encode(), base64.b64encode(digest))


def standard_reports(event: dict[str, Any]) -> Iterable[Report]:
    words = {"email.delivered": DELIVERED, "email.bounced": RETURNED, "email.failed": RETURNED,
             "email.suppressed": RETURNED, "email.delivery_delayed": DELAYED}  # fmt: skip
    outcome, told = words.get(str(event.get("type"))), table(event.get("data"))
    if outcome is None:
        return
    headers = {str(h.get("name")).lower(): str(h.get("value")) for h in rows(told.get("headers"))}
    own = [headers.get("x-countersign-id", ""), table(told.get("tags")).get("countersign_id")]
    found = next((table(told.get(name)) for name in ("bounce", "failed", "suppressed") if told.get(name)), {})
    said = " ".join(str(found.get(name) or "") for name in ("subType", "reason", "message"))
    to = told.get("to")
    yield Report(
        outcome, known(own, headers.get("message-id") or str(told.get("message_id") or "")),
        texts(to if isinstance(to, list) else [to]), short(said), remote_id=str(told.get("email_id") or ""),
    )  # fmt: skip


SERVICES: dict[str, Callable[[str, Asked], Call]] = {
    "ses": amazon, "mailgun": mailgun, "sendgrid": sendgrid, "postmark": postmark, "standard": standard,
}  # fmt: skip


# --- Reading what anybody may have sent -----------------------------------------------------------


def demand_fresh(at: datetime | None, now: datetime, window: timedelta = WINDOW) -> None:
    if at is None or abs(now - at) > window:
        raise Forged("another time")


def at_second(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat("1970-01-01T00:00:00+00:00") + timedelta(seconds=int(text))
    except (ValueError, OverflowError):
        return None


def moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def loaded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def parsed(raw: bytes) -> dict[str, Any]:
    return table(loaded(raw))


def table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[dict[str, Any]]:
    return [each for each in value[:1000] if isinstance(each, dict)] if isinstance(value, list) else []


def texts(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value[:100]) if isinstance(value, list) else ()


def known(named: Iterable[object], message_id: str | None) -> tuple[str, ...]:
    """Our numbers of the mail: what we gave the service to carry, then the Message-ID."""
    found = [str(each) for each in named if each]
    return tuple(dict.fromkeys([*found, *IN_REFERENCES.findall(message_id or "")]))


def short(text: str) -> str:
    return " ".join(text.split())[:400]


def unbase64(text: object) -> bytes:
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""


def unbase64_text(text: str) -> str:
    return unbase64(text).decode("utf-8", "replace")
