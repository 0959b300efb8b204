"""`countersign doctor`: names what is wrong and what to do, changes nothing, and never hangs."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from portal.clock import utc_now
from portal.models.audit import AuditEvent
from portal.models.base import db, is_sqlite
from portal.models.notices import Notice
from portal.services import audit_chains, doctor, heartbeat, installation, jobs
from portal.services.doctor import OK, WARNING, WRONG
from portal.settings import ROOT
from tests.processes import command, environment, free_port, running, until
from tests.services.test_queues import fail, queue
from tests.services.test_sealing import completed
from tests.simulators.tsa import running as serving
from tests.simulators.tsa import timestamp_server

WELL = {
    "settings", "python", "packages", "tools", "data-dir", "keys", "disk", "database", "tables", "keys-fit",
    "store", "seal", "work", "seals", "history", "timestamps", "clock",
}  # fmt: skip


@pytest.fixture
def look(home, portal_settings):
    """Examine the test's installation with settings of this test's own: key to finding."""
    home.settings.data_dir.chmod(0o700)

    def examine(now=None, **more):
        environ = {"COUNTERSIGN_DATA_DIR": str(portal_settings.data_dir),
                   "COUNTERSIGN_DATABASE_URL": portal_settings.database_url}  # fmt: skip
        environ |= {f"COUNTERSIGN_{name}": value for name, value in more.items()}
        found = doctor.examine(environ, (lambda: now) if now else utc_now)
        installation.open_installation(portal_settings)
        return {finding.key: finding for finding in found}

    return examine


def states(found, *keys):
    return [found[key].state for key in keys]


def traces(folder: Path):
    """Every file below a folder by name, content and mode; what an open database makes is left out."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, sha256(path.read_bytes()).digest())
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }  # fmt: skip


# --- As a real process -------------------------------------------------------------------------------


def ask(folder, *words, **more):
    done = subprocess.run(
        command("doctor", *words), cwd=ROOT, env=environment(folder, **more), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done


def test_a_healthy_installation_is_well_and_left_as_it_is(tmp_path):
    folder = tmp_path / "data"
    with running(folder, "serve") as tree:
        until(lambda: tree.get("/readyz").status_code == 200)
        until(tree.jobs_worker)
        until(lambda: "has ever been seen" not in ask(folder).stdout)
        done = ask(folder, "--json")
        tree.stop()
    before = traces(folder)
    again = ask(folder)

    answer = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert answer["well"] is True
    found = {finding["key"]: finding["state"] for finding in answer["findings"]}
    assert {key for key, state in found.items() if state == "ok"} >= WELL | {"worker", "whole"}
    assert found["backup"] == found["mail"] == "warning"
    assert again.returncode == 0
    assert traces(folder) == before


@pytest.mark.parametrize("is_made", [True, False], ids=["empty", "absent"])
def test_where_nothing_is_yet_it_says_so_and_creates_nothing(tmp_path, is_made):
    folder = tmp_path / "data"
    if is_made:
        folder.mkdir(mode=0o700)

    done = ask(folder)

    assert done.returncode == 1
    assert "There is no database" in done.stdout
    assert "countersign serve" in done.stdout
    assert "Traceback" not in done.stdout
    assert list(tmp_path.rglob("*")) == ([folder] if is_made else [])


def test_each_bad_setting_is_named_and_the_rest_still_looked_at(tmp_path):
    done = ask(tmp_path, COUNTERSIGN_BASE_URL="contracts.example.com", COUNTERSIGN_COLOUR="blue",
               COUNTERSIGN_MAIL_URL=f"smtp://user:kanarie99@127.0.0.1:{free_port()}")  # fmt: skip

    assert done.returncode == 1
    assert "COUNTERSIGN_COLOUR is not a setting" in done.stdout
    assert "COUNTERSIGN_BASE_URL" in done.stdout
    assert "does not take our mails" in done.stdout
    assert "kanarie99" not in done.stdout


def test_keys_that_cannot_be_read_at_all_leave_a_short_list(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "encryption_keys").write_text("short")

    done = ask(tmp_path)

    assert done.returncode == 1
    assert "ENCRYPTION_KEYS holds a key that is not 32 bytes" in done.stdout
    assert "packages" in done.stdout


def test_a_damaged_database_is_named(tmp_path):
    (tmp_path / "countersign.db").write_bytes(b"not a database, at all " * 999)

    done = ask(tmp_path)

    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if " database " in line)
    assert line.startswith("wrong")
    assert "backup" in line


# --- What is kept ---------------------------------------------------------------------------------------


