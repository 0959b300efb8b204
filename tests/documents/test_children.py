from __future__ import annotations

import logging
import os
import re
import select
import signal
import subprocess
import sys
import threading

import pytest

from portal.documents import children
from portal.documents.children import Busy, ChildFailed, Pool, Refused

HERE = "tests.documents.misbehaving"


def gone(process: int, seconds: float = 10) -> bool:
    """Whether the process has ended by then; it need not be a child of ours."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def test_values_and_files_come_back_and_printing_does_no_harm():
    result = children.run(f"{HERE}:echo", {"é": [1, None]}, files={"a": b"abc", "empty": b""})

    assert result.values == {"é": [1, None]}
    assert result.files == {"a": b"cba", "empty": b""}


def test_files_larger_than_any_pipe_pass_both_ways():
    content = os.urandom(1 << 20) * 30

    assert children.run(f"{HERE}:echo", {}, files={"big": content}).files["big"] == content[::-1]


@pytest.mark.parametrize(
    ("task", "seconds", "reason"),
    [
        ("wait", 0.4, "timeout"),
        ("spin", 0.4, "timeout"),
        ("swell", 10, "memory"),
        ("abort", 10, "crashed"),
        ("leave", 10, "crashed"),
        ("stumble", 10, "crashed"),
    ],
)
def test_a_child_that_gives_no_answer_says_why(task, seconds, reason):
    with pytest.raises(ChildFailed) as failure:
        children.run(f"{HERE}:{task}", {}, seconds=seconds)

    assert failure.value.reason == reason


def test_the_limit_on_processor_time_holds_without_the_parents_clock(monkeypatch):
    monkeypatch.setattr(children.time, "monotonic", lambda: 0.0)

    with pytest.raises(ChildFailed) as failure:
        children.run(f"{HERE}:spin", {}, seconds=1)

    assert failure.value.reason == "timeout"


def test_a_refusal_keeps_its_code_and_its_figures():
    with pytest.raises(Refused) as refusal:
        children.run(f"{HERE}:refuse", {})

    assert (refusal.value.code, refusal.value.params) == ("too_many_pages", {"most": 3})


def test_a_child_sees_neither_our_environment_nor_our_files(monkeypatch, tmp_path):
    monkeypatch.setenv("COUNTERSIGN_SECRET_KEY", "do not pass on")
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        found = children.run(f"{HERE}:surroundings", {}).values

    assert set(found["environment"]) <= {*children.ENVIRONMENT, "LC_CTYPE"}
    assert not [name for name in found["opened"] if "secret" in name or "socket" in name]


def test_a_child_can_write_no_file(tmp_path):
    refused = children.run(f"{HERE}:write", {"path": str(tmp_path / "planted")}).values["refused"]

    assert "File too large" in refused


def test_time_over_ends_what_the_child_started_too(caplog):
    caplog.set_level(logging.INFO, logger="portal.documents.children")

    with pytest.raises(ChildFailed):
        children.run(f"{HERE}:wait_with_helper", {}, seconds=1)

    assert gone(int(re.search(r"helper (\d+)", caplog.text)[1]))


def test_a_child_ends_with_its_parent():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=children.ROOT, text=True
    )
    with parent:
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)

    assert gone(child)


PARENT = f"""
import subprocess
from portal.documents import children

class Telling(subprocess.Popen):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        print(self.pid, flush=True)

children.subprocess.Popen = Telling
children.run("{HERE}:wait", {{}}, seconds=50)
"""


def test_a_full_pool_says_busy_and_takes_the_next_when_a_place_is_free(monkeypatch):
    pool = Pool(size=1, patience=0.05)
    started, finish = threading.Event(), threading.Event()

    def held(*args, **options):
        started.set()
        finish.wait(10)

    with monkeypatch.context() as patched:
        patched.setattr(children, "run", held)
        first = threading.Thread(target=pool.run, args=("x", {}))
        first.start()
        started.wait(10)
        with pytest.raises(Busy):
            pool.run("x", {})
        finish.set()
        first.join()

    assert pool.run(f"{HERE}:echo", {"turn": 2}).values == {"turn": 2}


def test_a_failed_child_gives_its_place_back():
    pool = Pool(size=1, patience=0.05)

    for _ in range(2):
        with pytest.raises(ChildFailed):
            pool.run(f"{HERE}:leave", {})


def test_asking_for_pdf_work_imports_no_pdf_library():
    modules = "children, images, intake, layouts, markdown, render"
    heavy = ["pikepdf", "pypdfium2", "typst", "PIL", "pyhanko", "mistune"]
    program = f"import sys; from portal.documents import {modules}; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=children.ROOT
    )

    assert not set(heavy) & set(loaded.stdout.split())
