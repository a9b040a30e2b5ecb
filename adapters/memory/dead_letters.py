"""The dead letters in memory."""

from collections.abc import Sequence

from domain.jobs import DeadLetter
from ports.dead_letters import DeadLetters


class MemoryDeadLetters(DeadLetters):
    """At most `max_letters`."""

    def __init__(self, max_letters: int = 1_000) -> None:
        self._max_letters = max_letters
        self._letters: dict[str, DeadLetter] = {}

    async def bury(self, letter: DeadLetter) -> None:
        """The oldest makes room."""
        self._letters[letter.job.stream_id] = letter
        while len(self._letters) > self._max_letters:
            del self._letters[next(iter(self._letters))]

    async def list(self) -> Sequence[DeadLetter]:
        """In the order in which they came."""
        return list(self._letters.values())

    async def find(self, stream_id: str) -> DeadLetter | None:
        """Of this process."""
        return self._letters.get(stream_id)

    async def exhume(self, stream_id: str) -> DeadLetter | None:
        """Of this process."""
        return self._letters.pop(stream_id, None)