def test_a_working_installation_is_well_on_both_databases(look, cast, now, run_jobs):
    completed(cast, now, run_jobs)
    run_jobs(now)
    audit_chains.anchor(now)
    heartbeat.beat(utc_now())

    found = look()

    assert states(found, *sorted(WELL), "worker") == [OK] * (len(WELL) + 1)
    assert "newest documents are there and open" in found["store"].sentence


def test_keys_of_another_installation_do_not_fit(look, cast, now, run_jobs):
    completed(cast, now, run_jobs)
    run_jobs(now)

    found = look(ENCRYPTION_KEYS=base64.urlsafe_b64encode(os.urandom(32)).decode())

    assert states(found, "keys-fit", "store") == [WRONG, WRONG]
    assert "Restore the keys" in found["keys-fit"].remedy


def test_a_document_that_is_gone_is_missed(look, cast, now, run_jobs, home):
    completed(cast, now, run_jobs)
    run_jobs(now)
    for path in (home.settings.data_dir / "documents").rglob("*"):
        if path.is_file():
            path.unlink()

    assert look()["store"].state == WRONG


def test_files_that_others_may_read_are_named_with_the_command(look, home):
    path = home.settings.authority_dir / "seal_key.pem"
    path.chmod(0o640)
    home.settings.data_dir.chmod(0o755)

    found = look()

    assert states(found, "keys", "data-dir") == [WRONG, WARNING]
    assert f"chmod 600 {path}" in found["keys"].remedy
    home.settings.data_dir.chmod(0o777)
    assert look()["data-dir"].state == WRONG


def test_missing_keys_are_missed(look, home):
    (home.settings.key_dir / "encryption_keys").unlink()

    found = look()

    assert found["keys"].state == WRONG
    assert "keys-fit" not in found


def test_tables_of_another_version_are_told_apart(look, home):
    db.execute_sql("DELETE FROM schema_migration WHERE name LIKE '0009%%'" if not is_sqlite() else
                   "DELETE FROM schema_migration WHERE name LIKE '0009%'")  # fmt: skip
    try:
        found = look()
        assert found["tables"].state == WRONG
        assert "migrate up" in found["tables"].remedy
        assert "worker" not in found
        db.execute_sql(
            "INSERT INTO schema_migration (name, applied) VALUES ('0009_counted_quickly', '2026-01-01')"
        )
        db.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2026-01-01')")
        assert "newer version" in look()["tables"].sentence
    finally:
        db.execute_sql("DELETE FROM schema_migration WHERE name IN ('9999_later', '0009_counted_quickly')")
        db.execute_sql(
            "INSERT INTO schema_migration (name, applied) VALUES ('0009_counted_quickly', '2026-01-01')"
        )


def test_a_silent_worker_late_work_and_failed_work_are_told(look, home, now):
    assert look(now)["worker"].state == WARNING
    heartbeat.beat(now - timedelta(hours=2))
    fail(queue(now), now)
    assert states(look(now), "worker", "work") == [WRONG, WARNING]

    jobs.add("remind", now=now - timedelta(minutes=6))
    assert look(now)["work"].state == WRONG


def test_a_history_that_was_rewritten_is_found_by_its_signed_head(look, cast, now, run_jobs):
    completed(cast, now, run_jobs)
    audit_chains.anchor(now)
    assert look()["history"].state == OK
    signed = installation.fact("last_anchor")

    forged = {**signed, "statement": signed["statement"].replace('"number":', '"number":1')}
    installation.set_fact("last_anchor", forged, now)
    assert "signature" in look()["history"].sentence

    installation.set_fact("last_anchor", signed, now)
    report = {"valid": False, "faults": [], "at": now.isoformat()}
    installation.set_fact(audit_chains.LAST_CHECK, report, now)
    assert look()["history"].state == WRONG
    assert AuditEvent.select().count()


@pytest.mark.parametrize(
    ("fact", "state"),
    [
        ({"ok": True, "age": 1}, OK),
        ({"ok": True, "age": 5}, WARNING),
        ({"ok": False, "age": 0}, WARNING),
    ],
)
def test_backups_and_the_recovery_key(look, home, now, fact, state):
    at = (now - timedelta(days=fact["age"])).isoformat()
    installation.set_fact("last_backup", {"at": at, "ok": fact["ok"], "reason": "the disk is full"}, now)
    assert look(now)["backup"].state == state
    assert look(now)["recovery"].state == WARNING

    installation.set_fact("recovery_key", {"at": at, "by": "ada"}, now)
    assert look(now)["recovery"].state == OK


