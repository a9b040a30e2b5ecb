"""What fails before the first event: retries, the next target, or one clear error (R1-R4, FAULTS 30, 31, 34, 35)."""

import asyncio
import socket
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.harness import bench


@pytest.mark.parametrize(
    ("fault", "attempts", "code"),
    [
        ("429-once", 2, "provider_rate_limited"),
        ("429-bare-once", 2, "provider_rate_limited"),
        ("500-once", 2, "provider_unavailable"),
        ("429", 3, "provider_rate_limited"),
        ("429-bare", 3, "provider_rate_limited"),
        ("429-date", 3, "provider_rate_limited"),
        ("429-bad-date", 3, "provider_rate_limited"),
        ("429-long", 1, "provider_rate_limited"),
        ("503-bare", 3, "provider_unavailable"),
        ("reset", 1, "provider_connection_error"),
        ("silent", 1, "provider_timeout"),
        ("late", 1, "provider_timeout"),
        ("401", 1, "provider_authentication"),
        ("404", 1, "provider_model_not_found"),
        ("html", 3, "provider_bad_response"),
        ("redirect", 3, "provider_bad_response"),
        ("wrong-type", 3, "provider_bad_response"),
        ("gzip", 3, "provider_bad_response"),
        ("huge-line", 3, "provider_bad_response"),
    ],
)
async def test_the_client_gets_the_whole_answer_all_the_same_r1(
    upstream: str, tmp_path: Path, fault: str, attempts: int, code: str
) -> None:
    """Fault 30, fault 31, fault 34, fault 35; each try is in the one record."""
    first, second = f"over--{fault}", f"over-{fault}--ok"
    async with bench(upstream, tmp_path, first, second) as one:
        got = await one.ask()
        assert got.whole
        heals = fault.endswith("once")
        assert await one.calls(first, second) == [attempts, 0 if heals else 1]
        saw = await one.saw(first)
        assert saw["open"] == 0
        if fault in {"silent", "late"}:
            assert 0.5 <= saw["hangups"][0] < 2.0
        if fault in {"429-once", "429", "429-date"}:
            assert all(later - earlier >= 0.95 for earlier, later in pairwise(saw["times"]))
        record = one.service.recorder.find(got.headers["x-thread-id"])
        assert record is not None
        assert (record.attempts, record.target) == (attempts + (not heals), f"openai/{first if heals else second}")
        assert record.failures == ((f"openai/{first}", code),) * (attempts - heals)


REFUSED = 0.05
"""Seconds for a refusal, as fault 36 has it; of the middle one of some, since a busy machine holds up single ones."""
AT_ONCE = 0.5
"""Seconds for a whole answer of the next target. Fault 30 has 0.1 s for the failover alone; machines of CI are slow."""


@pytest.mark.parametrize("fault", ["reset", "reset-once"])
async def test_a_reset_leads_to_the_next_target_at_once_r1(upstream: str, tmp_path: Path, fault: str) -> None:
    """Fault 30: whatever the pauses between tries are."""
    first, second = f"at-once--{fault}", f"at-once-{fault}--ok"
    async with bench(upstream, tmp_path, first, second, RETRY_BASE_DELAY="20", RETRY_MAX_DELAY="20") as one:
        began = time.monotonic()
        assert (await one.ask()).whole
        assert time.monotonic() - began < AT_ONCE
        assert await one.calls(first, second) == [1, 1]
        (asked,), (answered,) = (await one.saw(first))["times"], (await one.saw(second))["times"]
        assert answered - asked < AT_ONCE


