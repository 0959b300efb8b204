"""The inside of a child: limits itself, reads one task from stdin, answers once, ends.

Started by `portal.documents.children` as `python -m portal.documents.child_main MEMORY_MB SECONDS`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any

from portal.documents.frames import Refused, pack, unpack

Task = Callable[[dict[str, Any], dict[str, bytes]], tuple[dict[str, Any], dict[str, bytes]]]

TASKS = {
    "render_contract": "portal.documents.render:contract_task",
    "render_signature_page": "portal.documents.render:signature_page_task",
    "render_letter": "portal.documents.render:letter_task",
    "render_certificate": "portal.documents.render:certificate_task",
    "render_execution_parts": "portal.documents.render:execution_parts_task",
    "render_redline": "portal.documents.redline_pdf:child_task",
    "render_demonstration": "portal.documents.demonstration:task",
    "intake": "portal.documents.intake:admit_task",
    "append_pages": "portal.documents.intake:append_pages_task",
    "images": "portal.documents.images:page_images_task",
    "mail_logo": "portal.documents.mail_logo:task",
    "read_word": "portal.documents.word_read:task",
    "plain_text": "portal.documents.plain:task",
    "verify": "portal.documents.verify:child_task",
}


def main() -> None:
    _limit(memory_mb=int(sys.argv[1]), seconds=int(sys.argv[2]))
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not speak into the answer
    with os.fdopen(os.dup(0), "rb") as asked:
        header, files = unpack(asked.read)
    _end_with_the_parent()
    for chunk in pack(*_answer(header, files)):
        answer.write(chunk)
    answer.flush()
    os._exit(0)  # nothing to tidy, and native libraries may take long over it


def _limit(*, memory_mb: int, seconds: int) -> None:
    """Hard limits, so nothing that runs later can lift them."""
    bounds = {
        resource.RLIMIT_AS: memory_mb * 1024 * 1024,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        # macOS refuses some of these; the parent's clock still ends the child there
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (bound, bound))


def _end_with_the_parent() -> None:
    """The parent holds stdin open until it has the answer: when stdin ends first, it is gone."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _answer(header: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        values, made = _task(header["task"])(header["values"], files)
    except Refused as refused:
        return {"refused": refused.code, "params": refused.params}, {}
    except MemoryError:
        return {"failed": "memory"}, {}
    return {"values": values}, made


def _task(name: str) -> Task:
    """A task by its name in TASKS, or by its own import path."""
    module, function = TASKS.get(name, name).split(":")
    task: Task = getattr(importlib.import_module(module), function)
    return task


if __name__ == "__main__":
    main()
