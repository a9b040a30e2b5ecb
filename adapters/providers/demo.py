"""The demo provider: scripted answers, offline. The embedded default, and what tests stream from."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from adapters.providers.attempt import Attempt
from adapters.providers.demo_scripts import SCRIPTS, Script, echo_pieces
from domain.delta import Delta, Usage
from domain.errors import ProviderModelNotFoundError
from domain.model import CompletionRequest
from ports.clock import Clock
from ports.model_list import ModelList
from ports.provider import Provider, SignsOfLife


class DemoProvider(Provider, ModelList):
    """Plays the script that has the model's name; `SCRIPTS` lists those it has by itself.

    `calls` counts the attempts so far and `open` those that are not left yet.
    """

    def __init__(self, name: str, clock: Clock, scripts: Mapping[str, Script] = SCRIPTS) -> None:
        self._name = name
        self._clock = clock
        self._scripts = scripts
        self.calls = 0
        self.open = 0

    def stream(
        self, request: CompletionRequest, model: str, thread_id: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Delta]]]:
        """One call; see the port."""
        return _Performance(self, self._clock, self._scripts.get(model), request, model, Attempt(self._name, thread_id))

    async def list_models(self) -> Sequence[str]:
        """The names of the scripts."""
        return tuple(self._scripts)

    async def aclose(self) -> None:
        """Nothing to close."""


class _Performance(AsyncIterator[Sequence[Delta]], SignsOfLife):
    """One script being played."""

    def __init__(
        self,
        provider: DemoProvider,
        clock: Clock,
        script: Script | None,
        request: CompletionRequest,
        model: str,
        attempt: Attempt,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._script = script or Script()
        self._known = script is not None
        self._request = request
        self._model = model
        self._attempt = attempt
        self._place = 0
        self._alive: Callable[[], None] | None = None

    def on_life(self, alive: Callable[[], None]) -> None:
        """See the port."""
        self._alive = alive

    async def __aenter__(self) -> Self:
        self._provider.calls += 1
        if not self._known:
            raise self._attempt.error(ProviderModelNotFoundError, "The demo provider has no script for the model.")
        if self._script.error_at == 0:
            self._raise_error()
        self._deltas = self._write()
        self._provider.open += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._provider.open -= 1

    async def __anext__(self) -> Sequence[Delta]:
        script, place = self._script, self._place
        if script.error is not None and place >= script.error_at:
            self._raise_error()
        if script.stall_at is not None and place >= script.stall_at:
            await self._wait(math.inf)  # until the attempt is cancelled
        if place >= len(self._deltas):
            raise StopAsyncIteration
        stops = [stop for stop in (script.stall_at, script.error_at) if stop is not None and stop > place]
        self._place = min([place + script.batch, *stops])
        delay = script.delay if place else script.first_delay
        if delay > 0:
            await self._wait(delay)
        return self._deltas[place : self._place]

    async def _wait(self, seconds: float) -> None:
        """Nothing of the answer comes for so long: signs of life do, if the script has any."""
        every = self._script.alive_every
        while every and self._alive is not None and seconds > every:
            await self._clock.sleep(every)
            self._alive()
            seconds -= every
        if seconds == math.inf:
            await asyncio.get_running_loop().create_future()
        await self._clock.sleep(seconds)

    def _raise_error(self) -> None:
        if self._script.error is not None:
            wait = {} if self._script.retry_after is None else {"retry_after": self._script.retry_after}
            raise self._attempt.error(self._script.error, "The script says that the provider fails here.", **wait)

    def _write(self) -> list[Delta]:
        """The pieces with what only an answer as a whole has: its role, and how it ends."""
        pieces = echo_pieces(self._request) if self._script.pieces is None else self._script.pieces
        deltas = [piece.but(role="assistant") if not place else piece for place, piece in enumerate(pieces)]
        if self._script.finish_reason is not None:
            words = sum(len(str(message.content).split()) for message in self._request.messages)
            usage = Usage(words, len(pieces))
            deltas.append(Delta(finish_reason=self._script.finish_reason, usage=usage, model=self._model))
        return deltas
