"""What the contract suites ask of an adapter's row: a function that opens a fresh one, and a way to move its time."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, NamedTuple, Protocol, TypeVar

from domain.model import Tier
from ports.breaker_board import BreakerBoard
from ports.cache import Cache
from ports.clock import Clock
from ports.limiter import Limiter
from ports.queue import MessageQueue
from ports.recorder import Recorder
from ports.slots import Slots
from ports.stream_log import StreamLog

Adapter = TypeVar("Adapter")


class Case(NamedTuple, Generic[Adapter]):
    """A fresh adapter, and `advance`, which lets that many seconds pass for it."""

    adapter: Adapter
    advance: Callable[[float], Awaitable[None]]


Opened = AbstractAsyncContextManager[Case[Adapter]]
OpenClock = Callable[[], Opened[Clock]]
OpenBreakerBoard = Callable[[], Opened[BreakerBoard]]
OpenRecorder = Callable[[], Opened[Recorder]]


class OpenCache(Protocol):
    def __call__(
        self, *, max_bytes: int = 1_000_000, max_entries: int = 1_000, max_entry_bytes: int = 1_000_000
    ) -> Opened[Cache]: ...


class OpenStreamLog(Protocol):
    def __call__(self, *, retention: float = 600.0, max_stream_bytes: int = 16_000_000) -> Opened[StreamLog]: ...


class OpenLimiter(Protocol):
    def __call__(self, tiers: dict[str, Tier]) -> Opened[Limiter]: ...


class OpenSlots(Protocol):
    def __call__(self, *, total: int, per_tier: dict[str, int]) -> Opened[Slots]: ...


class OpenQueue(Protocol):
    def __call__(self, *, max_depth: int = 1_000, max_per_tenant: int = 1_000) -> Opened[MessageQueue]: ...
