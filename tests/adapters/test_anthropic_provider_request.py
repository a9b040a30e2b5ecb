"""Requests to Anthropic, case by case: what OpenAI's shape becomes."""

import asyncio
import json
from typing import Any

import pytest

from adapters.providers.anthropic_request import encode_request
from adapters.providers.attempt import Attempt
from domain.errors import ProviderRequestError
from domain.model import CompletionRequest, Json, Message

ATTEMPT = Attempt("local", "thread-1")
HI = Message("user", "Hi")
TOOL: Json = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
PNG = "data:image/png;base64,iVBORw0="


def body(*messages: Message, model: str = "claude-opus-4-5", **options: Any) -> dict[str, Any]:
    request = CompletionRequest("public", messages or [HI], options)
    sent = json.loads(asyncio.run(encode_request(request, model, ATTEMPT))[0])
    assert isinstance(sent, dict)
    return sent


def blocks(*messages: Message) -> Any:
    return [(turn["role"], turn["content"]) for turn in body(*messages)["messages"]]


def call(arguments: str, name: str = "call_1") -> Message:
    function: Json = {"name": "f", "arguments": arguments}
    return Message("assistant", None, {"tool_calls": [{"id": name, "type": "function", "function": function}]})


def test_a_plain_request() -> None:
    assert body() == {
        "model": "claude-opus-4-5",
        "max_tokens": 64_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
    }


def test_instructions_of_any_place_are_the_system_in_their_order() -> None:
    sent = body(
        Message("system", "a"), HI, Message("developer", [{"type": "text", "text": "b"}]), Message("system", "")
    )
    assert [one["text"] for one in sent["system"]] == ["a", "b"]
    assert len(sent["messages"]) == 1
    assert [one["text"] for one in body(Message("system", "b"), system="a")["system"]] == ["a", "b"]


def test_calls_and_their_results_stand_together() -> None:
    conversation = [
        HI,
        Message("assistant", "Let me see.", dict(call('{"x": 1}').extra)),
        Message("tool", "1", {"tool_call_id": "call_1"}),
        Message("tool", [{"type": "image_url", "image_url": {"url": PNG}}], {"tool_call_id": "call_2"}),
        Message("user", "And?"),
    ]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}}
    assert blocks(*conversation)[1:] == [
        ("assistant", [{"type": "text", "text": "Let me see."},
                       {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}}]),
        ("user", [{"type": "tool_result", "tool_use_id": "call_1", "content": "1"},
                  {"type": "tool_result", "tool_use_id": "call_2", "content": [image]},
                  {"type": "text", "text": "And?"}]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
         {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
         {"type": "document", "title": "a.pdf",
          "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}),
        ({"type": "file", "file": {"file_id": "f"}}, {"type": "file", "file": {"file_id": "f"}}),
        ({"type": "refusal", "refusal": "No."}, {"type": "text", "text": "No."}),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
         {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}),
        ({"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "thinking", "thinking": "t",
                                                                   "signature": "s"}),
    ],
)  # fmt: skip
def test_parts_become_blocks_and_anthropics_own_stay(part: Json, block: Json) -> None:
    assert blocks(Message("user", [part])) == [("user", [block])]


def thought(**fields: Json) -> Json:
    return {"type": "reasoning.text", "text": "Hm", "signature": "c2ln", "format": "anthropic-claude-v1", **fields}


def test_signed_thoughts_go_back_before_what_they_led_to() -> None:
    details: Json = [
        thought(index=0),
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
        thought(signature=None),
        thought(format="google-gemini-v1"),
        {"type": "reasoning.summary", "summary": "s"},
        3,
    ]
    answer = Message("assistant", "I see.", {**call("{}").extra, "reasoning_details": details})
    result = Message("tool", "1", {"tool_call_id": "call_1"})
    said = [{"type": "text", "text": "I see."}, {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}]
    thoughts = [{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "x"}]
    assert blocks(HI, answer, result)[1] == ("assistant", [*thoughts, *said])
    assert blocks(HI, answer)[1] == ("assistant", said)  # nothing may be thought on the beginning of an answer
    assert body(HI, answer, result, model="claude-3-5-haiku")["messages"][1]["content"] == said
    empty = Message("assistant", "", {"reasoning_details": details})
    assert blocks(HI, empty, HI) == [("user", [{"type": "text", "text": "Hi"}] * 2)]


