"""The last resort: a process that was told to go is gone in time, whatever hangs in it (G8)."""

import math
import os
import signal
import sys
import threading
import time

from adapters.observability.logging import get_logger
from adapters.observability.watchdog import places_of

GRACE_SECONDS = 4.0
"""After the drain time: as much as goodbyes and the orderly end may take."""
KERNEL_SECONDS = 0.5
"""As much later the kernel ends what could not even say so."""
LOOK_SECONDS = 0.25
STUCK = 70
"""The exit status of a process that had to be ended, or ended itself by a defect: EX_SOFTWARE of sysexits.h."""


class LastResort:
    """Ends this process for good once it is armed and the time is over. Made in the main thread, once.

    A thread of its own says where the main thread is and ends the process: it needs neither the event loop nor
    anything else of the service, but the interpreter, and a log that takes a line. For the rest there is the kernel's
    timer, whose SIGALRM has its default action: no code of ours has to run for that. Both are only armed by plain
    stores and system calls, as this is done in signal handlers, where no lock may be taken.
    """

    def __init__(self) -> None:
        self._at = math.inf
        self._main = threading.get_ident()
        threading.Thread(target=self._run, name="last resort", daemon=True).start()

    def arm(self, seconds: float) -> None:
        """The process ends in `seconds` and the grace, at the latest; the earliest of several times counts."""
        at = time.monotonic() + seconds + GRACE_SECONDS
        if at < self._at:
            self._at = at
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS + KERNEL_SECONDS)

    def _run(self) -> None:
        while time.monotonic() < self._at:
            time.sleep(LOOK_SECONDS)
        where = places_of(sys._current_frames().get(self._main))  # noqa: SLF001 - as the watchdog does
        try:
            get_logger("headgate").critical("the process did not end in time, and is ended now", where=where)
        finally:
            os._exit(STUCK)
