"""Requests to Gemini, case by case: what OpenAI's shape becomes."""

import asyncio
import json
from typing import Any

import pytest

from adapters.providers.attempt import Attempt
from adapters.providers.gemini_request import encode_request
from domain.errors import ProviderRequestError
from domain.model import CompletionRequest, Json, Message

ATTEMPT = Attempt("local", "thread-1")
HI = Message("user", "Hi")
TOOL: Json = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
PNG = "data:image/png;base64,iVBORw0="


def body(*messages: Message, model: str = "gemini-2.5-flash", **options: Any) -> dict[str, Any]:
    request = CompletionRequest("public", messages or [HI], options)
    sent = json.loads(asyncio.run(encode_request(request, model, ATTEMPT))[0])
    assert isinstance(sent, dict)
    return sent


def call(arguments: str = "{}", **more: Json) -> Message:
    function: Json = {"name": "f", "arguments": arguments}
    return Message("assistant", None, {"tool_calls": [{"id": "c1", "type": "function", "function": function, **more}]})


def result(content: Json) -> Message:
    return Message("tool", content, {"tool_call_id": "c1"})


def test_instructions_of_any_place_are_the_system_in_their_order() -> None:
    sent = body(Message("system", "a"), HI, Message("developer", [{"type": "text", "text": "b"}]))
    assert sent["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    own = body(Message("system", "b"), systemInstruction={"parts": [{"text": "a"}]})
    assert own["systemInstruction"] == sent["systemInstruction"]


def test_turns_calls_and_results() -> None:
    sent = body(HI, call('{"x": 1}'), result('{"y": 2}'), Message("user", "And?"), Message("assistant", "The"))
    assert sent["contents"][1:] == [
        {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"y": 2}}},
                                   {"text": "And?"}]},
        {"role": "model", "parts": [{"text": "The"}]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "response"),
    [("sunny", {"result": "sunny"}), ("[1]", {"result": [1]}), ("", {"result": ""}),
     ([{"type": "text", "text": "sun"}, {"type": "text", "text": "ny"}], {"result": "sunny"})],
)  # fmt: skip
def test_a_result_is_an_object(content: Json, response: Json) -> None:
    assert body(HI, call(), result(content))["contents"][-1]["parts"][0]["functionResponse"]["response"] == response


@pytest.mark.parametrize(
    ("model", "more", "signature"),
    [
        ("gemini-3-pro-preview", {}, "skip_thought_signature_validator"),
        ("gemini-3-pro-preview", {"extra_content": {"google": {"thought_signature": "c2ln"}}}, "c2ln"),
        ("gemini-2.5-flash", {"extra_content": {"google": {"thought_signature": "c2ln"}}}, "c2ln"),
        ("gemini-2.5-flash", {}, None),
    ],
)
def test_a_call_has_the_signature_that_its_model_wants(model: str, more: Any, signature: str | None) -> None:
    part = body(HI, call(**more), result("x"), model=model)["contents"][1]["parts"][0]
    assert part.get("thoughtSignature") == signature


def test_a_signature_beside_the_content_goes_to_its_last_part() -> None:
    extra: dict[str, Json] = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    content: Json = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    sent = body(HI, Message("assistant", content, extra), Message("assistant", "", extra), HI)
    assert sent["contents"][1]["parts"] == [{"text": "a"}, {"text": "b", "thoughtSignature": "c2ln"}]


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [("gemini-2.0-flash", 100_000, 8_192), ("gemini-2.5-pro", 100_000.0, 65_536), ("gemma-3", 100_000, 100_000)],
)
def test_r1_a_limit_above_the_models_own_is_its_own(model: str, asked: float, sent: int) -> None:
    """What was asked of a larger target must not make this one refuse."""
    assert body(model=model, max_tokens=asked)["generationConfig"] == {"maxOutputTokens": sent}


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ({"type": "image_url", "image_url": {"url": PNG}},
         {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}}),
        ({"type": "image_url", "image_url": {"url": "https://example.org/a.png?x=1"}},
         {"fileData": {"fileUri": "https://example.org/a.png?x=1", "mimeType": "image/png"}}),
        ({"type": "image_url", "image_url": {"url": "https://example.org/a"}},
         {"fileData": {"fileUri": "https://example.org/a"}}),
        ({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
         {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
         {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}),
        ({"type": "refusal", "refusal": "No."}, {"text": "No."}),
        ({"fileData": {"fileUri": "u"}}, {"fileData": {"fileUri": "u"}}),
    ],
)  # fmt: skip
def test_parts_and_geminis_own(part: Json, sent: Json) -> None:
    assert body(Message("user", [part]))["contents"] == [{"role": "user", "parts": [sent]}]


