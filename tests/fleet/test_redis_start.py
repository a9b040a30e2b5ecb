"""How replicas start: without Redis, with a wrong password, and on a Redis that has lost its data."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fleet.harness import Fleet, eventually, running_fleet
from tests.fleet.http_client import call
from tests.fleet.outage import until_redis_serves
from tests.fleet.readers import StreamReader, blocks, told, whole_log
from tests.redis_server import RedisServer
from tests.service import process

ROOT_ENVIRON = {"PATH": "", "LOG_LEVEL": "error"}


@pytest.fixture
def early() -> Iterator[Fleet]:
    """A fleet whose Redis is not there yet."""
    with closing(RedisServer()) as redis, running_fleet(redis, count=2) as fleet:
        yield fleet


async def test_without_redis_it_starts_degraded_and_joins_when_redis_comes_1(early: Fleet) -> None:
    """Fault 1: served alone; ready within two seconds of Redis's coming; then streams go over replicas."""
    for replica in early.replicas:
        assert (await replica.ready())["status"] == "degraded"
        assert (await call(replica.url, "GET", "/livez"))[0].status == 200
    alone = StreamReader()
    async with early.start(0, "alone", "ok", max_tokens=20) as answer:
        assert answer.status == 200
        await alone.take(answer)
    assert (alone.notices, alone.ended) == (1, True)
    assert await whole_log(early.url(0), alone.stream_id) == alone.events

    early.redis.start()
    await until_redis_serves(early, 4.0)

    async def resumed_elsewhere() -> bool:
        stream_id = await early.begin(0, "together", "ok", max_tokens=5)
        answer, body = await call(early.url(1), "GET", f"/v1/streams/{stream_id}")
        return answer.status == 200 and b"event: complete" in blocks(body)[-1]

    await eventually(resumed_elsewhere, 4.0)
    # Begun under a secret of its own, which only this replica knows.
    assert await whole_log(early.url(0), alone.stream_id) == alone.events


@pytest.mark.parametrize("password", ["", "planted-wrong"])
def test_a_wrong_password_ends_the_process_with_one_line_that_names_the_setting_23(password: str) -> None:
    """Fault 23: neither a loop of attempts nor a traceback, and no password in sight."""
    with RedisServer("--requirepass", "planted-right") as redis:
        settings = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port), "REDIS_PASSWORD": password}
        done = subprocess.run(
            [sys.executable, "-m", "entrypoints", "serve", "--port", "1"],
            env={**ROOT_ENVIRON, **settings},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "REDIS_PASSWORD" in done.stderr
    assert "planted" not in done.stderr


async def test_one_who_joins_after_the_data_were_lost_knows_the_ids_of_the_others_s6(fleet: Fleet) -> None:
    await fleet.redis.command("FLUSHALL")

    async def told_again() -> bool:
        return await fleet.redis.command("EXISTS", "headgate:secret") == ":1"

    await eventually(told_again)
    with process({"REDIS_URL": fleet.redis.url, "LOG_LEVEL": "error"}) as (_, url):
        stream_id = await fleet.begin(0, "after the loss", "ok", max_tokens=5)
        assert b"event: complete" in (await told(url, stream_id))[-1]
