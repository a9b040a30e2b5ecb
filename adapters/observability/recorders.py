"""Several recorders as one."""

from collections.abc import Iterable

from domain.model import RequestRecord
from ports.recorder import Recorder


class FanOutRecorder(Recorder):
    """Gives each record to all of `recorders`, in their order."""

    def __init__(self, recorders: Iterable[Recorder]) -> None:
        self._recorders = tuple(recorders)

    def __str__(self) -> str:
        return ", ".join(type(recorder).__name__ for recorder in self._recorders)

    def record(self, record: RequestRecord) -> None:
        """To each."""
        for recorder in self._recorders:
            recorder.record(record)
