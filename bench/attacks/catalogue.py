"""The attacks, in the order of BAD_INPUT's rows 42 to 50."""

import contextlib
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from bench.attacks.clients import (
    CHAT,
    HOST,
    MB,
    connect,
    counted,
    dripped,
    flood,
    heard,
    one_flood,
    repeated,
    reset,
)
from bench.attacks.shapes import shapes
from bench.attacks.target import KEY

GET = b"GET /livez HTTP/1.1\r\n"
CHUNKED = CHAT + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}'
WHOLE = CHAT + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
FREE_MIB = 4.0
ONE_CALLER_MIB = 64.0
"""What all bodies of one caller may take while they are being read (G5)."""
A_BODY_MIB = math.inf
"""What a body of legal size may take, once it is read, is not bounded here."""
MANY = {"RATE_LIMIT_ENABLED": "false", "STREAM_MAX_CONCURRENT_PER_CALLER": "1000"}
"""One caller may do so much that only its input is in the way."""
SLOW_SECONDS = 13.0
"""Above the ten seconds after which slow clients are sent away (G3)."""


@dataclass(frozen=True)
class Attack:
    """`run` attacks a port and says how it was received: that has to begin with `due`. No more than `most_mib` may be
    kept of it: 4 MiB where nothing of it needs a key."""

    name: str
    row: str
    run: Callable[[int], str]
    due: str = ""
    most_mib: float = FREE_MIB
    keyed: bool = False
    redis: bool = False
    environ: dict[str, str] = field(default_factory=dict)
    files: int = 4_096


def attacks() -> list[Attack]:
    """All of them."""
    found = [
        Attack(
            "a stream and a second request on one connection, then a close, 200 at once",
            "42",
            _pipelined,
            most_mib=A_BODY_MIB,
            redis=True,
        ),
        Attack("17 MB bodies, declared, 6 x", "43", partial(_large_bodies, chunked=False), "6 x 413"),
        Attack("17 MB bodies, in chunks, 6 x", "43", partial(_large_bodies, chunked=True), "6 x 413"),
        Attack(
            "a head of 300 MB",
            "44",
            partial(one_flood, head=GET + HOST + b"X: ", pieces=repeated(b"a", 300 * MB)),
            "431",
        ),
        Attack("a head of 3 MB, 100 x at once", "44", _many_heads, "100 x 431"),
        Attack(
            "59 MB of small headers", "44", partial(one_flood, head=GET, pieces=repeated(b"X: a\r\n", 59 * MB)), "431"
        ),
        Attack("a URL of 100 MB", "44", partial(one_flood, head=b"GET /", pieces=repeated(b"a", 100 * MB)), "414"),
        Attack("a header name of 60 MB", "44", partial(one_flood, head=GET, pieces=repeated(b"X", 60 * MB)), "431"),
        Attack(
            "a trailer of 100 MB",
            "44",
            partial(one_flood, head=CHUNKED + b"2\r\n{}\r\n0\r\nX: ", pieces=repeated(b"a", 100 * MB)),
            "400",
        ),
        Attack(
            "one chunk extension of 60 MB",
            "44",
            partial(one_flood, head=CHUNKED + b"2;", pieces=repeated(b"a", 60 * MB)),
            "400",
        ),
        Attack(
            "60 MB of chunk extensions",
            "44",
            partial(one_flood, head=CHUNKED, pieces=repeated(b"1;" + b"a" * 1_000 + b"\r\n \r\n", 60 * MB)),
            "400",
        ),
        Attack(
            "15 MB in chunks of one byte",
            "44",
            partial(one_flood, head=CHUNKED, pieces=repeated(b"1\r\n \r\n", 90 * MB)),
            most_mib=A_BODY_MIB,
        ),
        Attack("silent sockets, 300 at 256 files", "45", partial(_slow, 300, b"", b""), "300 of 300", files=256),
        Attack("dripped heads, 100", "45", partial(_slow, 100, GET + HOST, b"X: a\r\n"), "100 of 100"),
        Attack(
            "dripped bodies, 100",
            "45",
            partial(_slow, 100, CHAT + b"Content-Length: 99999\r\n\r\n[", b" "),
            "100 of 100",
        ),
        Attack(
            "dripped bodies behind a 401, 100",
            "45",
            partial(_slow, 100, CHAT + b"Content-Length: 99999\r\n\r\n[", b" "),
            "100 of 100",
            keyed=True,
        ),
        Attack("30 bodies of 15.5 MB, unfinished, one key", "49", _unfinished, keyed=True, most_mib=ONE_CALLER_MIB),
        Attack("1,000 connections reset amid a request", "reset", _reset_storm),
    ]
    return found + [
        Attack(name, "48", partial(_shape, body), most_mib=A_BODY_MIB, environ=MANY) for name, body in shapes().items()
    ]


def _pipelined(port: int) -> str:
    clients = [connect(port) for _ in range(200)]
    for client in clients:
        client.sendall(WHOLE + GET + HOST + b"\r\n")
    time.sleep(1.0)
    for client in clients:
        client.close()
    time.sleep(2.0)
    return "all left amid their streams"


def _large_bodies(port: int, *, chunked: bool) -> str:
    size = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 17000000"
    piece = b"f4240\r\n" + b" " * MB + b"\r\n" if chunked else b" " * MB
    return counted(one_flood(port, CHAT + size + b"\r\n\r\n", [piece] * 17) for _ in range(6))


def _many_heads(port: int) -> str:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(100)]
        with ThreadPoolExecutor(100) as pool:
            list(pool.map(lambda client: flood(client, [GET + HOST + b"X: ", *[b"a" * MB] * 3]), clients))
        time.sleep(1.0)
        return counted(heard(client, 0.05) for client in clients)


def _slow(count: int, start: bytes, drip: bytes, port: int) -> str:
    return dripped(port, count, start, drip, SLOW_SECONDS)


def _unfinished(port: int) -> str:
    head = CHAT + b"Authorization: Bearer %b\r\nContent-Length: 15500000\r\n\r\n" % KEY.encode()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(30)]
        for client in clients:
            flood(client, [head, b'{"x":"' + b"a" * 15_400_000])
        time.sleep(1.0)
        return counted(heard(client, 0.05) for client in clients)


def _reset_storm(port: int) -> str:
    starts = (b"", GET[:9], GET + HOST, CHAT + b"Content-Length: 99\r\n\r\n{", WHOLE)
    for number in range(1_000):
        connection = connect(port)
        with contextlib.suppress(OSError):
            connection.sendall(starts[number % len(starts)])
        reset(connection)
    return "all left"


def _shape(body: bytes, port: int) -> str:
    with connect(port) as connection:
        flood(connection, [CHAT + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body), body])
        return f"{heard(connection, 30.0)}, {len(body) / MB:.1f} MB"
