"""Defects as log lines and as a counter: `headgate_defects_total{where}`."""

import time
import traceback
from collections.abc import Callable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter

from adapters.observability.logging import get_logger
from domain.errors import SSEBaseError
from ports.defects import Defects, Where

LINES_A_SECOND = 10
"""Of each place. A defect that 10,000 readers meet at once is counted 10,000 times and must not fill the disk, nor hold
the event loop up while their stacks are written."""


class PrometheusDefects(Defects):
    """Counts each defect and logs it with its stack, ten of a place in a second at most; the next line says how many
    were left out. Safe over threads.

    The stack has the code and the kinds of the errors, not their texts, which may be made of what is worked on; an
    error of ours never holds a prompt, an answer or a secret, so its text is there.
    """

    def __init__(self, registry: CollectorRegistry, monotonic: Callable[[], float] = time.monotonic) -> None:
        text = "Defects of the service itself, by the part that has them."
        counter = Counter("headgate_defects", text, ("where",), registry=registry)
        self._counters = {where: counter.labels(where.value) for where in Where}
        self._monotonic = monotonic
        self._logger = get_logger("headgate.defects")
        self._lines: dict[Where, tuple[int, int]] = {}  # the second of the last one, and how many in it
        self._broken: str | None = None

    @property
    def broken(self) -> str | None:
        """The first part that has ended."""
        return self._broken

    def report(self, where: Where, error: BaseException) -> None:
        """Counts it, and writes a line."""
        with suppress(Exception):  # a log or a counter that fails must not let through what a wall has held back
            self._counters[where].inc()
            now = int(self._monotonic())
            second, count = self._lines.get(where, (now, 0))
            left_out = 0
            if second != now:
                left_out, count = max(0, count - LINES_A_SECOND), 0
            self._lines[where] = (now, count + 1)
            if count < LINES_A_SECOND:
                more = {"left_out": left_out} if left_out else {}
                self._logger.error("a defect", where=str(where), exception=stack_of(error), **more)

    def fail(self, part: Where, error: BaseException) -> None:
        """Counts it, and writes a line that says which part has ended."""
        self._broken = self._broken or str(part)  # first of all: what comes next may fail
        with suppress(Exception):
            self._counters[part].inc()
            text = "a part has ended by a defect: this process takes no new work and ends itself"
            self._logger.critical(text, where=str(part), exception=stack_of(error))


def stack_of(error: BaseException) -> str:
    """Where it was raised, the innermost place last, and what it was: as Python writes it, without its text unless the
    error is ours."""
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    lines.append(type(error).__qualname__)
    if isinstance(error, SSEBaseError):
        lines.append(f": {error.message}")
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        places = "".join(traceback.format_tb(cause.__traceback__))
        lines.append(f"\nafter {type(cause).__qualname__}:\n{places}")
    return "".join(lines)