@pytest.mark.parametrize("message", [result("x"), call("["), Message("user", 3), Message("tool", "x")])
def test_what_cannot_be_translated_is_the_requests_fault(message: Message) -> None:
    with pytest.raises(ProviderRequestError) as caught:
        body(HI, message)
    assert caught.value.details["param"] == "messages"


def test_half_a_surrogate_pair_goes_as_it_came() -> None:
    assert body(Message("user", "a\ud83d"))["contents"][0]["parts"] == [{"text": "a\ud83d"}]


@pytest.mark.parametrize(
    ("options", "config"),
    [
        ({"max_tokens": 5, "temperature": 0, "top_p": 0.9, "top_k": 3, "seed": 1},
         {"maxOutputTokens": 5, "temperature": 0, "topP": 0.9, "topK": 3, "seed": 1}),
        ({"max_tokens": 5, "max_completion_tokens": 7}, {"maxOutputTokens": 7}),
        ({"stop": "a"}, {"stopSequences": ["a"]}),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}},
         {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}),
        ({"temperature": 0.5, "generationConfig": {"temperature": 0.7, "mediaResolution": "LOW"}},
         {"temperature": 0.7, "mediaResolution": "LOW"}),
        ({"reasoning_effort": "high"}, {"thinkingConfig": {"thinkingBudget": 24_576, "includeThoughts": True}}),
        ({"reasoning_effort": "none"}, {"thinkingConfig": {"thinkingBudget": 0}}),
    ],
)  # fmt: skip
def test_options_of_the_generation(options: dict[str, Any], config: dict[str, Any]) -> None:
    assert body(**options) == {**body(), "generationConfig": config}


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-3.5-flash", "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3.5-flash", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.0-flash", "high", None),
        ("gemma-3-27b", "high", None),
        ("gemini-3.5-flash", "odd", None),
    ],
)
def test_reasoning_effort_in_each_models_way(model: str, effort: str, config: Any) -> None:
    assert body(model=model, reasoning_effort=effort).get("generationConfig", {}).get("thinkingConfig") == config


@pytest.mark.parametrize(
    ("options", "param"),
    [({"n": 2}, "n"), ({"logprobs": True}, "logprobs"), ({"tools": [TOOL], "tool_choice": "odd"}, "tool_choice"),
     ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice")],
)  # fmt: skip
def test_what_would_change_the_form_of_the_answer_is_refused(options: dict[str, Any], param: str) -> None:
    with pytest.raises(ProviderRequestError) as caught:
        body(**options)
    assert caught.value.details["param"] == param
    assert caught.value.details["provider_code"] == "unsupported_parameter"  # another target may take it (R1)


def test_media_of_results_stand_in_them_or_behind_them() -> None:
    """Gemini 2.5 refuses them in a result, and a turn with more parts than there were calls."""
    picture: Json = [{"type": "text", "text": "a map"}, {"type": "image_url", "image_url": {"url": PNG}}]
    inline = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}}
    response = {"id": "c1", "name": "f", "response": {"result": "a map"}}
    third = body(HI, call(), result(picture), model="gemini-3-pro")["contents"]
    assert third[2:] == [{"role": "user", "parts": [{"functionResponse": {**response, "parts": [inline]}}]}]
    second = [
        {"role": "user", "parts": [{"functionResponse": response}]},
        {"role": "user", "parts": [inline]},
    ]
    assert body(HI, call(), result(picture))["contents"][2:] == second
    assert body(HI, call(), result(picture), HI)["contents"][2:] == [
        *second,
        {"role": "user", "parts": [{"text": "Hi"}]},
    ]


def test_what_gemini_has_no_word_for_is_left_out() -> None:
    options: dict[str, Any] = {"n": 1, "logit_bias": {}, "user": "u", "metadata": {"a": "b"}, "logprobs": False,
                               "presence_penalty": 1, "x_invented": 1, "stop": None, "tools": [], "store": True,
                               "parallel_tool_calls": False, "response_format": {"type": "text"}}  # fmt: skip
    assert body(**options) == body()
    own: dict[str, Any] = {"safetySettings": [{"category": "x"}], "cachedContent": "c", "toolConfig": {"x": 1}}
    assert body(**own) == {**body(), **own}


@pytest.mark.parametrize(
    ("choice", "config"),
    [("auto", {"mode": "AUTO"}), ("none", {"mode": "NONE"}), ("required", {"mode": "ANY"}), (None, None),
     ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]})],
)  # fmt: skip
def test_tools_and_their_choice(choice: Any, config: Any) -> None:
    bare: Json = {"type": "function", "function": {"name": "g"}}
    sent = body(tools=[TOOL, {"googleSearch": {}}, bare], tool_choice=choice)
    declared = [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}, {"name": "g"}]
    assert sent["tools"] == [{"functionDeclarations": declared}, {"googleSearch": {}}]
    assert sent.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})
