"""The provider port."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from domain.delta import Delta
from domain.model import CompletionRequest


class Provider(Protocol):
    """One provider of answers, e.g. an OpenAI-compatible address."""

    @abstractmethod
    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One attempt: sends the request for `model` (the provider's own name) and iterates over its answer.

        Each item is what one read from the provider brought, never empty. The iteration ends where the provider ends
        the answer; whether it ended with a finish reason is the caller's to judge. Leaving the context hangs up at
        once if the answer is not over; it never waits for the provider.

        Raises from entering or iterating, and nothing else: a `ProviderError`.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Closes idle connections. Attempts that are open end by their own contexts."""


@runtime_checkable
class Delivery(Protocol):
    """An optional power of an answer: it hands over batches in the moment in which they arrive, without a task."""

    @abstractmethod
    async def deliver(self, take: Callable[[Sequence[Delta]], None]) -> None:
        """Calls `take` with what iterating would give, and returns where that would end.

        Raises what iterating raises, and what `take` raises, which ends the delivery.
        """


@runtime_checkable
class SignsOfLife(Protocol):
    """An optional power of an answer: it tells of what comes from the provider and is no event, e.g. a comment."""

    @abstractmethod
    def on_life(self, alive: Callable[[], None]) -> None:
        """Has `alive` called with each read that brings bytes and no delta, those of the head included.

        To be called before the context is entered. `alive` must not block, and does not raise.
        """
