"""A request, from OpenAI's shape to that of Gemini's `streamGenerateContent` (ai.google.dev/api/generate-content)."""

import re
from collections.abc import Mapping

from adapters.providers.attempt import Attempt
from adapters.providers.capabilities import Capabilities, Reasoning, capabilities, token_limit
from adapters.providers.conversation_parts import check_answerable, nested, refused
from adapters.providers.gemini_contents import read_contents, read_instructions
from adapters.providers.request_body import encode_body
from adapters.providers.vendor_names import ToolNames, tool_names
from domain.model import CompletionRequest, Json, JsonObject

UNKNOWN = Capabilities(32_768, 8_192)
"""What is taken for granted of a model that speaks this dialect and is in no table."""
OWN_OPTIONS = frozenset({"cachedContent", "safetySettings", "toolConfig"})
"""Options under Gemini's own names, which go through as they are; `generationConfig` wins over what is translated."""
GENERATION_OPTIONS: Mapping[str, str] = {"temperature": "temperature", "top_p": "topP", "top_k": "topK", "seed": "seed"}
TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
TOOL_CHOICES: Mapping[str, str] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}

BUDGETS = {"none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576, "xhigh": 24_576}
"""Tokens to think with, by effort, as Google's own layer for OpenAI's clients has them."""
LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}
"""Gemini's word for an effort."""


async def encode_request(request: CompletionRequest, model: str, attempt: Attempt) -> tuple[bytes, Mapping[str, str]]:
    """The body of `POST /models/{model}:streamGenerateContent`, and the callers' names of tools by those that they go
    out as. Options that Gemini has no word for are left out.

    Raises `ProviderRequestError` for messages that cannot be translated, and for options without which the answer
    would have another form.
    """
    check_answerable(request, attempt)
    given = {name: value for name, value in request.options.items() if value is not None}
    known = capabilities(model)
    row = known or UNKNOWN
    names = tool_names(given.get("tools"), request.messages, TOOL_NAME)
    third = row.reasoning is Reasoning.EFFORT
    body: JsonObject = {"contents": read_contents(request.messages, attempt, names, third=third)}
    own = nested(given, "systemInstruction", "parts")
    instructions = [*(own if isinstance(own, list) else []), *read_instructions(request.messages, attempt)]
    if instructions:
        body["systemInstruction"] = {"parts": instructions}
    body |= _tools(given, names, attempt)
    config = _generation_config(given, row, token_limit(given, known))
    if config:
        body["generationConfig"] = config
    own_options = {name: value for name, value in given.items() if name in OWN_OPTIONS}
    return await encode_body({**body, **own_options}, request.size), names.given


def _generation_config(given: Mapping[str, Json], row: Capabilities, limit: int | None) -> JsonObject:
    config = {theirs: given[ours] for ours, theirs in GENERATION_OPTIONS.items() if ours in given}
    if limit is not None:
        config["maxOutputTokens"] = limit
    stop = given.get("stop")
    if stops := [one for one in (stop if isinstance(stop, list) else [stop]) if one]:
        config["stopSequences"] = [*stops]
    if nested(given, "response_format", "type") in {"json_object", "json_schema"}:
        config["responseMimeType"] = "application/json"
    schema = nested(given, "response_format", "json_schema", "schema")
    if schema is not None:
        config["responseJsonSchema"] = schema
    effort = given.get("reasoning_effort")
    if isinstance(effort, str) and effort in LEVELS and row.reasoning is not Reasoning.NONE:
        config["thinkingConfig"] = _thinking(effort, row.reasoning)
    own = given.get("generationConfig")
    return {**config, **(own if isinstance(own, dict) else {})}


def _thinking(effort: str, reasoning: Reasoning) -> JsonObject:
    told: JsonObject = (
        {"thinkingBudget": BUDGETS[effort]} if reasoning is Reasoning.BUDGET else {"thinkingLevel": LEVELS[effort]}
    )
    return told if effort == "none" else {**told, "includeThoughts": True}


def _tools(given: Mapping[str, Json], names: ToolNames, attempt: Attempt) -> JsonObject:
    tools = given.get("tools")
    if not isinstance(tools, list) or not tools:
        return {}
    functions: list[Json] = []
    own: list[Json] = []
    for tool in tools:
        function = nested(tool, "function") if isinstance(tool, dict) else None
        if isinstance(function, dict):
            functions.append(_declaration(function, names))
        else:
            own.append(tool)
    declared: list[Json] = [{"functionDeclarations": functions}] if functions else []
    body: JsonObject = {"tools": [*declared, *own]}
    choice = _calling_config(given.get("tool_choice"), names, attempt)
    if choice is not None:
        body["toolConfig"] = {"functionCallingConfig": choice}
    return body


def _declaration(function: JsonObject, names: ToolNames) -> JsonObject:
    fields = {"name": "name", "description": "description", "parameters": "parametersJsonSchema"}
    declared = {theirs: function[ours] for ours, theirs in fields.items() if function.get(ours) is not None}
    name = declared.get("name")
    return {**declared, "name": names.sent(name)} if isinstance(name, str) else declared


def _calling_config(choice: Json, names: ToolNames, attempt: Attempt) -> JsonObject | None:
    match choice:
        case str() if choice in TOOL_CHOICES:
            return {"mode": TOOL_CHOICES[choice]}
        case {"type": "function", "function": {"name": name}}:
            return {"mode": "ANY", "allowedFunctionNames": [names.sent(name) if isinstance(name, str) else name]}
        case None:
            return None
        case _:
            raise refused(attempt, "This provider does not know such a choice of tools.", "tool_choice")
