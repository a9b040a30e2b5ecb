"""How the limits stand, as headers say it: exact values, on 200 and on refusals, on both doors (L2, BAD_INPUT 33)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.memory.gcra import Gcra
from adapters.memory.limiter import MemoryLimiter
from adapters.memory.manual_clock import ManualClock
from domain.model import Quota, Tier, Verdict
from entrypoints.http.headers import limit_headers, openai_limit_headers
from tests.entrypoints.demo_service import demo
from tests.service import Running, running

OPENAI, NATIVE = "/v1/chat/completions", "/v1/streams"
HALF_A_MICROSECOND = 500
POLICY = '"requests";q=6;w=60, "tokens";q=3000;qu="tokens";w=60'


@asynccontextmanager
async def limited(requests: int = 6) -> AsyncIterator[tuple[Running, ManualClock]]:
    """6 requests and 3,000 tokens a minute on a clock that stands still."""
    clock = ManualClock()
    async with running(
        {"CACHE_ENABLED": "false"},
        llm={"demo": demo()},
        limiter=MemoryLimiter(clock, {"default": Tier(requests, 3_000, 100)}),
    ) as service:
        yield service, clock


async def ask(service: Running, path: str, answer_tokens: int, prompt: str = "abcd") -> Mapping[str, Any]:
    """The headers, and the status as `status`. One token of prompt, `answer_tokens` of answer are reserved."""
    body = {"model": "demo/endless", "messages": [{"role": "user", "content": prompt}], "max_tokens": answer_tokens}
    if path == OPENAI:
        body["stream"] = True
    async with service.client.stream("POST", path, json=body, headers={"X-Stream-Grace": "60"}) as response:
        return {"status": response.status_code, **response.headers}


@pytest.mark.parametrize("path", [OPENAI, NATIVE])
async def test_a_200_and_both_kinds_of_refusal_say_how_the_limits_stand(path: str) -> None:
    async with limited() as (service, clock):
        first = await ask(service, path, 1_499)
        assert (first["status"], first["ratelimit-policy"]) == (200, POLICY)
        assert first["ratelimit"] == '"requests";r=5;t=10, "tokens";r=1500;t=1'
        await clock.advance(4.0)
        # 200 tokens have come back: 1,700 are there, of 3,000 that take 1,300 / 50 s more.
        refused = await ask(service, path, 1_999)
        assert (refused["status"], refused["ratelimit-policy"]) == (429, POLICY)
        assert refused["retry-after"] == "6"
        assert refused["ratelimit"] == '"requests";r=5;t=6, "tokens";r=1700;t=1'
        for _ in range(5):
            assert (await ask(service, path, 99))["status"] == 200
        refused = await ask(service, path, 99)
        assert refused["status"] == 429
        assert refused["retry-after"] == "6"
        assert refused["ratelimit"] == '"requests";r=0;t=6, "tokens";r=1200;t=1'
        # Of a limit that does not refuse, a unit that comes after Retry-After is not told.
        await clock.advance(7.0)
        refused = await ask(service, path, 1_599)
        assert (refused["status"], refused["retry-after"]) == (429, "1")
        assert refused["ratelimit"] == '"requests";r=1, "tokens";r=1550;t=1'
        permanent = await ask(service, path, 3_000)
        assert (permanent["status"], "retry-after" in permanent) == (400, False)
        assert permanent["ratelimit"] == '"requests";r=1;t=9, "tokens";r=1550;t=1'


async def test_the_openai_door_says_the_same_in_openai_s_headers_33() -> None:
    async with limited() as (service, clock):
        assert x_headers(await ask(service, OPENAI, 1_499)) == ("6", "5", "10s", "3000", "1500", "30s")
        await clock.advance(29.875)
        assert x_headers(await ask(service, OPENAI, 1)) == ("6", "5", "10s", "3000", "2991", "165ms")
        for _ in range(5):
            await ask(service, OPENAI, 99)
        refused = await ask(service, OPENAI, 99)
        assert (refused["status"], refused["retry-after"]) == (429, "10")
        assert x_headers(refused) == ("6", "0", "1m0s", "3000", "2491", "11s")
        assert refused["ratelimit"] == '"requests";r=0;t=10, "tokens";r=2491;t=1'


async def test_the_native_door_has_no_headers_of_another_dialect() -> None:
    async with limited() as (service, _):
        assert not any(name.startswith("x-ratelimit") for name in await ask(service, NATIVE, 10))


@pytest.mark.parametrize("path", [OPENAI, NATIVE])
async def test_a_client_that_waits_as_told_passes_and_not_a_second_before_33(path: str) -> None:
    """Retry-After, and `t` of what refuses, agree with what the limiter does."""
    async with limited() as (service, clock):
        for _ in range(6):
            await ask(service, path, 99)
        refused = await ask(service, path, 99)
        wait = int(refused["retry-after"])
        assert f'"requests";r=0;t={wait}' in refused["ratelimit"]
        await clock.advance(wait - 1)
        assert (await ask(service, path, 99))["status"] == 429
        await clock.advance(1)
        assert (await ask(service, path, 99))["status"] == 200


async def test_a_refusal_of_which_nothing_is_known_has_no_such_headers() -> None:
    assert limit_headers(Verdict(admitted=False, retry_after=1)) == {}
    assert openai_limit_headers(Verdict(admitted=False, retry_after=1)) == {}


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.0, "0s"), (0.0004, "1ms"), (0.012, "12ms"), (0.9991, "1s"), (1.0, "1s"), (59.1, "1m0s"), (360.0, "6m0s")],
)
def test_a_reset_is_written_as_openai_does(seconds: float, written: str) -> None:
    headers = openai_limit_headers(Verdict(admitted=True, requests=Quota(6, 60, 5, seconds)))
    assert headers["x-ratelimit-reset-requests"] == written


def test_a_debt_of_hours_is_written_in_hours() -> None:
    headers = openai_limit_headers(Verdict(admitted=True, tokens=Quota(6, 60, 0, 3_600.0 + 61.0)))
    assert headers["x-ratelimit-reset-tokens"] == "1h1m1s"


@example(limit=10**12, missing=Fraction(3), elapsed=0)
@given(
    limit=st.sampled_from([1, 6, 7, 60, 97, 600, 10**12]),
    missing=st.fractions(0, 3),
    elapsed=st.integers(0, 60_000),
)
def test_t_is_the_least_whole_number_of_seconds_after_which_there_is_more(
    limit: int, missing: Fraction, elapsed: int
) -> None:
    """The draft's words: until additional quota is made available. Also in debt; not said of a full bucket. To the
    microsecond: of 10^12 a minute, some 17,000 come in each."""
    bucket, now = Gcra(limit), elapsed * 10**6
    tat = bucket.correct(0, 0, int(missing * limit))
    quota = bucket.quota(tat, now)
    state = limit_headers(Verdict(admitted=True, requests=quota))["RateLimit"]
    _, _, told = state.partition(";t=")
    if quota.remaining == limit:
        assert told == ""
        return
    then = now + HALF_A_MICROSECOND
    least = next(
        seconds for seconds in range(1, 200) if bucket.quota(tat, then + seconds * 10**9).remaining > quota.remaining
    )
    assert int(told) == least


def x_headers(headers: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        headers[f"x-ratelimit-{what}-{unit}"]
        for unit in ("requests", "tokens")
        for what in ("limit", "remaining", "reset")
    )
