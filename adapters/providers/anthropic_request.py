"""A request, from OpenAI's shape to that of Anthropic's Messages API (platform.claude.com/docs/en/api/messages)."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from adapters.providers.anthropic_messages import read_instructions, read_turns
from adapters.providers.anthropic_parts import said_blocks
from adapters.providers.attempt import Attempt
from adapters.providers.capabilities import Capabilities, Reasoning, capabilities, token_limit
from adapters.providers.conversation_parts import check_answerable, nested, parts, refused
from adapters.providers.reasoning_details import thinking_blocks
from adapters.providers.request_body import encode_body
from adapters.providers.vendor_names import ToolIds, ToolNames, tool_names
from domain.model import CompletionRequest, Json, JsonObject, Message

UNKNOWN = Capabilities(200_000, 4_096, prefill=True)
"""What is taken for granted of a model that speaks this dialect and is in no table."""
OWN_OPTIONS = frozenset(
    {
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "output_config",
        "speed",
        "stop_sequences",
        "thinking",
    }
)
"""Options under Anthropic's own names, which go through as they are."""
SAMPLING_OPTIONS = ("temperature", "top_p", "top_k")
SERVICE_TIERS = frozenset({"auto", "standard_only"})
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
TOOL_CHOICES: Mapping[str, str] = {"auto": "auto", "none": "none", "required": "any"}
JSON_ALONE = "Answer with one JSON object and nothing else."
"""What stands for a `response_format` of `json_object`, for which there is no option."""
NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}

LEAST_BUDGET = 1_024
BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768, "max": 32_768}
"""Tokens to think with, by effort, for models that take a number; never more than half of the answer's."""
EFFORTS = {"none": "low", "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh",
           "max": "max"}  # fmt: skip
"""Anthropic's word for an effort."""


class Mapped(NamedTuple):
    """What goes out by other names, and comes back by the callers'."""

    ids: Mapping[str, str]
    names: Mapping[str, str]


async def encode_request(request: CompletionRequest, model: str, attempt: Attempt) -> tuple[bytes, Mapped]:
    """The body of `POST /v1/messages`, and what was mapped in it. Options that Anthropic has no word for are left out.

    Raises `ProviderRequestError` for messages that cannot be translated, and for options without which the answer
    would have another form.
    """
    check_answerable(request, attempt)
    given = {name: value for name, value in request.options.items() if value is not None}
    known = capabilities(model)
    row = known or UNKNOWN
    limit = token_limit(given, known) or row.output_tokens
    thoughts = known is None or known.reasoning is not Reasoning.NONE
    ids, names = ToolIds(), tool_names(given.get("tools"), request.messages, TOOL_NAME)
    turns = read_turns(request.messages, attempt, ids, names, thoughts=thoughts)
    body: JsonObject = {"model": model, "max_tokens": limit, "messages": turns}
    system = [*said_blocks(parts(given.get("system"), attempt)), *read_instructions(request.messages, attempt)]
    if nested(given, "response_format", "type") == "json_object":
        system.append({"type": "text", "text": JSON_ALONE})
    if system:
        body["system"] = system
    body |= _tools(given, names, attempt)
    body |= _output(given)
    body |= _thinking(given, row, limit, body, begins=_thoughts_may_begin(request.messages, attempt))
    if row.sampling and nested(body, "thinking", "type") in {None, "disabled"}:
        body |= _sampling(given, alone=known is not None)
    body |= {name: value for name, value in given.items() if name in OWN_OPTIONS}
    return await encode_body({**body, "stream": True}, request.size), Mapped(ids.given, names.given)


def _sampling(given: Mapping[str, Json], *, alone: bool) -> JsonObject:
    """OpenAI's temperature goes up to 2, Anthropic's to 1: above it counts as 1, as in Anthropic's own layer. It stands
    `alone`: from Claude 4.1 on it is refused together with `top_p`."""
    body = {name: given[name] for name in SAMPLING_OPTIONS if name in given}
    temperature = body.get("temperature")
    if alone and temperature is not None:
        body.pop("top_p", None)
    if isinstance(temperature, int | float) and temperature > 1:
        body["temperature"] = 1
    return body


