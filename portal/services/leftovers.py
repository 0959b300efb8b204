"""What work leaves behind: rows of jobs long done, and drafts of files whose writer was killed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from portal.models.base import transaction
from portal.services import installation, jobs

# No write to the store takes so long; whoever began it is gone.
ABANDONED = timedelta(hours=6)


@jobs.recurring("forget_leftovers", timedelta(hours=6))
def forget(payload: dict[str, Any], context: jobs.Context) -> None:
    """Drop them; nothing that was ever stored under a name is touched."""
    now = context.clock()
    with transaction():
        jobs.sweep(now)
    installation.current().store.sweep(now - ABANDONED)
