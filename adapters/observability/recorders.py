"""Several recorders as one."""

from collections.abc import Iterable

from domain.model import RequestRecord
from ports.defects import LOGGED_DEFECTS, Defects, Wall, Where
from ports.recorder import Recorder


class FanOutRecorder(Recorder):
    """Gives each record to all of `recorders`, in their order. One that fails keeps it from no other."""

    def __init__(self, recorders: Iterable[Recorder], defects: Defects = LOGGED_DEFECTS) -> None:
        self._recorders = tuple(recorders)
        self._wall = Wall(defects, Where.RECORDER)

    def __str__(self) -> str:
        return ", ".join(type(recorder).__name__ for recorder in self._recorders)

    def record(self, record: RequestRecord) -> None:
        """To each."""
        for recorder in self._recorders:
            with self._wall:
                recorder.record(record)
