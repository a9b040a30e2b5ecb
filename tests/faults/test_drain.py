"""A process that is told to go while 500 streams are open (faults 28 and 29)."""

import asyncio
import json
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.event_source import EventSourceClient
from tests.fleet.http_client import ask, call
from tests.service import process, until

HALF = 250
DRAIN_SECONDS = 6.0
EXIT_SECONDS = 1.0
"""How long after the drain time, or after a second signal, the process may still be there."""
BUSY_SECONDS = 2.0
"""What a busy machine may add: this test makes it busy itself."""
ENVIRON = {
    "STREAM_DRAIN_TIMEOUT": str(DRAIN_SECONDS),
    "STREAM_MAX_CONCURRENT_PER_CALLER": "10000",
    "STREAM_IDLE_TIMEOUT": "60",
    "RATE_LIMIT_ENABLED": "false",
    "LOG_LEVEL": "warning",
}


class Reader:
    """One client with its stream."""

    def __init__(self, url: str, model: str, prompt: str) -> None:
        self.opened = False
        self._asked = url, "POST", "/v1/streams", {"model": f"demo/{model}", "prompt": prompt}

    async def end(self) -> str:
        """How its stream ends. Raises if the connection is cut."""
        async with ask(*self._asked) as answer:
            self.opened = answer.status == 200
            client = EventSourceClient()
            client.read(await answer.whole())
        assert client.events[-1].id == client.last_event_id
        if client.retry is not None:
            assert 1000 <= client.retry <= 3000
            assert {event.event for event in client.events} == {"delta"}
            return "told to come back"
        return client.events[-1].event


@pytest.mark.parametrize("signals", [1, 2])
async def test_500_open_streams_end_or_are_told_to_come_back_s12(signals: int, tmp_path: Path) -> None:
    """Fault 28: the first signal refuses new work at once, and drains. Fault 29: the second ends that, in good order.

    Half of the streams would end within the drain time, half never.
    """
    with (tmp_path / "log").open("w") as log, process(ENVIRON, log) as (service, url):
        readers = [Reader(url, "stall", f"{number}") for number in range(HALF)]
        ends = [asyncio.create_task(reader.end()) for reader in readers]
        await until(lambda: all(reader.opened for reader in readers), 30)
        readers = [Reader(url, "demo", "shared") for _ in range(HALF)]
        ends += [asyncio.create_task(reader.end()) for reader in readers]
        await until(lambda: all(reader.opened for reader in readers), 30)

        service.send_signal(signal.SIGTERM)
        told = time.monotonic()
        while (await call(url, "GET", "/readyz"))[0].status != 503:
            assert time.monotonic() < told + 1
        refused, body = await call(url, "POST", "/v1/streams", {"prompt": "late"})
        assert (refused.status, json.loads(body)["code"]) == (503, "server_draining")
        assert "retry-after" in refused.headers
        if signals == 2:
            service.send_signal(signal.SIGINT)
            told = time.monotonic()
        seen = Counter(await asyncio.gather(*ends))
        assert await asyncio.to_thread(service.wait, 20) == 0
        took = time.monotonic() - told
    if signals == 1:
        assert seen == {"complete": HALF, "told to come back": HALF}
        assert DRAIN_SECONDS - 0.2 <= took <= DRAIN_SECONDS + EXIT_SECONDS + BUSY_SECONDS
    else:
        assert sum(seen.values()) == 2 * HALF
        assert seen["told to come back"] >= HALF
        assert set(seen) <= {"complete", "told to come back"}
        assert took <= EXIT_SECONDS + BUSY_SECONDS
    assert "Traceback" not in (tmp_path / "log").read_text()
