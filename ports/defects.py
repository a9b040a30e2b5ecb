"""The port of the defects: who hears of what went wrong in our own code, and of the parts that it has ended."""

import asyncio
import logging
from abc import abstractmethod
from enum import StrEnum
from types import TracebackType
from typing import Protocol

CALLBACK_ERRORS = (Exception, asyncio.CancelledError)
"""What a wall around a plain callback holds back. No task is cancelled in one: a `CancelledError` is the callback's."""


class Where(StrEnum):
    """The part that has the defect: all values of the label `where`, and what readiness calls a part that has ended."""

    ADMISSION = "admission"
    ALARM = "alarm"
    ATTACHMENT = "attachment"
    BREAKERS = "breakers"
    CACHE = "cache"
    CONNECTION = "connection"
    DEAD_LETTERS = "dead_letters"
    EVENT_LOOP = "event_loop"
    FLEET = "fleet"
    GAUGE = "gauge"
    GENERATION = "generation"
    KEY_REFRESH = "key_refresh"
    LIMITER = "limiter"
    MODELS = "models"
    PERMITS = "permits"
    READER = "reader"
    RECORDER = "recorder"
    REDIS = "redis"
    SHUTDOWN = "shutdown"
    SLOTS = "slots"
    STREAM_LOG = "stream_log"
    SWEEPER = "sweeper"
    WATCHDOG = "watchdog"


class Defects(Protocol):
    """Hears of defects, from any thread. No method of it raises, and `broken` depends on no other part."""

    @property
    @abstractmethod
    def broken(self) -> str | None:
        """The first part that has ended by a defect, if any: the process takes no new work and has to be replaced."""

    @abstractmethod
    def report(self, where: Where, error: BaseException) -> None:
        """A wall held `error` back: its owner has ended, and all others go on."""

    @abstractmethod
    def fail(self, part: Where, error: BaseException) -> None:
        """A part that must run until the process ends has ended."""


class LoggedDefects(Defects):
    """Logs each defect and remembers none: for parts that are used without a container."""

    @property
    def broken(self) -> str | None:
        """Nothing, as nothing is remembered."""
        return None

    def report(self, where: Where, error: BaseException) -> None:
        """Logs it with its stack."""
        logging.getLogger("headgate.defects").error("a defect in: %s", where, exc_info=error)

    def fail(self, part: Where, error: BaseException) -> None:
        """Logs it with its stack."""
        logging.getLogger("headgate.defects").critical("a part has ended: %s", part, exc_info=error)


LOGGED_DEFECTS: Defects = LoggedDefects()


class Wall:
    """A context manager that holds back what is raised in it, and reports it. `with wall: call_somebody_else()`.

    A cancellation of the task that it runs in passes, and so does whatever else is no `Exception`.
    """

    __slots__ = ("_defects", "_where")

    def __init__(self, defects: Defects, where: Where) -> None:
        self._defects = defects
        self._where = where

    def __enter__(self) -> None:
        """Nothing to set up: one wall may be used by many at once."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Whether what was raised is held back."""
        if not isinstance(error, Exception):
            return False
        self._defects.report(self._where, error)
        return True
