"""Days as a calendar that programs subscribe to (RFC 5545): whole days, no alarms, nobody invited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

LONGEST = 75  # octets of a line


@dataclass(frozen=True)
class Day:
    """`key` names the entry for ever, so that a moved day moves there too."""

    key: str
    on: date
    summary: str
    url: str = ""


def calendar(name: str, days: Iterable[Day], now: datetime) -> bytes:
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Countersign//Contracts//EN", "CALSCALE:GREGORIAN",
        f"X-WR-CALNAME:{escaped(name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT6H",
    ]  # fmt: skip
    for day in days:
        lines += [
            "BEGIN:VEVENT", f"UID:{day.key}", f"DTSTAMP:{stamp}", f"DTSTART;VALUE=DATE:{day.on:%Y%m%d}",
            f"DTEND;VALUE=DATE:{day.on + timedelta(days=1):%Y%m%d}", f"SUMMARY:{escaped(day.summary)}",
            "TRANSP:TRANSPARENT", *([f"URL:{day.url}"] if day.url else []), "END:VEVENT",
        ]  # fmt: skip
    return "".join(folded(line) for line in [*lines, "END:VCALENDAR"]).encode()


def escaped(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def folded(line: str) -> str:
    """The line, broken where it passes 75 octets and never inside a character."""
    parts: list[str] = []
    part = ""
    for letter in line:
        if len((part + letter).encode()) > (LONGEST if not parts else LONGEST - 1):
            parts.append(part)
            part = ""
        part += letter
    return "\r\n ".join([*parts, part]) + "\r\n"
