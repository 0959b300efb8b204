"""A mailbox on loopback, by IMAP or POP3: as much of each as reading letters needs."""

from __future__ import annotations

import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

USER, PASSWORD = "portal", "hush"
UIDVALIDITY = 7


@dataclass
class Mailroom:
    """The letters of one folder; `seen` holds the numbers marked as read."""

    letters: list[bytes] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    fetched: int = 0


class Line(socketserver.StreamRequestHandler):
    """One caller: lines in, lines out."""

    room: Mailroom

    def say(self, *lines: bytes | str) -> None:
        for line in lines:
            self.wfile.write((line if isinstance(line, bytes) else line.encode()) + b"\r\n")

    def hear(self) -> str:
        return self.rfile.readline().decode().strip()


class Imap(Line):
    def handle(self) -> None:
        self.say("* OK ready")
        while said := self.hear():
            tag, command, rest = [*said.split(" ", 2), ""][:3]
            if command.upper() == "UID":
                command, rest = [*rest.split(" ", 1), ""][:2]
            act = getattr(self, f"do_{command.lower()}", None)
            answer = act(rest) if act else "BAD unknown"
            self.say(f"{tag} {answer}")
            if command.upper() == "LOGOUT":
                return

    def do_capability(self, rest: str) -> str:
        self.say("* CAPABILITY IMAP4rev1")
        return "OK done"

    def do_login(self, rest: str) -> str:
        right = rest.replace('"', "") == f"{USER} {PASSWORD}"
        return "OK done" if right else "NO [AUTHENTICATIONFAILED] wrong name or password"

    def do_select(self, rest: str) -> str:
        if rest.strip('"') != "INBOX":
            return "NO no such folder"
        self.say(f"* {len(self.room.letters)} EXISTS", f"* OK [UIDVALIDITY {UIDVALIDITY}] here")
        return "OK [READ-WRITE]"

    def do_search(self, rest: str) -> str:
        first = int(re.findall(r"(\d+):\*", rest)[0])
        last = len(self.room.letters)
        found = [n for n in range(1, last + 1) if n >= first] or (
            [last] if last else []
        )  # as RFC 3501 has it
        self.say("* SEARCH " + " ".join(map(str, found)))
        return "OK done"

    def do_fetch(self, rest: str) -> str:
        number = int(rest.split(" ")[0])
        letter = self.room.letters[number - 1]
        self.room.fetched += 1
        self.wfile.write(f"* {number} FETCH (UID {number} BODY[]<0> {{{len(letter)}}}\r\n".encode() + letter)
        self.say(")")
        return "OK done"

    def do_store(self, rest: str) -> str:
        self.room.seen.add(int(rest.split(" ")[0]))
        return "OK done"

    def do_logout(self, rest: str) -> str:
        self.say("* BYE")
        return "OK done"


class Pop3(Line):
    def handle(self) -> None:
        self.say("+OK ready")
        gone: set[int] = set()
        while said := self.hear():
            command, _space, rest = said.partition(" ")
            number = int(rest.split(" ")[0]) if rest.split(" ")[0].isdigit() else 0
            if command == "STAT":
                self.say(f"+OK {len(self.room.letters)} {sum(map(len, self.room.letters))}")
            elif command == "PASS":
                self.say("+OK" if rest == PASSWORD else "-ERR wrong password")
            elif command == "TOP":
                self.room.fetched += 1
                self.say("+OK", *self.room.letters[number - 1].splitlines(), ".")
            elif command == "DELE":
                gone.add(number)
                self.say("+OK")
            else:
                self.say("+OK")
            if command == "QUIT":
                self.room.letters[:] = [x for n, x in enumerate(self.room.letters, 1) if n not in gone]
                return


@contextmanager
def serving(room: Mailroom, kind: str, certificate: ssl.SSLContext | None = None) -> Iterator[int]:
    """The mailbox at a free port, by "imap" or "pop3", with a certificate encrypted from the start."""
    handler = type("Handler", (Imap if kind == "imap" else Pop3,), {"room": room})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if certificate is not None:
            server.socket = certificate.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
