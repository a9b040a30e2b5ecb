"""Processes of the service with a defect in them: what a module on their path changes before they begin."""

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRIGGER = "HEADGATE_TEST_TRIGGER"

DEFECTS: Mapping[str, str] = {
    "sweeper": """
from domain.services.sweeper import Sweeper
sweep = Sweeper.sweep
def broken(self):
    if triggered():
        raise RuntimeError("planted, by sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")
    sweep(self)
Sweeper.sweep = broken
""",
    "admission": """
from domain.services.admission import Admission
look = Admission._look
async def broken(self, turns):
    if triggered():
        raise RuntimeError("planted")
    await look(self, turns)
Admission._look = broken
""",
    "breakers": """
from adapters.redis.breaker_board import RedisBreakerBoard
synchronise = RedisBreakerBoard.synchronise
async def broken(self):
    if triggered():
        raise RuntimeError("planted")
    await synchronise(self)
RedisBreakerBoard.synchronise = broken
""",
    "stream_log": """
from adapters.redis.stream_appender import StreamAppender
look = StreamAppender._look
async def broken(self):
    if triggered():
        raise SystemError("planted")
    await look(self)
StreamAppender._look = broken
""",
    "watchdog": """
from adapters.observability.watchdog import LoopWatchdog
look = LoopWatchdog.look
def broken(self):
    if triggered():
        raise RuntimeError("planted")
    look(self)
LoopWatchdog.look = broken
""",
    "generations hang": """
import asyncio
from domain.services.generations import Generations
async def hangs(self):
    await asyncio.Event().wait()
Generations.aclose = hangs
""",
    "the end hangs whatever is tried": """
import asyncio
from domain.services.generations import Generations
async def hangs(self):
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
Generations.aclose = hangs
""",
    "a thread hangs": """
import asyncio, time
from domain.services.generations import Generations
aclose = Generations.aclose
async def hangs(self):
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
    await aclose(self)
Generations.aclose = hangs
""",
    "the loop is stuck": """
import time
from domain.services.sweeper import Sweeper
sweep = Sweeper.sweep
def stuck(self):
    if triggered():
        time.sleep(600)
    sweep(self)
Sweeper.sweep = stuck
""",
    "the interpreter is stuck": """
import re
from domain.services.sweeper import Sweeper
sweep = Sweeper.sweep
def stuck(self):
    if triggered():
        re.match("(a+)+$", "a" * 60 + "b")
    sweep(self)
Sweeper.sweep = stuck
""",
    "drain": """
from domain.services.streams import StreamService
def broken(self):
    raise RuntimeError("planted")
StreamService.drain = broken
""",
    "goodbye": """
from entrypoints.http.sse import OpenStreams
def broken(self):
    raise RuntimeError("planted")
OpenStreams.say_goodbye = broken
""",
    "reader": """
from entrypoints.http.sse import StreamResponse
push = StreamResponse._push
def broken(self, batch):
    if triggered():
        raise RuntimeError("unable to perform operation; the handler is closed")
    return push(self, batch)
StreamResponse._push = broken
""",
}
"""Python by name; `triggered()` is true from the moment in which the file of the trigger is there."""

HEAD = f"""
import os
def triggered():
    return os.path.exists(os.environ["{TRIGGER}"])
"""


class Plant:
    """One defect, in a folder of its own; `environ` puts it into a process."""

    def __init__(self, folder: Path, name: str) -> None:
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(HEAD + DEFECTS[name])
        self._trigger = folder / "trigger"
        self.environ = {
            # The repository too: what is planted is imported before the folder that the process starts in counts.
            "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)]),
            TRIGGER: str(self._trigger),
        }

    def trigger(self) -> None:
        """From now on it acts."""
        self._trigger.touch()

    def heal(self) -> None:
        """From now on it does not."""
        self._trigger.unlink()
