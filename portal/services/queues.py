"""What is waiting, under way, put back or failed: mails, text messages, seals and everything else.

A job that has failed for good stays until somebody starts it again or sets it aside. Both are acts
of an administrator, told to the trail, and pressing twice does nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal.errors import NotFound
from portal.i18n import gettext as _
from portal.i18n import lazy
from portal.models.base import transaction
from portal.models.contracts import Contract
from portal.models.envelopes import Envelope
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import audit, deliveries, jobs
from portal.services.audit import INSTALLATION, Actor

MAIL, SMS, SEALS, REST = QUEUES = ("mail", "sms", "seals", "rest")
SEALING = ("seal_envelope", "upgrade_seal")
DELIVERY = "deliver_notice"
FAILED_WITHIN = timedelta(days=30)
MOST_SHOWN, MOST_AT_ONCE = 25, 1000
# What a job does, for people; one that is not named here is called by its own name.
WORK = {
    "seal_envelope": lazy("Set the company seal"),
    "upgrade_seal": lazy("Add the time from outside to the company seal"),
    "send_envelope": lazy("Send for signature"),
    "check_bulk": lazy("Check a file of people for a bulk send"),
    "send_bulk_rows": lazy("Make and send the next contracts of a bulk send"),
    "send_bulk_native": lazy("Hand a bulk send to the provider"),
    "follow_bulk_native": lazy("Ask what became of a bulk send"),
    "check_existing": lazy("Check a file of signed contracts"),
    "register_existing": lazy("Register the next signed contracts of a file"),
    "make_amendments": lazy("Make drafts on the newest version of a template"),
    "follow_contract": lazy("See what a contract’s dates ask for"),
    "follow_contracts": lazy("See which contracts begin, renew or end"),
    "seal_letter": lazy("Seal a letter of notice"),
    "archive_contracts": lazy("Archive what is over, and compare archived files"),
    "delete_contract": lazy("Delete a contract that two people gave up"),
    "make_demonstration": lazy("Make the sample PDF for consumers"),
    "fold_chains": lazy("Sign the history"),
    "check_audit": lazy("Check the history"),
    "remind": lazy("Send reminders"),
    "remind_approvers": lazy("Remind approvers, and tell executives after 48 hours"),
    "expire": lazy("End requests whose time is over"),
    "forget_uploads": lazy("Remove files nobody used"),
    "forget_leftovers": lazy("Remove what interrupted work left behind"),
    "sweep_sign_in": lazy("Remove sign-ins that have ended"),
    "tell_trouble": lazy("Tell administrators what is wrong"),
    "check_mail_domains_daily": lazy("Look up daily what the DNS says of our mail"),
    "check_mail_domains": lazy("Look up what the DNS says of our mail"),
    "confirm_mail_topic": lazy("Confirm the reports of a mail service"),
    "forget_mail_calls": lazy("Remove old reports of mail services"),
    "follow_text_message": lazy("Ask what became of a text message"),
    "make_mail_logos": lazy("Make the logo for mails"),
    "make_missing_mail_logos": lazy("Make missing logos for mails"),
    "tell_negotiation_news": lazy("Tell the other side of news in a negotiation"),
    "note_enquiry": lazy("Answer whether a message is ours"),
    "fetch_executed": lazy("Fetch what was signed at a provider"),
    "withdraw_envelope": lazy("Withdraw at a provider"),
    "check_account": lazy("Check an account at a provider"),
    "rehearse_account": lazy("Try out an account at a provider"),
    "bring_archive": lazy("Bring the archive of a provider here"),
    "move_envelope": lazy("Move a signing request to another provider"),
    "follow_provider_switch": lazy("Change the provider on the day planned"),
    "end_elsewhere": lazy("End at a provider what was declined here"),
    "remind_elsewhere": lazy("Have a provider remind somebody"),
    "correct_elsewhere": lazy("Have a provider correct an address"),
    "send_next_step": lazy("Ask the next people at a provider"),
    "poll_providers": lazy("See which signing requests to ask providers about"),
    "look_at_envelope": lazy("Ask a provider how a signing request stands"),
    "forget_phone_numbers": lazy("Forget telephone numbers of signers"),
    "read_contract_text": lazy("Read a contract for the search"),
    "read_contract_texts": lazy("Read contracts for the search"),
    "deliver_event": lazy("Tell another program of an event"),
    "forget_events": lazy("Remove old messages to other programs"),
    "read_webhook": lazy("Read the call of a provider"),
    "forget_webhook_calls": lazy("Remove old calls of providers"),
    "begin_webhooks": lazy("Ask a provider to call us"),
    "end_webhooks": lazy("End the calls of a provider"),
    "read_returned_mail": lazy("Read the mailbox of returned mail"),
}
DELIVERED = {"mail": lazy("Mail to %(to)s"), "sms": lazy("Text message to %(to)s")}


@dataclass(frozen=True)
class Row:
    """One job that needs to be seen. `about` never holds what a message says."""

    job_id: int
    title: str
    reference: str
    reason: str  # in plain words
    exact: str  # what the other side, or the machine, said
    since: datetime
    next_at: datetime | None = None
    may_retry: bool = False
    why_not: str = ""


@dataclass(frozen=True)
class Queue:
    """`waiting` and `put_back` are not running now; `oldest` is the longest wait of them all."""

    name: str
    waiting: int = 0
    running: int = 0
    put_back: int = 0
    failed: int = 0
    oldest: datetime | None = None
    put_back_rows: list[Row] = field(default_factory=list)
    failed_rows: list[Row] = field(default_factory=list)

    def is_moving(self, now: datetime) -> bool:
        """Whether it will look different in a moment."""
        soon = now + timedelta(seconds=30)
        return bool(self.waiting or self.running) or any(
            row.next_at is not None and row.next_at < soon for row in self.put_back_rows
        )


# --- Looking -----------------------------------------------------------------------------------


def overview(now: datetime) -> list[Queue]:
    """The four queues with what is put back and what failed in the last 30 days, the newest first."""
    return [look(name, now) for name in QUEUES]


def look(name: str, now: datetime) -> Queue:
    was_tried = Job.last_error != ""
    is_due = (Job.status == "running") | (Job.run_at <= now) | was_tried  # not what is planned for later
    rows: Any = (
        of(name, Job.status, was_tried, peewee.fn.COUNT(Job.id), peewee.fn.MIN(Job.created_at))
        .where(Job.status.in_(("ready", "running")) & is_due)
        .group_by(peewee.SQL("1"), peewee.SQL("2"))
        .tuples()
    )
    counts: dict[str, int] = {"waiting": 0, "running": 0, "put_back": 0}
    oldest = []
    for status, tried, count, since in rows:
        counts["running" if status == "running" else "put_back" if tried else "waiting"] += count
        oldest.append(moment(since))
    back = of(name).where((Job.status == "ready") & was_tried).order_by(Job.run_at).limit(MOST_SHOWN)
    failed = failed_jobs(name, now)
    return Queue(
        name,
        **counts,
        failed=failed.count(),
        oldest=min(oldest, default=None),
        put_back_rows=described(back, now),
        failed_rows=described(failed.order_by(Job.run_at.desc()).limit(MOST_SHOWN), now),
    )


def moment(value: Any) -> datetime:
    """What an aggregate of times gives: SQLite hands it back as text."""
    found = Job.created_at.python_value(value)
    assert isinstance(found, datetime)  # noqa: S101 (never null: counted rows only)
    return found


def of(name: str, *columns: Any) -> Any:
    """The jobs of one queue."""
    query = Job.select(*(columns or (Job,)))
    if name == SEALS:
        return query.where(Job.kind.in_(SEALING))
    if name == REST:
        return query.where(Job.kind.not_in((*SEALING, DELIVERY)))
    notice_id = peewee.fn.SUBSTR(Job.key, len("deliver:") + 1)
    return query.join(Notice, on=(Notice.id == notice_id)).where(
        (Job.kind == DELIVERY) & (Notice.channel == name)
    )


def failed_jobs(name: str, now: datetime) -> Any:
    """Jobs of the queue whose last try was within 30 days; by the index on status and time."""
    return of(name).where((Job.status == "failed") & (Job.run_at > now - FAILED_WITHIN))


def count_failed(now: datetime, within: timedelta = FAILED_WITHIN) -> int:
    return int(Job.select().where((Job.status == "failed") & (Job.run_at > now - within)).count())


def described(query: Iterable[Job], now: datetime) -> list[Row]:
    """Jobs with whom and what they were for, in four queries however many there are."""
    found = list(query)
    wanted = {job.payload.get("notice", "") for job in found} - {""}
    sent = {n.id: n for n in Notice.select().where(Notice.id.in_(wanted))} if wanted else {}
    late = deliveries.out_of_date(list(sent.values()), now)
    contracts = contracts_of(found, sent)
    return [row(job, sent, late, contracts.get(job.id)) for job in found]


def row(job: Job, sent: Mapping[str, Notice], late: set[str], contract: Contract | None) -> Row:
    notice = sent.get(job.payload.get("notice", ""))
    if notice is not None:
        title = DELIVERED.get(notice.channel, DELIVERED["mail"]) % {"to": notice.address}
    else:
        title = str(WORK.get(job.kind, job.kind))
    is_late = notice is not None and notice.id in late
    has_failed = job.status == "failed"
    return Row(
        job_id=job.id,
        title=title,
        reference=contract.reference if contract is not None else "",
        reason=plainly(job.last_error),
        exact=job.last_error,
        since=job.finished_at or job.created_at,
        next_at=job.run_at if job.status == "ready" else None,
        may_retry=has_failed and not is_late,
        why_not=_("Too late to send: its link or code has ended.") if has_failed and is_late else "",
    )


def contracts_of(found: Iterable[Job], sent: Mapping[str, Notice]) -> dict[int, Contract]:
    """Job id to the contract it was for, where there is one."""
    direct: dict[int, str] = {}
    by_envelope: dict[int, str] = {}
    for job in found:
        notice = sent.get(job.payload.get("notice", ""))
        contract_id = notice.contract_id if notice is not None else job.payload.get("contract")
        if contract_id:
            direct[job.id] = contract_id
        elif job.payload.get("envelope"):
            by_envelope[job.id] = job.payload["envelope"]
    if by_envelope:
        rows: Any = Envelope.select(Envelope.id, Envelope.contract).where(
            Envelope.id.in_(set(by_envelope.values()))
        )
        owners = dict(rows.tuples())
        direct |= {job_id: owners[each] for job_id, each in by_envelope.items() if each in owners}
    if not direct:
        return {}
    known = {c.id: c for c in Contract.select().where(Contract.id.in_(set(direct.values())))}
    return {job_id: known[each] for job_id, each in direct.items() if each in known}


def reference_of(job: Job) -> str:
    """The contract a job is for, as people quote it; "" where there is none. For the log."""
    notice_id = job.payload.get("notice")
    sent = {n.id: n for n in Notice.select().where(Notice.id == notice_id)} if notice_id else {}
    contract = contracts_of([job], sent).get(job.id)
    return str(contract.reference) if contract is not None else ""


# --- Why, in plain words -------------------------------------------------------------------------

Sentence = Callable[[re.Match[str]], str]
REASONS: tuple[tuple[re.Pattern[str], Sentence], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence)
    for pattern, sentence in (
        (r"^$", lambda _m: _("No reason was given.")),
        (r"^4\d\d[ -]", lambda _m: _("The mail server asks us to come back later.")),
        (r"^55[0-9] |^not a mail address",
         lambda _m: _("The mail server does not take mail for this address.")),
        (r"^5\d\d[ -]", lambda _m: _("The mail server refuses this message.")),
        (r"refused our name and password", lambda _m: _("The mail server refuses our name and password.")),
        (r"offers no encryption",
         lambda _m: _("The mail server offers no encryption, so the password stays here.")),
        (r"the gateway answered (\d+)", lambda m: _("The gateway answered %(status)s.", status=m[1])),
        (r"holds no key to sign with", lambda _m: _("The text message gateway has no key to sign with.")),
        (r"ConnectionRefused|ConnectionError|ConnectionReset|gaierror|NewConnection|unreachable|Disconnected",
         lambda _m: _("The other side cannot be reached.")),
        (r"Timeout|timed out", lambda _m: _("The other side does not answer in time.")),
        (r"SSL|certificate verify", lambda _m: _("The other side has a certificate that cannot be trusted.")),
        (r"no gateway took it in time", lambda _m: _("No gateway took it in time.")),
        (r"its worker ended each time", lambda _m: _("The work was interrupted each time it was begun.")),
        (r"database|OperationalError", lambda _m: _("The database was away or busy.")),
        (r"No space left|disk", lambda _m: _("The disk is full.")),
        (r"^[A-Za-z]+(?:Error|Exception|Missing|Unreadable)\b",
         lambda _m: _("Something went wrong inside Countersign; the log says more under the number below.")),
    )
)  # fmt: skip


def plainly(reason: str) -> str:
    """A sentence for people; a reason that is one already stays as it is."""
    return next((say(found) for pattern, say in REASONS if (found := pattern.search(reason))), reason)


# --- Acting ------------------------------------------------------------------------------------


def retry(job_id: int, *, by: Actor, now: datetime) -> bool:
    """Start a failed job again, and what it was for; false when it is not failed or comes too late.

    Raises NotFound for a job that does not exist.
    """
    with transaction():
        job = get(job_id)
        described_as = described([job], now)[0]
        if not described_as.may_retry or not jobs.retry(job.id, now):
            return False
        act = "seal.retried" if job.kind == "seal_envelope" else "job.retried"
        record(act, job, by, now)
    return True


def retry_all(name: str, *, by: Actor, now: datetime) -> int:
    """Start every failed job of a queue again, at most a thousand; returns how many."""
    ids = [job.id for job in failed_jobs(name, now).order_by(Job.run_at).limit(MOST_AT_ONCE)]
    return sum(retry(job_id, by=by, now=now) for job_id in ids)


def set_aside(job_id: int, *, by: Actor, now: datetime) -> bool:
    """Take a failed job off the page: what it was for stays as it is. False when it is not failed.

    Raises NotFound for a job that does not exist.
    """
    with transaction():
        job = get(job_id)
        if not jobs.set_aside(job.id):
            return False
        record("job.set_aside", job, by, now)
    return True


def get(job_id: int) -> Job:
    """Raises NotFound."""
    job = Job.get_or_none(Job.id == job_id) if job_id < 2**31 else None
    if job is None:
        raise NotFound
    return job


def record(act: str, job: Job, by: Actor, now: datetime) -> None:
    """Into the trail of the contract the job was for, else of the installation."""
    sent = {n.id: n for n in Notice.select().where(Notice.id == job.payload.get("notice", ""))}
    contract = contracts_of([job], sent).get(job.id)
    subject = ("envelope", job.payload["envelope"]) if "envelope" in job.payload else ("job", str(job.id))
    audit.append(
        act, subject, chain=contract.id if contract is not None else INSTALLATION, by=by, now=now,
        facts={"job": job.id, "kind": job.kind},
    )  # fmt: skip
