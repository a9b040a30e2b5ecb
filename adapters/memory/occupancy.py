"""How full the adapters in memory are, for gauges: looks, and changes nothing."""

# ruff: noqa: SLF001 - the fields are those of this package's own classes
from collections.abc import Callable, Mapping

from adapters.memory.breaker_board import MemoryBreakerBoard
from adapters.memory.cache import MemoryCache
from adapters.memory.limiter import MemoryLimiter
from adapters.memory.queue import MemoryMessageQueue
from adapters.memory.slots import MemorySlots
from adapters.memory.stream_log import MemoryStreamLog


def occupancy(*adapters: object) -> Mapping[str, Callable[[], float]]:
    """What can be read of each of the adapters, under the name of its gauge; nothing of those of other packages.

    Each reading is a length or a number: it may be taken from any thread, and costs less than 1 us.
    """
    readings: dict[str, Callable[[], float]] = {}
    for adapter in adapters:
        readings |= _readings(adapter)
    return readings


def _readings(adapter: object) -> Mapping[str, Callable[[], float]]:
    match adapter:
        case MemorySlots():
            return {"headgate_slots_in_use": adapter.__len__}
        case MemoryMessageQueue():
            return {"headgate_queue_depth": adapter._messages.__len__}
        case MemoryStreamLog():
            return {
                "headgate_stream_log_streams": adapter._streams.__len__,
                "headgate_stream_log_bytes": lambda: adapter._bytes,
            }
        case MemoryCache():
            return {
                "headgate_cache_entries": adapter._entries.__len__,
                "headgate_cache_bytes": lambda: adapter._bytes,
            }
        case MemoryLimiter():
            return {"headgate_limiter_callers": adapter._tats.__len__}
        case MemoryBreakerBoard():
            return {"headgate_open_breakers": adapter._states.__len__}
        case _:
            return {}
