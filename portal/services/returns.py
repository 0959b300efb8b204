"""Mail that comes back: its mailbox is read every half minute, and each report is taken in.

A report counts only for a mail that we sent to the very person it names.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.channels import addresses, postboxes, reports
from portal.channels.postboxes import Away
from portal.models.base import transaction
from portal.models.notices import Notice
from portal.services import deliveries, gateways, installation, jobs, mail_domains, return_box

EVERY = timedelta(seconds=30)
MOST_SIGNS = 20


@jobs.recurring("read_returned_mail", EVERY)
def read(payload: dict[str, Any], context: jobs.Context) -> None:
    """Take in what has come back since the last look; a mailbox that is away shows on the mail page."""
    url = return_box.in_force().url
    if not url:
        return
    kept = installation.fact(return_box.STATE) or {}
    now = context.clock()
    try:
        count, point = read_letters(url, kept.get("point", ""), context)
    except Away as away:
        since = kept.get("since") if kept.get("problem") else now.isoformat()
        remember(kept | {"problem": str(away), "since": since}, now)
        return
    fresh = {"at": now.isoformat(), "point": point, "reports": kept.get("reports", 0) + count}
    remember(fresh | {"problem": "", "since": None}, now)


def read_letters(url: str, point: str, context: jobs.Context) -> tuple[int, str]:
    """How many reports were taken in, and the point reached. A letter read twice changes nothing more."""
    count = 0
    with postboxes.opened(url, point) as box:
        for letter in box.letters():
            context.renew()
            count += sum(take_in(report, context.clock()) for report in reports.read(letter.raw))
            point = letter.point or point
    return count, point


def remember(kept: dict[str, Any], now: datetime) -> None:
    with transaction():
        installation.set_fact(return_box.STATE, kept, now)


# --- Whose it is -----------------------------------------------------------------------------


def take_in(report: reports.Report, now: datetime) -> bool:
    """Let one report change the message it is about; true where it did."""
    notice = meant(report)
    if notice is None:
        return False
    mail_domains.learn(report.signed_by, now)
    if report.outcome == reports.DELAYED:
        return deliveries.note_delay(notice.id, report.reason)
    reason = report.reason if report.outcome == reports.RETURNED else ""
    return deliveries.report(notice.id, report.outcome, reason=reason, now=now)


def meant(report: reports.Report) -> Notice | None:
    """The mail that a report names by our number or by the gateway's, if it went to the person it names."""
    ids = list(report.ids[:MOST_SIGNS])
    signs = Notice.id.in_(ids)
    if report.remote_id:
        signs |= Notice.remote_id == report.remote_id
    rows = Notice.select().where((Notice.channel == gateways.MAIL) & signs)
    for notice in rows.order_by(Notice.id.desc()).limit(MOST_SIGNS):
        if any(addresses.same(notice.address, each) for each in report.addresses):
            found: Notice = notice
            return found
    return None
