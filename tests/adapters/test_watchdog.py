"""The watchdog says who holds the event loop up, once, and when that is over (fault 42). Its looks are made by hand."""

import asyncio
import threading

import pytest

from adapters.observability.watchdog import BLOCKED_LOOKS, CALM_LOOKS, FRAMES, LoopWatchdog
from tests.adapters.test_logging import as_it_was, configured, lines

pytestmark = pytest.mark.usefixtures(as_it_was.__name__)
NEVER = 3_600.0


def looks(watchdog: LoopWatchdog, count: int) -> None:
    """In a thread, as the watchdog's own; the loop stands still meanwhile."""

    def look() -> None:
        for _ in range(count):
            watchdog.look()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()


async def a_calm_look(watchdog: LoopWatchdog) -> None:
    watchdog.look()
    await asyncio.sleep(0)


async def test_a_block_is_told_once_with_the_task_and_its_place() -> None:
    log = configured()

    async def culprit(watchdog: LoopWatchdog, secret: str) -> None:
        looks(watchdog, BLOCKED_LOOKS)  # the first asks for a beat
        seen = [watchdog.blocked]
        looks(watchdog, 3)
        assert [*seen, watchdog.blocked] == [False, True]
        assert secret

    with LoopWatchdog(NEVER) as watchdog:
        blocks = watchdog.occupancy()["headgate_event_loop_blocks"]
        await asyncio.create_task(culprit(watchdog, "sk-planted"), name="import of invoices")
        assert blocks() == 1
        (line,) = lines(log)
        assert (line["event"], line["level"]) == ("the event loop is blocked", "error")
        assert line["task"] == "import of invoices"
        assert line["coroutine"].endswith(".culprit")
        assert len(line["where"]) == FRAMES
        assert any(place.startswith(f"{__name__}:") and place.endswith(" looks") for place in line["where"])
        assert "sk-planted" not in log.getvalue()

        await asyncio.sleep(0)
        for _ in range(CALM_LOOKS):
            await a_calm_look(watchdog)
            assert watchdog.blocked
        await a_calm_look(watchdog)
        assert not watchdog.blocked
        assert [line["event"] for line in lines(log)][1:] == ["the event loop goes on"]


async def test_the_console_takes_its_line_too() -> None:
    log = configured(log_format="console")
    with LoopWatchdog(NEVER) as watchdog:
        looks(watchdog, BLOCKED_LOOKS + 1)
        assert __name__ in log.getvalue()


async def test_a_callback_that_blocks_has_no_task_but_a_place() -> None:
    log = configured()
    with LoopWatchdog(NEVER) as watchdog:
        asyncio.get_running_loop().call_soon(looks, watchdog, BLOCKED_LOOKS + 1)
        await asyncio.sleep(0)
        (line,) = lines(log)
        assert (line["task"], line["coroutine"]) == (None, None)
        assert any(place.endswith(" looks") for place in line["where"])


async def test_what_is_slow_but_goes_on_is_no_block() -> None:
    log = configured()
    with LoopWatchdog(NEVER) as watchdog:
        for _ in range(5):
            looks(watchdog, BLOCKED_LOOKS)
            await asyncio.sleep(0)
        assert not watchdog.blocked
        assert not lines(log)


async def test_its_thread_looks_while_it_is_entered_and_is_gone_afterwards() -> None:
    before = threading.active_count()
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Looking(LoopWatchdog):
        def look(self) -> None:
            loop.call_soon_threadsafe(looked.set)

    with Looking(0.001):
        async with asyncio.timeout(5):
            await looked.wait()
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
