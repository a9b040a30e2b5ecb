"""The dead letters on Redis: what failed for good on any replica."""

from collections.abc import Sequence

import msgspec

from adapters.redis.admission_keys import DEAD, GRAVES
from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisClientError
from adapters.redis.job_codec import UnreadableJobError, decode_job, encode_job
from adapters.redis.resp import Reply
from adapters.redis.script import Script
from domain.errors import QueueError
from domain.jobs import DeadLetter
from ports.dead_letters import DeadLetters

KEPT_MS = 24 * 3600 * 1000
"""A prompt is in it: an operator has a day."""
PAGE = 20
LIST_SECONDS = 1.0

BURY, EXHUME = Script("letters_bury"), Script("letters_exhume")
_Row = tuple[str, int, float, bytes]
_DECODER = msgspec.msgpack.Decoder(_Row)


class RedisDeadLetters(DeadLetters):
    """At most `max_letters`, each for a day. A job that is too large to travel is not kept."""

    def __init__(self, client: RedisClient, max_letters: int = 1_000) -> None:
        self._client = client
        self._max_letters = max_letters

    async def bury(self, letter: DeadLetter) -> None:
        """Without Redis, it is gone."""
        job = encode_job(letter.job)
        if not job:
            return
        row: _Row = (letter.reason, letter.deliveries, letter.buried_at, job)
        args = (letter.job.stream_id, msgspec.msgpack.encode(row), self._max_letters, KEPT_MS)
        try:
            await self._client.evalsha(BURY, (DEAD, GRAVES), args)
        except RedisClientError:
            return

    async def list(self) -> Sequence[DeadLetter]:
        """Those that this version can read."""
        letters: list[DeadLetter | None] = []
        try:
            ids = await self._client.execute_bulk("ZRANGE", GRAVES, 0, -1, timeout=LIST_SECONDS)
            names = [name for name in ids if isinstance(name, bytes)] if isinstance(ids, list) else []
            for first in range(0, len(names), PAGE):
                page = names[first : first + PAGE]
                rows = await self._client.execute_bulk("HMGET", DEAD, *page, timeout=LIST_SECONDS)
                letters += map(_letter, rows if isinstance(rows, list) else ())
        except RedisClientError as error:
            raise QueueError.from_exception(error, details={"word": error.word}) from error
        return [letter for letter in letters if letter is not None]

    async def find(self, stream_id: str) -> DeadLetter | None:
        """If this version can read it."""
        try:
            return _letter(await self._client.execute_bulk("HGET", DEAD, stream_id, timeout=LIST_SECONDS, read=True))
        except RedisClientError as error:
            raise QueueError.from_exception(error, details={"word": error.word}) from error

    async def exhume(self, stream_id: str) -> DeadLetter | None:
        """In one step: of two who ask, one gets it."""
        try:
            return _letter(await self._client.evalsha(EXHUME, (DEAD, GRAVES), (stream_id,)))
        except RedisClientError as error:
            raise QueueError.from_exception(error, details={"word": error.word}) from error


def _letter(row: Reply) -> DeadLetter | None:
    if not isinstance(row, bytes):
        return None
    try:
        reason, deliveries, buried_at, job = _DECODER.decode(row)
        return DeadLetter(decode_job(job), reason, deliveries, buried_at)
    except (msgspec.MsgspecError, UnreadableJobError):
        return None
