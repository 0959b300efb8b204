"""`/metrics`: Prometheus reads it, it tells the truth, and a million rows do not slow it down."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from datetime import timedelta

import peewee
import pytest
from prometheus_client.parser import text_string_to_metric_families

from portal import tally
from portal.models.base import db, is_sqlite
from portal.models.jobs import Job
from portal.models.notices import Notice
from portal.services import audit_chains, figures, installation, jobs, metrics, queues
from portal.tally import Tally
from tests.services.test_queues import fail, queue
from tests.services.test_sealing import completed, sent

TOKEN = "prometheus-of-larkfield"


def read(now):
    """Sample name and labels to value, as Prometheus would keep them."""
    text = metrics.exposition(now).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found, name, **labels):
    return found.get((f"countersign_{name}", tuple(sorted(labels.items()))))


def test_an_empty_installation_can_be_read(home, now):
    found = read(now)

    assert value(found, "ready") == 1
    assert value(found, "audit_events_total") == 0
    assert value(found, "sealed_total") == 0
    assert value(found, "jobs_oldest_due_seconds") == 0
    assert value(found, "backup_age_seconds") is None
    assert value(found, "certificate_expiry_seconds", certificate="seal") > 0


def test_figures_are_those_of_the_database(home, cast, now, run_jobs):
    envelope = completed(cast, now, run_jobs)
    run_jobs(now)
    fail(queue(now), now)
    jobs.add("remind", now=now - timedelta(seconds=90))
    anchor = {"at": (now - timedelta(hours=1)).isoformat(), "folder": "/b", "ok": True}
    installation.set_fact("last_backup", anchor, now)

    found = read(now)

    assert value(found, "jobs", kind="deliver_notice", status="failed") == 1
    assert value(found, "jobs", kind="remind", status="ready") == 1
    assert value(found, "jobs_oldest_due_seconds") == 90
    assert value(found, "messages", channel="mail", status="failed") == 1
    assert value(found, "signing_requests", status="completed") == 1
    assert value(found, "seals", status="sealed") == 1
    assert value(found, "sealed_total") == 1
    assert value(found, "documents", kind="executed") == 1
    assert value(found, "document_bytes", kind="shown") == envelope.document.size_bytes
    events = audit_chains.verify()["events"]
    assert not is_sqlite() or value(found, "audit_events_total") == events
    assert value(found, "audit_events_total") >= events
    assert value(found, "backup_age_seconds") == 3600
    assert value(found, "backup_ok") == 1


def test_what_is_under_way_is_fresh_and_what_piled_up_is_kept_for_half_a_minute(home, now):
    read(now)
    queue(now)

    soon, later = read(now + timedelta(seconds=5)), read(now + timedelta(seconds=31))

    assert value(soon, "jobs", kind="deliver_notice", status="ready") == 1
    assert value(soon, "messages", channel="mail", status="queued") is None
    assert value(later, "messages", channel="mail", status="queued") == 1


def test_a_part_that_cannot_be_had_hides_no_other(home, now, monkeypatch):
    (home.settings.authority_dir / "audit.pem").unlink()

    found = read(now)

    assert value(found, "part_missing", part="certificates") == 1
    assert value(found, "audit_events_total") == 0


# --- Who may read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "peer", "status"),
    [
        ({}, "127.0.0.1", 200),
        ({}, "::1", 200),
        ({}, "192.0.2.7", 404),
        ({"X-Forwarded-For": "192.0.2.7"}, "127.0.0.1", 404),
        ({"Forwarded": "for=192.0.2.7"}, "127.0.0.1", 404),
        ({"Via": "1.1 proxy"}, "127.0.0.1", 404),
        ({"Host": "contracts.example.com"}, "127.0.0.1", 404),
        ({"Authorization": f"Bearer {TOKEN}"}, "192.0.2.7", 200),
        ({"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.7"}, "127.0.0.1", 200),
        ({"Authorization": f"Bearer {TOKEN}x"}, "192.0.2.7", 404),
        ({"Authorization": f"Basic {TOKEN}"}, "192.0.2.7", 404),
        ({"Authorization": "Bearer "}, "192.0.2.7", 404),
    ],
)
def test_this_machine_and_whoever_holds_the_token_may_read(client, home, headers, peer, status):
    installation.open_installation(dataclasses.replace(home.settings, metrics_token=TOKEN))

    answer = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": peer})

    assert answer.status_code == status


def test_without_a_token_none_is_right(client, home):
    away = {"REMOTE_ADDR": "192.0.2.7"}
    for given in ("", "Bearer", "Bearer ", "Bearer None"):
        assert client.get("/metrics", headers={"Authorization": given}, environ_base=away).status_code == 404


def test_it_names_nobody(client, home, cast, now, run_jobs):
    sent(cast, now, run_jobs)
    said = client.get("/metrics").text

    for word in ("castellan", "larkfield", "Claire", "LF-2026"):
        assert word not in said


# --- Requests ---------------------------------------------------------------------------------------


def test_requests_are_counted_by_rule_method_and_status(client, home, now):
    client.get("/healthz")
    client.get("/healthz")
    client.get("/sign/kanarie-token")
    client.get("/nowhere/at/all")
    client.open("/sign-in", method="BREW")

    found = read(now)

    count = "http_request_duration_seconds_count"
    assert value(found, count, route="/healthz", method="GET", status="2xx") == 2
    assert value(found, count, route="/sign/<token>", method="GET", status="4xx") == 1
    assert value(found, count, route="(no such address)", method="GET", status="4xx") == 1
    assert not any("kanarie" in str(key) for key in found)
    assert any(dict(labels).get("method") == "other" for _name, labels in found)


def test_buckets_add_up_to_the_count(tmp_path):
    counts = Tally(tmp_path)
    for seconds in (0.0005, 0.001, 0.003, 0.2, 900):
        counts.add("/x", "GET", 200, seconds)

    figures_of = counts.totals()["/x", "GET", "2xx"]

    assert figures_of[0] == 2  # at most a millisecond
    assert figures_of[2] == 1
    assert figures_of[len(tally.BOUNDS)] == 1  # above the last bound
    assert sum(figures_of[:-1]) == 5
    assert figures_of[-1] == pytest.approx(900.2045)


def add_in_child(folder, number):
    counts = Tally(folder)
    for _each in range(number):
        counts.add("/x", "GET", 200, 0.01)


def test_forked_processes_are_added_up_and_ended_ones_stay_counted(tmp_path):
    mine = Tally(tmp_path)
    mine.add("/x", "GET", 200, 0.01)
    fork = multiprocessing.get_context("fork")
    for number in (3, 5):
        child = fork.Process(target=add_in_child, args=(tmp_path, number))
        child.start()
        child.join()

    assert sum(mine.totals()["/x", "GET", "2xx"][:-1]) == 9
    tally.gather_ended(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"requests-{os.getpid()}", "requests-ended",
    ]  # fmt: skip
    assert sum(mine.totals()["/x", "GET", "2xx"][:-1]) == 9
    tally.clear(tmp_path)
    assert mine.totals() == {}


def test_a_fork_of_a_process_that_counted_counts_for_itself(tmp_path):
    counts = Tally(tmp_path)
    counts.add("/x", "GET", 200, 0.01)
    child = multiprocessing.get_context("fork").Process(target=counts.add, args=("/x", "GET", 200, 0.01))
    child.start()
    child.join()
    counts.add("/x", "GET", 200, 0.01)

    assert sum(counts.totals()["/x", "GET", "2xx"][:-1]) == 3


def test_a_folder_that_cannot_be_made_costs_no_request(tmp_path):
    (tmp_path / "file").write_text("")
    counts = Tally(tmp_path / "file" / "run")

    counts.add("/x", "GET", 200, 0.01)

    assert counts.totals() == {}


def test_more_names_than_slots_are_counted_together(tmp_path, monkeypatch):
    monkeypatch.setattr(tally, "SLOTS", 3)
    counts = Tally(tmp_path)
    for number in range(5):
        counts.add(f"/{number}", "GET", 200, 0.01)

    assert sorted(counts.totals()) == [("/0", "GET", "2xx"), ("/1", "GET", "2xx"), ("other", "other", "2xx")]


def test_every_rule_of_the_portal_fits_its_slot(app):
    for rule in app.url_map.iter_rules():
        name = (rule.rule, "OPTIONS", "2xx")
        assert tally.encoded(name) == "\t".join(name).encode(), rule.rule


def test_counting_costs_a_few_microseconds(tmp_path):
    from time import process_time

    counts = Tally(tmp_path)
    counts.add("/x", "GET", 200, 0.01)
    began = process_time()
    for _each in range(20_000):
        counts.add("/x", "GET", 200, 0.01)

    assert (process_time() - began) / 20_000 < 20e-6


# --- A million rows -----------------------------------------------------------------------------------


def plan(query):
    sql, params = query.sql()
    if is_sqlite():
        return "\n".join(str(row[3]) for row in db.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params))
    with db.atomic():
        db.execute_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(row[0] for row in db.execute_sql(f"EXPLAIN {sql}", params))


def queries(now):
    yield from ((name, make()) for name, make in figures.QUERIES.items())
    ready = (Job.status == "ready") & (Job.run_at <= now)
    yield "oldest", Job.select(Job.run_at).where(ready).order_by(Job.run_at).limit(1)
    under_way = Job.status.in_(("ready", "running", "failed"))
    yield "under way", figures.by(Job, Job.kind, Job.status).where(under_way)
    yield "failed", Job.select().where((Job.status == "failed") & (Job.run_at > now))
    for name in queues.QUEUES:
        yield f"failed {name}", queues.failed_jobs(name, now)
    sent_since = (Notice.status == "sent") & (Notice.created_at >= now) & (Notice.channel == "mail")
    yield "took any", Notice.select(Notice.id).where(sent_since).limit(1)


def test_no_figure_reads_a_table_from_end_to_end(home, now):
    for name, query in queries(now):
        said = plan(query)
        if is_sqlite():
            whole = [line for line in said.splitlines() if line.startswith("SCAN") and "INDEX" not in line]
            assert not whole, f"{name}: {said}"
        else:
            assert "Seq Scan" not in said, f"{name}: {said}"


def test_counts_of_what_piled_up_need_the_index_alone(home, now):
    for name, make in figures.QUERIES.items():
        said = plan(make())
        assert "COVERING INDEX" in said if is_sqlite() else "Index" in said, f"{name}: {said}"


def test_the_newest_entry_counts_the_history(home, now):
    said = plan(figures.AuditEvent.select(peewee.fn.MAX(figures.AuditEvent.id)))
    assert "SEARCH" in said if is_sqlite() else "Index" in said
