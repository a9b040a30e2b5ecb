"""Keys that change while the service runs: seen soon, warned of once, kept through an outage."""

import asyncio
from collections.abc import Mapping

from adapters.memory.keys import MemoryApiKeys
from adapters.memory.manual_clock import ManualClock
from domain.errors import ConfigurationError, Scalar
from domain.services.callers import Callers
from domain.services.key_refresh import REFRESH_SECONDS, KeyRefresh
from ports.keys import ApiKey


class Outage(MemoryApiKeys):
    """Keys that cannot be read while `down`."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False

    async def list(self) -> tuple[ApiKey, ...]:
        if self.down:
            raise ConfigurationError("down")
        return await super().list()


class House:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.keys = Outage()
        self.callers = Callers([], ["default", "premium"])
        self.warnings: list[tuple[str, Mapping[str, Scalar]]] = []
        self.refresh = KeyRefresh(self.clock, self.keys, self.callers, lambda *warning: self.warnings.append(warning))


def key(name: str, tier: str = "premium") -> ApiKey:
    return ApiKey(name, name[0] * 64, name, tier, 1)


async def test_a_change_is_known_after_one_pause_and_the_task_ends_when_cancelled() -> None:
    house = House()
    task = asyncio.create_task(house.refresh.run())
    await house.clock.advance(REFRESH_SECONDS)
    before = house.callers.open
    await house.keys.put(key("acme"))
    await house.clock.advance(REFRESH_SECONDS)
    assert (before, house.callers.open) == (True, False)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_the_keys_last_known_outlive_an_outage_which_is_told_once() -> None:
    house = House()
    await house.keys.put(key("acme", "gold"))
    await house.refresh.refresh()
    seen = house.warnings.copy()
    house.keys.down = True
    for _ in range(3):
        await house.refresh.refresh()
    assert house.warnings[len(seen) :] == [
        ("The API keys cannot be read; those last known stay valid", {"reason": "down"})
    ]
    assert not house.callers.open
    house.keys.down = False
    await house.refresh.refresh()
    house.keys.down = True
    await house.refresh.refresh()
    assert len(house.warnings) == len(seen) + 2  # another outage


async def test_a_tier_that_vanished_is_told_once_for_each_key() -> None:
    house = House()
    await house.keys.put(key("acme", "gold"))
    await house.refresh.refresh()
    await house.keys.put(key("better", "premium"))
    await house.refresh.refresh()
    await house.keys.put(key("cheap", "silver"))
    await house.refresh.refresh()
    assert [fields for _, fields in house.warnings] == [
        {"key": "acme", "tier": "gold", "instead": "default"},
        {"key": "cheap", "tier": "silver", "instead": "default"},
    ]
