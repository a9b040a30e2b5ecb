"""The stream log port for any interleaving of a producer and readers that come, stay, leave and resume."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model import Event, Position
from ports.stream_log import Reader, StreamLog
from tests.contracts.cases import OpenStreamLog
from tests.contracts.events import DEADLINE, END, EPOCH, append, deltas, follow, info

READERS = 3


@dataclass
class Client:
    """What one client has seen, over all its connections."""

    reader: Reader
    seen: list[Event] = field(default_factory=list)

    async def read(self) -> None:
        """Reads once, without waiting: seqs are contiguous."""
        self.reader.nudge()
        batch = await self.reader.read()
        if batch is not None:
            assert batch.first == len(self.seen)
            assert 0 < len(batch.events) <= 256
            self.seen += batch.events

    async def resume(self, log: StreamLog) -> None:
        """Leaves and comes back at the event that it saw last."""
        self.reader.close()
        after = Position(EPOCH, len(self.seen) - 1) if self.seen else None
        self.reader = await follow(log, after)
        assert not self.reader.reset


steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from([1, 1, 2, 5, 255, 256, 257, 600])),
    st.tuples(st.just("read"), st.integers(0, READERS - 1)),
    st.tuples(st.just("resume"), st.integers(0, READERS - 1)),
    st.tuples(st.just("visit"), st.integers(-1, 700)),
)


@given(history=st.lists(steps, max_size=40))
@settings(deadline=None, max_examples=200)
async def test_every_client_sees_the_same_events_whatever_the_order_of_things(
    open_stream_log: OpenStreamLog, history: list[tuple[str, int]]
) -> None:
    """S1, S3, S4, S5: no gap, no duplicate, in order, one end; a foreign position is told."""
    written: list[Event] = []
    async with open_stream_log() as (log, _):
        lease = await log.open(info())
        clients = [Client(await follow(log)) for _ in range(READERS)]
        for step, value in history:
            if step == "append":
                await append(log, lease, deltas(value, first=len(written)))
                written += deltas(value, first=len(written))
            elif step == "read":
                await clients[value].read()
            elif step == "resume":
                await clients[value].resume(log)
            else:
                visitor = await follow(log, Position(EPOCH, value) if value >= 0 else None)
                assert visitor.reset is (value >= len(written))
                guest = Client(visitor, [] if visitor.reset else written[: value + 1])
                await guest.read()
                assert guest.seen == written[: len(guest.seen)]
        await append(log, lease, [END])
        written.append(END)
        for client in clients:
            while not client.reader.ended:
                await client.read()
            assert client.seen == written
        last = await follow(log, Position(EPOCH, len(written) - 1))
        assert last.ended


@given(
    batches=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 3)), min_size=1, max_size=15),
    patience=st.lists(st.integers(1, 4), min_size=1, max_size=8),
)
@settings(deadline=None, max_examples=100)
async def test_readers_that_wait_and_are_cut_get_all_of_it_while_it_is_written(
    open_stream_log: OpenStreamLog, batches: list[tuple[int, int]], patience: list[int]
) -> None:
    """S2, S3, S4: each number in `patience` is a client that leaves and resumes after so many reads, and at the end."""

    async def client(log: StreamLog, reads: int) -> list[Event]:
        seen: list[Event] = []
        while True:
            reader = await follow(log, Position(EPOCH, len(seen) - 1) if seen else None)
            for _ in range(reads):
                batch = await reader.read()
                assert batch is not None
                assert batch.first == len(seen)
                seen += batch.events
                if reader.ended:
                    return seen
            reader.close()

    async with open_stream_log() as (log, _), asyncio.timeout(DEADLINE):
        lease = await log.open(info())
        clients = [asyncio.create_task(client(log, reads)) for reads in patience]
        written: list[Event] = []
        for count, turns in batches:
            await append(log, lease, deltas(count, first=len(written)))
            written += deltas(count, first=len(written))
            for _ in range(turns):
                await asyncio.sleep(0)
        await append(log, lease, [END])
        assert await asyncio.gather(*clients) == [[*written, END]] * len(patience)
