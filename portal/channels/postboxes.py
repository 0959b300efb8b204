"""The mailbox that returned mail comes back to: IMAP, POP3, or a Maildir on this machine.

A box gives its new letters one by one and is told when each is dealt with. IMAP letters stay and are
marked as read; those of a Maildir move from `new` to `cur`; POP3 knows no marks, so they are deleted.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import poplib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from portal.channels.smtp import is_loopback, trust

SECONDS = 15
MOST_LETTERS = 100  # at one look
LONGEST_LETTER = 512 * 1024  # of each, what stands first is read
POINT = re.compile(r"(\d+):(\d+)\Z")


class Away(Exception):
    """The mailbox cannot be opened or read now; the message says why in one line."""


@dataclass(frozen=True)
class Letter:
    raw: bytes = field(repr=False)
    point: str = ""  # where to go on behind it, for boxes that ask


class Box(Protocol):
    def letters(self) -> Iterator[Letter]:
        """New letters, the oldest first; each is dealt with once the next is asked for."""


@contextlib.contextmanager
def opened(url: str, point: str) -> Iterator[Box]:
    """The box that an address names, at the point reached before. Raises Away."""
    parts = urlsplit(url)
    scheme = parts.scheme
    try:
        if scheme == "maildir":
            yield Maildir(Path(unquote(parts.path)))
        elif scheme in ("imap", "imaps"):
            with closing(imap(parts), "logout") as line:
                line.login(unquote(parts.username or ""), unquote(parts.password or ""))
                yield Imap(line, unquote(parts.path.strip("/")) or "INBOX", point)
        else:
            with closing(pop3(parts), "quit") as line:
                line.user(unquote(parts.username or ""))
                line.pass_(unquote(parts.password or ""))
                yield Pop3(line)
    except (OSError, imaplib.IMAP4.error, poplib.error_proto, EOFError) as error:
        raise Away(said(error)) from error


@contextlib.contextmanager
def closing(line: Any, goodbye: str) -> Iterator[Any]:
    """Say goodbye at the end, whether or not anybody still listens."""
    try:
        yield line
    finally:
        with contextlib.suppress(OSError, imaplib.IMAP4.error, poplib.error_proto, EOFError):
            getattr(line, goodbye)()


def imap(parts: Any) -> imaplib.IMAP4:
    demand_encryption(parts, "imaps")
    host, port = parts.hostname or "localhost", parts.port
    if parts.scheme == "imaps":
        return imaplib.IMAP4_SSL(host, port or 993, ssl_context=trust(), timeout=SECONDS)
    return imaplib.IMAP4(host, port or 143, timeout=SECONDS)


def pop3(parts: Any) -> poplib.POP3:
    demand_encryption(parts, "pop3s")
    host, port = parts.hostname or "localhost", parts.port
    if parts.scheme == "pop3s":
        return poplib.POP3_SSL(host, port or 995, timeout=SECONDS, context=trust())
    return poplib.POP3(host, port or 110, timeout=SECONDS)


def demand_encryption(parts: Any, scheme: str) -> None:
    if parts.scheme != scheme and not is_loopback(parts.hostname or "localhost"):
        raise Away(f"a password goes over an encrypted line only: write {scheme}://")


def said(error: BaseException) -> str:
    text = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
    words = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return " ".join(words.split())[:300] or type(error).__name__


@dataclass
class Maildir:
    folder: Path

    def letters(self) -> Iterator[Letter]:
        if not (self.folder / "new").is_dir():
            raise FileNotFoundError(f"{self.folder} is not a Maildir: it has no folder new")
        (self.folder / "cur").mkdir(exist_ok=True)
        for name in sorted(os.listdir(self.folder / "new"))[:MOST_LETTERS]:
            path = self.folder / "new" / name
            with path.open("rb") as file:
                yield Letter(file.read(LONGEST_LETTER))
            path.rename(self.folder / "cur" / f"{name}:2,S")


@dataclass
class Imap:
    """Goes on behind the last number seen, which holds while the folder's UIDVALIDITY stays the same."""

    line: imaplib.IMAP4
    folder: str
    point: str

    def letters(self) -> Iterator[Letter]:
        quoted = '"' + self.folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
        answer, found = self.line.select(quoted)
        if answer != "OK":
            raise OSError(f"there is no folder {self.folder}")
        validity = self.line.response("UIDVALIDITY")[1]
        epoch = int(validity[0]) if validity and validity[0] else 0  # type: ignore[arg-type]
        known = POINT.match(self.point)
        last = int(known[2]) if known and int(known[1]) == epoch else 0
        _answer, found = self.line.uid("SEARCH", f"UID {last + 1}:*")
        numbers = sorted(int(each) for each in (found[0] or b"").split())
        for number in [each for each in numbers if each > last][:MOST_LETTERS]:
            yield Letter(self.content(number), f"{epoch}:{number}")
            self.line.uid("STORE", str(number), "+FLAGS.SILENT", r"(\Seen)")

    def content(self, number: int) -> bytes:
        _answer, found = self.line.uid("FETCH", str(number), f"(BODY.PEEK[]<0.{LONGEST_LETTER}>)")
        return b"".join(each[1] for each in found if isinstance(each, tuple))


@dataclass
class Pop3:
    line: poplib.POP3

    def letters(self) -> Iterator[Letter]:
        count, _size = self.line.stat()
        for number in range(1, min(count, MOST_LETTERS) + 1):
            _answer, lines, _size = self.line.top(number, 4000)
            yield Letter(b"\r\n".join(lines)[:LONGEST_LETTER])
            self.line.dele(number)
