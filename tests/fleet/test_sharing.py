"""Identical requests on any replica share one upstream call; an answer that one replica stored is a hit for all."""

import asyncio
import random

from tests.fleet.harness import Fleet
from tests.fleet.http_client import call
from tests.fleet.readers import StreamReader, blocks

REQUESTS, ATTEMPTS = 1_000, 3
BODY = {"model": "openai/ok-slow", "max_tokens": 150}


def without_ids(body: bytes) -> list[bytes]:
    """What the events say."""
    return [block.partition(b"\n")[2] for block in blocks(body)]


async def test_a_thousand_identical_requests_are_one_call_though_the_first_leaves_c1_c2_c3(
    fleet: Fleet, rng: random.Random
) -> None:
    """C1, C2, C3: 999 equal answers, whole, from one call.

    Once more where there were more calls: a replica that Redis does not answer in time goes alone (S14), and a busy
    machine may hold up Redis for as long.
    """
    for _ in range(ATTEMPTS):
        before = (await fleet.seen("ok-slow"))["requests"]
        answers = await thousand(fleet, rng)
        assert len(answers) == REQUESTS - 1
        if (await fleet.seen("ok-slow"))["requests"] - before == 1:
            break
    else:
        raise AssertionError("more than one call each time")
    # Who came after the end found the answer in the cache, as a stream of its own: then the bytes would differ.
    assert {cache for cache, _ in answers} == {"coalesced"}
    (answer,) = {answer for _, answer in answers}
    reader = StreamReader(events=answer.split(b"\n\n"))
    reader.check()
    assert b"event: complete" in reader.terminal


async def thousand(fleet: Fleet, rng: random.Random) -> list[tuple[str, bytes]]:
    """What served each of them but the first, who leaves; and its answer."""
    prompt = f"thousand {rng.random()}"

    async def ask_for_all(number: int) -> tuple[str, bytes]:
        answer, body = await call(fleet.url(number), "POST", "/v1/streams", {**BODY, "prompt": prompt})
        assert answer.status == 200, body
        return answer.headers["x-cache"], b"\n\n".join(blocks(body))

    async with fleet.start(0, prompt, max_tokens=BODY["max_tokens"]) as first:
        first_left = asyncio.create_task(StreamReader().take(first, rng.randrange(1, 6_000)))
        others = [asyncio.create_task(ask_for_all(rng.randrange(3))) for _ in range(REQUESTS - 1)]
        await first_left
    return await asyncio.gather(*others)


async def test_requests_at_one_moment_on_three_replicas_are_never_two_calls_at_once_c1(
    fleet: Fleet, rng: random.Random
) -> None:
    """C1, where an answer takes no longer than a look-up: who looked too early and claimed too late asks again."""
    for round_number in range(40):
        body = {"model": "openai/no-done", "prompt": f"moment {round_number} {rng.random()}", "max_tokens": 3}
        answers = await asyncio.gather(*(call(fleet.url(n), "POST", "/v1/streams", body) for n in range(9)))
        assert len({tuple(without_ids(data)) for _, data in answers}) == 1
    assert (await fleet.seen("no-done"))["most_open"] == 1


async def test_an_answer_that_one_replica_stored_is_a_hit_for_all_k3(fleet: Fleet, rng: random.Random) -> None:
    """K1, K3: the same events under an id and an epoch of its own."""
    body = {"model": "openai/ok", "prompt": f"stored {rng.random()}"}
    first, told = await call(fleet.url(0), "POST", "/v1/streams", body)
    assert first.headers["x-cache"] == "miss"

    for expected in ("hit-l2", "hit-l1"):
        hit, again = await call(fleet.url(1), "POST", "/v1/streams", body)
        assert hit.headers["x-cache"] == expected
        assert without_ids(again) == without_ids(told)
        assert hit.stream_id != first.stream_id


async def test_an_answer_that_was_cut_is_stored_nowhere_k1(fleet: Fleet, rng: random.Random) -> None:
    before = (await fleet.seen("no-finish"))["requests"]
    body = {"model": "openai/no-finish", "prompt": f"cut {rng.random()}"}
    for number in range(3):
        answer, told = await call(fleet.url(number), "POST", "/v1/streams", body)
        assert answer.headers["x-cache"] == "miss"
        assert b"event: error" in blocks(told)[-1]
    assert (await fleet.seen("no-finish"))["requests"] - before >= 3


async def test_errors_reach_those_who_are_there_on_any_replica_and_are_not_remembered_c4(
    fleet: Fleet, rng: random.Random
) -> None:
    prompt = f"error {rng.random()}"
    before = (await fleet.seen("error-midway"))["requests"]
    body = {"model": "openai/error-midway", "prompt": prompt}
    for _ in range(2):
        answers = await asyncio.gather(*(call(fleet.url(n), "POST", "/v1/streams", body) for n in range(3)))
        assert all(b"event: error" in blocks(told)[-1] for _, told in answers)
    assert (await fleet.seen("error-midway"))["requests"] - before >= 2
