"""A provider that is good at four calls at once and is asked eighty: what waits here does not time out there."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.harness import Got, bench

CALLS = 80


@pytest.mark.parametrize(("adaptive", "wins"), [("true", True), ("false", False)])
async def test_a_slow_provider_queues_rather_than_times_out(
    upstream: str, tmp_path: Path, adaptive: str, wins: bool
) -> None:
    """Eighty calls are four seconds of its work; a first event may take two."""
    model = f"{adaptive}--narrow"
    environ = {
        "STREAM_ADAPTIVE_CONCURRENCY": adaptive,
        "STREAM_FIRST_EVENT_TIMEOUT_LAST": "2",
        "STREAM_MAX_CONCURRENT_PER_CALLER": "1000",
        "RETRY_MAX_ATTEMPTS": "1",
        "CB_FAILURE_THRESHOLD": "1000",
    }
    async with bench(upstream, tmp_path, model, **environ) as one:
        answers: list[Got] = await asyncio.gather(
            *(one.ask(messages=[{"role": "user", "content": str(number)}]) for number in range(CALLS))
        )
        outcomes = Counter("whole" if got.whole else str((got.error or {}).get("code")) for got in answers)
        if wins:
            assert outcomes == {"whole": CALLS}
            assert await one.calls(model) == [CALLS]
        else:
            assert outcomes["provider_timeout"] > CALLS / 4
