"""A piece of an answer: its text, and the shape that it shares with most others."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self


class Dialect(StrEnum):
    """A wire dialect: what a door speaks, and what a provider's own bytes are written in."""

    NATIVE = "native"
    OPENAI = "openai"


class Usage(NamedTuple):
    """Tokens, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Of the prompt's, those that were read from the provider's cache."""
    reasoning_tokens: int = 0
    """Of the answer's, those of its thoughts."""

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of one tool call: `id` and `name` come once, `arguments` in fragments of JSON text."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    extra: bytes = b""
    """What OpenAI's dialect has no field for, e.g. a signature that comes back with the call: a JSON object."""


SEEN = (b"{ }", b'{"images"', b'{"audio"', b'{"files"')
"""How an `extra` begins that adds to the answer: an empty one says that the provider's own JSON holds what does."""
MORE = SEEN[0]


class Shape(NamedTuple):
    """All of a delta but its text: most deltas of an answer share one."""

    head: bytes = b""
    """The provider's own JSON in `dialect`, in one line, up to the text; all of it if `tail` is None."""
    tail: bytes | None = None
    """What follows on the text there, which stands in it as it is."""
    dialect: Dialect = Dialect.NATIVE
    choice: int = 0
    role: str | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    plain: bool = True
    """Nothing but the text adds to the answer. False and no field: the provider's own JSON alone says what does."""
    extra: bytes = b""
    """What OpenAI's dialect has no field for: a JSON object. Signed thoughts in it add nothing to be read; what does,
    e.g. images, stands first (`SEEN`)."""

    @property
    def beyond(self) -> bool:
        """Whether it adds to the answer what no field holds: images, a refusal, whatever is invented tomorrow."""
        if self.extra.startswith(SEEN):
            return True
        return not (
            self.plain or self.reasoning or self.tool_calls or self.finish_reason is not None or self.usage is not None
        )


PLAIN = Shape()
"""A text and nothing else."""


class _Piece(NamedTuple):
    text: str
    shape: Shape


class Delta(_Piece):
    """One piece of an answer, as one event of the provider brought it.

    A pair, as one is made for each token: in 0.1 us and 56 bytes beside its text. `Delta(...)` takes all the fields
    and costs 1 us.
    """

    __slots__ = ()

    def __new__(
        cls,
        text: str = "",
        raw: bytes = b"",
        dialect: Dialect = Dialect.NATIVE,
        choice: int = 0,
        role: str | None = None,
        reasoning: str = "",
        tool_calls: tuple[ToolCallDelta, ...] = (),
        finish_reason: str | None = None,
        usage: Usage | None = None,
        model: str | None = None,
        extra: bytes = b"",
    ) -> Self:
        """A delta from its fields."""
        plain = not (reasoning or tool_calls or extra.startswith(SEEN)) and finish_reason is None and usage is None
        fields = (raw, None, dialect, choice, role, reasoning, tool_calls, finish_reason, usage, model, plain, extra)
        return tuple.__new__(cls, (text, tuple.__new__(Shape, fields)))

    @classmethod
    def shaped(cls, text: str, shape: Shape) -> Self:
        """A delta of a known shape."""
        return tuple.__new__(cls, (text, shape))

    def but(self, **fields: Any) -> Self:
        """The same with some other fields, and without the provider's JSON, which would not say the same any more."""
        shape = self.shape._asdict()
        for name in ("head", "tail", "plain", "dialect"):
            del shape[name]
        return type(self)(**{"text": self.text, **shape, **fields})

    @property
    def raw(self) -> bytes:
        """The provider's own JSON, in one line: a door of its dialect forwards it unchanged."""
        text, shape = self
        return shape.head if shape.tail is None else b"%b%b%b" % (shape.head, text.encode(), shape.tail)

    @property
    def dialect(self) -> Dialect:
        """What `raw` is written in."""
        return self.shape.dialect

    @property
    def choice(self) -> int:
        """Which of several answers it belongs to."""
        return self.shape.choice

    @property
    def role(self) -> str | None:
        """Who speaks; it comes once."""
        return self.shape.role

    @property
    def reasoning(self) -> str:
        """A piece of the thoughts."""
        return self.shape.reasoning

    @property
    def tool_calls(self) -> tuple[ToolCallDelta, ...]:
        """Pieces of tool calls."""
        return self.shape.tool_calls

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ends, on the event that ends it."""
        return self.shape.finish_reason

    @property
    def usage(self) -> Usage | None:
        """What the answer cost, where the event says so."""
        return self.shape.usage

    @property
    def extra(self) -> bytes:
        """What OpenAI's dialect has no field for: a JSON object."""
        return self.shape.extra

    @property
    def model(self) -> str | None:
        """The provider's name of the model, on the events that begin and end the answer, if it says so there."""
        return self.shape.model
