"""Children end when their parent ends, however it ended: no orphan keeps a port or a lease."""

from __future__ import annotations

import os
import threading
import time
from multiprocessing import parent_process

INTERVAL_S = 0.5


def end_with_parent(parent_pid: int | None = None) -> None:
    """Watch the parent process and leave at once when it is gone.

    Without `parent_pid`, the process that started this one through `multiprocessing` is
    watched; a process started in any other way is left alone.
    """
    parent = parent_process()
    watched = parent_pid or (parent.pid if parent else None)
    if watched is None:
        return

    def watch() -> None:
        while os.getppid() == watched:
            time.sleep(INTERVAL_S)
        os._exit(0)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
