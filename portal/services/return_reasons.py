"""Why a mail waits or came back, in plain words: what servers say in numbers (RFC 3463), said again."""

from __future__ import annotations

import re

from portal.channels.sms import reasons
from portal.i18n import lazy
from portal.models.notices import Notice

ENHANCED = re.compile(r"(?<![\d.])([45])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
BASIC = re.compile(r"(?<![\d.])([45]\d\d)(?=[ -])")

NO_MAILBOX = lazy("There is no mailbox with this address.")
NO_DOMAIN = lazy("The part of the address behind the @ takes no mail.")
FULL = lazy("The mailbox is full.")
OFF = lazy("The mailbox is switched off.")
TOO_LARGE = lazy("The message is larger than the mailbox takes.")
UNREACHED = lazy("Their mail server could not be reached.")
REFUSED = lazy("Their mail server refused the message by its rules, as spam for instance.")
NOT_PROVED = lazy("Their mail server found no proof that our domain sends this mail (SPF, DKIM, DMARC).")
LATER = lazy("Their mail server asks to come back later.")
LETTERS = lazy("The mail server cannot take an address with these letters.")

# (second, third) number of the code; the third may be left open.
CODES = {
    (1, 1): NO_MAILBOX, (1, 0): NO_MAILBOX, (1, 3): NO_MAILBOX, (1, 6): NO_MAILBOX, (1, 2): NO_DOMAIN,
    (1, 10): NO_DOMAIN, (4, 4): NO_DOMAIN, (2, 1): OFF, (2, 2): FULL, (2, 3): TOO_LARGE, (3, 4): TOO_LARGE,
    (4, None): UNREACHED, (6, 7): LETTERS, (7, 23): NOT_PROVED, (7, 24): NOT_PROVED, (7, 25): NOT_PROVED,
    (7, 26): NOT_PROVED, (7, None): REFUSED,
}  # fmt: skip
BASICS = {"550": NO_MAILBOX, "551": NO_MAILBOX, "553": NO_MAILBOX, "552": FULL, "554": REFUSED, "452": FULL}
# What our own side of the line says, by its beginning.
OURS = {
    "the mail server refused our name and password": lazy(
        "Our mail server refused the name and password of this portal."
    ),
    "the certificate of the mail server": lazy("The certificate of our mail server cannot be trusted."),
    "the mail server offers no encryption": lazy("Our mail server offers no encryption."),
    "no encrypted line": lazy("No encrypted line to our mail server could be agreed."),
    "no mail server has this name": lazy("Our mail server’s name cannot be found."),
    "the mail server refused the call": lazy("Our mail server is not listening."),
    "the mail server did not answer": lazy("Our mail server did not answer in time."),
    "the mail server hung up": lazy("Our mail server hung up."),
    "the line to the mail server": lazy("Our mail server cannot be reached."),
    "not a mail address": lazy("This is not a mail address."),
}  # fmt: skip


def in_words(failure: str) -> str:
    """A sentence for what a gateway or server said; "" where its words must speak for themselves."""
    for beginning, sentence in OURS.items():
        if failure.startswith(beginning):
            return str(sentence)
    code = ENHANCED.search(failure)
    if code is not None:
        kind, second, third = code[1], int(code[2]), int(code[3])
        meaning = CODES.get((second, third)) or CODES.get((second, None))
        if kind == "4" and (second, third) not in ((2, 2), (4, 4), (4, 1)):
            return str(LATER)
        return str(meaning or "")
    basic = BASIC.search(failure)
    if basic is None:
        return ""
    return str(BASICS.get(basic[1]) or (LATER if basic[1].startswith("4") else ""))


def why(notice: Notice) -> str:
    """Why a message waits, failed or came back, as far as it can be said in words; empty for no reason."""
    if notice.channel == "sms":
        return reasons.said(notice.failure)
    return in_words(notice.failure) or str(notice.failure)