def _output(given: Mapping[str, Json]) -> JsonObject:
    body: JsonObject = {}
    stop = given.get("stop")
    if stops := [one for one in (stop if isinstance(stop, list) else [stop]) if isinstance(one, str) and one.strip()]:
        body["stop_sequences"] = [*stops]  # one of white space is refused
    schema = nested(given, "response_format", "json_schema", "schema")
    if schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    if given.get("service_tier") in SERVICE_TIERS:
        body["service_tier"] = given["service_tier"]
    metadata = given.get("metadata")
    if isinstance(metadata, dict) and metadata.keys() == {"user_id"}:
        body["metadata"] = metadata
    return body


def _tools(given: Mapping[str, Json], names: ToolNames, attempt: Attempt) -> JsonObject:
    tools = given.get("tools")
    if not isinstance(tools, list) or not tools:
        return {}
    body: JsonObject = {"tools": [_tool(tool, names) for tool in tools if isinstance(tool, dict)]}
    choice = _tool_choice(given.get("tool_choice"), names, attempt)
    if given.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = {"type": "auto", **(choice or {}), "disable_parallel_tool_use": True}
    if choice is not None:
        body["tool_choice"] = choice
    return body


def _tool(tool: JsonObject, names: ToolNames) -> JsonObject:
    """A function as a tool; a tool in Anthropic's own shape as it is."""
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    named = {name: function[name] for name in ("name", "description") if function.get(name) is not None}
    own = {"cache_control": tool["cache_control"]} if "cache_control" in tool else {}
    if isinstance(name := function.get("name"), str):
        named["name"] = names.sent(name)
    schema = function.get("parameters") or NO_PARAMETERS
    if isinstance(schema, dict) and "type" not in schema:
        schema = {"type": "object", **schema}
    return {**named, "input_schema": schema, **own}


def _tool_choice(choice: Json, names: ToolNames, attempt: Attempt) -> JsonObject | None:
    match choice:
        case str() if choice in TOOL_CHOICES:
            return {"type": TOOL_CHOICES[choice]}
        case {"type": "function", "function": {"name": name}}:
            return {"type": "tool", "name": names.sent(name) if isinstance(name, str) else name}
        case dict():
            return choice
        case None:
            return None
        case _:
            raise refused(attempt, "This provider does not know such a choice of tools.", "tool_choice")


def _thinking(
    given: Mapping[str, Json], row: Capabilities, limit: int, body: JsonObject, *, begins: bool
) -> JsonObject:
    """`reasoning_effort` in the model's way; Anthropic's own `thinking` stands as it is. A model that thinks by budget
    does so where thoughts may begin, and not with a forced tool."""
    effort = given.get("reasoning_effort")
    if "thinking" in given:
        return {"thinking": given["thinking"]}
    if not isinstance(effort, str) or effort not in EFFORTS or row.reasoning is Reasoning.NONE:
        return {}
    forced = nested(body, "tool_choice", "type") in {"any", "tool"}
    if row.reasoning is Reasoning.EFFORT:
        config = body.get("output_config")
        chosen: JsonObject = {**(config if isinstance(config, dict) else {}), "effort": EFFORTS[effort]}
        if effort == "none" or forced:
            return {"output_config": chosen}
        return {"output_config": chosen, "thinking": {"type": "adaptive", "display": "summarized"}}
    budget = min(BUDGETS.get(effort, 0), limit // 2)
    if budget < LEAST_BUDGET or forced or not begins:
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _thoughts_may_begin(messages: Sequence[Message], attempt: Attempt) -> bool:
    """Behind a user's message, not on a partial answer; behind a tool's result if the thoughts before it are there."""
    last = messages[-1].role if messages else ""
    answer = next((message for message in reversed(messages) if message.role == "assistant"), None)
    return last == "user" or (last == "tool" and answer is not None and bool(thinking_blocks(answer, attempt)))
