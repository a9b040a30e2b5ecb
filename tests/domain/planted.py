"""Callbacks with a defect, for the tests of the walls."""

import asyncio


class Planted(Exception):
    """What nobody expects."""


def plant(*_: object) -> None:
    raise Planted


def cancelled(*_: object) -> None:
    """A callback that asks for the result of something that was cancelled."""
    raise asyncio.CancelledError


async def plant_later(*_: object) -> None:
    raise Planted
