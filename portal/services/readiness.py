"""Is this installation able to do its work now, and if not, why; and what will stop it before long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from portal.errors import PortalError
from portal.i18n import format_datetime, format_size, ngettext
from portal.i18n import gettext as _
from portal.models import schema
from portal.models.event_receivers import EventReceiver
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import (
    account_checks,
    archiving,
    audit_chains,
    connections,
    heartbeat,
    installation,
    keys,
    queues,
    sealing,
    storage,
)

WORKER_SILENCE = heartbeat.SILENCE
GATEWAY_PATIENCE = timedelta(minutes=15)
BACKUP_OLD = timedelta(days=2)
LAST_BACKUP = "last_backup"


@dataclass(frozen=True)
class Concern:
    """Something that stands in the way (`blocks`), or will. `key` is the same in every language."""

    key: str
    sentence: str
    blocks: bool = True


def reasons(now: datetime) -> list[str]:
    """What stands in the way, one sentence each; empty when the portal is ready."""
    return [each.sentence for each in concerns(now) if each.blocks]


def concerns(now: datetime) -> list[Concern]:
    """Everything that stands in the way, then everything that will. No question leaves the machine."""
    try:
        pending = schema.pending()
    except peewee.PeeweeException:
        return [Concern("database", _("The database does not answer."))]
    if pending:
        return [Concern("tables", _("The tables are not up to date: run “countersign migrate up”."))]
    checks = (
        keys_here,
        seals,
        worker,
        gateways,
        agreements,
        room,
        certificates,
        history,
        backup,
        events_out,
        archive,
        failed,
    )
    found = [concern for check in checks for concern in check(now)]
    return sorted(found, key=lambda each: not each.blocks)


def archive(_now: datetime) -> Iterator[Concern]:
    """Contracts whose files are no longer those that were kept."""
    found = archiving.damaged()
    if found:
        yield Concern(
            "archive-damaged",
            _("Files do not match their fingerprints: %(names)s. Bring them back from a backup.",
              names=", ".join(found[:10])),
            blocks=False,
        )  # fmt: skip


def keys_here(_now: datetime) -> Iterator[Concern]:
    if not installation.current().settings.encryption_keys:
        yield Concern("keys", _("There is no encryption key: start once with “countersign serve”."))


def seals(now: datetime) -> Iterator[Concern]:
    for number, sentence in enumerate(sealing.backlog(now)):
        yield Concern(f"seals-{number}", sentence)


def worker(now: datetime) -> Iterator[Concern]:
    seen = heartbeat.last(now)
    if seen is not None and heartbeat.is_silent(now):
        since = format_datetime(seen)
        yield Concern("worker", _("No worker has been seen since %(since)s: start one.", since=since))
    late = Job.select().where((Job.status == "ready") & (Job.run_at < now - WORKER_SILENCE)).count()
    if late:
        yield Concern(
            "late",
            _("%(count)s jobs have waited for over five minutes: is a worker running?", count=late),
        )


def gateways(now: datetime) -> Iterator[Concern]:
    """A gateway that has taken nothing since the oldest message it sent back."""
    waiting: Any = (
        Job.select(Notice.channel, peewee.fn.MIN(Job.created_at))
        .join(Notice, on=(Notice.id == peewee.fn.SUBSTR(Job.key, len("deliver:") + 1)))
        .where((Job.status == "ready") & (Job.kind == queues.DELIVERY) & (Job.last_error != ""))
        .group_by(Notice.channel)
        .tuples()
    )
    for channel, oldest in waiting:
        since = queues.moment(oldest)
        if now - since > GATEWAY_PATIENCE and not took_any(channel, since):
            at = format_datetime(since)
            yield Concern(
                f"gateway-{channel}",
                _("No mail has gone out since %(at)s.", at=at)
                if channel == "mail"
                else _("No text message has gone out since %(at)s.", at=at),
            )


def took_any(channel: str, since: datetime) -> bool:
    was_taken = Notice.status.in_(("sent", "delivered", "returned"))
    found = Notice.select(Notice.id).where(
        was_taken & (Notice.created_at >= since) & (Notice.channel == channel)
    )
    return bool(found.limit(1).exists())


def agreements(now: datetime) -> Iterator[Concern]:
    """Agreements for health data that end within thirty days, or have ended."""
    for each in account_checks.ending_soon(now.date()):
        said = connections.agreement_words(each, now.date())
        sentence = _("Agreement for health data with %(name)s: %(said)s", name=each.name, said=said)
        yield Concern(f"agreement-{each.id}", sentence, blocks=False)


def room(_now: datetime) -> Iterator[Concern]:
    for place in storage.places():
        if not place.is_writable:
            yield Concern(
                f"writable-{place.name}", _("%(folder)s cannot be written to.", folder=place.folder)
            )
        if place.is_full or place.is_nearly_full:
            yield Concern(
                f"disk-{place.name}",
                _("Only %(size)s are left on the disk of %(folder)s.",
                  size=format_size(place.free_bytes), folder=place.folder),
                blocks=place.is_full,
            )  # fmt: skip


def certificates(now: datetime) -> Iterator[Concern]:
    try:
        until = keys.certificates()["seal"]
    except (PortalError, OSError, ValueError) as error:
        said = error.message if isinstance(error, PortalError) else ""
        yield Concern("seal-key", said or _("The key of the company seal cannot be read."))
        return
    if until < now:
        yield Concern("seal-expired", _("The certificate of the company seal has expired."))
    elif until - now < keys.WARN_BEFORE:
        yield Concern(
            "seal-expires",
            _("The certificate of the company seal expires on %(at)s.", at=format_datetime(until)),
            blocks=False,
        )


def history(_now: datetime) -> Iterator[Concern]:
    checked = installation.fact(audit_chains.LAST_CHECK)
    if checked and not checked["valid"]:
        yield Concern("history", _("The last check of the history found an entry that does not hold."))


def backup(now: datetime) -> Iterator[Concern]:
    """Sample data needs none."""
    last: dict[str, Any] | None = installation.fact(LAST_BACKUP)
    if last is None:
        if not installation.current().settings.sample_marker.is_file():
            yield Concern("backup-none", _("No backup has been made yet."), blocks=False)
        return
    if not last.get("ok", True):
        yield Concern("backup-failed", _("The last backup did not work."), blocks=False)
    good_at = last_good_backup()
    if good_at is not None and now - good_at > BACKUP_OLD:
        at = format_datetime(good_at)
        yield Concern("backup-old", _("The last good backup is from %(at)s.", at=at), blocks=False)


def last_good_backup() -> datetime | None:
    """When the last backup that worked was made; None when none ever was."""
    last: dict[str, Any] = installation.fact(LAST_BACKUP) or {}
    known = last.get("good_at") or (last.get("at") if last.get("ok", True) else None)
    return datetime.fromisoformat(known) if known else None


def events_out(_now: datetime) -> Iterator[Concern]:
    """Receivers of events that did not answer for so long that we stopped trying."""
    for each in EventReceiver.select().where(EventReceiver.paused_at.is_null(False)):
        sentence = _("%(name)s is told of no events any more: it has not taken any for long.", name=each.name)
        yield Concern(f"events-{each.id}", sentence, blocks=False)


def failed(now: datetime) -> Iterator[Concern]:
    count = queues.count_failed(now, timedelta(days=1))
    if count:
        yield Concern(
            "failed",
            ngettext(
                "%(num)s piece of work has failed for good within a day.",
                "%(num)s pieces of work have failed for good within a day.",
                count,
            ),
            blocks=False,
        )
