"""What waited to leave the house when a backup was made, held since its restore.

The old machine may have sent it in the moments after. Sending it repeats a message in the worst case
(with the same id, so that most receivers drop the double); dropping it loses one in the worst case.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal.i18n import gettext as _
from portal.models.base import transaction
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import jobs


def count() -> int:
    return int(Job.select().where(Job.status == "held").count())


def listed() -> list[dict[str, Any]]:
    """What is held, oldest first: kind of work and, of a message, whom it is for."""
    rows = list(Job.select().where(Job.status == "held").order_by(Job.created_at, Job.id))
    wanted = [row.payload["notice"] for row in rows if "notice" in row.payload]
    notices = {n.id: n for n in Notice.select().where(Notice.id.in_(wanted))}
    return [described(row, notices.get(row.payload.get("notice"))) for row in rows]


def described(job: Job, notice: Notice | None) -> dict[str, Any]:
    return {
        "job": job.id,
        "work": job.kind,
        "message": notice.kind if notice else "",
        "to": notice.address if notice else "",
        "since": job.created_at.isoformat(timespec="seconds"),
    }


def send(now: datetime) -> int:
    """Let all of it go out now, as if it had never been held."""
    return int(
        Job.update(status="ready", run_at=now, attempts=0, last_error="")
        .where(Job.status == "held")
        .execute()
    )


def drop(now: datetime) -> int:
    """Never send it: messages stand as not sent, requests end as if their provider had refused them."""
    reason = _("Not sent again after a restore.")
    dropped = 0
    for job in list(Job.select().where(Job.status == "held").order_by(Job.id)):
        with transaction():
            if job.kind == "deliver_notice":
                Notice.update(status="failed", failure=reason).where(
                    (Notice.id == job.payload["notice"]) & (Notice.status == "queued")
                ).execute()
            elif job.kind in jobs.ON_FAILURE:
                jobs.ON_FAILURE[job.kind](job.payload, reason, now)
            dropped += (
                Job.update(status="done", finished_at=now, last_error=reason)
                .where((Job.id == job.id) & (Job.status == "held"))
                .execute()
            )
    return dropped
