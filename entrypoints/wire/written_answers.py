"""The bytes of cached answers, cut where they name their stream: a hit writes what the one before it wrote."""

from collections import OrderedDict

from domain.events import Answer


class WrittenAnswers:
    """Those that were replayed last, `max_bytes` of them in all."""

    def __init__(self, max_bytes: int = 8 << 20) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        # By identity, which is safe while the answer itself is held here.
        self._written: OrderedDict[tuple[int, bool], tuple[Answer, list[bytes]]] = OrderedDict()

    def get(self, answer: Answer, *, include_usage: bool) -> list[bytes] | None:
        """Its pieces, between which the epoch goes."""
        key = id(answer), include_usage
        found = self._written.get(key)
        if found is None:
            return None
        self._written.move_to_end(key)
        return found[1]

    def put(self, answer: Answer, pieces: list[bytes], *, include_usage: bool) -> None:
        """Remembers them, and forgets those that were not asked for longest."""
        key = id(answer), include_usage
        self._written[key] = answer, pieces
        self._bytes += sum(map(len, pieces))
        while self._bytes > self._max_bytes:
            _, (_, old) = self._written.popitem(last=False)
            self._bytes -= sum(map(len, old))
