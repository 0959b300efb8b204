"""Canonical JSON (RFC 8785): the one byte form of a document, of which hashes are taken.

Narrower than the RFC on purpose: numbers are whole, everything else is a decimal string, so that
no reader ever has to agree with us about floating point.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

LARGEST = 2**53 - 1
DEEPEST = 64


class NotCanonical(ValueError):
    """The value cannot be written canonically; the message says where and why."""


def canonical(document: Any) -> bytes:
    """The canonical UTF-8 bytes of a JSON value. Raises NotCanonical for a float or any other type."""
    text = json.dumps(_ordered(document, "$", 0), ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def sha256(document: Any) -> str:
    """Lowercase hex SHA-256 of the canonical bytes."""
    return hashlib.sha256(canonical(document)).hexdigest()


def _ordered(value: Any, path: str, depth: int) -> Any:
    if depth > DEEPEST:
        raise NotCanonical(f"{path}: nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise NotCanonical(f"{path}: {value} is too large; write it as a string")
        return int(value)
    if isinstance(value, list | tuple):
        return [_ordered(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return _ordered_object(value, path, depth)
    raise NotCanonical(f"{path}: {type(value).__name__} has no canonical form; write it as a string")


def _ordered_object(value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise NotCanonical(f"{path}: a name must be text, not {type(key).__name__}")
        _text(key, path)
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return {name: _ordered(value[name], f"{path}.{name}", depth + 1) for name in names}


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical(f"{path}: half of a surrogate pair is not text") from error
    return str(value)
