"""Readiness: what stands in the way and what soon will, each with the sentence that says what to do."""

from __future__ import annotations

import dataclasses
import os
from datetime import timedelta

import pytest

from portal.models.base import transaction
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import heartbeat, installation, jobs, readiness, storage
from portal.services.readiness import concerns
from tests.services.test_queues import fail, queue

GB = 1000**3


def keys(now, *, blocks=None):
    return [each.key for each in concerns(now) if blocks is None or each.blocks is blocks]


def test_a_fresh_installation_is_ready_and_wants_a_backup(home, now):
    assert readiness.reasons(now) == []
    assert keys(now) == ["backup-none"]


def test_sample_data_needs_no_backup(home, now):
    home.settings.sample_marker.touch()

    assert keys(now) == []


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        ({"ok": True, "age": 1}, []),
        ({"ok": True, "age": 3}, ["backup-old"]),
        ({"ok": False, "age": 0}, ["backup-failed"]),
    ],
)
def test_an_old_or_failed_backup_is_a_warning(home, now, fact, expected):
    at = (now - timedelta(days=fact["age"])).isoformat()
    installation.set_fact(readiness.LAST_BACKUP, {"at": at, "folder": "/b", "ok": fact["ok"]}, now)

    assert keys(now, blocks=False) == expected
    assert keys(now, blocks=True) == []


def test_a_worker_that_went_silent_stands_in_the_way(home, now):
    heartbeat.beat(now)

    assert "worker" not in keys(now + timedelta(minutes=4))
    assert "worker" in keys(now + timedelta(minutes=6), blocks=True)


def test_work_that_nobody_takes_stands_in_the_way(home, now):
    jobs.add("remind", now=now)

    assert "late" in keys(now + timedelta(minutes=6), blocks=True)


def put_back(now, at, channel="mail"):
    kind = "expired" if channel == "mail" else "signing_code"
    context = {"sender": "Ana", "reference": "LF-1", "title": "T", "code": "1", "minutes": 10, "host": "x"}
    notice = queue(at, channel=channel, kind=kind, context=context)
    Job.update(last_error="421 later", attempts=3, run_at=now).where(
        Job.key == f"deliver:{notice.id}"
    ).execute()
    return notice


@pytest.mark.parametrize("channel", ["mail", "sms"])
def test_a_gateway_that_takes_nothing_for_a_quarter_of_an_hour_stands_in_the_way(home, now, channel):
    put_back(now, now - timedelta(minutes=20), channel)

    assert f"gateway-{channel}" in keys(now, blocks=True)


def test_one_address_that_is_put_off_is_no_dead_gateway(home, now):
    put_back(now, now - timedelta(minutes=20))
    taken = queue(now - timedelta(minutes=5))
    Notice.update(status="sent").where(Notice.id == taken.id).execute()

    assert "gateway-mail" not in keys(now)


def test_a_gateway_gets_a_quarter_of_an_hour(home, now):
    put_back(now, now - timedelta(minutes=10))

    assert "gateway-mail" not in keys(now)


def test_a_full_disk_stands_in_the_way_and_a_nearly_full_one_soon_will(home, now, monkeypatch):
    real = storage.look("data", home.settings.data_dir)

    def of(free):
        place = dataclasses.replace(real, free_bytes=free, total_bytes=100 * GB)
        monkeypatch.setattr(storage, "places", lambda: [place])
        return keys(now, blocks=True), keys(now, blocks=False)

    assert of(50 * GB)[1] == ["backup-none"]
    assert "disk-data" in of(GB)[1]
    assert "disk-data" in of(GB // 10)[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_stands_in_the_way(home, now):
    home.settings.data_dir.chmod(0o500)
    try:
        assert "writable-data" in keys(now, blocks=True)
    finally:
        home.settings.data_dir.chmod(0o700)


def test_a_folder_that_cannot_be_written_to_is_found(home, now, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_arguments: False)

    assert "writable-data" in keys(now, blocks=True)


def test_the_seal_is_watched_until_it_expires(home, now):
    until = home.authority.not_after

    assert "seal-expires" not in keys(until - timedelta(days=91))
    assert "seal-expires" in keys(until - timedelta(days=80), blocks=False)
    assert "seal-expired" in keys(until + timedelta(days=1), blocks=True)


def test_a_missing_seal_key_stands_in_the_way(home, now):
    (home.settings.authority_dir / "seal_key.pem").unlink()

    assert "seal-key" in keys(now, blocks=True)


def test_work_that_failed_within_a_day_is_a_warning(home, now):
    fail(queue(now), now)

    assert "failed" in keys(now, blocks=False)
    assert "failed" not in keys(now + timedelta(days=2))


def test_the_answer_keeps_its_shape(client, home):
    said = client.get("/readyz")

    assert said.status_code == 200
    assert said.json["ready"] is True
    assert said.json["reasons"] == []
    assert said.json["warnings"] == ["No backup has been made yet."]


def test_a_silence_of_the_worker_is_remembered(home, now):
    heartbeat.beat(now)
    heartbeat.beat(now + timedelta(minutes=1))
    assert heartbeat.gap() is None

    heartbeat.beat(now + timedelta(hours=3))

    assert heartbeat.gap() == (now + timedelta(minutes=1), now + timedelta(hours=3))


def test_looking_creates_nothing(home, now):
    before = sorted(path for path in home.settings.data_dir.rglob("*"))
    with transaction():
        concerns(now)

    assert sorted(path for path in home.settings.data_dir.rglob("*") if "db-" not in path.name) == [
        path for path in before if "db-" not in path.name
    ]
