"""Takes secrets out of text before anybody reads it: log lines, traces, reasons kept beside jobs.

Two nets: the values of this installation's own secrets (`hide`), and the shapes secrets have
wherever they come from - tokens in addresses, credentials in URLs, headers, codes, keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

HIDDEN = "(hidden)"
LONG_LINE = 24  # of a key; PEM has 64 characters in a line
SHORTEST = 4  # a shorter value would take half of all words with it
# Addresses whose next part is a token: who holds it is its reader.
TOKEN_PATHS = ("sign", "access", "invitation", "password-reset", "mine", "calendar", "negotiate")
NAMES = r"[\w.-]*(?:token|code|key|secret|passw|signature|assertion|otp|session)[\w.-]*"

SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), put)
    for pattern, put in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", HIDDEN),
        (r"\$argon2[^\s'\"]+", HIDDEN),
        # A header to the end of its line, or to the quote that ends it where headers stand as a dict.
        (r"\b((?:proxy-)?authorization|(?:set-)?cookie2?|x-[\w-]*(?:key|token|signature|auth)[\w-]*)"
         r"(['\"]?\s*[:=,]\s*b?)(?:'[^'\r\n]*'|\"[^\"\r\n]*\"|[^'\"\r\n]+)", rf"\1\2{HIDDEN}"),
        (r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", rf"\1 {HIDDEN}"),
        (r"\b([a-z][a-z0-9+.-]*://)[^/\s'\"<>]*@", rf"\1{HIDDEN}@"),
        (rf"([?&;]{NAMES}=)[^&;\s'\"#<>]*", rf"\1{HIDDEN}"),
        (rf"(/(?:{'|'.join(TOKEN_PATHS)})/)(?!<)[^/\s?#'\"<>]+", rf"\1{HIDDEN}"),
        # Fields of dicts and forms: 'password': 'x', token=x9, "code": 123456.
        (r"(['\"]?\b[\w-]*(?:passw\w*|secret|token|totp|otp|api_?key)\b['\"]?\s*[:=]\s*)"
         r"(?:'[^'\r\n]*'|\"[^\"\r\n]*\"|[^\s'\",;&(){}\[\]]+)", rf"\1{HIDDEN}"),
        (r"(\bcodes?\b[^\d\r\n]{0,20})\b\d{6,8}\b", rf"\1{HIDDEN}"),
        (r"(['\"]code['\"]\s*:\s*)(?:'[^'\r\n]*'|\"[^\"\r\n]*\")", rf"\1{HIDDEN}"),
    )
)  # fmt: skip

_known: set[str] = set()
_literals: re.Pattern[str] | None = None


def hide(values: Iterable[str]) -> None:
    """From now on these very values are taken out, however they come to stand in a text.

    Of a key in several lines also each line, since many writers break them otherwise.
    """
    global _literals
    found = set(values)
    found |= {line for value in found for line in value.splitlines()[1:-1] if len(line) >= LONG_LINE}
    new = {value for value in found if len(value) >= SHORTEST} - _known
    if not new:
        return
    _known.update(new)
    forms = {form for value in _known for form in (value, quote(value, safe=""))}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    _literals = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def text(said: str) -> str:
    """The text without secrets; everything else stays as it was."""
    if _literals is not None:
        said = _literals.sub(HIDDEN, said)
    for pattern, put in SHAPES:
        said = pattern.sub(put, said)
    return said


def value(given: Any) -> Any:
    """The same for what goes into a log line: texts, and the texts within lists and objects."""
    if isinstance(given, str):
        return text(given)
    if isinstance(given, dict):
        return {text(str(name)): value(each) for name, each in given.items()}
    if isinstance(given, list | tuple | set | frozenset):
        return [value(each) for each in given]
    return given if given is None or isinstance(given, bool | int | float) else text(str(given))
