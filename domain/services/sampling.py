"""Which threads are looked at closely: by a hash of the id, the same in every stage, replica, process and run."""

from collections import OrderedDict
from hashlib import blake2b

REMEMBERED = 4096
"""Decisions and forced ids that are kept; an older one is made again, or lapses."""
_SPACE = 2**64


def is_sampled(thread_id: str, rate: float) -> bool:
    """Whether the id falls into the first `rate` (0 to 1) of the hash's range."""
    digest = blake2b(thread_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < rate * _SPACE


class Sampler:
    """Remembers recent decisions, since one request asks many times. Safe under threads: each step is one dict call."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._decided: dict[str, bool] = {}
        self._forced: OrderedDict[str, None] = OrderedDict()

    def force(self, thread_id: str) -> None:
        """This one is sampled, whatever its hash says."""
        self._forced[thread_id] = None
        self._decided[thread_id] = True
        while len(self._forced) > REMEMBERED:
            self._forced.popitem(last=False)

    def decide(self, thread_id: str) -> bool:
        """The decision for this id."""
        decision = self._decided.get(thread_id)
        if decision is None:
            if len(self._decided) >= REMEMBERED:
                self._decided.clear()
            decision = thread_id in self._forced or is_sampled(thread_id, self._rate)
            self._decided[thread_id] = decision
        return decision
