"""What a document task and its caller say to each other: framing, and the word for "no".

Light on purpose: a child reads this before anything else.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

Params = str | int | float | bool | list[str]

_HEAD = struct.Struct(">Q")
_LONGEST_HEADER = 64 * 1024 * 1024


class Refused(Exception):
    """A file or request that will not be taken: `code` for programs, `params` for the sentence."""

    def __init__(self, code: str, **params: Params) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class BrokenFrame(Exception):
    """The bytes end too early or announce more than is allowed."""


def pack(header: dict[str, Any], files: dict[str, bytes]) -> Iterator[bytes]:
    """A JSON header with the names and sizes of the files, then the files, as chunks to write."""
    sizes = [[name, len(content)] for name, content in files.items()]
    head = json.dumps({**header, "files": sizes}, separators=(",", ":")).encode()
    yield _HEAD.pack(len(head)) + head
    yield from files.values()


def unpack(read: Callable[[int], bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Header and files from `read(n)`, which gives n bytes or fewer only at the end."""
    (length,) = _HEAD.unpack(_exactly(read, _HEAD.size))
    if length > _LONGEST_HEADER:
        raise BrokenFrame
    header: dict[str, Any] = json.loads(_exactly(read, length))
    files = {name: _exactly(read, size) for name, size in header.pop("files")}
    return header, files


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    content = read(size)
    if len(content) != size:
        raise BrokenFrame
    return content
