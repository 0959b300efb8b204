"""Is this installation able to do its work now, and if not, why."""

from __future__ import annotations

from datetime import datetime, timedelta

import peewee

from portal.i18n import gettext as _
from portal.models import schema
from portal.models.jobs import Job
from portal.services import installation, sealing

WORKER_SILENCE = timedelta(minutes=5)


def reasons(now: datetime) -> list[str]:
    """What stands in the way, one sentence each; empty when the portal is ready."""
    try:
        pending = schema.pending()
    except peewee.PeeweeException:
        return [_("The database does not answer.")]
    if pending:
        return [_("The tables are not up to date: run “countersign migrate up”.")]
    found = []
    if not installation.current().settings.encryption_keys:
        found.append(_("There is no encryption key: start once with “countersign serve”."))
    found += sealing.backlog(now)
    late = Job.select().where((Job.status == "ready") & (Job.run_at < now - WORKER_SILENCE)).count()
    if late:
        found.append(_("%(count)s jobs have waited for over five minutes: is a worker running?", count=late))
    return found
