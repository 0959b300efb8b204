"""Mail addresses as servers take them: a domain in any script travels as its ASCII form."""

from __future__ import annotations

import re

PLAIN = re.compile(r"[^\s\x00-\x20\x7f@<>\"(),:;?\\]{1,64}@[^\s\x00-\x20\x7f@<>\"(),:;?\\]{1,255}\Z")


def to_ascii(domain: str) -> str:
    """`bücher.example` as `xn--bcher-kva.example`. Raises ValueError for what no domain can be."""
    if domain.isascii():
        return domain.lower()
    import idna

    return idna.encode(domain, uts46=True).decode("ascii")


def for_transport(address: str) -> str:
    """The address with its domain in ASCII. Raises ValueError where it is none."""
    if not PLAIN.match(address):
        raise ValueError("not a mail address")
    local, domain = address.rsplit("@", 1)
    return f"{local}@{to_ascii(domain)}"


def same(one: str, other: str) -> bool:
    """Whether two addresses reach the same mailbox as far as anybody can tell from outside."""
    return comparable(one) == comparable(other) != ""


def comparable(address: str) -> str:
    try:
        return for_transport(address.strip().strip("<>")).lower()
    except ValueError:
        return ""


def domain_of(address: str) -> str:
    """The ASCII domain of an address; empty where it has none."""
    return comparable(address).rpartition("@")[2]


def written(name: str, address: str) -> str:
    """Name and address as one text that `email.utils.parseaddr` takes apart again, in any script."""
    if not name:
        return address
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'
