"""The signals of a process: those that end it, the one that may reload it one day, and those that do nothing."""

import signal
from types import FrameType

from adapters.observability.logging import get_logger

STOPPING = (signal.SIGTERM, signal.SIGINT)
NOT_DEADLY = frozenset(
    {
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGVTALRM,
        signal.SIGPROF,
        signal.SIGIO,
        signal.SIGPWR,
        signal.SIGSTKFLT,
        *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
    }
)
"""What would kill by default, and means nothing here: a stream must not be cut by a signal that was meant for another
program. Left as they are: SIGQUIT, by which a person asks for the end and a core, and those that tell of a fault."""


class Hangup:
    """Has SIGHUP come? It is noted in the signal's handler, where nothing may be logged, and logged once by `look`."""

    def __init__(self) -> None:
        self.come = False
        self._logged = False

    def handle(self, _signal: int = signal.SIGHUP, _frame: FrameType | None = None) -> None:
        """The handler."""
        self.come = True

    def look(self) -> None:
        """Logs it, if it has come for the first time."""
        if self.come and not self._logged:
            self._logged = True
            get_logger("headgate").warning("SIGHUP: nothing to reload yet")


def survive() -> Hangup:
    """From now on this process dies of no signal that does not mean it (G8)."""
    hangup = Hangup()
    signal.signal(signal.SIGHUP, hangup.handle)
    for number in NOT_DEADLY:
        signal.signal(number, signal.SIG_IGN)
    return hangup
