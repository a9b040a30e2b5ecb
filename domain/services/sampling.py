"""Which threads are looked at closely: a hash of the id decides, the same in every stage, replica, process and run."""

from collections import OrderedDict
from hashlib import blake2b

REMEMBERED = 4096
"""Decisions and forced ids that are kept; an older decision is made again, an older forced id lapses."""
_SPACE = 2**64


def is_sampled(thread_id: str, rate: float) -> bool:
    """Whether the id falls into the first `rate` (0 to 1) of the hash's range (BLAKE2b, 8 bytes)."""
    digest = blake2b(thread_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < rate * _SPACE


class Sampler:
    """Remembers recent decisions, since one request asks many times. Safe under threads: each step is one dict call."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._decided: dict[str, bool] = {}
        self._forced: OrderedDict[str, None] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        """Ids that are remembered: at most 2 x REMEMBERED."""
        return len(self._decided) + len(self._forced)

    def force(self, thread_id: str) -> None:
        """This one is sampled, whatever its hash says, until REMEMBERED others have been forced. In this process."""
        self._forced.pop(thread_id, None)
        self._forced[thread_id] = None
        if len(self._forced) > REMEMBERED:
            lapsed, _ = self._forced.popitem(last=False)
            self._decided.pop(lapsed, None)
        self._make_room()
        self._decided[thread_id] = True

    def forget(self, thread_id: str) -> None:
        """Its hash decides again."""
        self._forced.pop(thread_id, None)
        self._decided.pop(thread_id, None)

    def decide(self, thread_id: str) -> bool:
        """The decision for this id."""
        decision = self._decided.get(thread_id)
        if decision is None:
            self._make_room()
            decision = thread_id in self._forced or is_sampled(thread_id, self._rate)
            # Not over what another OS thread has forced meanwhile.
            decision = self._decided.setdefault(thread_id, decision)
        return decision

    def _make_room(self) -> None:
        # All at once: cheaper than an order of use on each look-up, and a decision is made again in a microsecond.
        if len(self._decided) >= REMEMBERED:
            self._decided.clear()
