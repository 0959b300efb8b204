"""`countersign serve` as a process tree: whatever is killed, nothing stays behind or stays down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portal.settings import ROOT
from tests.processes import alive, command, environment, free_port, running, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    with running(tmp_path_factory.mktemp("serve"), "serve") as started:
        until(started.jobs_worker)
        yield started


def test_a_real_installation_starts_empty_and_ready(tree):
    assert until(lambda: tree.get("/readyz").status_code == 200)
    assert tree.get("/mailbox").status_code == 404
    answer = tree.get("/sign-in")
    assert answer.status_code == 200
    assert "one press" not in answer.text.lower()


def test_a_second_start_on_the_same_data_is_one_clear_sentence(tree):
    data_dir = next(
        value for value in Path(f"/proc/{tree.process.pid}/environ").read_text().split("\0")
        if value.startswith("COUNTERSIGN_DATA_DIR=")
    ).partition("=")[2]  # fmt: skip

    second = subprocess.run(
        command("serve", "--port", str(free_port())), cwd=ROOT, env=environment(data_dir),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_taken_port_is_one_clear_sentence(tree, tmp_path):
    refused = subprocess.run(
        command("serve", "--port", str(tree.port)), cwd=ROOT, env=environment(tmp_path),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert refused.returncode == 1
    assert str(tree.port) in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_a_killed_job_worker_is_started_again(tree):
    first = until(tree.jobs_worker)

    os.kill(first, signal.SIGKILL)

    second = until(lambda: (pid := tree.jobs_worker()) and pid != first and pid)
    assert second != first
    assert tree.healthy()


def test_a_killed_web_worker_is_started_again(tree):
    web = [pid for pid in tree.pids() if pid not in (tree.process.pid, tree.jobs_worker())]
    for pid in web:
        os.kill(pid, signal.SIGKILL)

    until(tree.healthy)
    assert not any(alive(pid) for pid in web)


def test_killing_the_first_process_leaves_no_orphan_and_the_data_free(tmp_path):
    with running(tmp_path, "serve") as first:
        until(first.jobs_worker)
        first.pids()
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        until(lambda: not first.orphans())

    with running(tmp_path, "serve", port=first.port) as second:
        assert second.healthy()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_every_process(tmp_path, how):
    with running(tmp_path, "serve") as started:
        until(started.jobs_worker)

        started.stop(how)

        until(lambda: not started.orphans())
        assert "Traceback" not in started.stderr


def test_a_public_address_without_mail_is_refused_in_one_sentence(tmp_path):
    refused = subprocess.run(
        command("serve", "--port", str(free_port())), cwd=ROOT,
        env=environment(tmp_path, COUNTERSIGN_BASE_URL="https://contracts.example.com"),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert refused.returncode == 1
    assert "MAIL_URL" in refused.stderr


def test_bad_settings_are_reported_together(tmp_path):
    refused = subprocess.run(
        command("serve"), cwd=ROOT,
        env=environment(
            tmp_path, COUNTERSIGN_DATABASE_URL="mysql://x", COUNTERSIGN_ENCRYPTION_KEYS="short",
            COUNTERSIGN_BASE_URL="contracts.example.com", COUNTERSIGN_COLOUR="blue",
        ),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert refused.returncode == 1
    for name in ("DATABASE_URL", "ENCRYPTION_KEYS", "BASE_URL", "COLOUR"):
        assert f"COUNTERSIGN_{name}" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("kind", ["web", "worker"])
def test_what_starts_loads_no_heavy_library(tmp_path, kind):
    """Before the first healthy answer. The worker warms the sealing library up after that, by itself."""
    steps = {
        "web": "serving.prepare(chosen); serving.preload(); import portal.app; portal.app.create_app(chosen)",
        "worker": "serving.prepare(chosen); from portal.services import handlers; handlers.load()",
    }
    program = (
        "import sys; from portal import serving, settings; chosen = settings.read();"
        f"{steps[kind]}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"portal", "providers", "peewee"} <= loaded
    assert not loaded & {"docusign_esign", "pyhanko", "typst"}


@pytest.mark.parametrize(
    ("words", "said"),
    [(("demo",), "The data goes with it."), (("demo", "--keep"), "The data stays")],
    ids=["thrown away", "kept"],
)
def test_a_sample_says_what_becomes_of_its_data(tmp_path, words, said):
    with running(tmp_path, *words) as tree:
        until(lambda: "Ctrl-C ends it." in tree.stdout)

        assert said in tree.stdout
        assert f"{tree.address}/mailbox" in tree.stdout
