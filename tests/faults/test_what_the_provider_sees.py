"""Failures as the provider sees them: how often it is asked, when it is hung up on, and what its breaker is told."""

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.behaviours import BEHAVIOURS
from tests.faults.harness import Bench, bench

AT_ONCE = 1.0
"""Seconds; an answer of sixty tokens is there in hundredths of one, but for a machine that has other things to do."""


@pytest.mark.parametrize(
    ("fault", "earliest", "latest"),
    [
        ("stall-20", 0.5, 2.0),  # the idle timeout is 0.6
        ("broken-json", 0.0, AT_ONCE),  # which goes on sending
        ("error-midway", 0.0, AT_ONCE),  # which waits for a hang-up
        ("cut-40", None, None),  # these two end by themselves
        ("no-finish", None, None),
    ],
)
async def test_an_answer_that_broke_off_is_hung_up_on_r6(
    upstream: str, tmp_path: Path, fault: str, earliest: float | None, latest: float | None
) -> None:
    """Fault 32, fault 33: at once, or when it has been silent for long enough; a rescue does not keep it open."""
    first, second = f"seen--{fault}", f"seen-by-{fault}--ok-slow"
    async with bench(upstream, tmp_path, first, second) as one:
        assert (await one.ask()).whole
        assert await one.calls(first, second) == [1, 1]
        waited = await one.hangups(first, 0 if latest is None else 1)
        assert all((earliest or 0.0) <= seconds < (latest or 0.0) for seconds in waited)
        await one.hangups(second, 0)


@pytest.mark.parametrize("fault", ["html", "redirect", "wrong-type", "gzip", "gzip-bomb", "huge-line"])
async def test_garbage_is_hung_up_on_early_on_each_attempt(upstream: str, tmp_path: Path, fault: str) -> None:
    """Fault 34. What it could send has room in the buffers of two sockets, and that is not 300 MiB."""
    model = f"early--{fault}"
    endless = fault in {"gzip-bomb", "huge-line"}
    async with bench(upstream, tmp_path, model, STREAM_FIRST_EVENT_TIMEOUT_LAST="20") as one:
        got = await one.ask()
        assert (got.status, got.error and got.error["code"]) == (502, "provider_bad_response")
        assert await one.calls(model) == [3]
        if endless:
            assert all(seconds < AT_ONCE for seconds in await one.hangups(model, 3))
        saw = await one.saw(model)
        assert (saw["open"], len(saw["sent"])) == (0, 3)
        assert all(sent < 24 << 20 for sent in saw["sent"])


@pytest.mark.parametrize(
    ("fault", "status", "code", "attempts", "pause"),
    [
        ("429", 429, "provider_rate_limited", 3, 1.0),
        ("503", 502, "provider_unavailable", 3, 2.0),
        ("404", 404, "model_not_found", 1, 0.0),
    ],
)
async def test_alone_it_is_asked_no_sooner_than_it_said_r1(
    upstream: str, tmp_path: Path, fault: str, status: int, code: str, attempts: int, pause: float
) -> None:
    """Fault 35."""
    model = f"said--{fault}"
    async with bench(upstream, tmp_path, model) as one:
        got = await one.ask()
        assert (got.status, got.error and got.error["code"], got.done) == (status, code, False)
        saw = await one.saw(model)
        assert (saw["requests"], saw["open"], saw["hangups"]) == (attempts, 0, [])
        assert all(later - earlier >= 0.95 * pause for earlier, later in pairwise(saw["times"]))
        if fault == "429":
            assert int(got.headers["retry-after"]) >= 1


@pytest.mark.parametrize("fault", ["503", "429"])
async def test_the_answer_of_the_other_does_not_wait_for_a_pause_that_is_too_long_r1(
    upstream: str, tmp_path: Path, fault: str
) -> None:
    """Fault 35."""
    first, second = f"hurry--{fault}", f"hurry-{fault}--ok"
    async with bench(upstream, tmp_path, first, second, RETRY_MAX_DELAY="0.5") as one:
        began = time.monotonic()
        assert (await one.ask()).whole
        assert time.monotonic() - began < AT_ONCE
        assert await one.calls(first, second) == [1, 1]


@pytest.mark.parametrize("fault", ["silent", "late", "stall-20", "no-finish", "cut-40", "broken-json", "html"])
async def test_its_breaker_is_told_and_it_is_left_alone_b5(upstream: str, tmp_path: Path, fault: str) -> None:
    """Fault 31, fault 32, fault 33: a silent one counts as well."""
    first, second = f"told--{fault}", f"told-{fault}--ok"
    environ = {"CB_FAILURE_THRESHOLD": "1", "CACHE_ENABLED": "false"}
    async with bench(upstream, tmp_path, first, second, **environ) as one:
        assert (await one.ask()).whole
        assert (await one.ask()).whole
        assert await one.calls(first, second) == [1, 2]


async def test_with_all_shut_out_the_error_is_there_at_once(upstream: str, tmp_path: Path) -> None:
    """Fault 36: 503 within 50 ms, the best of ten on a machine that has other things to do."""
    model = "shut--503-bare"
    async with bench(upstream, tmp_path, model, CB_FAILURE_THRESHOLD="1", RETRY_MAX_ATTEMPTS="1") as one:
        await one.ask()
        assert min([await _seconds(one) for _ in range(10)]) < 0.05
        assert await one.calls(model) == [1]


async def _seconds(one: Bench) -> float:
    began = time.monotonic()
    got = await one.ask()
    assert (got.status, int(got.headers["retry-after"]) >= 1) == (503, True)
    return time.monotonic() - began


def test_each_fault_of_the_page_is_played_and_tested() -> None:
    root = Path(__file__).parents[2]
    table = (root / "docs" / "failures.md").read_text().partition("## Fault by fault")[2]
    first_column = "".join(line.split(" | ")[0] for line in table.splitlines() if line.startswith("| "))
    named = set(re.findall(r"`([a-z0-9-]+)`", "".join(re.findall(r"\(([^)]*)\)", first_column))))
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert named <= set(BEHAVIOURS)
    assert {name for name in named if not re.search(rf'["-]{name}"', tests)} == set()
