"""What fails in the middle of an answer: another target finishes it, or it ends in one clear error (R4-R6)."""

from pathlib import Path

import pytest

from tests.faults.harness import WHOLE, bench

FAULTS = ["cut-40", "stall-20", "broken-json", "error-midway", "gives-up", "no-finish"]


CASES = [
    *((fault, family, "ok") for fault in FAULTS for family in ("claude-3", "unknown")),
    *(("cut-40", family, rescuer) for rescuer in ("restarts", "refuse-prefill") for family in ("claude-3", "unknown")),
    ("cut-40", "unknown", "repeats"),
]


@pytest.mark.parametrize(("fault", "family", "rescuer"), CASES)
async def test_a_rescued_answer_is_the_unfailed_one_byte_for_byte_r6(
    upstream: str, tmp_path: Path, fault: str, family: str, rescuer: str
) -> None:
    """Fault 32, fault 33; K1. `claude-3` takes the beginning of an answer, the other is asked to go on."""
    first, second = f"{family}-{rescuer}--{fault}", f"{family}-by-{fault}--{rescuer}"
    async with bench(upstream, tmp_path, first, second) as one:
        for number in (1, 2):  # the second time nothing comes from the cache
            got = await one.ask()
            assert got.whole
            assert got.headers["x-cache"] == "miss"
            refused = (family, rescuer) == ("claude-3", "refuse-prefill")
            assert await one.calls(first, second) == [number, number * (1 + refused)]
        saw = await one.saw(second)
        last = saw["body"]["messages"][-1]
        assert last["role"] == ("assistant" if family == "claude-3" and not refused else "user")
        record = one.service.recorder.find(got.headers["x-thread-id"])
        assert record is not None
        assert (record.attempts, record.rescues, record.target) == (2 + refused, 1 + refused, f"openai/{second}")
        if fault == "stall-20":
            assert all(0.5 <= seconds < 2.0 for seconds in (await one.saw(first))["hangups"])


@pytest.mark.parametrize("rescuer", ["cut-40", "400", "refused", "401"])
async def test_an_answer_that_breaks_twice_is_finished_by_the_third_r6(
    upstream: str, tmp_path: Path, rescuer: str
) -> None:
    """Whatever the second has against the request: the first took it."""
    models = f"twice-{rescuer}--error-midway", f"twice--{rescuer}", f"twice-{rescuer}--ok"
    async with bench(upstream, tmp_path, *models) as one:
        assert (await one.ask()).whole
        assert await one.calls(*models) == [1, 1, 1]


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_a_rescuer_the_answer_ends_in_an_error_and_is_not_stored_r4(
    upstream: str, tmp_path: Path, fault: str
) -> None:
    """Fault 32, fault 33; K1, S4."""
    codes = {
        "cut-40": "upstream_truncated",
        "stall-20": "provider_timeout",
        "broken-json": "provider_bad_response",
        "error-midway": "provider_unavailable",
        "gives-up": "provider_unavailable",
        "no-finish": "upstream_truncated",
    }
    model = f"unrescued--{fault}"
    async with bench(upstream, tmp_path, model) as one:
        for _ in range(2):
            got = await one.ask()
            assert got.error is not None
            assert (got.status, got.error["code"], got.done, got.finishes) == (200, codes[fault], False, [])
            assert WHOLE.startswith(got.text)
        # The only target is asked once more to finish its answer, unless it was silent.
        assert await one.calls(model) == [2 if fault == "stall-20" else 4]


@pytest.mark.parametrize("half", ["cut-function", "cut-refusal", "cut-audio"])
async def test_what_is_no_text_is_not_gone_on_with_r6(upstream: str, tmp_path: Path, half: str) -> None:
    """Its first half is with the client already, as the provider wrote it."""
    async with bench(upstream, tmp_path, f"half--{half}", f"half-{half}--ok") as one:
        got = await one.ask()
        assert got.error is not None
        assert (got.error["code"], got.text, got.done) == ("upstream_truncated", "", False)
        assert await one.calls(f"half--{half}", f"half-{half}--ok") == [1, 0]


async def test_json_that_has_not_begun_is_given_by_another_r6(upstream: str, tmp_path: Path) -> None:
    """The role alone is half of nothing."""
    first, second = "form--error-first", "form--ok"
    async with bench(upstream, tmp_path, first, second) as one:
        got = await one.ask(response_format={"type": "json_object"})
        assert got.whole
        assert await one.calls(first, second) == [1, 1]
        body = (await one.saw(second))["body"]
        assert body["messages"] == [{"role": "user", "content": "hi"}]
        assert body["response_format"] == {"type": "json_object"}
        await one.hangups(first, 1)


async def test_a_second_answer_is_never_joined_to_the_first_r6(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "seam--cut-40", "seam--other") as one:
        got = await one.ask()
        assert got.text == "".join(f" tok{number}" for number in range(1, 41))
        assert got.error is not None
        assert (got.error["code"], got.done) == ("upstream_truncated", False)


async def test_a_plain_call_is_rescued_too_r6(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "plainly--cut-40", "plainly--ok") as one:
        body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
        answer = (await one.service.client.post("/v1/chat/completions", json=body)).json()
        (choice,) = answer["choices"]
        assert choice["message"] == {"role": "assistant", "content": WHOLE}
        assert choice["finish_reason"] == "stop"


async def test_the_callers_limit_holds_over_the_seam_r6(upstream: str, tmp_path: Path) -> None:
    async with bench(upstream, tmp_path, "limit--cut-40", "limit--ok") as one:
        got = await one.ask(max_tokens=50)
        assert got.text.endswith(" tok50")
        assert (await one.saw("limit--ok"))["body"]["max_tokens"] == 10


async def test_an_answer_that_takes_too_long_in_all_ends_in_an_error_r2(upstream: str, tmp_path: Path) -> None:
    """K1: nobody goes on with it, as there is no time left, and it is not kept."""
    first, second = "endless--ok-slow", "endless--ok"
    async with bench(upstream, tmp_path, first, second, STREAM_TOTAL_TIMEOUT="0.6") as one:
        for number in (1, 2):
            got = await one.ask()
            assert got.error is not None
            assert (got.status, got.error["code"], got.done) == (200, "provider_timeout", False)
            assert WHOLE.startswith(got.text)
            assert "tok5" in got.text
            assert await one.calls(first, second) == [number, 0]
        assert all(0.55 <= seconds < 1.6 for seconds in await one.hangups(first, 2))
