"""An upstream in Gemini's dialect on a real socket, and the official SDK as the judge of its bytes."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import pytest
from google import genai
from google.genai import errors, types

from adapters.providers.gemini import GeminiProvider
from tests.adapters.test_anthropic_provider_upstream import (
    EMOJI,
    WORDS,
    Answer,
    VendorServer,
    answer,
    calls_of,
    served,
    split,
)


def chunk(*parts: Mapping[str, Any], finish: str | None = None, model: str = "m", **fields: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    content = {"candidates": [candidate], "usageMetadata": usage(1), "modelVersion": model, "responseId": "r", **fields}
    return data(content)


def data(content: Any) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\r\n\r\n".encode()


def usage(tokens: int, **more: int) -> dict[str, int]:
    return {"promptTokenCount": 9, "candidatesTokenCount": tokens, "totalTokenCount": 9 + tokens, **more}


def text(*pieces: str) -> list[bytes]:
    return [chunk({"text": piece}) for piece in pieces]


def stop(model: str, reason: str = "STOP", tokens: int = 60, **more: int) -> bytes:
    return chunk({"text": ""}, finish=reason, model=model, usageMetadata=usage(tokens, **more))


def call(name: str, args: Mapping[str, Any] | None = None, **more: str) -> dict[str, Any]:
    given = {} if args is None else {"args": args}
    return {"functionCall": {"name": name, **given, **more}, "thoughtSignature": "c2ln"}


def error(status: int, word: str, *details: Mapping[str, Any], **headers: str) -> Answer:
    # The message repeats what was said, as providers do: nothing of it may be kept (P1).
    content = {"error": {"code": status, "message": "planted-secret", "status": word, "details": list(details)}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([json.dumps(content).encode()], status=status, kind="application/json; charset=UTF-8", headers=named)


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31.000000001s"}
WRONG_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}
TOOLS = [chunk({"text": "Let me see."}), chunk(call("get_weather", {"city": "Paris \U0001f680"}), call("now", id="c2")),
         stop("tools")]  # fmt: skip
BLOCKED = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9},
           "modelVersion": "blocked"}  # fmt: skip
ANSWERS: Mapping[str, Answer] = {
    "ok": Answer([*text(*WORDS), stop("ok")]),
    "tools": Answer(TOOLS),
    "thinking": Answer([chunk({"text": "Hm", "thought": True}),
                        chunk({"text": "m.", "thought": True}, {"text": "Yes."}),
                        chunk({"text": "", "thoughtSignature": "c2ln"}),
                        stop("thinking", tokens=2, thoughtsTokenCount=5, toolUsePromptTokenCount=3)]),
    "unicode": Answer(split([*text(EMOJI, *EMOJI), stop("unicode")])),
    "safety": Answer([*text("a"), stop("safety", "SAFETY")]),
    "length": Answer([*text("a"), stop("length", "MAX_TOKENS")]),
    "blocked": Answer([data(BLOCKED)]),
    "malformed": Answer([*text("a"), stop("malformed", "MALFORMED_FUNCTION_CALL")]),
    "no-finish": Answer(text(*WORDS)),
    "no-end-cut": Answer([*text(*WORDS), stop("no-end-cut")], "cut"),
    "cut-40": Answer(text(*WORDS[:40]), "cut"),
    "stall-20": Answer(text(*WORDS[:20]), "silence"),
    "silent": Answer(then="silence", status=None),
    "error-midway": Answer([*text(*WORDS[:20]),
                            data({"error": {"code": 503, "message": "planted-secret", "status": "UNAVAILABLE"}})]),
    "broken-json": Answer([*text(*WORDS[:20]), b'data: {"cand\n\n']),
    "huge-line": Answer([b"data: ", *[b"x" * (1 << 20)] * 3]),
    "html": Answer([b"<html>"], kind="text/html"),
    "gzip": Answer([b"\x1f\x8b"], headers={"content-encoding": "gzip"}),
    "redirect": Answer(status=307, headers={"location": "/elsewhere"}),
    "400": error(400, "INVALID_ARGUMENT"),
    "key": error(400, "INVALID_ARGUMENT", WRONG_KEY),
    "key-in-a-list": Answer([b"[%b]" % b"".join(error(400, "INVALID_ARGUMENT", WRONG_KEY).pieces)], status=400,
                            kind="application/json; charset=UTF-8"),
    "403": error(403, "PERMISSION_DENIED"),
    "404": error(404, "NOT_FOUND"),
    "429": error(429, "RESOURCE_EXHAUSTED", RETRY_INFO),
    "429-header": error(429, "RESOURCE_EXHAUSTED", RETRY_INFO, retry_after="7"),
    "500": error(500, "INTERNAL"),
    "503": error(503, "UNAVAILABLE", retry_after="2"),
}  # fmt: skip

PATH = re.compile(r"/v1beta/models/([^/:]+):streamGenerateContent\?alt=sse")


def upstream() -> VendorServer:
    def model(path: str, _: Any) -> str:
        found = PATH.fullmatch(path)
        return unquote(found[1]) if found else ""

    return VendorServer(ANSWERS, ANSWERS["404"], model)


async def sdk_answer(url: str, model: str) -> Sequence[types.GenerateContentResponse]:
    options = types.HttpOptions(base_url=url, api_version="v1beta", retry_options=types.HttpRetryOptions(attempts=1))
    async with genai.Client(api_key="sk-x", http_options=options).aio as client:
        return [one async for one in await client.models.generate_content_stream(model=model, contents="Why?")]


def signature(extra: bytes) -> bytes | None:
    """As the SDK has it: bytes, no longer in base64."""
    return base64.b64decode(json.loads(extra)["extra_content"]["google"]["thought_signature"]) if extra else None


@pytest.mark.parametrize("model", ["ok", "tools", "thinking", "unicode", "safety", "blocked"])
async def test_the_official_sdk_reads_the_same_from_the_same_bytes(model: str) -> None:
    """Text, thoughts, tool calls, usage and the model; S15 for any text, cut at every byte."""
    async with served(upstream()) as url:
        chunks = await sdk_answer(url, model)
        provider = GeminiProvider("it", f"{url}/v1beta", "sk-x")
        deltas = await answer(provider, model)
        await provider.aclose()
    contents = [one.candidates[0].content for one in chunks if one.candidates]
    parts = [part for content in contents if content for part in content.parts or []]
    assert "".join(delta.text for delta in deltas) == "".join(part.text or "" for part in parts if not part.thought)
    assert "".join(delta.reasoning for delta in deltas) == "".join(part.text or "" for part in parts if part.thought)
    calls = [(part.function_call.name, part.function_call.args or {}) for part in parts if part.function_call]
    signed = [part.thought_signature for part in parts if part.function_call]
    assert [signature(one.extra) for delta in deltas for one in delta.tool_calls] == signed
    assert signature(deltas[-1].extra) == next(
        (part.thought_signature for part in reversed(parts) if part.thought_signature and not part.function_call), None
    )
    assert [(name, arguments) for _, name, arguments in calls_of(deltas)] == calls
    counts, last = chunks[-1].usage_metadata, deltas[-1]
    assert counts is not None
    assert last.usage is not None
    assert last.usage.prompt_tokens == (counts.prompt_token_count or 0) + (counts.tool_use_prompt_token_count or 0)
    assert last.usage.completion_tokens == (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0)
    assert last.model == chunks[-1].model_version


@pytest.mark.parametrize(("model", "status"), [("400", 400), ("403", 403), ("404", 404), ("429", 429), ("503", 503)])
async def test_the_official_sdk_sees_the_errors_that_we_see(model: str, status: int) -> None:
    async with served(upstream()) as url:
        with pytest.raises(errors.APIError) as caught:
            await sdk_answer(url, model)
    assert caught.value.code == status
