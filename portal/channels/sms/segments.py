"""How many parts a text message is sent and paid in: 160 letters of the GSM alphabet, or 70 of any.

One letter outside that alphabet (ê, ç, a typographic quote) makes the whole message a wide one. Longer
texts lose some letters of each part to its numbering. Source: 3GPP TS 23.038, 23.040.
"""

from __future__ import annotations

import unicodedata

GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
TWICE = set("\f^{}\\[~]|€")  # written as two
PLAIN = {
    "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-",
    "\u00ab": '"', "\u00bb": '"', "\u00a0": " ", "\u202f": " ", "\u2026": "...", "œ": "oe", "Œ": "OE",
    "`": "'",
}  # fmt: skip
NARROW, NARROW_PART, WIDE, WIDE_PART = 160, 153, 70, 67


def is_narrow(text: str) -> bool:
    """Whether every letter is in the GSM alphabet."""
    return set(text) <= GSM | TWICE


def count(text: str) -> int:
    """The parts it is sent in."""
    if is_narrow(text):
        length = len(text) + sum(letter in TWICE for letter in text)
        whole, part = NARROW, NARROW_PART
    else:
        length = len(text.encode("utf-16-le")) // 2
        whole, part = WIDE, WIDE_PART
    return 1 if length <= whole else -(-length // part)


def narrowed(text: str) -> str:
    """The text with letters of the GSM alphabet only, where a plainer form of each letter is in it.

    What has no plainer form (another script, say) leaves the text as wide as it is.
    """
    made = "".join(letter if is_narrow(letter) else plainer(letter) for letter in text)
    return made if is_narrow(made) else text


def plainer(letter: str) -> str:
    """A quote made straight, a wide space made plain, an accent taken away."""
    if letter in PLAIN:
        return PLAIN[letter]
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
