"""Anthropic and Gemini behind the whole service: rescue, failover, tools, thoughts and usage through OpenAI's door.

Their upstreams are those whose bytes the official `anthropic` and `google-genai` clients read like our adapters do
(tests/adapters/test_*_provider_upstream.py).
"""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pydantic
import pytest
from google.genai import types

from domain.services.rescue import GO_ON
from tests.adapters import test_anthropic_provider_upstream as claude
from tests.adapters import test_gemini_provider_upstream as google
from tests.adapters.test_anthropic_provider_upstream import WORDS, Answer, VendorServer, served
from tests.faults.harness import ENVIRON, Bench
from tests.service import running

TOOLS: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
THINKING = {"type": "enabled", "budget_tokens": 2_000}
REDACTED = claude.block(1, {"type": "redacted_thinking", "data": "ZGF0YQ=="})
CLAUDE: Mapping[str, Answer] = {
    **claude.ANSWERS,
    "claude-3-rest": Answer([claude.start("rest"), *claude.text(0, *WORDS[40:]), *claude.stop("end_turn")]),
    "signed-cut": Answer([claude.start("signed-cut"), *claude.thinking(0, "Hm"), *claude.text(1, *WORDS[:40])], "cut"),
    "claude-sonnet-4-tools": Answer(
        [
            claude.start("claude-sonnet-4-1", input_tokens=9, cache_read_input_tokens=5),
            *claude.thinking(0, "Hm", "m."),
            *REDACTED,
            *claude.text(2, "Let me see."),
            *claude.tool(3, "toolu_1", "get_weather", '{"city"', ': "Par', 'is"}'),
            *claude.stop("tool_use", output_tokens_details={"thinking_tokens": 7}),  # type: ignore[arg-type]
        ]
    ),
}
GOOGLE: Mapping[str, Answer] = {
    **google.ANSWERS,
    "signed-cut": Answer(
        [google.chunk({"text": "Hm", "thought": True, "thoughtSignature": "c2ln"}), *google.text(*WORDS[:40])], "cut"
    ),
    "gemini-2.5-rest": Answer([*google.text(*WORDS[40:]), google.stop("rest", tokens=20)]),
    "gemini-3-tools": Answer(
        [
            google.chunk({"text": "Hmm.", "thought": True}),
            google.chunk({"text": "Let me see."}),
            google.chunk(google.call("get_weather", {"city": "Paris"}, id="c1")),
            google.chunk(
                {"text": "", "thoughtSignature": "dGV4dA=="},
                finish="STOP",
                usageMetadata=google.usage(53, thoughtsTokenCount=7, cachedContentTokenCount=5),
            ),
        ]
    ),
}


@dataclass
class Vendors:
    """The upstreams of both, and the service in front of them."""

    bench: Bench
    claude: VendorServer
    google: VendorServer

    def sdk(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.bench.service.url}/v1", api_key="any", max_retries=0)


@contextlib.asynccontextmanager
async def vendors(upstream: str, folder: Path, *targets: str) -> AsyncIterator[Vendors]:
    """A service whose route `fast` leads to these targets, of the providers `openai`, `claude` and `google`."""
    first = VendorServer(CLAUDE, CLAUDE["404"], lambda _, body: str(body["model"]))
    second = google.upstream()
    second.answers = GOOGLE
    async with served(first) as claude_url, served(second) as google_url:
        config = folder / "headgate.toml"
        config.write_text(
            f"[routes]\nfast = {json.dumps(targets)}\n"
            f'[providers.claude]\nkind = "anthropic"\nbase_url = "{claude_url}"\napi_key = "sk-x"\n'
            f'[providers.google]\nkind = "gemini"\nbase_url = "{google_url}/v1beta"\napi_key = "sk-y"\n'
        )
        environ = {**ENVIRON, "OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "sk-z", "HEADGATE_CONFIG": str(config)}
        async with running(environ) as service:
            yield Vendors(Bench(service, upstream), first, second)


async def test_an_answer_of_openais_is_finished_by_anthropic_behind_its_beginning_r6(
    upstream: str, tmp_path: Path
) -> None:
    """Fault 33."""
    async with vendors(upstream, tmp_path, "openai/to-claude--cut-40", "claude/claude-3-rest") as them:
        got = await them.bench.ask(max_tokens=100_000)
        assert got.whole
        assert got.usages == [{"prompt_tokens": 9, "completion_tokens": 60, "total_tokens": 69}]
        assert await them.bench.calls("to-claude--cut-40") == [1]
        ((_, headers, body),) = them.claude.seen
        assert headers["x-api-key"] == "sk-x"
        begun = {"role": "assistant", "content": [{"type": "text", "text": "".join(WORDS[:40])}]}
        assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, begun]
        assert body["max_tokens"] == 4_096  # not what was asked of a larger model
        record = them.bench.service.recorder.find(got.headers["x-thread-id"])
        assert record is not None
        assert (record.attempts, record.rescues, record.target) == (2, 1, "claude/claude-3-rest")


