"""A name server on loopback, by UDP and TCP: TXT records as told, and a few bad moods.

`mood` is "well", "silent" (no answer at all), "failing" (SERVFAIL) or "large" (by UDP only the sign that
the answer is too long, so that it must be asked again by TCP).
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

LONGEST = 255


@dataclass
class Zone:
    """Name (without the last point) to its TXT records."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    mood: str = "well"
    asked: list[tuple[str, str]] = field(default_factory=list)  # ("udp" or "tcp", name)

    def answer(self, raw: bytes, how: str) -> bytes:
        query = dns.message.from_wire(raw)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append((how, name))
        answer = dns.message.make_response(query)
        if self.mood == "silent":
            return b""
        if self.mood == "failing":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif self.mood == "large" and how == "udp":
            answer.flags |= dns.flags.TC
        elif name.lower() not in self.texts:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            records = [quoted(each) for each in self.texts[name.lower()]]
            answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", "TXT", records))
        return answer.to_wire()


def quoted(text: str) -> str:
    """A long record is several strings, as a zone file writes them."""
    pieces = [text[n : n + LONGEST] for n in range(0, len(text), LONGEST)] or [""]
    return " ".join('"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in pieces)


@contextmanager
def serving(zone: Zone) -> Iterator[int]:
    """The server at one free port for both ways of asking."""

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            raw, line = self.request
            answer = zone.answer(raw, "udp")
            if answer:
                line.sendto(answer, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            answer = zone.answer(self.rfile.read(length), "tcp")
            if answer:
                self.wfile.write(struct.pack("!H", len(answer)) + answer)

    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stream) as tcp,
        socketserver.ThreadingUDPServer(tcp.server_address, Datagram) as udp,
    ):
        servers: list[Any] = [tcp, udp]
        for server in servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield int(tcp.server_address[1])
        finally:
            for server in servers:
                server.shutdown()
