"""Why a text message did not go or arrive: one word for each case, and the sentence people read.

A reason is kept as a word with the vendor's own number behind it ("off 30003"), so that everybody
reads it in their language and support can look it up.
"""

from __future__ import annotations

from typing import Any

from portal.i18n import lazy

SENTENCES: dict[str, Any] = {
    # The number
    "invalid": lazy("this is not a telephone number that exists"),
    "not_mobile": lazy("this number cannot take text messages: a fixed line, perhaps"),
    "opted_out": lazy("its owner has answered STOP to our messages"),
    "country": lazy("our account may not send to this country"),
    "unknown_number": lazy("the number is not in use"),
    "off": lazy("number switched off or out of reach"),
    "blocked": lazy("the network or the phone blocks our messages"),
    "filtered": lazy("the network took it for unwanted mail"),
    "late": lazy("it could not be delivered while it was of use"),
    # Us and the gateway
    "sender": lazy("the sender name or number may not be used there"),
    "content": lazy("the gateway does not take this text"),
    "credentials": lazy("the gateway refuses our name and password"),
    "account": lazy("our account at the gateway is closed or has no credit"),
    "busy": lazy("the gateway is overloaded; we try again"),
    "unreachable": lazy("the gateway cannot be reached; we try again"),
    "unanswered": lazy("the gateway did not answer whether it took the message"),
    "refused": lazy("the gateway refused the message"),
    "unclear": lazy("the gateway does not say why"),
}


def reason(word: str, number: object = "") -> str:
    """As it is kept: the word, and the vendor's number where there is one."""
    return f"{word} {number}".strip()


def said(kept: str) -> str:
    """A kept reason as words for people; what is not ours is shown as it is."""
    word, _space, number = kept.partition(" ")
    if word not in SENTENCES:
        return kept
    return f"{SENTENCES[word]} ({number})" if number else str(SENTENCES[word])
