"""Every reachable state of a breaker that two replicas share, within small bounds, by breadth-first search (B3).

With a third holder and cooldowns of 2 to 4 s it is 35,224 states and a minute: run once, nothing more was found.
"""

import copy
from collections import deque
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from adapters.memory.breaker_board import MemoryBreakerBoard
from domain.model import BreakerState
from domain.services.breaker_state import BreakerPolicy
from domain.services.circuit_breaker import CircuitBreakers
from ports.clock import Clock

TARGET = "p/m"
POLICY = BreakerPolicy(2, window=10.0, recovery_timeout=1.0, max_recovery_timeout=2.0, jitter=0.0)
PROBE_SECONDS = 2
HOLDERS = (("first", "a"), ("second", "b"))


class Stopped(Clock):
    """Whole seconds that only the search moves."""

    def __init__(self) -> None:
        self.now = 1_000

    def monotonic(self) -> float:
        return float(self.now)

    def time(self) -> float:
        return float(self.now)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a breaker never sleeps")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs what awaits nothing but the memory board, which never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")


@dataclass
class World:
    """Two replicas and a board that knows everything at once; `calls` are out, with the state they probe."""

    clock: Stopped = field(default_factory=Stopped)
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    """Holder to the generation under which it was admitted, 0 for closed."""

    def __post_init__(self) -> None:
        self.board = MemoryBreakerBoard(self.clock)
        self.replicas = {
            name: CircuitBreakers(self.clock, self.board, POLICY, lambda _: PROBE_SECONDS, lambda: 0.0)
            for name in ("first", "second")
        }

    @property
    def state(self) -> BreakerState | None:
        return self.board.state(TARGET)

    def probes(self) -> list[str]:
        """Holders whose lease lasts."""
        return [holder for _, holder, _ in self.board._leases.held()]

    def actions(self) -> Iterator[tuple[str, tuple[str, str]]]:
        yield "wait", ("", "")
        yield "open", ("first", "")
        yield "close", ("first", "")
        for who in HOLDERS:
            verdicts = ("succeeded", "failed", "abandoned", "lost") if who in self.calls else ("admit",)
            yield from ((action, who) for action in verdicts)
            if self.calls.get(who):  # a probe alone is asked for its first event
                yield "answered", who

    def act(self, action: str, who: tuple[str, str]) -> None:
        name, holder = who
        if action == "wait":
            self.clock.now += 1
            return
        service = self.replicas[name]
        if action in {"open", "close"}:
            run(getattr(service, action)(TARGET))
        elif action == "admit":
            before = self.state
            if run(service.admit(TARGET, holder)):
                self.calls[who] = before.generation if before else 0
        elif action == "answered":
            run(service.answered(TARGET, holder))
            self.calls[who] = 0
        else:
            del self.calls[who]
            if action == "lost":  # its process died: nobody gives anything back
                service._calls.pop((TARGET, holder))
            else:
                run(getattr(service, action)(TARGET, holder))

    def key(self) -> object:
        """What tells this state from others: times as they lie ahead, generations as they lie back."""
        now, state = self.clock.now, self.state
        current = state.generation if state else self.board._closed
        return (
            state and (max(state.open_until - now, 0), min(state.openings, 3)),
            sorted((holder, left) for _, holder, left in self.board._leases.held()),
            sorted((who, generation and min(current - generation, 2)) for who, generation in self.calls.items()),
            [
                (
                    name,
                    [min(count, 3) for count in window.totals(now)],
                    [who for who in self.calls if who[0] == name and self._stale(name, who)],
                )
                for name, service in self.replicas.items()
                if (window := service._windows.get(TARGET))
            ],
        )

    def _stale(self, name: str, who: tuple[str, str]) -> bool:
        service = self.replicas[name]
        return service._calls[TARGET, who[1]].began < service._windows[TARGET].cleared_at


def has_exit(world: World) -> bool:
    """Whether somebody new can close it, by nothing but waiting and a call that is answered."""
    world = copy.deepcopy(world)
    longest = int(POLICY.max_recovery_timeout) + PROBE_SECONDS
    for _ in range(longest + 1):
        if run(world.replicas["second"].admit(TARGET, "new")):
            run(world.replicas["second"].succeeded(TARGET, "new"))
            return world.state is None
        world.clock.now += 1
    return False


def check_step(before: World, action: str, who: tuple[str, str], after: World) -> None:
    old, new = before.state, after.state
    if old is not None and new is not None:
        assert new.generation >= old.generation
        assert new == old or new.generation > old.generation
    if old is None and new is not None:
        assert new.generation > before.board._closed  # never used before
    generation = before.calls.get(who, 0)
    stale = who in before.calls and generation != (old.generation if old else 0)
    if stale:
        assert new == old, (action, who, old, new)
    if action == "admit" and who in after.calls and old is not None:
        assert old.open_until <= after.clock.now
        assert [holder for holder in before.probes() if holder != who[1]] == []


def test_every_reachable_state_has_one_probe_and_an_exit_b3() -> None:
    """The search ends because nothing is left: times, counts and generations are told apart as far as they matter."""
    start = World()
    seen, ahead = {repr(start.key())}, deque([start])
    while ahead:
        world = ahead.popleft()
        assert len(world.probes()) <= 1
        assert has_exit(world)
        for action, who in world.actions():
            after = copy.deepcopy(world)
            after.act(action, who)
            check_step(world, action, who, after)
            key = repr(after.key())
            if key not in seen:
                seen.add(key)
                ahead.append(after)
    assert len(seen) > 1_000
