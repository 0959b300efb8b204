"""Calls of mail services: whose key proves them, and what a proved one changes.

A key is typed on the mail page and kept encrypted. A call without proof leaves no trace; one that was
taken in before changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from portal import scrub
from portal.channels import mail_services
from portal.channels.mail_services import SERVICES, TOPIC, Forged
from portal.errors import Conflict, Invalid, NotFound, Unavailable
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.audit import InstallationFact
from portal.models.base import transaction
from portal.models.notices import MailCall
from portal.services import audit, installation, jobs, returns
from portal.services.audit import Actor

LONGEST_CALL = 512 * 1024
KEPT_FOR = timedelta(days=30)
SECONDS = (3, 5)
LEAST_PASSWORD = 24

# What each service is called, what its key is, and where to find it.
NAMES = {
    "ses": "Amazon SES", "mailgun": "Mailgun", "sendgrid": "SendGrid", "postmark": "Postmark",
    "standard": "Resend",
}  # fmt: skip
KEYS = {
    "ses": (
        lazy("Topic of Amazon SNS"),
        lazy("As in arn:aws:sns:eu-west-1:123456789012:mail. The topic is confirmed by itself."),
    ),
    "mailgun": (lazy("Signing key"), lazy("At Mailgun under Webhooks, “HTTP webhook signing key”.")),
    "sendgrid": (
        lazy("Verification key"),
        lazy("At SendGrid under Mail settings, Event webhook, “Signed event webhook”."),
    ),
    "postmark": (
        lazy("Password"),
        lazy(
            "One of your own, 24 characters or more. Write it into the address at Postmark: "
            "https://countersign:PASSWORD@…"
        ),
    ),
    "standard": (
        lazy("Signing secret"),
        lazy("It begins with whsec_. Any service that follows Standard Webhooks works."),
    ),
}

log = logging.getLogger(__name__)


def fact_name(service: str) -> str:
    return f"mail_hook_{service}"


def connected() -> dict[str, bool]:
    """Which services may call."""
    return {service: installation.fact(fact_name(service)) is not None for service in SERVICES}


def connect(service: str, key: str, *, by: Actor, now: datetime) -> None:
    """Believe calls that this key proves. Raises Invalid for what cannot be such a key."""
    check_key(service, key)
    with transaction():
        sealed = installation.current().box.seal(key)
        installation.set_fact(fact_name(service), {"key": sealed}, now)
        audit.append("mail_reports.connected", ("gateway", service), chain=audit.INSTALLATION, by=by, now=now)


def check_key(service: str, key: str) -> None:
    reasons = {
        "ses": (TOPIC.match(key) is not None, _(
            "Write the topic as Amazon shows it: arn:aws:sns:REGION:ACCOUNT:NAME."
        )),
        "mailgun": (len(key) >= 20, _("This is too short for a signing key of Mailgun.")),
        "sendgrid": (is_public_key(key), _("This is no verification key of SendGrid. It begins with MFkw.")),
        "postmark": (len(key) >= LEAST_PASSWORD, _("Use 24 characters or more.")),
        "standard": (
            len(mail_services.unbase64(key.removeprefix("whsec_"))) >= 16,
            _("Write the signing secret as the service shows it; it begins with whsec_."),
        ),
    }  # fmt: skip
    is_right, reason = reasons[service]
    if not is_right or not key.isascii():
        raise Invalid({"key": reason})


def is_public_key(text: str) -> bool:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        load_der_public_key(mail_services.unbase64(text))
    except ValueError:
        return False
    return True


def disconnect(service: str, *, by: Actor, now: datetime) -> None:
    with transaction():
        if not InstallationFact.delete().where(InstallationFact.name == fact_name(service)).execute():
            raise Conflict(_("This service is not set up."))
        audit.append(
            "mail_reports.disconnected", ("gateway", service), chain=audit.INSTALLATION, by=by, now=now
        )


# --- Taking a call in --------------------------------------------------------------------------


def receive(service: str, headers: Mapping[str, str], raw: bytes, now: datetime) -> int:
    """How many messages a call changed. Raises NotFound where the service is not set up, or Forged."""
    kept = installation.fact(fact_name(service)) if service in SERVICES else None
    if kept is None:
        raise NotFound
    if len(raw) > LONGEST_CALL:
        raise Forged("too long")
    key = installation.current().box.open(kept["key"])
    scrub.hide([key])
    asked = mail_services.Asked({k.lower(): v for k, v in headers.items()}, raw, now, certificate)
    call = mail_services.read(service, key, asked)
    with transaction():
        if not is_new(f"{service}:{call.number}", now):
            return 0
        if call.confirm:
            sealed = installation.current().box.seal(call.confirm)
            jobs.add("confirm_mail_topic", {"address": sealed}, now=now)
        return sum(returns.take_in(report, now) for report in call.reports)


def is_new(key: str, now: datetime) -> bool:
    row = {MailCall.key: key[:300], MailCall.seen_at: now}
    return bool(MailCall.insert(row).on_conflict_ignore().as_rowcount().execute())


@lru_cache(maxsize=8)
def certificate(url: str) -> bytes:
    """The certificate at an address of Amazon's that was checked; asked for once per process."""
    import requests

    try:
        answer = requests.get(url, timeout=SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        raise Unavailable(f"the certificate could not be fetched: {type(error).__name__}") from error
    if answer.status_code != 200 or len(answer.content) > 20_000:
        raise Forged("no certificate lies at that address")
    return answer.content


@jobs.handler("confirm_mail_topic")
def confirm(payload: dict[str, Any], context: jobs.Context) -> None:
    """Tell Amazon that its topic may call; the address was proved to be theirs."""
    import requests

    try:
        answer = requests.get(
            installation.current().box.open(payload["address"]), timeout=SECONDS, allow_redirects=False
        )
    except requests.RequestException as error:
        raise jobs.Retry(type(error).__name__) from error
    if answer.status_code >= 500:
        raise jobs.Retry(f"Amazon answered {answer.status_code}")
    log.info("the topic of Amazon SNS was confirmed: %s", answer.status_code)


@jobs.recurring("forget_mail_calls", timedelta(days=1))
def forget(payload: dict[str, Any], context: jobs.Context) -> None:
    """Calls so old that their proof holds no more need not be remembered."""
    with transaction():
        MailCall.delete().where(MailCall.seen_at < context.clock() - KEPT_FOR).execute()
