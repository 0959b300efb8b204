"""What killed processes leave behind goes away by itself; what was stored stays."""

from __future__ import annotations

import os
from datetime import timedelta

from portal.documents.store import FileStore
from portal.models.base import transaction
from portal.models.jobs import Job
from portal.services import jobs, leftovers


def forget(at):
    leftovers.forget({}, jobs.Context(0, "test", 1, lambda: at))


def test_drafts_of_killed_writers_go_and_documents_stay(home, now):
    home.store.put("documents/ab/one", b"kept")
    folder = home.settings.data_dir / "documents"
    files = FileStore(next(path for path in folder.rglob("ab")).parent)
    old, fresh = (files.root / f".draft-{name}" for name in ("old", "fresh"))
    for draft, age in ((old, timedelta(hours=7)), (fresh, timedelta(minutes=1))):
        draft.write_bytes(b"half a file")
        os.utime(draft, times=((now - age).timestamp(),) * 2)

    forget(now)

    assert not old.exists()
    assert fresh.exists()
    assert home.store.get("documents/ab/one") == b"kept"


def test_jobs_long_done_go_and_all_others_stay(home, now):
    with transaction():
        for number, (status, days) in enumerate((("done", 8), ("done", 6), ("failed", 30), ("ready", 30))):
            jobs.add("note", key=str(number), now=now)
            Job.update(status=status, finished_at=now - timedelta(days=days)).where(
                Job.key == str(number)
            ).execute()

    forget(now)

    assert sorted(Job.select(Job.key).tuples()) == [("1",), ("2",), ("3",)]
