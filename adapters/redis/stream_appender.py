"""Writes this process's streams to the shared log: group commit over all of them, leases, and what an outage leaves.

Events are pending until the log has them; then readers see them (S2). While one round trip is under way, the events of
all streams gather for the next. If Redis fails, a stream goes on from memory (S14) and is written on later, from where
its log stands, for as long as its lease may still hold.
"""

import asyncio
from collections.abc import Callable
from itertools import islice

from adapters.memory.stream_store import StreamStore
from adapters.redis.admission_keys import MESSAGES, TAKEN
from adapters.redis.client import HOT_SECONDS, RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.event_codec import encode_events
from adapters.redis.script import Script
from adapters.redis.stream_mirror import StreamMirror, encode_info
from domain.delta import Shape
from domain.events import Events, Kind
from domain.model import TERMINAL, Complete, Event, Failed, Status
from domain.part import Part
from ports.clock import Clock
from ports.defects import LOGGED_DEFECTS, Defects, Where

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
TICK_SECONDS = 0.5
"""Between two looks at leases to renew and logs to fill in."""
GATHER_SECONDS = 0.002
"""The least time from one round trip's start to the next one's: what comes meanwhile shares it. A round trip is 70 us
of CPU, and a stream alone, whose events are further apart, never waits."""
FLIGHT_STREAMS = 128
FLIGHT_BYTES = 1 << 20
LARGE_FLIGHT_BYTES = 2 << 20
"""A round trip that carries more goes beside the small ones, and has more time."""
LARGE_BYTES_A_SECOND = 16 << 20
"""An append of 8 MiB took 40 to 125 ms here, 14 to 33 of them in Redis itself, one of 60 MiB half a second."""
MAX_EVENT_BYTES = 8 << 20
"""An event that takes more is not written down: Redis would keep all others waiting."""
MAX_LOGGED_BYTES = 16 << 20
"""Nor is what follows in a stream that holds more: whoever resumes it elsewhere reads all of it."""
UNKNOWN, REFUSED = -1, -2
NOT_RESUMABLE = Failed("not_resumable", "A part of this answer was never written down.", retryable=True)

APPEND = Script("stream_append")
WATCH = Script("stream_watch")


def _closes(kinds: list[Kind]) -> int:
    """What these events do to their stream, as the script wants to know it."""
    if not kinds or type(kinds[-1]) is Shape:
        return 0
    last = kinds[-1]
    if isinstance(last, TERMINAL):
        return 2 if isinstance(last, Complete) else 1
    # Who waits is told so before anything else: if the last is a status, all are.
    return 3 if isinstance(last, Status) else 0


