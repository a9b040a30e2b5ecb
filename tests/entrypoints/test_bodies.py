"""Bodies over raw sockets against the real process: who may send one, how much of them there may be, and what others
feel of it (G5, G6)."""

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from domain.errors import BodyMemoryFullError
from entrypoints.http.bodies import MAX_BODY_BYTES, BodyMemory
from tests.entrypoints.test_json_reader import BAD, LEGAL
from tests.service import eventually, process

CHAT = "/v1/chat/completions"
SECONDS = 20.0
AT_ONCE = 3.0
"""An answer to a body that was not read comes within so many seconds, on a busy machine."""
FELT = 0.5
"""Seconds that another client may wait on a busy machine: the loop is held for a tenth of that at most."""
MIB = 1 << 20


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> object:
        """Of the error, in either dialect."""
        told = json.loads(self.body)
        return told.get("error", told)["code"]


def head(length: int, **headers: str) -> bytes:
    fields = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(length), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"POST {CHAT} HTTP/1.1\r\n{lines}\r\n".encode()


@contextlib.contextmanager
def connection(url: str, data: bytes) -> Iterator[socket.socket]:
    """A connection on which this was sent."""
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
        client.sendall(data)
        yield client


def answer(client: socket.socket, seconds: float = AT_ONCE) -> Answer:
    client.settimeout(seconds)
    with client.makefile("rb") as reader:
        status = int(reader.readline().split()[1])
        headers = {}
        while (line := reader.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        return Answer(status, headers, reader.read(int(headers["content-length"])))


def nothing_yet(client: socket.socket) -> bool:
    client.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        return client.recv(1) == b"?"
    return True


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def test_a_body_without_a_key_is_refused_unread_27_g5(tmp_path: Path) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text(f'[keys.acme]\nsha256 = "{hashlib.sha256(b"hg_key").hexdigest()}"\n')
    with process({"HEADGATE_CONFIG": str(config)}) as (_, url):
        for fields in ({}, {"Authorization": "Bearer hg_wrong"}):
            for sent in (b"", b" " * 60_000):
                with connection(url, head(MAX_BODY_BYTES, **fields) + sent) as client:
                    assert answer(client).status == 401


def test_a_caller_over_its_limit_is_refused_unread_49_g5(tmp_path: Path) -> None:
    """Of bodies that are never finished as many are read as it may ask, whatever their length."""
    environ = {"RATE_LIMIT_REQUESTS_PER_MINUTE": "6"}
    with (tmp_path / "log").open("w") as log, process(environ, log) as (service, url), contextlib.ExitStack() as stack:
        before = memory(service.pid)
        for _ in range(6):
            client = stack.enter_context(connection(url, head(2_000_000) + b" " * 60_000))
            assert nothing_yet(client)
        for length in (15_500_000, 15_500_000, 2_000_000, 70_000, 1_000, 200_000_000):
            client = stack.enter_context(connection(url, head(length) + b" " * min(length - 1, 60_000)))
            told = answer(client)
            assert (told.status, told.code) == (429, "rate_limit_exceeded")
            assert 1 <= int(told.headers["retry-after"]) <= 60
            assert told.headers["x-ratelimit-remaining-requests"] == "0"
        assert memory(service.pid) - before < 32 * MIB


def test_all_bodies_together_are_bounded_and_what_is_given_up_comes_back_g5() -> None:
    environ = {"HEADGATE_MEMORY_BUDGET": str(64 * MIB), "HEADGATE_TRUSTED_PROXIES": "127.0.0.1"}
    with process(environ) as (_, url), contextlib.ExitStack() as stack:

        def send(caller: int, length: int = 4 * MIB, sent: int = 60_000) -> socket.socket:
            data = head(length, X_Forwarded_For=f"192.0.2.{caller}") + b" " * sent
            return stack.enter_context(connection(url, data))

        announced = [send(caller) for caller in range(20, 30)]  # to say that much is coming keeps nobody out
        assert all(map(nothing_yet, announced))
        for one in announced:
            one.close()
        largest = answer(send(9, 4 * MIB + 1))
        assert (largest.status, largest.code) == (413, "request_too_large")
        held = [send(caller, sent=4 * MIB - 1) for caller in range(4)]
        assert all(map(nothing_yet, held))
        for caller in (0, 5):  # its own share, and that of all
            full = answer(send(caller))
            assert (full.status, full.code, full.headers["x-should-retry"]) == (503, "overloaded", "true")
            assert int(full.headers["retry-after"]) >= 1
            assert full.headers["content-type"] == "application/json"
        held[0].close()
        eventually(lambda: nothing_yet(send(5, sent=4 * MIB - 1)))
        chunked = head(0, X_Forwarded_For="192.0.2.7").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        piece = b"%x\r\n%b\r\n" % (100_000, b" " * 100_000)
        with connection(url, chunked + piece) as client:
            assert answer(client).status == 503


def test_a_body_that_comes_in_pieces_is_one_request_and_an_unfinished_one_is_charged_g5_l1() -> None:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "x" * 100_000}]}).encode()
    with process({"RATE_LIMIT_REQUESTS_PER_MINUTE": "2"}) as (_, url):
        with connection(url, head(len(body)) + body[:50_000]) as client:
            assert nothing_yet(client)
            client.sendall(body[50_000:])
            whole = answer(client, SECONDS)
            assert (whole.status, whole.headers["x-ratelimit-remaining-requests"]) == (200, "1")
        with connection(url, head(len(body)) + body[:50_000]) as client:
            assert nothing_yet(client)
        with connection(url, head(len(body))) as client:
            assert answer(client).status == 429


