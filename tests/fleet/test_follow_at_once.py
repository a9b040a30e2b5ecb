"""Readers of one stream that come while it is being looked up in Redis, at the worst moment of all."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Iterator
from typing import Any, cast

import pytest

from adapters.memory.clock import SystemClock
from adapters.redis.client import RedisClient
from adapters.redis.event_codec import encode_events
from adapters.redis.stream_log import RedisStreamLog
from adapters.redis.stream_mirror import encode_info
from domain.model import Cancelled, StreamInfo

INFO = StreamInfo("s_1", "abcd", "m", 1, "t")


class OneAnswer:
    """A client that knows one ended stream, and answers the last question about it when `answered` is set."""

    healthy = True

    def __init__(self) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def evalsha(self, *_: Any, **__: Any) -> list[Any]:
        return [encode_info(INFO), 1, 1]

    async def execute_bulk(self, *_: Any, **__: Any) -> list[Any]:
        await self.answered
        return [(b"1-0", [b"e", encode_events([Cancelled("requested")])])]


@contextlib.contextmanager
def not_longer_than(seconds: float) -> Iterator[None]:
    """An event loop that is held up cannot time out by itself."""

    def held_up(*_: object) -> None:
        pytest.fail("the event loop is held up")

    before = signal.signal(signal.SIGALRM, held_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def test_one_who_comes_as_the_look_up_ends_does_not_hold_the_process_up_s3() -> None:
    client = OneAnswer()
    log = RedisStreamLog(cast(RedisClient, client), SystemClock(), max_bytes=1 << 20)

    async def follow(when: Awaitable[None] | None = None) -> None:
        if when is not None:
            await when
        reader = await log.follow("s_1")
        assert reader is not None
        reader.close()

    with not_longer_than(5):
        first = asyncio.create_task(follow())
        for _ in range(5):
            await asyncio.sleep(0)
        second = asyncio.create_task(
            follow(client.answered)
        )  # woken in one turn of the loop with the look-up, right behind it
        await asyncio.sleep(0)
        client.answered.set_result(None)
        await asyncio.gather(first, second)