def test_a_budget_is_given_behind_a_tools_result_whose_thoughts_are_there() -> None:
    answer = Message("assistant", None, {**call("{}").extra, "reasoning_details": [thought()]})
    result = Message("tool", "1", {"tool_call_id": "call_1"})
    assert body(HI, answer, result, reasoning_effort="high")["thinking"]["budget_tokens"] == 16_384
    assert "thinking" not in body(HI, answer, result, HI, call("{}"), result, reasoning_effort="high")


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [("claude-opus-4", 100_000, 32_000), ("claude-opus-4-5", 64_000.0, 64_000), ("kimi-k2", 100_000, 100_000)],
)
def test_r1_a_limit_above_the_models_own_is_its_own(model: str, asked: float, sent: int) -> None:
    """What was asked of a larger target must not make this one refuse."""
    assert body(model=model, max_tokens=asked)["max_tokens"] == sent
    assert body(model=model, max_completion_tokens=asked)["max_tokens"] == sent


def test_a_message_without_content_is_no_turn() -> None:
    assert blocks(HI, Message("assistant", ""), Message("user", [{"type": "text", "text": ""}])) == [
        ("user", [{"type": "text", "text": "Hi"}])
    ]


def test_r6_a_partial_answer_at_the_end_is_a_prefill() -> None:
    assert blocks(HI, Message("assistant", "The sky"))[-1] == ("assistant", [{"type": "text", "text": "The sky"}])


@pytest.mark.parametrize("arguments", ["", "{}"])
def test_a_call_without_arguments_has_an_empty_object(arguments: str) -> None:
    assert blocks(HI, call(arguments))[-1][1][0]["input"] == {}


@pytest.mark.parametrize(
    "message",
    [call("{"), call("[]"), call("[" * 100_000), Message("assistant", None, {"tool_calls": [{}]}),
     Message("assistant", None, {"tool_calls": 3}), Message("tool", "x"), Message("user", 3),
     Message("user", ["x"]), Message("assistant", "x", {"reasoning_details": 3})],
)  # fmt: skip
def test_what_cannot_be_translated_is_the_requests_fault(message: Message) -> None:
    with pytest.raises(ProviderRequestError) as caught:
        body(HI, message, HI)
    assert caught.value.details["param"] == "messages"


def test_half_a_surrogate_pair_goes_as_it_came() -> None:
    assert body(Message("user", "a\ud83d"))["messages"][0]["content"][0]["text"] == "a\ud83d"


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {"temperature": 0.5, "top_k": 3}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"response_format": {"type": "json_object"}},
         {"system": [{"type": "text", "text": "Answer with one JSON object and nothing else."}]}),
        ({"tools": [{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}]},
         {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}},
                     "cache_control": {"type": "ephemeral"}}]}),
        ({"temperature": 1.5}, {"temperature": 1}),
        ({"stop": "a"}, {"stop_sequences": ["a"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"metadata": {"user_id": "u"}}, {"metadata": {"user_id": "u"}}),
        ({"service_tier": "standard_only"}, {"service_tier": "standard_only"}),
        ({"tools": [TOOL]}, {"tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]}),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
         {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
          "tool_choice": {"type": "any"}}),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": "none"},
         {"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "none"}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}},
         {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
        ({"cache_control": {"type": "ephemeral"}}, {"cache_control": {"type": "ephemeral"}}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}, "temperature": 0.5},
         {"thinking": {"type": "enabled", "budget_tokens": 2_000}}),
        ({"thinking": {"type": "disabled"}, "temperature": 0.5},
         {"thinking": {"type": "disabled"}, "temperature": 0.5}),
        ({"n": 1, "seed": 1, "logit_bias": {}, "user": "u", "metadata": {"a": "b"}, "service_tier": "flex",
          "logprobs": False, "modalities": ["text"], "functions": [], "x_invented": 1, "stop": None,
          "stream_options": {}, "presence_penalty": 1, "tools": []}, {}),
    ],
)  # fmt: skip
def test_options_under_anthropics_names(options: dict[str, Any], sent: dict[str, Any]) -> None:
    plain = {"model": "claude-opus-4-5", "max_tokens": 64_000, "stream": True}
    got = body(**options)
    del got["messages"]
    assert got == {**plain, **sent}


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [TOOL], "tool_choice": "odd"}, "tool_choice"),
    ],
)
def test_what_would_change_the_form_of_the_answer_is_refused(options: dict[str, Any], param: str) -> None:
    with pytest.raises(ProviderRequestError) as caught:
        body(**options)
    assert caught.value.details["param"] == param
    assert caught.value.details["provider_code"] == "unsupported_parameter"  # another target may take it (R1)


