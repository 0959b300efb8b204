"""What a watch sees of a real process tree: every process counted, every line of the log an object."""

from __future__ import annotations

import json
import sys

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import running, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
ASKED = 60


def counted(tree, route):
    """How many requests for a rule the tree says it has answered."""
    families = text_string_to_metric_families(tree.get("/metrics").text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "countersign_http_request_duration_seconds_count"
        and sample.labels["route"] == route
    )


def test_all_web_processes_are_counted_and_every_line_is_an_object(tmp_path):
    with running(tmp_path, "serve", COUNTERSIGN_LOG_REQUESTS="on") as tree:
        until(tree.jobs_worker)
        until(lambda: "countersign_worker_seen_seconds" in tree.get("/metrics").text)
        before = counted(tree, "/sign/<token>")
        for number in range(ASKED):
            requests.get(f"{tree.address}/sign/kanarie-{number}", timeout=5)  # a new connection each time
        found = {counted(tree, "/sign/<token>") for _each in range(8)}
        processes = len(list((tmp_path / "run").glob("requests-[0-9]*")))
        tree.stop()
        said = tree.stderr

    assert before == 0
    assert found == {ASKED}
    assert processes >= 1
    lines = [json.loads(line) for line in said.splitlines()]
    asked = [line for line in lines if line.get("address") == "/sign/<token>"]
    assert len(asked) == ASKED
    assert len({line["request_id"] for line in asked}) == ASKED
    assert {line["event"] for line in asked} == {"request.done"}
    assert "kanarie" not in said


def test_a_restart_begins_to_count_anew(tmp_path):
    with running(tmp_path, "serve") as first:
        first.get("/verify")
        assert counted(first, "/verify") == 1
        first.stop()

    with running(tmp_path, "serve") as second:
        assert counted(second, "/verify") == 0
