"""What a provider sends -> deltas: a read of the socket in, what it says out. The path of each event."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from adapters.answer_bounds import AnswerBounds
from adapters.providers.attempt import Attempt
from adapters.providers.chunk_template import ChunkTemplate
from adapters.providers.event_stream import MESSAGE, EventStreamParser, ServerSentEvent
from domain.delta import Delta
from domain.errors import ProviderError
from domain.events import Events

WORTH = 4
"""So many chunks are compared all at once sooner than one by one."""
_new_event = tuple.__new__


class EventReader(Protocol):
    """What the events of one answer say, in one dialect. It keeps what later events refer to."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """The answer has said that nothing follows, with an event that is no delta."""

    @abstractmethod
    def delta(self, event: ServerSentEvent) -> Delta | None:
        """The delta that an event is, or None if it says nothing. Raises the `ProviderError` that it tells of."""

    @abstractmethod
    def last(self) -> Sequence[Delta]:
        """What is still to be said once nothing follows: when `over` is true, or at the end of the body."""

    @abstractmethod
    def error(self, body: bytes) -> ProviderError | None:
        """The error that JSON in the place of an event stream is; None if it is none."""


class DeltaFeed:
    """The deltas of one answer, in which so many `choices` are due. `template` is for dialects whose chunks repeat
    themselves, and in which an event that names its type is none of them."""

    __slots__ = ("_parser", "_reader", "_template", "alive", "failure", "over", "unfinished")

    def __init__(
        self,
        attempt: Attempt,
        reader: EventReader,
        choices: int,
        template: ChunkTemplate | None,
        bounds: AnswerBounds | None = None,
    ) -> None:
        self._parser = EventStreamParser(attempt, bounds)
        self._reader = reader
        self._template = template
        self.unfinished = choices
        """Choices that have no finish reason yet."""
        self.failure: ProviderError | None = None
        """What failed in the middle of a read: it comes after the deltas before it."""
        self.over = False
        """Nothing follows."""
        self.alive: Callable[[], None] | None = None
        """Told of a read that brought no delta, where reads are handed over."""

    def close(self) -> None:
        """Lets go of what was read and is no event."""
        self._parser.close()

    def into(self, take: Callable[[Events[Delta]], None]) -> Callable[[bytes], bool]:
        """Hands the deltas of each read to `take`; whether more is wanted. It raises what failed, after what came
        before it. The path of each event."""
        template, parser = self._template, self._parser

        def pour(data: bytes) -> bool:
            if template is not None and template.block is not None:
                text = template.block.text(data)
                if text is not None and parser.skip(data):
                    take(Events([text], [template.shape]))  # one token: what most reads are
                    return True
            deltas = self.feed(data)
            if deltas.kinds:
                take(deltas)
            elif self.alive is not None:
                self.alive()
            if self.failure is not None:
                raise self.failure
            return not self.over

        return pour

    def feed(self, data: bytes) -> Events[Delta]:
        """The deltas of one read."""
        deltas: Events[Delta] = Events([], [])
        try:
            events, messages = self._parser.feed(data)
            for event in events:
                self._read(event, deltas)
            self._read_messages(messages, deltas)
        except ProviderError as error:
            self.failure = error
        return deltas

    def end(self) -> Events[Delta]:
        """What is still to be said at the end of the body. Raises the error that came in the place of an answer."""
        if self.over:
            return Events([], [])
        self.over = True
        stray = self._parser.stray().lstrip()
        error = self._reader.error(stray) if stray.startswith((b"{", b"[")) else None
        if error is not None:
            raise error
        deltas: Events[Delta] = Events([], [])
        self._add_last(deltas)
        return deltas

    def _add_last(self, deltas: Events[Delta]) -> None:
        for delta in self._reader.last():
            deltas.add([delta.text], delta.shape)
            self.unfinished -= delta.shape.finish_reason is not None

    def _read_messages(self, messages: list[bytes], deltas: Events[Delta]) -> None:
        template, place, count = self._template, 0, len(messages)
        untried = template is not None and count >= WORTH
        while place < count:
            if untried and template is not None and template.chunk is not None:
                untried = False
                texts = template.chunk.texts(messages[place:])
                deltas.add(texts, template.shape)
                place += len(texts)
            else:
                self._read(_new_event(ServerSentEvent, (MESSAGE, messages[place])), deltas)
                place += 1

    def _read(self, event: ServerSentEvent, deltas: Events[Delta]) -> None:
        kind, data = event
        if not data or self.over:
            return
        template = self._template
        if template is not None and template.chunk is not None and kind == MESSAGE:
            text = template.chunk.text(data)
            if text is not None:
                deltas.add([text], template.shape)
                return
        delta = self._reader.delta(event)
        if delta is not None:
            deltas.add([delta.text], delta.shape)
            if delta.shape.finish_reason is not None:
                self.unfinished -= 1
            elif template is not None and template.tries and delta.text:
                template.learn(data, delta)
        if self._reader.over:
            self.over = True
            self._add_last(deltas)
