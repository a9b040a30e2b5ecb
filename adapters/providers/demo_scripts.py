"""What the demo provider plays: one script a model name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from domain.delta import PLAIN, Delta, ToolCallDelta
from domain.errors import ProviderError, ProviderRateLimitedError, ProviderRequestError, ProviderUnavailableError
from domain.model import CompletionRequest

HUMAN_PACE = 0.025
"""Seconds a token: 40 a second."""


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: its pieces, how fast they come, and how it ends. Times in seconds.

    `pieces` None echoes the last user message. `finish_reason` None ends the answer without one, as a cut does.
    `error` is raised before the piece `error_at` (0: instead of an answer); `stall_at` is the piece that never comes.
    `batch` pieces come in one read.
    """

    pieces: tuple[Delta, ...] | None = ()
    first_delay: float = 0.0
    delay: float = 0.0
    finish_reason: str | None = "stop"
    batch: int = 1
    error: type[ProviderError] | None = None
    error_at: int = 0
    retry_after: float | None = None
    stall_at: int | None = None
    alive_every: float = 0.0
    """Pause between signs of life while nothing else comes; 0: none are given."""


def text_pieces(text: str) -> tuple[Delta, ...]:
    """A text word by word. No grapheme is split: the cuts are between ASCII and a space, or between two ideographs."""
    return tuple(Delta.shaped(piece, PLAIN) for piece in _CUT.split(text) if piece)


def echo_pieces(request: CompletionRequest) -> tuple[Delta, ...]:
    """The text of the last user message."""
    content = next((message.content for message in reversed(request.messages) if message.role == "user"), "")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(text for text in texts if isinstance(text, str))
    return text_pieces(content if isinstance(content, str) else "")


_CUT = re.compile(r"(?<=[!-~])(?= )|(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])")

_DEMO = text_pieces(
    "The sky looks blue because of how sunlight meets the air. Sunlight is a mix of all colours, and the molecules of"
    " the air scatter short waves much more than long ones: blue light is sent in every direction, while red goes"
    " nearly straight on. Wherever you look, some of that scattered blue reaches your eye. At sunset the light takes a"
    " longer way through the air, most of the blue is lost on it, and what is left is orange and red. This answer was"
    " written in advance: it comes from the built-in demo provider, so no key and no network were needed."
)
_SHORT = text_pieces("The demo provider is at work and this answer came at once.")
_LONG = text_pieces(" ".join(f"This is sentence {number} of a long answer." for number in range(1, 251)))
_TOOLS = tuple(
    Delta(tool_calls=(call,))
    for call in (
        ToolCallDelta(0, "call_demo_1", "get_weather"),
        ToolCallDelta(0, arguments='{"city":'),
        ToolCallDelta(0, arguments=' "Paris",'),
        ToolCallDelta(0, arguments=' "unit": "celsius"}'),
    )
)
_REASONING = tuple(
    Delta(reasoning=piece.text) for piece in text_pieces("Two numbers are asked for. Seventeen and twenty-five.")
) + text_pieces("The sum of both is 42.")

SCRIPTS: Mapping[str, Script] = MappingProxyType(
    {
        "demo": Script(_DEMO, first_delay=0.3, delay=HUMAN_PACE),
        "instant": Script(_SHORT, batch=len(_SHORT)),
        "long": Script(_LONG, delay=HUMAN_PACE),
        "slow": Script(_SHORT, first_delay=5.0, delay=HUMAN_PACE),
        "tools": Script(_TOOLS, delay=HUMAN_PACE, finish_reason="tool_calls"),
        "reasoning": Script(_REASONING, delay=HUMAN_PACE),
        "echo": Script(None),
        "error-500": Script(error=ProviderUnavailableError),
        "error-429": Script(error=ProviderRateLimitedError, retry_after=1.0),
        "refused": Script(error=ProviderRequestError),
        "cut": Script(_SHORT[:6], delay=HUMAN_PACE, finish_reason=None),
        "stall": Script(_SHORT, delay=HUMAN_PACE, stall_at=6),
        "silent": Script(_SHORT, stall_at=0),
        "filtered": Script(_SHORT[:3], delay=HUMAN_PACE, finish_reason="content_filter"),
        "length": Script(_SHORT[:9], delay=HUMAN_PACE, finish_reason="length"),
    }
)
"""By model name. From `error-500` on they fail, fall silent or end early on demand."""
