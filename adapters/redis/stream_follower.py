"""Reads other processes' streams from the shared log: one blocking read for all of them, fanned out to local readers.

It also hears what other processes tell this one (`PROCESS` key), and ends streams whose producer is dead (S8).
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from adapters.memory.stream_store import StreamStore
from adapters.redis.admission_keys import MESSAGES, TAKEN
from adapters.redis.client import RedisClient
from adapters.redis.dedicated import DedicatedConnection
from adapters.redis.errors import RedisClientError
from adapters.redis.event_codec import UnreadableEventsError, decode_events, encode_events
from adapters.redis.script import Script
from adapters.redis.stream_appender import WATCH
from adapters.redis.stream_mirror import LOG, META, PROCESS, StreamMirror, decode_info
from domain.errors import StreamLogFullError
from domain.events import Events
from domain.model import Event, Failed
from domain.part import Part
from ports.clock import Clock
from ports.defects import CALLBACK_ERRORS, LOGGED_DEFECTS, Defects, Wall, Where

BLOCK_MS = 2_000
"""How long one read waits in Redis; a new stream to follow ends it at once."""
READ_SECONDS = BLOCK_MS / 1000 + 1
READ_ENTRIES = 64
PAGE_ENTRIES = 200
PAGE_SECONDS = 1.0
WATCH_SECONDS = 2.5
PRESENCE_MS = 10_000
PROCESS_MS = 60_000
LOST_SECONDS = 10.0
"""How long a log may lack what it should have before its readers are told: its producer may yet write it again."""
RECONNECT_SECONDS = (0.05, 0.3)
LOST_PRODUCER = Failed("producer_lost", "The process that wrote this answer is gone.", retryable=True)

SIGNAL = Script("stream_signal")
Listener = Callable[[str], None]
"""Called with a stream id."""


class StreamFollower:
    """The one reader of a process. `listeners` are told what others signal, by the signal's name.

    One read brings the streams of all tenants: what is wrong with one of them, or with a listener, is reported and ends
    that stream's readers here, and the others go on. A read that fails as a whole costs itself; if each does, this
    process shows nothing of other processes' streams any more, and is broken.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        store: StreamStore[StreamMirror],
        process: str,
        retention: float,
        listeners: Mapping[str, Listener],
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._wall = Wall(defects, Where.STREAM_LOG)
        self._client = client
        self._clock = clock
        self._store = store
        self._process = process
        self._listeners = listeners
        self._watch_args = (process, PRESENCE_MS, encode_events([LOST_PRODUCER]), round(retention * 1000))
        self._followed: dict[str, StreamMirror] = {}
        self._finding: dict[str, asyncio.Task[StreamMirror | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = "0"

    def __len__(self) -> int:
        return len(self._followed)

    def start(self) -> list[Part]:
        """Begins to read, and to look after what is followed: what the caller has to close."""
        turns = (self._turn, self._look)
        return [Part.of_turns(turn, Where.STREAM_LOG, self._defects) for turn in turns]

    def finding(self, stream_id: str) -> bool:
        """Whether what is known of the stream is not yet all that there is."""
        return stream_id in self._finding

    async def find(self, stream_id: str) -> StreamMirror | None:
        """The stream, as the log has it now, and from now on as it grows. None if there is none.

        Raises `RedisClientError`.
        """
        finding = self._finding.get(stream_id)
        if finding is None:
            finding = self._finding[stream_id] = asyncio.create_task(self._find(stream_id))
        return await asyncio.shield(finding)

    def adopt(self, mirror: StreamMirror) -> None:
        """Goes on reading a stream that this process filled until another took it; if anybody reads it here."""
        if not mirror.readers:
            self._left(mirror)
            return
        mirror.on_left = self._left
        self._followed[mirror.info.stream_id] = mirror
        self._own(self._watch(mirror))

    def release(self, mirror: StreamMirror) -> None:
        """Follows it no more: this process fills it from now on."""
        self._followed.pop(mirror.info.stream_id, None)
        mirror.on_left = None

    async def _turn(self) -> None:
        """Reads for as long as one connection lasts."""
        try:
            async with self._client.dedicated() as connection:
                while True:
                    await self._read(connection)
        except RedisClientError:
            await self._clock.sleep(random.uniform(*RECONNECT_SECONDS))  # noqa: S311 - jitter

    async def _look(self) -> None:
        """Looks after the followed streams."""
        await self._clock.sleep(WATCH_SECONDS)
        await asyncio.gather(*(self._look_at(mirror) for mirror in list(self._followed.values())))

    async def _look_at(self, mirror: StreamMirror) -> None:
        try:
            await self._watch(mirror)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are looked after
            self._give_up(mirror, error)

    async def aclose(self) -> None:
        """Ends what is under way."""
        tasks = [*self._tasks, *self._finding.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _find(self, stream_id: str) -> StreamMirror | None:
        try:
            return await self._look_up(stream_id)
        finally:
            # By the task itself, not by a callback: who came between its end and the callback would find it, never
            # have to wait for it, and so never let the callback run.
            del self._finding[stream_id]

    async def _look_up(self, stream_id: str) -> StreamMirror | None:
        known = await self._client.evalsha(WATCH, self._keys(stream_id), self._watch_args)
        if not isinstance(known, list):
            return None
        try:
            mirror = StreamMirror(decode_info(known[0]), None, 0, self._clock.monotonic(), self._defects)  # type: ignore[arg-type]
            self._store.add(mirror)
        except (msgspec.MsgspecError, StreamLogFullError):
            return None
        try:
            await self.load(mirror)
        except BaseException:
            self._forget(mirror)
            raise
        if len(mirror.events) < int(known[1]):  # type: ignore[arg-type]
            self._forget(mirror)
            return None
        if not mirror.closed:
            mirror.on_left = self._left
            self._followed[stream_id] = mirror
            await self._wake_up()
        return mirror

    async def load(self, mirror: StreamMirror) -> None:
        """Everything that the log has now."""
        while not mirror.closed:
            start = f"({len(mirror.events)}-0"
            page = await self._client.execute_bulk(
                "XRANGE", mirror.log_key, start, "+", "COUNT", PAGE_ENTRIES, read=True, timeout=PAGE_SECONDS
            )
            if not isinstance(page, list) or not page:
                return
            before = len(mirror.events)
            self._take(mirror, page)
            if len(mirror.events) == before:
                return

    async def _wake_up(self) -> None:
        """Ends the blocking read, so that the next one asks for the new stream too."""
        try:
            await self._client.execute("XADD", PROCESS + self._process, "MAXLEN", "~", 1000, "*", "look", "")
            await self._client.execute("PEXPIRE", PROCESS + self._process, PROCESS_MS)
        except RedisClientError:
            return  # then it ends by itself, in two seconds

    async def _read(self, connection: DedicatedConnection) -> None:
        key = PROCESS + self._process
        mirrors = {mirror.log_key.encode(): mirror for mirror in self._followed.values()}
        ids = [f"{len(mirror.events)}-0" for mirror in mirrors.values()]
        which: list[str | bytes] = [key, *mirrors, self._heard, *ids]
        reply = await connection.execute(
            "XREAD", "COUNT", READ_ENTRIES, "BLOCK", BLOCK_MS, "STREAMS", *which, timeout=READ_SECONDS
        )
        for name, entries in _pairs(reply):
            if name == key.encode():
                self._hear(entries)
                continue
            try:
                if not self._take(mirrors[name], entries):
                    await self.load(mirrors[name])
            except RedisClientError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the other streams of this read are shown
                self._give_up(mirrors[name], error)

    def _hear(self, entries: Any) -> None:
        for entry_id, fields in _pairs(entries):
            self._heard = entry_id.decode()
            try:
                listener = self._listeners.get(fields[0].decode())
                if listener is not None:
                    listener(fields[1].decode())
            except CALLBACK_ERRORS as error:
                self._defects.report(Where.FLEET, error)

    def _take(self, mirror: StreamMirror, entries: Any) -> bool:
        """Shows what is new in these entries of its log. False if there is a gap before them."""
        for entry_id, fields in _pairs(entries):
            try:
                events = decode_events(fields[1], mirror.shape)
                first = int(entry_id.partition(b"-")[0]) - len(events)
                if first > len(mirror.events):
                    return False
                self._show(mirror, events[len(mirror.events) - first :])
            except (UnreadableEventsError, StreamLogFullError, ValueError):
                self._lose(mirror)
                return True
        return True

    def _show(self, mirror: StreamMirror, events: Events[Event]) -> None:
        if not events or mirror.closed or mirror.lost or mirror.owned:
            return
        self._store.reserve(mirror, events)
        mirror.pending.extend(events)
        mirror.stalled_at = None
        if mirror.show(len(events)):
            # Its readers keep it; who comes later asks the log, which knows how long it is kept.
            self._forget(mirror)

    async def _watch(self, mirror: StreamMirror) -> None:
        """Says that it is read here; ends it if its producer is dead; notices if its log is gone, or out of reach."""
        try:
            known = await self._client.evalsha(WATCH, self._keys(mirror.info.stream_id), self._watch_args)
            if isinstance(known, list) and len(mirror.events) < int(known[1]):  # type: ignore[arg-type]
                await self.load(mirror)
            whole = isinstance(known, list) and len(mirror.events) >= int(known[1])  # type: ignore[arg-type]
        except RedisClientError:
            whole = False
        now = self._clock.monotonic()
        if whole or mirror.closed or mirror.owned:
            mirror.stalled_at = None
        elif mirror.stalled_at is None:
            mirror.stalled_at = now
        elif now - mirror.stalled_at >= LOST_SECONDS:
            self._lose(mirror)

    def _give_up(self, mirror: StreamMirror, error: Exception) -> None:
        self._defects.report(Where.STREAM_LOG, error)
        self._lose(mirror)

    def _lose(self, mirror: StreamMirror) -> None:
        self._forget(mirror)
        mirror.lose()

    def _left(self, mirror: StreamMirror) -> None:
        """No reader is left here: the process that fills it wants to know (S7)."""
        self._forget(mirror)
        self._own(self.signal("left", mirror.info.stream_id))

    def _forget(self, mirror: StreamMirror) -> None:
        self._followed.pop(mirror.info.stream_id, None)
        mirror.on_left = None
        self._store.drop(mirror)

    async def signal(self, signal: str, stream_id: str) -> None:
        """Tells the process that fills the stream. Without Redis nobody is told."""
        args = (signal, stream_id, self._process, PROCESS, PROCESS_MS)
        try:
            await self._client.evalsha(SIGNAL, (f"{META}{stream_id}}}",), args)
        except RedisClientError:
            return

    @staticmethod
    def _keys(stream_id: str) -> tuple[str, str, str, str]:
        return f"{META}{stream_id}}}", f"{LOG}{stream_id}}}", MESSAGES, TAKEN

    def _own(self, work: Coroutine[None, None, None]) -> None:
        async def walled() -> None:
            with self._wall:
                await work

        task = asyncio.create_task(walled())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pairs(reply: Any) -> list[tuple[bytes, Any]]:
    """Names with what belongs to them: of a reply to XREAD, or the ids and fields of entries."""
    return [(name, rest) for name, rest in reply or ()]