async def test_a_target_that_refuses_connections_leads_to_the_next_at_once_r1(upstream: str, tmp_path: Path) -> None:
    """Fault 30."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gone = {"DEEPSEEK_BASE_URL": f"http://127.0.0.1:{port}/v1", "DEEPSEEK_API_KEY": "sk-gone"}
    async with bench(
        upstream, tmp_path, "deepseek/gone", "refused--ok", **gone, RETRY_BASE_DELAY="20", RETRY_MAX_DELAY="20"
    ) as one:
        assert (await one.ask(model="openai/refused--ok")).whole
        began = time.monotonic()
        got = await one.ask()
        assert got.whole
        assert time.monotonic() - began < AT_ONCE
        record = one.service.recorder.find(got.headers["x-thread-id"])
        assert record is not None
        assert record.failures == (("deepseek/gone", "provider_connection_error"),)
        assert (record.attempts, record.target) == (2, "openai/refused--ok")


async def test_a_reset_is_tried_again_where_nobody_else_is_left_r1(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "lonely--reset-once") as one:
        assert (await one.ask()).whole
        assert await one.calls("lonely--reset-once") == [2]


@pytest.mark.parametrize("mistake", ["401", "404"])
async def test_an_operators_mistake_does_not_hide_an_outage_r1(upstream: str, tmp_path: Path, mistake: str) -> None:
    first, second = f"hidden-{mistake}--503-bare", f"hidden--{mistake}"
    async with bench(upstream, tmp_path, first, second) as one:
        got = await one.ask()
        assert (got.status, got.error and got.error["code"]) == (502, "provider_unavailable")
        assert await one.calls(first, second) == [3, 1]


@pytest.mark.parametrize(
    ("fault", "status", "code", "attempts"),
    [
        ("429-bare", 429, "provider_rate_limited", 3),
        ("429-bad-date", 429, "provider_rate_limited", 3),
        ("429-long", 429, "provider_rate_limited", 1),
        ("503-bare", 502, "provider_unavailable", 3),
        ("reset", 502, "provider_connection_error", 3),
        ("silent", 504, "provider_timeout", 1),
        ("late", 504, "provider_timeout", 1),
        ("html", 502, "provider_bad_response", 3),
        ("redirect", 502, "provider_bad_response", 3),
        ("wrong-type", 502, "provider_bad_response", 3),
        ("gzip", 502, "provider_bad_response", 3),
        ("huge-line", 502, "provider_bad_response", 3),
        ("400", 400, "context_length_exceeded", 1),
        ("refused", 400, "content_filter", 1),
        ("401", 502, "provider_authentication", 1),
    ],
)
async def test_without_another_target_there_is_one_clear_error_r1(
    upstream: str, tmp_path: Path, fault: str, status: int, code: str, attempts: int
) -> None:
    """Fault 31, fault 34, fault 35."""
    model = f"alone--{fault}"
    async with bench(upstream, tmp_path, model) as one:
        got = await one.ask()
        assert (got.status, got.error and got.error["code"]) == (status, code)
        assert await one.calls(model) == [attempts]
        if fault == "429-long":
            assert got.headers["retry-after"] == "30"


async def test_a_refusal_of_the_content_goes_to_nobody_else_r1(upstream: str, tmp_path: Path) -> None:
    first, second = "content--refused", "content--ok"
    async with bench(upstream, tmp_path, first, second) as one:
        got = await one.ask()
        assert (got.status, got.error and got.error["code"]) == (400, "content_filter")
        assert await one.calls(first, second) == [1, 0]


@pytest.mark.parametrize(
    ("fault", "alone", "code", "told"),
    [("429-stall", 429, "provider_rate_limited", True), ("400-stall", 400, "provider_rejected_request", False)],
)
async def test_an_error_whose_body_never_ends_is_what_its_head_says_b5(
    upstream: str, tmp_path: Path, fault: str, alone: int, code: str, told: bool
) -> None:
    """R1: and no silence; its breaker is told of what counts."""
    model = f"alone--{fault}"
    environ = {"STREAM_FIRST_EVENT_TIMEOUT_LAST": "10", "CB_FAILURE_THRESHOLD": "1"}
    async with bench(upstream, tmp_path, model, **environ) as one:
        got = await one.ask()
        assert (got.status, got.error and got.error["code"]) == (alone, code)
        assert got.headers.get("retry-after") == ("30" if fault == "429-stall" else None)
        assert all(0.9 <= seconds < 3.0 for seconds in await one.hangups(model, 1))
        assert (one.service.container.breaker_board().state(f"openai/{model}") is not None) is told


@pytest.mark.parametrize(("unknown", "calls"), [("unknown-c--ok", [1, 0, 1, 0]), ("unknown-c--400", [1, 0, 1, 1])])
async def test_a_prompt_that_is_too_long_goes_to_the_next_that_is_not_known_to_be_smaller_r1(
    upstream: str, tmp_path: Path, unknown: str, calls: list[int]
) -> None:
    targets = [f"gpt-4o-{len(unknown)}--400", f"gpt-4-{unknown}--ok", unknown, f"gpt-4.1-{len(unknown)}--ok"]
    async with bench(upstream, tmp_path, *targets) as one:
        assert (await one.ask()).whole
        assert await one.calls(*targets) == calls


async def test_the_deadline_is_one_over_all_attempts_r1(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "deadline--429", "deadline--ok", STREAM_TOTAL_TIMEOUT="0.9") as one:
        assert (await one.ask()).whole  # a Retry-After of 1 s would outlast it: nothing is waited for
        assert await one.calls("deadline--429", "deadline--ok") == [1, 1]


async def test_when_all_are_down_and_shut_out_the_answer_is_503_at_once(upstream: str, tmp_path: Path) -> None:
    """Fault 36."""
    async with bench(upstream, tmp_path, "down--503-bare", "down--reset", CB_FAILURE_THRESHOLD="3") as one:
        codes = [(await one.ask()).status for _ in range(8)]
        got = await one.ask()
        assert codes[-1] == got.status == 503
        assert got.error is not None
        assert got.error["code"] == "circuit_open"
        assert int(got.headers["retry-after"]) >= 1
        before = await one.calls("down--503-bare", "down--reset")
        waits = []
        for _ in range(10):
            began = time.monotonic()
            assert (await one.ask()).status == 503
            waits.append(time.monotonic() - began)
        assert sorted(waits)[5] <= REFUSED, waits
        assert await one.calls("down--503-bare", "down--reset") == before


async def test_a_flapping_primary_is_not_seen_by_clients_and_not_hammered_r3(upstream: str, tmp_path: Path) -> None:
    """Fault 35."""
    async with bench(upstream, tmp_path, "flaps--flapping", "flaps--ok", CB_FAILURE_THRESHOLD="5") as one:
        answers = []
        for start in range(0, 100, 5):
            answers += await asyncio.gather(*(one.ask(seed=number) for number in range(start, start + 5)))
        assert all(answer.whole for answer in answers)
        primary, fallback = await one.calls("flaps--flapping", "flaps--ok")
        assert primary + fallback <= 100 * 1.2


async def test_an_outage_costs_little_and_the_primary_is_back_within_a_cooldown_r3(
    upstream: str, tmp_path: Path
) -> None:
    """Fault 35: five failures open the breaker, three probes fail, the fourth closes it."""
    primary, fallback = "outage--heals", "outage--ok"
    async with bench(upstream, tmp_path, primary, fallback, CB_FAILURE_THRESHOLD="5", CB_RECOVERY_TIMEOUT="0.1") as one:
        count = 0
        async with asyncio.timeout(20):
            while count < 100 or (await one.saw(primary))["requests"] <= 9:
                assert (await one.ask(seed=count)).whole
                count += 1
        got = await one.ask(seed=count)
        record = one.service.recorder.find(got.headers["x-thread-id"])
        assert record is not None
        assert (record.target, record.attempts) == (f"openai/{primary}", 1)
        assert sum(await one.calls(primary, fallback)) <= (count + 1) * 1.1


async def test_two_that_are_silent_take_no_longer_together_than_all_may_r1_r2(upstream: str, tmp_path: Path) -> None:
    """The second is hung up on when the time of all attempts is over, and its own is not."""
    first, second = "total--silent", "total-too--silent"
    async with bench(upstream, tmp_path, first, second, STREAM_TOTAL_TIMEOUT="0.9") as one:
        began = time.monotonic()
        got = await one.ask()
        assert (got.status, got.error and got.error["code"]) == (504, "provider_timeout")
        assert 0.85 <= time.monotonic() - began < 2.0
        (waited,), (rest,) = await one.hangups(first, 1), await one.hangups(second, 1)
        assert 0.55 <= waited < 0.9
        assert rest < 0.5
        assert await one.calls(first, second) == [1, 1]
