"""Whoever the portal depends on: gateways, the timestamp authority, and the time they have."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import urlsplit

from portal.channels import Unavailable, probes
from portal.documents import authority, timestamps
from portal.services import gateways, installation
from portal.services.doctor import Check, Finding, Patient, warn, well, wrong

SECONDS = 4.0  # to connect and to be answered; a check may take five
SLOW, TOO_SLOW = 10, 300


def in_force(patient: Patient, channel: str) -> gateways.InForce:
    """The gateway; without a database, what the environment says of it."""
    if patient.has_tables:
        return gateways.in_force(channel)
    given = patient.settings
    url = given.mail_url if channel == gateways.MAIL else given.sms_url
    return gateways.InForce(url, given.mail_from, gateways.ENVIRONMENT)


def mail(patient: Patient) -> Finding:
    """Connect, encrypt and sign in as for a mail; none is sent."""
    found = in_force(patient, gateways.MAIL)
    if not found.is_real:
        return stays_here("mail", "mail")
    server = urlsplit(found.url)
    if server.scheme not in ("smtp", "smtps"):
        return well("mail", f"Mails go through {server.scheme}; none was sent to try it.")
    try:
        probes.mail(found.url, SECONDS)
    except Unavailable as error:
        return wrong(
            "mail",
            f"The mail server {server.hostname} does not take our mails: {error}.",
            whose(found.source),
        )
    return well("mail", f"The mail server {server.hostname} answers and lets us in.")


def sms(patient: Patient) -> Finding:
    """Ask the gateway's address for an answer; no message is sent."""
    found = in_force(patient, gateways.SMS)
    if not found.is_real:
        return stays_here("sms", "text message")
    scheme, _colon, rest = found.url.partition("+")
    if scheme != "webhook":
        return well("sms", f"Text messages go through {urlsplit(found.url).scheme}; none was sent to try it.")
    try:
        theirs = probes.answers_at(rest, SECONDS)
    except Unavailable as error:
        host = urlsplit(rest).hostname
        return wrong("sms", f"The text message gateway {host} does not answer: {error}.", whose(found.source))
    if theirs is not None:
        patient.times.append(("the text message gateway", theirs, patient.clock()))
    return well("sms", f"The text message gateway {urlsplit(rest).hostname} answers.")


def stays_here(key: str, what: str) -> Finding:
    if installation.current().settings.sample_marker.is_file():
        return well(key, f"Sample data: no {what} leaves this machine.")
    return warn(
        key, f"No {what} leaves this machine.", f"Connect a gateway, or set COUNTERSIGN_{key.upper()}_URL."
    )


def whose(source: str) -> str:
    where = "where the portal is started" if source == gateways.ENVIRONMENT else "on its page under Settings"
    return f"Look at the network and at the gateway, or correct it {where}."


def timestamp_authority(patient: Patient) -> Finding:
    """Ask for one timestamp over nothing of ours."""
    url = patient.settings.tsa_url
    if not url:
        return well("timestamps", "No timestamp authority is set: seals carry this machine's time.")
    held = patient.settings.authority_dir
    roots = installation.current().authority.timestamp_roots if authority.exists(held) else b""
    try:
        _token, found = timestamps.TimestampAuthority(url, SECONDS, roots).token(sha256(b"doctor").digest())
    except timestamps.AuthorityAway as error:
        return wrong(
            "timestamps",
            f"The timestamp authority gives none: {error}.",
            "Look at the network, or correct TSA_URL.",
        )
    patient.times.append((found.authority, found.at, patient.clock()))
    return well("timestamps", f"{found.authority} gives timestamps.")


def clock(patient: Patient) -> Finding:
    """This machine's time beside every other that was met."""
    if not patient.times:
        return well("clock", "There was no other clock to compare this machine's with.")
    who, seconds = max(
        ((name, abs((theirs - ours).total_seconds())) for name, theirs, ours in patient.times),
        key=lambda pair: pair[1],
    )
    said = f"This machine's clock and that of {who} are {seconds:.0f} seconds apart."
    if seconds > TOO_SLOW:
        return wrong("clock", said, "Set the clock by NTP: codes and timestamps depend on it.")
    if seconds > SLOW:
        return warn("clock", said, "Set the clock by NTP.")
    return well("clock", said)


CHECKS: tuple[Check, ...] = (mail, sms, timestamp_authority, clock)
