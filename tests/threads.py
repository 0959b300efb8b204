"""Many callers at the same moment, each with a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from portal import i18n
from portal.models import base


def at_once(act: Callable[[], Any], count: int, threads: int = 12) -> list[Any]:
    """Call `act` `count` times from several threads that start together; their answers or errors."""
    answers: list[Any] = []
    left = list(range(count))
    gate = threading.Barrier(min(threads, count))

    def work() -> None:
        i18n.activate("en")
        base.db.connect(reuse_if_open=True)
        gate.wait()
        try:
            while left:
                try:
                    left.pop()
                except IndexError:
                    return
                try:
                    answers.append(act())
                except Exception as error:
                    answers.append(error)
        finally:
            base.db.close()

    workers = [threading.Thread(target=work) for _thread in range(min(threads, count))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return answers