@pytest.mark.parametrize(
    "message", [Message("function", "1", {"name": "f"}), Message("assistant", None, {"function_call": {"name": "f"}})]
)
def test_calls_from_before_there_were_tools_are_refused(message: Message) -> None:
    with pytest.raises(ProviderRequestError):
        body(HI, message, HI)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "f"}},
         {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
        ({"type": "tool", "name": "g"}, {"type": "tool", "name": "g", "disable_parallel_tool_use": True}),
    ],
)  # fmt: skip
def test_one_call_at_a_time(choice: Json, sent: Json) -> None:
    assert body(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False)["tool_choice"] == sent


@pytest.mark.parametrize(
    ("model", "options", "sent"),
    [
        ("claude-opus-4-5", {"reasoning_effort": "high"}, {"thinking": {"type": "enabled", "budget_tokens": 16_384}}),
        ("claude-opus-4-5", {"reasoning_effort": "high", "max_tokens": 4_000},
         {"thinking": {"type": "enabled", "budget_tokens": 2_000}}),
        ("claude-opus-4-5", {"reasoning_effort": "high", "max_tokens": 2_000}, {}),
        ("claude-opus-4-5", {"reasoning_effort": "none"}, {}),
        ("claude-opus-4-5", {"reasoning_effort": "odd"}, {}),
        ("claude-3-haiku", {"reasoning_effort": "high"}, {}),
        ("claude-opus-5-5", {"reasoning_effort": "minimal"},
         {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}),
        ("claude-opus-5-5", {"reasoning_effort": "none"}, {"output_config": {"effort": "low"}}),
        ("claude-opus-5-5", {"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required"},
         {"output_config": {"effort": "low"}}),
    ],
)  # fmt: skip
def test_reasoning_effort_in_each_models_way(model: str, options: dict[str, Any], sent: dict[str, Any]) -> None:
    got = body(model=model, temperature=0.5, **options)
    assert {name: got[name] for name in ("thinking", "output_config") if name in got} == sent
    assert ("temperature" in got) is ("thinking" not in got and model != "claude-opus-5-5")


def test_no_budget_after_a_tools_result_nor_on_a_partial_answer_nor_with_a_forced_tool() -> None:
    result = Message("tool", "1", {"tool_call_id": "call_1"})
    assert "thinking" not in body(HI, call("{}"), result, reasoning_effort="high")
    assert "thinking" not in body(HI, Message("assistant", "The"), reasoning_effort="high")
    assert "thinking" not in body(HI, tools=[TOOL], tool_choice="required", reasoning_effort="high")


def test_effort_and_format_share_their_place() -> None:
    schema: Json = {"type": "json_schema", "json_schema": {"schema": {}}}
    sent = body(model="claude-opus-5", response_format=schema, reasoning_effort="max")
    assert sent["output_config"] == {"format": {"type": "json_schema", "schema": {}}, "effort": "max"}


def test_a_model_of_no_table_gets_a_careful_limit() -> None:
    assert body(model="kimi-k2", temperature=0.5) == {**body(), "model": "kimi-k2", "max_tokens": 4_096,
                                                      "temperature": 0.5}  # fmt: skip