async def test_a_budget_of_thoughts_does_not_keep_anthropic_from_a_rescue_r6(upstream: str, tmp_path: Path) -> None:
    """It refuses a beginning with one, and a limit below it."""
    async with vendors(upstream, tmp_path, "openai/thoughtful--cut-40", "claude/claude-3-rest") as them:
        assert (await them.bench.ask(max_tokens=2_100, thinking=THINKING)).text == "".join(WORDS)
        ((_, _, body),) = them.claude.seen
        assert "thinking" not in body
        assert body["max_tokens"] == 2_060
        assert body["messages"][-1]["role"] == "assistant"


@pytest.mark.parametrize("vendor", ["claude", "google"])
async def test_what_a_vendor_cannot_be_asked_for_is_asked_of_the_next_and_hides_no_outage_r1(
    upstream: str, tmp_path: Path, vendor: str
) -> None:
    """A client told 400 in an outage of its primary would never try again."""
    second, down = f"probable-{vendor}--ok", f"probable-{vendor}--503-bare"
    async with vendors(upstream, tmp_path, f"{vendor}/ok", f"openai/{second}") as them:
        assert (await them.bench.ask(logprobs=True)).whole
        assert await them.bench.calls(second) == [1]
        assert (await them.bench.saw(second))["body"]["logprobs"] is True
        assert them.claude.seen == them.google.seen == []
    async with vendors(upstream, tmp_path, f"openai/{down}", f"{vendor}/ok") as them:
        got = await them.bench.ask(logprobs=True)
        assert (got.status, got.error and got.error["code"]) == (502, "provider_unavailable")
        assert await them.bench.calls(down) == [3]
        assert them.claude.seen == them.google.seen == []
    async with vendors(upstream, tmp_path, f"{vendor}/ok") as them:
        got = await them.bench.ask(logprobs=True)
        assert got.error is not None
        assert (got.status, got.error["code"], got.error["param"]) == (400, "provider_rejected_request", "logprobs")


async def test_an_answer_of_openais_is_finished_by_gemini_on_request_r6(upstream: str, tmp_path: Path) -> None:
    """Fault 33."""
    async with vendors(upstream, tmp_path, "openai/to-google--cut-40", "google/gemini-2.5-rest") as them:
        got = await them.bench.ask()
        assert got.whole
        assert got.usages == [{"prompt_tokens": 9, "completion_tokens": 20, "total_tokens": 29}]
        assert await them.bench.calls("to-google--cut-40") == [1]
        ((_, headers, body),) = them.google.seen
        assert headers["x-goog-api-key"] == "sk-y"
        assert [(one["role"], one["parts"][0]["text"]) for one in body["contents"]] == [
            ("user", "hi"),
            ("model", "".join(WORDS[:40])),
            ("user", GO_ON),
        ]


@pytest.mark.parametrize(("first", "second"), [("claude/500", "google/ok"), ("google/500", "claude/ok")])
async def test_one_vendor_answers_for_the_other_r1(upstream: str, tmp_path: Path, first: str, second: str) -> None:
    """Fault 35."""
    async with vendors(upstream, tmp_path, first, second) as them:
        got = await them.bench.ask()
        assert got.whole
        failed, answered = (them.claude, them.google) if first.startswith("claude") else (them.google, them.claude)
        assert (len(failed.seen), len(answered.seen)) == (3, 1)
        assert failed.open == 0


@pytest.mark.parametrize("fault", ["cut-40", "signed-cut", "error-midway", "broken-json", "stall-20", "no-finish"])
@pytest.mark.parametrize("vendor", ["claude", "google"])
async def test_an_answer_of_theirs_that_breaks_off_is_finished_by_openai_r6(
    upstream: str, tmp_path: Path, vendor: str, fault: str
) -> None:
    """Fault 32, fault 33."""
    second = f"for-{vendor}-{fault}--ok"
    async with vendors(upstream, tmp_path, f"{vendor}/{fault}", f"openai/{second}") as them:
        assert (await them.bench.ask()).whole
        assert await them.bench.calls(second) == [1]
        failed = them.claude if vendor == "claude" else them.google
        assert (len(failed.seen), failed.open) == (1, 0)


