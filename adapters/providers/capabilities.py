"""What models can do, as data: a row for each family, looked up by the longest prefix of the model's name."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from domain.model import Json


class Reasoning(StrEnum):
    """How a model is told to think before it answers."""

    NONE = "none"
    BUDGET = "budget"
    """By a number of tokens."""
    EFFORT = "effort"
    """By a word: low, medium, high."""


class Capabilities(NamedTuple):
    """What a family of models takes and gives. Where its members differ, the most careful of them is described."""

    context_tokens: int
    """Prompt and answer together."""
    output_tokens: int
    """The longest answer, thoughts included."""
    tools: bool = True
    vision: bool = True
    reasoning: Reasoning = Reasoning.NONE
    prefill: bool = False
    """Whether an answer goes on where a last message of the assistant ends."""
    sampling: bool = True
    """Whether `temperature`, `top_p` and `top_k` are accepted."""


_CLAUDE_4 = Capabilities(200_000, 64_000, reasoning=Reasoning.BUDGET, prefill=True)
_CLAUDE_4_6 = Capabilities(1_000_000, 128_000, reasoning=Reasoning.EFFORT)
_CLAUDE_5 = _CLAUDE_4_6._replace(sampling=False)
_GEMINI_2_5 = Capabilities(1_048_576, 65_536, reasoning=Reasoning.BUDGET)
_O_SERIES = Capabilities(200_000, 100_000, reasoning=Reasoning.EFFORT, sampling=False)

# From the vendors' pages of models and of migrations, November 2026: platform.claude.com, ai.google.dev,
# platform.openai.com, api-docs.deepseek.com.
FAMILIES: Mapping[str, Capabilities] = MappingProxyType(
    {
        "claude": Capabilities(200_000, 32_000, reasoning=Reasoning.EFFORT, sampling=False),
        "claude-3": Capabilities(200_000, 4_096, prefill=True),
        "claude-3-5": Capabilities(200_000, 8_192, prefill=True),
        "claude-3-7": _CLAUDE_4,
        "claude-opus-4": _CLAUDE_4._replace(output_tokens=32_000),
        "claude-opus-4-5": _CLAUDE_4,
        "claude-sonnet-4": _CLAUDE_4,
        "claude-haiku-4": _CLAUDE_4,
        "claude-opus-4-6": _CLAUDE_4_6,
        "claude-sonnet-4-6": _CLAUDE_4_6,
        "claude-opus-4-7": _CLAUDE_5,
        "claude-opus-4-8": _CLAUDE_5,
        "claude-opus-5": _CLAUDE_5,
        "claude-sonnet-5": _CLAUDE_5,
        "claude-haiku-5": _CLAUDE_5,
        "claude-fable": _CLAUDE_5,
        "claude-mythos": _CLAUDE_5,
        "gemini": _GEMINI_2_5._replace(reasoning=Reasoning.EFFORT),
        "gemini-2.0": Capabilities(1_048_576, 8_192),
        "gemini-2.5": _GEMINI_2_5,
        "gpt-3.5": Capabilities(16_385, 4_096, vision=False),
        "gpt-4": Capabilities(8_192, 8_192, vision=False),
        "gpt-4-turbo": Capabilities(128_000, 4_096),
        "gpt-4o": Capabilities(128_000, 16_384),
        "gpt-4.1": Capabilities(1_047_576, 32_768),
        "gpt-5": Capabilities(400_000, 128_000, reasoning=Reasoning.EFFORT, sampling=False),
        "gpt-5-chat": Capabilities(128_000, 16_384),
        "o1": _O_SERIES,
        "o3": _O_SERIES,
        "o3-mini": _O_SERIES._replace(vision=False),
        "o4-mini": _O_SERIES,
        "deepseek": Capabilities(128_000, 8_192, vision=False),
    }
)
"""Prefix of the names of a family -> what its models can do."""


def capabilities(model: str) -> Capabilities | None:
    """The row of a model by the provider's own name for it, or None where nothing is known.

    What stands before a slash is left out of account: `anthropic/claude-opus-4-5`, `models/gemini-2.5-pro`.
    """
    family = _family(model)
    return None if family is None else FAMILIES[family]


def may_sign(model: str) -> bool:
    """Whether a model may have signed its thoughts, and want them back: all that are not known to be of others."""
    family = _family(model)
    return family is None or family.startswith(("claude", "gemini"))


def _family(model: str) -> str | None:
    name = model.rpartition("/")[2].lower()
    return max((prefix for prefix in FAMILIES if name.startswith(prefix)), key=len, default=None)


def token_limit(given: Mapping[str, Json], known: Capabilities | None) -> int | None:
    """The caller's limit of an answer, at most what the model gives: more was meant for another target of its route."""
    limit = given.get("max_completion_tokens") or given.get("max_tokens")
    if not isinstance(limit, int | float):
        return None
    return int(limit) if known is None else min(int(limit), known.output_tokens)


def capabilities_by(declared: Mapping[str, Mapping[str, float]]) -> Callable[[str], Capabilities | None]:
    """Looks targets up, `provider/model`: what is `declared` of one stands in place of what is known of its family.
    What else a row of a target declares is left alone."""
    own = {
        target: {name: value for name, value in row.items() if name in Capabilities._fields}
        for target, row in declared.items()
    }

    def lookup(target: str) -> Capabilities | None:
        known, fields = capabilities(target.partition("/")[2]), own.get(target)
        return known if not fields else (known or Capabilities(0, 0))._replace(**fields)  # type: ignore[arg-type]

    return lookup
