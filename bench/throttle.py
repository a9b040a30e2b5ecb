"""Processes that get a part of a core each, by being stopped and let go: so that what many would do together can be
seen on a machine that has not so many cores."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PERIOD_SECONDS = 0.02
"""Short beside every deadline in the service."""


def workers(pid: int) -> list[int]:
    """The processes that serve: the children of the one that was started, or itself where it has none."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(name) for task in tasks for name in (task / "children").read_text().split()]
    return children or [pid]


@contextlib.contextmanager
def throttled(pids: list[int], share: float) -> Iterator[None]:
    """Each process runs for `share` of the time, one after the other; all the time if that is 1."""
    if share == 1.0:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_take_turns, args=(pids, share, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _take_turns(pids: list[int], share: float, over: threading.Event) -> None:
    turn = PERIOD_SECONDS * share
    rest = PERIOD_SECONDS / len(pids) - turn
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        due = time.monotonic()
        while not over.is_set():
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
                due = max(due + turn, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))
                os.kill(pid, signal.SIGSTOP)
                due += rest
                time.sleep(max(0.0, due - time.monotonic()))
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