class StreamAppender:
    """The one writer of a process. `fenced` is told of a stream that another process has ended or taken.

    Streams of all tenants share each round trip: one of which nothing can be written, or whose reply cannot be taken,
    is given up and reported, and the others are written. A round trip that fails as a whole costs itself, as what was
    in it is sent again; if each fails, no stream here is written down any more, and the process is broken.

    The keys of an open stream live on for `kept_open_ms` without a renewal.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        store: StreamStore[StreamMirror],
        process: str,
        retention: float,
        kept_open_ms: int,
        fenced: Callable[[StreamMirror], None],
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._client = client
        self._clock = clock
        self._store = store
        self._process = process
        self._retention_ms = round(retention * 1000)
        self._fenced = fenced
        self._head = (
            process,
            round(LEASE_SECONDS * 1000),
            round((LEASE_SECONDS - RENEW_SECONDS) * 1000),
            kept_open_ms,
            self._retention_ms,
        )
        self._open: set[StreamMirror] = set()
        self._dirty: dict[StreamMirror, None] = {}
        self._abandoned: list[StreamMirror] = []
        self._work = asyncio.Event()
        self.quiet = asyncio.Event()
        """Set while nothing is on its way."""
        self.quiet.set()
        self._flown_at = 0.0

    def start(self) -> list[Part]:
        """Begins to write, to renew leases and to fill logs in: what the caller has to close."""
        turns = (self._turn, self._look)
        return [Part.of_turns(turn, Where.STREAM_LOG, self._defects) for turn in turns]

    def begin(self, mirror: StreamMirror) -> None:
        """A new stream of this process: its lease is kept, its log begun with what is appended first, or soon."""
        mirror.resumable = self._client.healthy
        self._open.add(mirror)
        self._submit(mirror)

    def append(self, mirror: StreamMirror, events: Events[Event]) -> None:
        """Takes events: readers see them when the log has them, or at once while it cannot be written."""
        mirror.take_in(events)
        if not mirror.resumable:
            self._show(mirror, len(events.kinds))
            if mirror not in self._open:  # given up, or its end is in the log
                return
        self._submit(mirror)

    async def _turn(self) -> None:
        """Writes all that there is to write, once there is any."""
        loop = asyncio.get_running_loop()
        if not self._dirty and not self._abandoned:  # else the turn before this one has failed
            await self._work.wait()
        self._work.clear()
        while self._dirty:
            if (early := self._flown_at + GATHER_SECONDS - loop.time()) > 0:
                await asyncio.sleep(early)
            self._flown_at = loop.time()
            await self._fly()
        while self._abandoned:
            await self._end_elsewhere(self._abandoned.pop())
        if not self._dirty:
            self.quiet.set()

    async def _look(self) -> None:
        """Renews the leases that are due, and goes on with the logs that lack something."""
        await self._clock.sleep(TICK_SECONDS)
        now = self._clock.monotonic()
        for mirror in list(self._open):
            if self._store.get(mirror.info.stream_id) is not mirror:
                self._open.discard(mirror)  # it ended in an outage and its time is over
            elif now - mirror.acked_at >= RENEW_SECONDS or not mirror.resumable:
                self._submit(mirror)

    def _submit(self, mirror: StreamMirror) -> None:
        if self._client.healthy:
            self._dirty[mirror] = None
            self.quiet.clear()
            self._work.set()
        elif mirror.resumable:
            self._degrade(mirror)

    def adopt(self, mirror: StreamMirror) -> None:
        """Goes on with another process's stream: all that its log has is here."""
        mirror.acked, mirror.acked_at = len(mirror.events.kinds), self._clock.monotonic()
        mirror.owned = True
        self.begin(mirror)

    def release(self, mirror: StreamMirror) -> None:
        """Another process goes on with it: what it has not is nobody's business any more."""
        self._open.discard(mirror)
        mirror.owned = False
        mirror.give_up()
        self._fenced(mirror)

    async def _fly(self) -> None:
        """One round trip for the streams that have something to write, or a lease to renew."""
        flight: list[StreamMirror] = []
        keys: list[str] = []
        args: list[str | bytes | int] = [*self._head]
        size = 0
        for mirror in list(islice(self._dirty, FLIGHT_STREAMS)):
            if size > FLIGHT_BYTES:
                break
            del self._dirty[mirror]
            events = mirror.unsent()
            payload = self._packed(mirror, events)
            if payload is None:
                continue
            info = b"" if mirror.acked else encode_info(mirror.info)
            keys += (mirror.meta_key, mirror.log_key)
            args += (mirror.fence, mirror.acked, len(events.kinds), _closes(events.kinds), payload, info)
            flight.append(mirror)
            size += len(payload)
        if flight:
            await self._send(flight, keys, args, size)

    def _packed(self, mirror: StreamMirror, events: Events[Event]) -> bytes | None:
        """The events as the log has them; None if they cannot be written, so that the log of their stream ends here."""
        try:
            payload = encode_events(events) if events.kinds else b""
        except Exception as error:  # noqa: BLE001 - `UnwritableEventsError`, or a codec with a defect
            self._defects.report(Where.STREAM_LOG, error)
        else:
            if len(payload) <= MAX_EVENT_BYTES and mirror.size <= MAX_LOGGED_BYTES:
                return payload
        self._leave_unwritten(mirror)
        return None

    async def _send(
        self, flight: list[StreamMirror], keys: list[str], args: list[str | bytes | int], size: int
    ) -> None:
        try:
            if size <= LARGE_FLIGHT_BYTES:
                replies = await self._client.evalsha(APPEND, keys, args, timeout=HOT_SECONDS)
            else:
                timeout = HOT_SECONDS + size / LARGE_BYTES_A_SECOND
                replies = await self._client.evalsha_bulk(APPEND, keys, args, timeout=timeout)
        except Exception as failure:
            # Sent or not: a log that has passed the position leaves a repeated append out.
            for mirror in flight:
                try:
                    self._degrade(mirror)
                except Exception as error:  # noqa: BLE001 - whatever it is, the others go on from memory
                    self._give_up(mirror, error)
            if isinstance(failure, RedisClientError):
                return
            raise
        assert isinstance(replies, list)  # noqa: S101 - for the type checker
        for mirror, reply in zip(flight, replies, strict=True):
            try:
                self._answered(mirror, reply if isinstance(reply, int) else REFUSED)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other streams of this flight have their reply
                self._give_up(mirror, error)

    def _give_up(self, mirror: StreamMirror, error: Exception) -> None:
        """A stream with a defect: its readers come to what is here, and its producer's next append is refused."""
        self._defects.report(Where.STREAM_LOG, error)
        self._open.discard(mirror)
        mirror.owned = False
        mirror.lose()

    def _answered(self, mirror: StreamMirror, reply: int) -> None:
        if not mirror.owned:
            return
        now = self._clock.monotonic()
        if reply == UNKNOWN and now - mirror.acked_at < LEASE_SECONDS:
            mirror.acked = 0  # Redis has lost its data: all of it is here, and nobody else can have taken it
            self._submit(mirror)
        elif reply < 0:
            self._refused(mirror)
        else:
            mirror.acked, mirror.acked_at = reply, now
            shown = len(mirror.events.kinds)
            if reply > shown:
                self._show(mirror, reply - shown)
            if reply < mirror.length:
                self._submit(mirror)
            else:
                mirror.resumable = True
                if mirror.closed:
                    self._open.discard(mirror)

    def _refused(self, mirror: StreamMirror) -> None:
        """The lease is over. Whoever was cut off goes on for its own readers; whoever slept has nothing to say."""
        if mirror.resumable:
            self.release(mirror)
        else:
            self._open.discard(mirror)
            self._abandoned.append(mirror)
            self._work.set()

    def _leave_unwritten(self, mirror: StreamMirror) -> None:
        """It goes on for its own readers, as in an outage, and all other streams as ever."""
        mirror.resumable = False
        self._show(mirror, len(mirror.pending.kinds))
        self._refused(mirror)

    def _degrade(self, mirror: StreamMirror) -> None:
        if not mirror.owned:
            return
        if mirror.resumable and self._clock.monotonic() - mirror.acked_at >= LEASE_SECONDS:
            # No outage goes unnoticed for so long: this process slept, and its streams may have ended elsewhere (S8).
            self._refused(mirror)
            return
        mirror.resumable = False
        self._show(mirror, len(mirror.pending.kinds))

    def _show(self, mirror: StreamMirror, count: int) -> None:
        if mirror.show(count):
            self._store.close(mirror)
            if mirror.acked >= mirror.length:
                self._open.discard(mirror)

    async def _end_elsewhere(self, mirror: StreamMirror) -> None:
        """Closes the log of a stream that goes on here alone, so that nobody waits for the rest of it (S14): as its
        producer, or as whoever finds its lease over."""
        end = encode_events([NOT_RESUMABLE])
        ours = (mirror.fence, mirror.acked, 1, 1, end, b"" if mirror.acked else encode_info(mirror.info))
        args = (self._process, 0, end, self._retention_ms)
        try:
            await self._client.evalsha(APPEND, (mirror.meta_key, mirror.log_key), (*self._head, *ours))
            await self._client.evalsha(WATCH, (mirror.meta_key, mirror.log_key, MESSAGES, TAKEN), args)
        except RedisClientError:
            return  # whoever follows it finds its lease over, and ends it as one whose producer is dead
