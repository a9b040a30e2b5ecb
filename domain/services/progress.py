"""What a generation has to show for itself so far, whichever attempts it took."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from domain.delta import Delta, Shape, Usage
from domain.events import Events, Kind
from domain.jobs import Job
from domain.model import GAP_BOUNDS, CompletionRequest, Lease
from domain.services.targets import Target

MAX_RESCUE_CHARACTERS = 1 << 18
"""A longer answer is not rescued: its text is not kept."""


@dataclass(slots=True)
class Progress:
    """One answer on its way into one stream."""

    job: Job
    lease: Lease
    request: CompletionRequest = field(init=False)
    thread_id: str = field(init=False)
    choices: int = field(init=False)
    """How many answers were asked for at once."""
    keep: bool = field(init=False)
    """Whether the answer is needed at the end, for the cache."""
    began: list[Callable[[float], None]] = field(default_factory=list)
    """Told when the first event of an attempt comes, in monotonic seconds."""
    answer: Events[Delta] = field(default_factory=lambda: Events([], []))
    """What it has said: for the cache, and for a rescue. Forgotten if it is for neither."""
    deadline: float = math.inf
    """When all attempts together must be over; monotonic seconds."""
    rest: Sequence[Target] = ()
    """The targets of the route that are not tried yet and may do better than the one that is."""
    attempts: int = 0
    rescues: int = 0
    """How many attempts went on from what an earlier one had sent."""
    target: str | None = None
    failures: tuple[tuple[str, str], ...] = ()
    """Target and code of each attempt that failed, in order."""
    first_event_at: float | None = None
    last_event_at: float = 0.0
    batches: int = 0
    gaps: list[int] = field(default_factory=lambda: [0] * (len(GAP_BOUNDS) + 1))
    characters: int = 0
    usual: Kind | None = None
    """The shape of the last delta that was only text."""
    beyond_text: bool = False
    """Whether a tool was called, or something was said that only the provider's own JSON holds."""
    finish_reason: str | None = None
    unfinished: int = 1
    """Choices that have no finish reason yet."""
    spoken: frozenset[int] = frozenset()
    """Of several choices, those that have begun: a provider may give fewer than were asked for."""
    finished: frozenset[int] = frozenset()
    """Choices that have their finish reason."""
    usage: Usage | None = None
    model: str = ""

    def __post_init__(self) -> None:
        self.request = self.job.request
        self.thread_id = self.job.context.thread_id
        self.keep = self.job.store_key is not None
        count = self.request.options.get("n")
        self.choices = count if isinstance(count, int) else 1

    @property
    def too_long(self) -> bool:
        """Whether the answer is too long for a rescue."""
        return self.characters > MAX_RESCUE_CHARACTERS

    def take(self, batch: Events[Delta], now: float) -> None:
        """Notes what the batch, which came at `now`, says about the answer as a whole. The path of each event."""
        if self.first_event_at is None:
            self.first_event_at = now
        else:
            self.gaps[bisect_left(GAP_BOUNDS, now - self.last_event_at)] += 1
        self.last_event_at = now
        self.batches += 1
        texts, kinds = batch.texts, batch.kinds
        if len(texts) == 1 and kinds[0] is self.usual:  # what most batches are
            self.characters += len(texts[0])
        else:
            self._look(texts, kinds)
        if self.keep or self.characters <= MAX_RESCUE_CHARACTERS:
            answer = self.answer
            answer.texts += texts
            answer.kinds += kinds
        else:
            self.answer = Events([], [])

    def _look(self, texts: list[str], kinds: list[Kind]) -> None:
        """At each shape among these deltas."""
        self.characters += len("".join(texts))
        for kind, same in groupby(kinds):  # most of them have the same one
            if type(kind) is Shape and not kind.plain:
                for _ in same:
                    self._note(kind)
            else:
                self.usual = kind
        if self.choices > 1:
            self.usual = None  # each is looked at
            self.spoken |= {kind.choice for kind in kinds if type(kind) is Shape}

    def _note(self, shape: Shape) -> None:
        """What is more than text: few deltas have any of it."""
        self.characters += len(shape.reasoning)
        if shape.tool_calls or shape.beyond:
            self.beyond_text = True
        if shape.finish_reason is not None:
            self.finish_reason = self.finish_reason or shape.finish_reason
            self.finished |= {shape.choice}
            self.unfinished = self.choices - len(self.finished)
            self.model = shape.model or self.model
        if shape.usage is not None:
            self.usage = shape.usage
