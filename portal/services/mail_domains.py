"""The domains that our mails come from, and whether others can believe them: looked up daily, and on demand.

A job asks the DNS; what it found is kept with its time. DKIM names its keys by selectors: typed by an
administrator, or learnt from a mail that came back with its signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from portal.channels import mail_records
from portal.channels.mail_records import Finding
from portal.errors import Invalid
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.base import transaction
from portal.models.jobs import Job
from portal.services import gateways, installation, jobs, mail_senders
from portal.services.audit import Actor, append

CHECKS, SELECTORS = "mail_domains", "mail_selectors"
SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?\Z")
MOST_SELECTORS = 6

WORDS = {
    "no_selector": lazy(
        "Your mail service signs with a key that has a name, the selector. Type it to have the "
        "key checked."
    ),
    "silent": lazy("The name servers did not answer. It is asked again by itself."),
    "spf_missing": lazy("Nothing says which servers may send for this domain."),
    "spf_missing_unknown": lazy(
        "Nothing says which servers may send for this domain. What to include, your mail "
        "service tells you: it cannot be guessed."
    ),
    "spf_twice": lazy("There are two such records, so none counts. Keep one."),
    "spf_anybody": lazy("This lets anybody send for the domain."),
    "spf_long": lazy("It asks for more than ten look-ups, so many servers take it for broken."),
    "spf_open": lazy("It does not end in an “all”, so it refuses nobody."),
    "spf_without": lazy("It does not name the servers of your mail service."),
    "spf_fine": lazy("It names the servers of your mail service."),
    "spf_fine_unknown": lazy(
        "It is well formed. Whether it names your mail server cannot be told from here."
    ),
    "dkim_missing": lazy("No key lies there. Your mail service shows the record to publish."),
    "dkim_withdrawn": lazy("The key was withdrawn: the record is there, but empty."),
    "dkim_unreadable": lazy("What lies there is no key."),
    "dkim_short": lazy("The key is shorter than 1,024 bits, so many servers ignore it."),
    "dkim_fine": lazy("The key is there."),
    "dkim_testing": lazy("The key is there, but marked as a trial (t=y): take that mark away."),
    "dmarc_missing": lazy(
        "Nothing says what to do with mail in your name that proves nothing. Large mail "
        "services ask for it."
    ),
    "dmarc_twice": lazy("There are two such records, so none counts. Keep one."),
    "dmarc_policy": lazy("It names no policy that others understand."),
    "dmarc_none": lazy(
        "It is there and only watches (p=none). Make it stricter once the reports look right."
    ),
    "dmarc_quarantine": lazy("It is there: mail that proves nothing is taken for spam."),
    "dmarc_reject": lazy("It is there: mail that proves nothing is refused."),
}  # fmt: skip


@dataclass(frozen=True)
class Domain:
    """One sending domain, with what was found and when; no findings before the first look."""

    name: str
    at: datetime | None
    findings: tuple[Finding, ...]
    selectors: tuple[str, ...]

    @property
    def is_fine(self) -> bool:
        return bool(self.findings) and all(each.state == mail_records.FINE for each in self.findings)


def overview() -> list[Domain]:
    """Every domain we send from, as it was found last."""
    kept = installation.fact(CHECKS) or {}
    return [seen(name, kept.get(name)) for name in mail_senders.domains()]


def seen(name: str, kept: dict[str, Any] | None) -> Domain:
    known = tuple(selectors_of(name))
    if kept is None:
        return Domain(name, None, (), known)
    found = tuple(Finding(**each) for each in kept["findings"])
    return Domain(name, datetime.fromisoformat(kept["at"]), found, known)


def in_words(finding: Finding) -> str:
    return str(WORDS[finding.code])


def is_being_checked() -> bool:
    """Whether a look is under way, asked for by somebody."""
    waiting = (Job.kind == "check_mail_domains") & Job.status.in_(("ready", "running"))
    return bool(Job.select(Job.id).where(waiting).exists())


def ask(now: datetime) -> None:
    """Look again soon; what is asked for already is not asked for twice."""
    with transaction():
        if not is_being_checked():
            jobs.add("check_mail_domains", now=now, max_attempts=3)


@jobs.recurring("check_mail_domains_daily", timedelta(days=1))
def check_daily(payload: dict[str, Any], context: jobs.Context) -> None:
    check(payload, context)


@jobs.handler("check_mail_domains")
def check(payload: dict[str, Any], context: jobs.Context) -> None:
    """Ask the DNS about every domain we send from; nothing to ask while mails stay in the house."""
    used = gateways.in_force(gateways.MAIL)
    if not used.is_real:
        return
    names = mail_records.Names(installation.current().settings.dns_servers)
    relay = urlsplit(used.url).hostname or ""
    kept = {}
    for domain in mail_senders.domains():
        context.renew()
        found = mail_records.check(domain, selectors_of(domain), relay, names)
        kept[domain] = {"at": context.clock().isoformat(), "findings": [asdict(each) for each in found]}
    with transaction():
        context.hold()
        installation.set_fact(CHECKS, kept, context.clock())


# --- Selectors -----------------------------------------------------------------------------------


def selectors_of(domain: str) -> list[str]:
    kept: dict[str, list[str]] = installation.fact(SELECTORS) or {}
    return kept.get(domain, [])


def set_selectors(domain: str, typed: str, *, by: Actor, now: datetime) -> None:
    """The names of the keys to check, by space or comma; none to forget them. Raises Invalid."""
    names = list(dict.fromkeys(typed.lower().replace(",", " ").split()))
    if domain not in mail_senders.domains():
        raise Invalid({"selectors": _("No mail goes out from this domain.")})
    if len(names) > MOST_SELECTORS or not all(SELECTOR.match(each) for each in names):
        raise Invalid(
            {"selectors": _("A selector is a short name, such as s1 or 20240601. Write six at most.")}
        )
    with transaction():
        remember(domain, names, now)
        append("mail_domain.changed", ("gateway", domain), chain="installation", by=by, now=now)
    ask(now)


def learn(signed_by: Iterable[tuple[str, str]], now: datetime) -> None:
    """A mail of ours that came back bore a signature: its selector, unless one is known already."""
    ours = None
    for domain, selector in signed_by:
        ours = mail_senders.domains() if ours is None else ours
        if domain in ours and SELECTOR.match(selector) and not selectors_of(domain):
            remember(domain, [selector], now)


def remember(domain: str, names: list[str], now: datetime) -> None:
    kept = installation.fact(SELECTORS) or {}
    installation.set_fact(SELECTORS, kept | {domain: names}, now)
