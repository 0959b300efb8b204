"""Administrators hear of trouble by mail: at most once a day, in their own language.

A worker tells of it, so a worker that is dead tells nothing until one runs again: then the mail says
from when to when none did. An outside watch on `/readyz` hears of that at once (docs/operations.md).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.i18n import format_datetime, ngettext, use
from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.models.people import Person
from portal.services import heartbeat, installation, jobs, notices, permissions, queues, readiness
from portal.services.readiness import Concern

KIND, TOLD = "trouble", "trouble_told"
AT_MOST_EVERY, AGAIN_AFTER = timedelta(days=1), timedelta(days=7)
# Not worth a mail: what failed is counted here since the last mail, and a first backup is a plan.
NOT_MAILED = ("failed", "backup-none")
# Told again each day; other warnings once a week.
PRESSING = ("failed-since", "worker-was-away", "backup-failed", "backup-old")


@jobs.recurring("tell_trouble", timedelta(minutes=30))
def tell(_payload: dict[str, Any], context: jobs.Context) -> None:
    """Write to every administrator when there is something to say and a day has passed."""
    now = context.clock()
    told = last_told()
    if told is not None and now - told < AT_MOST_EVERY:
        return
    keys = [each.key for each in worth_telling(now)]
    if not keys:
        return
    with transaction():
        context.hold()
        for person in administrators():
            write(person, now)
        installation.set_fact(TOLD, {"at": now.isoformat(), "keys": keys}, now)


def last_told() -> datetime | None:
    fact: dict[str, Any] | None = installation.fact(TOLD)
    return datetime.fromisoformat(fact["at"]) if fact else None


def worth_telling(now: datetime) -> list[Concern]:
    """What stands in the way or has failed since the last mail; milder things when new or a week old."""
    fact: dict[str, Any] = installation.fact(TOLD) or {"keys": []}
    since = last_told()
    found = failures(since, now) + absence(since) + readiness.concerns(now)
    is_due = since is None or now - since >= AGAIN_AFTER
    return [
        each
        for each in found
        if each.key not in NOT_MAILED
        and (each.blocks or each.key in PRESSING or is_due or each.key not in fact["keys"])
    ]


def failures(since: datetime | None, now: datetime) -> list[Concern]:
    """Work that failed for good since then; a mail like this one that came back counts for nothing."""
    after = since or now - AGAIN_AFTER
    rows = Job.select().where((Job.status == "failed") & (Job.run_at > now - queues.FAILED_WITHIN))
    ours = {n.id for n in Notice.select(Notice.id).where((Notice.kind == KIND) & (Notice.status == "failed"))}
    count = sum(1 for job in rows if job.finished_at > after and job.payload.get("notice") not in ours)
    if not count:
        return []
    words = ngettext("%(num)s piece of work has failed.", "%(num)s pieces of work have failed.", count)
    return [Concern("failed-since", words, blocks=False)]


def absence(since: datetime | None) -> list[Concern]:
    gap = heartbeat.gap()
    if gap is None or (since is not None and gap[1] <= since):
        return []
    words = _(
        "No worker ran from %(start)s to %(end)s; what was due then is done since.",
        start=format_datetime(gap[0]), end=format_datetime(gap[1]),
    )  # fmt: skip
    return [Concern("worker-was-away", words, blocks=False)]


def administrators() -> list[Person]:
    ids = [person.id for person in permissions.who_may("installation.edit")]
    return list(Person.select().where(Person.id.in_(ids) & Person.activated_at.is_null(False)))


def write(person: Person, now: datetime) -> None:
    with use(person.language, person.zone):
        sentences = [each.sentence for each in worth_telling(now)]
    notices.queue(
        KIND, address=person.email, name=person.name, language=person.language, zone=person.zone, now=now,
        person_id=person.id,
        context={"sentences": sentences, "link": notices.url("/settings/operations")},
    )  # fmt: skip