def test_the_seals_certificate_is_watched(look, home):
    until = home.authority.not_after

    assert look(until - timedelta(days=60))["seal"].state == WARNING
    assert look(until + timedelta(days=1))["seal"].state == WRONG


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("https://contracts.example.com", OK),
        ("http://127.0.0.1:8000", OK),
        ("http://contracts.example.com", WRONG),
        ("", WARNING),
    ],
)
def test_the_public_address_should_be_encrypted(look, url, state):
    assert look(BASE_URL=url)["base-url"].state == state


# --- Whoever is outside ------------------------------------------------------------------------------------


@pytest.fixture
def mail_server():
    """A server that asks for a password over a loopback line, and counts mails."""
    taken = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            taken.append(envelope)
            return "250 taken"

    def check(server, session, envelope, mechanism, data):
        is_right = data.password == b"right"
        return AuthResult(success=is_right, handled=is_right)

    controller = Controller(
        Handler(), hostname="127.0.0.1", port=free_port(), authenticator=check, auth_require_tls=False
    )
    controller.start()
    yield controller.port, taken
    controller.stop()


def test_a_mail_server_is_asked_to_let_us_in_and_gets_no_mail(look, mail_server):
    port, taken = mail_server

    right = look(MAIL_URL=f"smtp://portal:right@127.0.0.1:{port}")["mail"]
    bad = look(MAIL_URL=f"smtp://portal:kanarie77@127.0.0.1:{port}")["mail"]
    away = look(MAIL_URL=f"smtp://127.0.0.1:{free_port()}")["mail"]

    assert [right.state, bad.state, away.state] == [OK, WRONG, WRONG]
    assert "refused our name and password" in bad.sentence
    assert "kanarie77" not in bad.sentence + bad.remedy
    assert taken == []
    assert Notice.select().count() == 0


def test_a_text_message_gateway_is_asked_for_an_answer_and_gets_no_message(look):
    asked = []

    def gateway(environ, start):
        asked.append((environ["REQUEST_METHOD"], environ.get("HTTP_AUTHORIZATION"), environ["QUERY_STRING"]))
        start("405 Method Not Allowed", [("Content-Type", "text/plain")])
        return [b""]

    with serving(gateway) as url:
        found = look(SMS_URL=f"webhook+http://kanarie55@{url.removeprefix('http://')}sms?token=x")
    away = look(SMS_URL=f"webhook+http://key@127.0.0.1:{free_port()}/sms")["sms"]

    assert found["sms"].state == OK
    assert asked == [("HEAD", None, "")]
    assert "the text message gateway" in found["clock"].sentence or "the database" in found["clock"].sentence
    assert away.state == WRONG


def test_a_timestamp_authority_is_asked_and_its_clock_compared(look, home):
    with timestamp_server(utc_now()) as authority:
        found = look(TSA_URL=authority.url)
        authority.mood = "down"
        down = look(TSA_URL=authority.url)
    with timestamp_server(utc_now() - timedelta(minutes=8)) as behind:
        late = look(TSA_URL=behind.url)

    assert states(found, "timestamps", "clock") == [OK, OK]
    assert down["timestamps"].state == WRONG
    assert late["clock"].state == WRONG
    assert "480" in late["clock"].sentence or "seconds apart" in late["clock"].sentence


def test_a_server_that_never_answers_costs_five_seconds_at_most(look):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        found = look(MAIL_URL=f"smtp://127.0.0.1:{silent.getsockname()[1]}")["mail"]
        took = time.monotonic() - began

    assert found.state == WRONG
    assert took < 10


def test_a_check_that_hangs_is_left_behind():
    import threading

    release = threading.Event()

    def hangs(_patient):
        release.wait(30)

    finding = doctor.timed(hangs, doctor.Patient(None, utc_now), seconds=0.05)
    release.set()

    assert (finding.key, finding.state) == ("hangs", WRONG)
    assert "did not answer" in finding.sentence


def test_a_check_that_breaks_is_a_finding_without_secrets():
    def breaks(_patient):
        raise RuntimeError("https://user:kanarie66@host is away")

    finding = doctor.timed(breaks, doctor.Patient(None, utc_now))

    assert finding.state == WRONG
    assert "RuntimeError" in finding.sentence
    assert "kanarie66" not in finding.sentence


def test_looking_changes_no_row_and_no_file(look, cast, now, run_jobs, home):
    completed(cast, now, run_jobs)
    run_jobs(now)
    counts = AuditEvent.select().count(), Notice.select().count()
    if is_sqlite():
        db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    before = traces(home.settings.data_dir)

    look()

    assert (AuditEvent.select().count(), Notice.select().count()) == counts
    assert traces(home.settings.data_dir) == before
    assert isinstance(now, datetime)
