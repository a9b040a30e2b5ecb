"""The stream log on Redis: a stream that one replica fills is read, resumed and joined on any.

A stream is a hash (what is fixed, its position, its lease) and a Redis Stream whose entries are batches: the id of an
entry is how many events the stream has with it, so a position finds its entry by itself. Every process keeps the
streams that it fills or follows in memory too, and its readers read those.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b

import msgspec

from adapters.memory.stream_store import StreamStore
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.script import Script
from adapters.redis.stream_appender import LEASE_SECONDS, StreamAppender
from adapters.redis.stream_follower import PRESENCE_MS, StreamFollower
from adapters.redis.stream_mirror import (
    CLAIM,
    META,
    PROCESS,
    MirrorReader,
    StreamMirror,
    decode_info,
    encode_info,
)
from domain.errors import StreamLogUnavailableError, StreamNotResumableError
from domain.events import columns
from domain.model import TERMINAL, Event, Lease, Position, Status, StreamInfo
from domain.part import Part
from ports.clock import Clock
from ports.defects import CALLBACK_ERRORS, LOGGED_DEFECTS, Defects, Where
from ports.fleet import Fleet, FleetEvent
from ports.occupancy import Occupancy
from ports.stream_log import StreamLog

FENCE = 1
"""Of whoever begins a stream; each takeover counts on."""
CLAIM_SECONDS = 0.05
GOODBYE_SECONDS = 1.0
TAKEN = str(FleetEvent.TAKEN)

OPEN = Script("stream_open")
READERS = Script("stream_readers")


class RedisStreamLog(StreamLog, Fleet, Occupancy):
    """Streams that the fleet shares, kept in Redis for `retention` seconds after their end.

    One whose process is dead may wait for another to begin it for `max_wait` seconds, and is kept as long, too.
    `max_bytes` bounds what this process holds in memory. `start` before use, `aclose` at the end.
    """

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        retention: float = 600.0,
        *,
        max_bytes: int,
        max_stream_bytes: int = 16 * 1024 * 1024,
        max_wait: float = 0.0,
        defects: Defects = LOGGED_DEFECTS,
    ) -> None:
        self._defects = defects
        self._client = client
        self._clock = clock
        self._kept_open_ms = round((LEASE_SECONDS + max(retention, max_wait)) * 1000)
        self.process = self._process = secrets.token_hex(8)
        """The name of this process in the fleet."""
        self._store = StreamStore[StreamMirror](clock, retention, max_bytes, max_stream_bytes)
        self._listeners: dict[str, Callable[[str], None]] = {TAKEN: self._taken}
        self._on_taken: Callable[[str], None] | None = None
        self._follower = StreamFollower(client, clock, self._store, self._process, retention, self._listeners, defects)
        self._appender = StreamAppender(
            client, clock, self._store, self._process, retention, self._kept_open_ms, self._released, defects
        )
        self._claiming: dict[str, asyncio.Future[StreamInfo | None]] = {}
        self._parts: list[Part] = []

    @property
    def idle(self) -> bool:
        """Whether all that was appended here is in the log, or known not to be."""
        return self._appender.quiet.is_set()

    def start(self) -> None:
        """Starts to write and to read. Needs a running event loop."""
        self._parts = [*self._appender.start(), *self._follower.start()]

    async def aclose(self) -> None:
        """Writes what is on its way, one second at most, and ends all tasks. The client is the caller's."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._appender.quiet.wait()
        await self._follower.aclose()
        for part in self._parts:
            await part.aclose()
        try:
            await self._client.execute("DEL", PROCESS + self._process)
        except RedisClientError:
            return  # it expires

    async def open(self, info: StreamInfo) -> Lease:
        """Begins a stream; Redis hears of it together with its first events. Raises `StreamLogFullError`."""
        self._begin(info, None)
        return Lease(info.stream_id, FENCE)

    async def open_shared(self, info: StreamInfo, key: str) -> Lease | StreamInfo:
        """Begins a stream that holds `key`, or finds the one that does, in the fleet while Redis is up."""
        while (claiming := self._claiming.get(key)) is not None:
            found = await asyncio.shield(claiming)
            if found is not None:
                return found
        holder = self._store.holder(key)
        if holder is not None:
            return holder.info
        self._claiming[key] = claiming = asyncio.get_running_loop().create_future()
        found = None
        try:
            found = await self._claim(info, key)
            if found is not None:
                return found
            self._begin(info, key)
        finally:
            del self._claiming[key]
            claiming.set_result(found)
        return Lease(info.stream_id, FENCE)

    def append(self, lease: Lease, events: Sequence[Event]) -> None:
        """Takes the events for the next round trip."""
        stream_id, fence = lease
        mirror = self._store.find(stream_id)
        if mirror is None or not mirror.owned or mirror.closed or fence != mirror.fence:
            raise StreamNotResumableError("The stream is closed, or no longer this producer's.")
        pending = mirror.pending.kinds
        if pending and isinstance(pending[-1], TERMINAL):
            raise StreamNotResumableError("The stream has its end already.")
        given = columns(events)
        if given.kinds:
            self._store.reserve(mirror, given)
            self._appender.append(mirror, given)

    async def settle(self, lease: Lease) -> None:
        """Waits for one round trip, or two; at most as long as the client waits for Redis."""
        mirror = self._store.get(lease.stream_id)
        if mirror is not None:
            await mirror.settle()
            if not mirror.owned:
                raise StreamNotResumableError("The stream is no longer this producer's.")

    async def follow(self, stream_id: str, after: Position | None = None) -> MirrorReader | None:
        """A reader, of what is here or of what the log has. Raises `StreamLogUnavailableError`."""
        try:
            mirror = self._store.get(stream_id)
            while mirror is None or self._follower.finding(stream_id):
                mirror = await self._follower.find(stream_id)
                if mirror is None:
                    return None
                if not mirror.closed:
                    # Its last other reader may have left between the two: then it is followed no more.
                    mirror = self._store.get(stream_id)
            if after is not None and after.seq >= len(mirror.events) and not mirror.closed:
                # Another replica may have shown more than what is known here.
                await (mirror.settle() if mirror.owned else self._follower.load(mirror))
        except RedisClientError as error:
            raise StreamLogUnavailableError.from_exception(error, details={"word": error.word}) from error
        return MirrorReader(mirror, after)

    def listen(self, event: FleetEvent, listener: Callable[[str], None]) -> None:
        """Whom to tell what other processes say."""
        if event is FleetEvent.TAKEN:
            self._on_taken = listener
        else:
            self._listeners[event] = listener

    async def adopt(self, info: StreamInfo, lease: Lease) -> None:
        """Takes up a stream: what is known of it here already, and whoever reads it here, stays."""
        stream_id = info.stream_id
        try:
            while self._follower.finding(stream_id):
                await self._follower.find(stream_id)
            mirror = self._store.get(stream_id)
            if mirror is None:
                mirror = StreamMirror(info, None, 0, self._clock.monotonic(), self._defects)
                self._store.add(mirror)
            await self._follower.load(mirror)
        except RedisClientError as error:
            raise StreamLogUnavailableError.from_exception(error, details={"word": error.word}) from error
        self._follower.release(mirror)
        mirror.fence = lease.fence
        self._appender.adopt(mirror)

    def _taken(self, message: str) -> None:
        """Another process has the lease of one of ours: its fence and the stream's id."""
        fence, _, stream_id = message.partition(" ")
        mirror = self._store.get(stream_id)
        if mirror is not None and mirror.owned and mirror.fence < int(fence):
            self._appender.release(mirror)

    def _released(self, mirror: StreamMirror) -> None:
        """It was taken, or an append was refused: whoever fills it here hears of it, if the log has no output of it."""
        output = mirror.resumable and not all(isinstance(kind, Status) for kind in mirror.events.kinds)
        self._follower.adopt(mirror)
        if not output and self._on_taken is not None:
            try:
                self._on_taken(mirror.info.stream_id)
            except CALLBACK_ERRORS as error:  # above is the appender, in the middle of others' streams
                self._defects.report(Where.FLEET, error)

    async def read_elsewhere(self, stream_id: str) -> bool:
        """Whether another process has said within the last ten seconds that it reads this stream."""
        mirror = self._store.get(stream_id)
        if mirror is not None and mirror.readers:
            return True
        try:
            return bool(await self._client.evalsha(READERS, (f"{META}{stream_id}}}",)))
        except RedisClientError:
            return False

    async def cancel_elsewhere(self, stream_id: str) -> None:
        """Leaves word for the process that fills it."""
        await self._follower.signal("cancel", stream_id)

    def occupancy(self) -> Mapping[str, Callable[[], float]]:
        """How full the memory of this process is, and how much it follows."""
        return {**self._store.occupancy(), "headgate_followed_streams": self._follower.__len__}

    def _begin(self, info: StreamInfo, key: str | None) -> None:
        mirror = StreamMirror(info, key, FENCE, self._clock.monotonic(), self._defects)
        self._store.add(mirror)
        self._appender.begin(mirror)

    async def _claim(self, info: StreamInfo, key: str) -> StreamInfo | None:
        """The stream that holds the key in the fleet; None if this one does now, or nobody can tell."""
        claim = CLAIM + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        lease = round(LEASE_SECONDS * 1000)
        args = (info.stream_id, encode_info(info), self._process, FENCE, lease, self._kept_open_ms, META)
        keys = (claim, f"{META}{info.stream_id}}}")
        try:
            found = await self._client.evalsha(OPEN, keys, (*args, self._process, PRESENCE_MS), timeout=CLAIM_SECONDS)
            return decode_info(found) if isinstance(found, bytes) else None
        except (RedisClientError, msgspec.MsgspecError):
            return None
