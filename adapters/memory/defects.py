"""The defects in memory: for tests, and for a look at what went wrong."""

from ports.defects import Defects, Where

MAX_KEPT = 1_000


class MemoryDefects(Defects):
    """Keeps the first MAX_KEPT that were `reported`, and the parts that have `failed`, in order."""

    def __init__(self) -> None:
        self.reported: list[tuple[Where, BaseException]] = []
        self.failed: list[tuple[Where, BaseException]] = []

    @property
    def broken(self) -> str | None:
        """The first part that has failed."""
        return str(self.failed[0][0]) if self.failed else None

    def report(self, where: Where, error: BaseException) -> None:
        """Keeps it, if there is room."""
        if len(self.reported) < MAX_KEPT:
            self.reported.append((where, error))

    def fail(self, part: Where, error: BaseException) -> None:
        """Keeps it, if there is room."""
        if len(self.failed) < MAX_KEPT:
            self.failed.append((part, error))

    @property
    def places(self) -> list[Where]:
        """Where the reported ones were, in order."""
        return [where for where, _ in self.reported]