class Neighbour(threading.Thread):
    """Another client, which asks again and again whether the process lives."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._over, self._asking = threading.Event(), threading.Event()
        self.longest = 0.0
        """Seconds of its longest wait."""

    def run(self) -> None:
        """Asks until it is stopped."""
        with httpx.Client(base_url=self._url, timeout=SECONDS) as client:
            client.get("/livez")
            self._asking.set()
            while not self._over.wait(0.005):
                started = time.monotonic()
                assert client.get("/livez").is_success
                self.longest = max(self.longest, time.monotonic() - started)

    def begin(self) -> None:
        """Starts it; it has asked once then."""
        self.start()
        assert self._asking.wait(SECONDS)

    def stop(self) -> float:
        """Ends it; seconds of its longest wait."""
        self._over.set()
        self.join(SECONDS)
        return self.longest


FELT_SHAPES = {
    "what looks like JSON": (LEGAL["what looks like JSON"], 200),
    "line ends": (LEGAL["line ends"], 200),
    "four bytes": (LEGAL["four bytes"], 200),
    "empty lists": (BAD["empty lists"][0], 400),
    "messages": (BAD["messages"][0], 400),
    "a surrogate": (BAD["a surrogate"][0], 400),
    "1e308": (lambda: b'{"x":[%b1]}' % (b"1e308," * 49_000), 400),
}


def test_no_body_holds_others_up_48_g6(tmp_path: Path) -> None:
    """From the socket to the provider's answer, of the largest prompts, and of the worst of what is refused."""
    environ = {"RATE_LIMIT_TOKENS_PER_MINUTE": "1000000000"}
    with (tmp_path / "log").open("w") as log, process(environ, log) as (_, url):
        for name, (make, status) in FELT_SHAPES.items():
            body = make().replace(b'"demo/fast"', b'"demo"')
            neighbour = Neighbour(url)
            neighbour.begin()
            try:
                with connection(url, head(len(body)) + body) as client:
                    told = answer(client, SECONDS)
            finally:
                longest = neighbour.stop()
            assert told.status == status, name
            assert longest < FELT, name


def test_memory_of_bodies_is_counted_exactly_g5() -> None:
    bodies = BodyMemory(100, 40)
    bodies.take("a", 40)
    with pytest.raises(BodyMemoryFullError):
        bodies.take("a", 1)
    bodies.take("b", 40)
    with pytest.raises(BodyMemoryFullError):
        bodies.take("c", 21)
    bodies.take("c", 20)
    for tenant, size in (("a", 40), ("b", 30), ("c", 20)):
        bodies.give_back(tenant, size)
    assert bodies.held == 10
    bodies.take("b", 30)