async def ask(sdk: openai.AsyncOpenAI, messages: Any, *, stream: bool, **more: Any) -> Any:
    """The whole answer, put together by the official client if it is streamed."""
    given: Any = {"model": "fast", "messages": messages, "tools": TOOLS, **more}
    if not stream:
        return await sdk.chat.completions.create(**given)
    async with sdk.chat.completions.stream(**given, stream_options={"include_usage": True}) as events:
        return await events.get_final_completion()


def turns(answer: Any) -> Iterator[dict[str, Any]]:
    """The conversation with the answer as the client has it, and a result for its call."""
    message = answer.choices[0].message.model_dump(exclude_none=True)
    for call in message["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
    yield {"role": "user", "content": "Weather?"}
    yield message
    yield {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Sunny"}


def check(answer: Any, call_id: str) -> None:
    """What both vendors' answers say alike."""
    (choice,) = answer.choices
    (call,) = choice.message.tool_calls
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == (
        call_id,
        "get_weather",
        {"city": "Paris"},
    )
    assert (choice.message.content, choice.message.reasoning_content) == ("Let me see.", "Hmm.")
    assert choice.finish_reason == "tool_calls"
    assert (answer.usage.completion_tokens, answer.usage.completion_tokens_details.reasoning_tokens) == (60, 7)
    assert answer.usage.prompt_tokens_details.cached_tokens == 5


@pytest.mark.parametrize("stream", [True, False])
async def test_anthropics_thoughts_go_out_and_come_back_signed(upstream: str, tmp_path: Path, stream: bool) -> None:
    """K3: from the cache too."""
    async with vendors(upstream, tmp_path, "claude/claude-sonnet-4-tools") as them, them.sdk() as sdk:
        for _ in range(2):
            answer = await ask(
                sdk, [{"role": "user", "content": "Weather?"}], stream=stream, extra_body={"thinking": THINKING}
            )
            check(answer, "toolu_1")
            assert answer.usage.prompt_tokens == 9 + 5
        await ask(sdk, list(turns(answer)), stream=stream, extra_body={"thinking": THINKING})
        first, second = (body for _, _, body in them.claude.seen)
        assert first["thinking"] == second["thinking"] == THINKING
        pydantic.TypeAdapter(list[anthropic.types.MessageParam]).validate_python(second["messages"])
        assert second["messages"][1]["content"] == [
            {"type": "thinking", "thinking": "Hmm.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
        ]


@pytest.mark.parametrize("stream", [True, False])
async def test_geminis_signatures_go_out_and_come_back(upstream: str, tmp_path: Path, stream: bool) -> None:
    """K3: from the cache too."""
    async with vendors(upstream, tmp_path, "google/gemini-3-tools") as them, them.sdk() as sdk:
        for _ in range(2):
            answer = await ask(sdk, [{"role": "user", "content": "Weather?"}], stream=stream)
            check(answer, "c1")
        await ask(sdk, list(turns(answer)), stream=stream)
        _, second = (body for _, _, body in them.google.seen)
        assert [types.Content.model_validate(one).role for one in second["contents"]] == ["user", "model", "user"]
        call = {"id": "c1", "name": "get_weather", "args": {"city": "Paris"}}
        assert second["contents"][1]["parts"] == [
            {"text": "Let me see.", "thoughtSignature": "dGV4dA=="},
            {"functionCall": call, "thoughtSignature": "c2ln"},
        ]


@pytest.mark.parametrize(
    ("target", "name"), [("claude/claude-sonnet-4-tools", "claude-sonnet-4-1"), ("google/gemini-3-tools", "m")]
)
async def test_each_chunk_names_the_model_that_answers_r7(
    upstream: str, tmp_path: Path, target: str, name: str
) -> None:
    async with vendors(upstream, tmp_path, target) as them, them.sdk() as sdk:
        given: Any = {"model": "fast", "messages": [{"role": "user", "content": "Weather?"}], "tools": TOOLS}
        chunks = [chunk async for chunk in await sdk.chat.completions.create(**given, stream=True)]
        assert {chunk.model for chunk in chunks} == {name}
