"""What a domain publishes so that others believe its mail: SPF, DKIM and DMARC, read from the DNS.

`check` gives one finding per record: fine, missing, wrong, or unknown where the name servers do not
answer; with a code for the reason and the record to publish where that can be known.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import dns.exception
import dns.nameserver
import dns.resolver

FINE, MISSING, WRONG, UNKNOWN = "fine", "missing", "wrong", "unknown"
SECONDS = 4
MOST_LOOKUPS = 10
LEAST_KEY_BITS = 1024
# The part of SPF that each of these services asks its customers for.
INCLUDES = {
    "amazonaws.com": "amazonses.com", "mailgun.org": "mailgun.org", "sendgrid.net": "sendgrid.net",
    "postmarkapp.com": "spf.mtasv.net", "gmail.com": "_spf.google.com", "google.com": "_spf.google.com",
    "office365.com": "spf.protection.outlook.com", "outlook.com": "spf.protection.outlook.com",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """How one record stands. `publish` is the record to put at `name`, "" where nothing is to be done."""

    record: str  # SPF | DKIM | DMARC
    name: str
    state: str
    code: str
    found: str = ""
    publish: str = ""


class Silent(Exception):
    """The name servers did not answer; nothing is known."""


@dataclass(frozen=True)
class Names:
    """Asks the DNS: the machine's own name servers, or those given as (address, port)."""

    servers: Sequence[tuple[str, int]] = ()

    def texts(self, name: str) -> list[str]:
        """The TXT records at a name, each joined to one text. Raises Silent."""
        resolver = dns.resolver.Resolver(configure=not self.servers)
        if self.servers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in self.servers]
        try:
            answer = resolver.resolve(name, "TXT", lifetime=SECONDS, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            raise Silent(str(error)) from error
        return [b"".join(each.strings).decode("utf-8", "replace") for each in answer]


def check(domain: str, selectors: Sequence[str], relay: str, names: Names) -> list[Finding]:
    """SPF, each DKIM selector, and DMARC of one domain; `relay` is the mail server's host."""
    found = [asked("SPF", domain, lambda: spf(domain, relay, names))]
    if not selectors:
        found.append(Finding("DKIM", f"…._domainkey.{domain}", UNKNOWN, "no_selector"))
    for selector in selectors:
        name = f"{selector}._domainkey.{domain}"
        found.append(asked("DKIM", name, lambda name=name: dkim(name, names)))  # type: ignore[misc]
    found.append(asked("DMARC", f"_dmarc.{domain}", lambda: dmarc(domain, names)))
    return found


def asked(record: str, name: str, question: object) -> Finding:
    try:
        answer: Finding = question()  # type: ignore[operator]
    except Silent:
        return Finding(record, name, UNKNOWN, "silent")
    return answer


def spf(domain: str, relay: str, names: Names) -> Finding:
    """Who may send for the domain. What a mail service asks for is known for a few of them only."""
    include = next((v for host, v in INCLUDES.items() if relay == host or relay.endswith(f".{host}")), "")
    publish = f"v=spf1 include:{include or '…'} ~all"
    found = [each for each in names.texts(domain) if each.lower().split(" ")[0] == "v=spf1"]
    if not found:
        return Finding(
            "SPF", domain, MISSING, "spf_missing" if include else "spf_missing_unknown", "", publish
        )
    if len(found) > 1:
        return Finding("SPF", domain, WRONG, "spf_twice", " | ".join(found), "")
    parts = found[0].lower().split()
    if "+all" in parts or "all" in parts:
        return Finding("SPF", domain, WRONG, "spf_anybody", found[0], replaced_all(found[0]))
    if sum(part.lstrip("+-~?").startswith(("include:", "a", "mx", "exists:", "redirect=")) and
           part.lstrip("+-~?") != "all" for part in parts[1:]) > MOST_LOOKUPS:  # fmt: skip
        return Finding("SPF", domain, WRONG, "spf_long", found[0], "")
    if not parts[-1].endswith("all") and not any(part.startswith("redirect=") for part in parts):
        return Finding("SPF", domain, WRONG, "spf_open", found[0], f"{found[0]} ~all")
    if include and f"include:{include}" not in parts:
        return Finding("SPF", domain, WRONG, "spf_without", found[0], with_include(found[0], include))
    return Finding("SPF", domain, FINE, "spf_fine" if include else "spf_fine_unknown", found[0])


def replaced_all(record: str) -> str:
    return " ".join("~all" if part.lower() in ("+all", "all") else part for part in record.split())


def with_include(record: str, include: str) -> str:
    first, *rest = record.split()
    return " ".join([first, f"include:{include}", *rest])


def dkim(name: str, names: Names) -> Finding:
    """The public key with which others check the signature on each mail."""
    found = [each for each in names.texts(name) if "p=" in each.replace(" ", "")]
    if not found:
        return Finding("DKIM", name, MISSING, "dkim_missing")
    tags = tags_of(found[0])
    if not tags.get("p"):
        return Finding("DKIM", name, WRONG, "dkim_withdrawn", found[0])
    bits = bits_of(tags["p"], tags.get("k", "rsa"))
    if bits is None:
        return Finding("DKIM", name, WRONG, "dkim_unreadable", found[0])
    if bits < LEAST_KEY_BITS:
        return Finding("DKIM", name, WRONG, "dkim_short", found[0])
    return Finding("DKIM", name, FINE, "dkim_testing" if "y" in tags.get("t", "") else "dkim_fine", found[0])


def bits_of(text: str, kind: str) -> int | None:
    """The strength of a key, an Ed25519 one counted as strong; None where it is none."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        content = base64.b64decode("".join(text.split()), validate=True)
        if kind == "ed25519":
            return 4096 if len(content) == 32 else None
        key = load_der_public_key(content)
    except (binascii.Error, ValueError):
        return None
    return key.key_size if isinstance(key, RSAPublicKey) else None


def dmarc(domain: str, names: Names) -> Finding:
    """What others do with mail that proves nothing; a domain without a policy has that of the one above."""
    above = domain
    while True:
        name = f"_dmarc.{above}"
        found = [each for each in names.texts(name) if each.lower().replace(" ", "").startswith("v=dmarc1")]
        if found or above.count(".") < 2:
            break
        above = above.partition(".")[2]
    own, publish = f"_dmarc.{domain}", f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"
    if not found:
        return Finding("DMARC", own, MISSING, "dmarc_missing", "", publish)
    if len(found) > 1:
        return Finding("DMARC", name, WRONG, "dmarc_twice", " | ".join(found), "")
    tags = tags_of(found[0])
    policy = tags.get("p", "").lower() if above == domain else tags.get("sp", tags.get("p", "")).lower()
    if policy not in ("none", "quarantine", "reject"):
        return Finding("DMARC", name, WRONG, "dmarc_policy", found[0], publish)
    return Finding("DMARC", name, FINE, f"dmarc_{policy}", found[0])


def tags_of(record: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}
