"""The members of a chunk in OpenAI's dialect that are read: all others are forwarded as they are."""

from typing import Annotated, Any

import msgspec

Index = Annotated[int, msgspec.Meta(ge=-(1 << 31), lt=1 << 31)]


class Function(msgspec.Struct, frozen=True, gc=False):
    """What is called, or a custom tool's name and input."""

    name: str | None = None
    arguments: str | None = None
    input: str | None = None  # of a custom tool


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A fragment of a call."""

    index: Index | None = None
    id: str | None = None
    function: Function | None = None
    custom: Function | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """What a chunk adds to its choice's message."""

    role: str | None = None
    content: str | list[Any] | None = None  # a list of parts is Mistral's way
    reasoning_content: str | None = None  # DeepSeek's name for it
    reasoning: str | None = None  # vLLM's and OpenRouter's
    tool_calls: list[ToolCall] | None = None
    reasoning_details: Any = None  # OpenRouter's signed thoughts
    # What we have no field for: it is forwarded as it is, and no other target can go on with it.
    function_call: Any = None
    refusal: Any = None
    audio: Any = None
    images: Any = None
    annotations: Any = None


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A choice's part of a chunk."""

    index: Index | None = None
    delta: Message | None = None
    message: Any = None  # a whole one: MiniMax's last chunk has it
    finish_reason: str | None = None


class UsageFields(msgspec.Struct, frozen=True, gc=False):
    """The counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class BaseResp(msgspec.Struct, frozen=True, gc=False):
    """MiniMax's own status beside an answer."""

    status_code: Any = None  # MiniMax's: 0 is success


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A chunk."""

    choices: list[Choice] | None = None
    usage: UsageFields | None = None
    model: str | None = None
    error: Any = None
    base_resp: BaseResp | None = None
