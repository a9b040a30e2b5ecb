"""Any path, query, id and header: a clear answer, never a 500 (G9, BAD_INPUT 31, 38, 40, 51)."""

import asyncio
from base64 import urlsafe_b64encode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Scope

from adapters.settings import get_settings
from container import Container
from entrypoints.main import build_app
from tests.entrypoints.demo_service import body, demo
from tests.service import running

PLACES = [
    "/v1/streams/{}",
    "/v1/threads/{}/execution",
    "/v1/providers/{}/x/breaker",
    "/v1/providers/demo/{}/breaker",
    "/v1/{}",
    "/{}",
    "/docs/{}",
]
METHODS = ["GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "PROPFIND"]
HEADERS = [
    b"last-event-id", b"x-stream-grace", b"prefer", b"accept", b"content-type", b"content-length", b"content-encoding",
    b"cache-control", b"x-thread-id", b"x-execution-tracking", b"authorization", b"x-api-key", b"x-forwarded-for",
    b"idempotency-key", b"range", b"origin", b"sec-fetch-site", b"host", b"cookie", b"upgrade", b"x",
]  # fmt: skip
ODD_IDS = [
    "s_!!!!!!!!!!!!!!!!!!!!!!!!", "s_" + "A" * 23, "s_" + "A" * 24, "s_" + "=" * 24, "s_" + "\0" * 24, "s_AAAA\n" * 4,
    "..", ".", "", "%2e%2e", "//", "\0", "x" * 8192, "\udcff", "\ufffd", "s_" + "\xe9" * 24, "a/../../b", "é" * 24,
    "s_" + urlsafe_b64encode(bytes(18)).decode(), "s_AAAAAAAAAAAAAAAAAAAAAA==", "S_" + "A" * 24, " ", "\r\n",
    ";", "?", "#",
]  # fmt: skip
any_text = st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "replace"))
any_value = st.binary(max_size=60) | st.sampled_from(
    [b"-1", b"0", b"abc-1", b"abc-" + b"9" * 12, b"1e999", b"nan", b"\xff" * 30, b"x" * 8192, b",,;;==", b"gone-0",
     b"\0", b"application/json", b"bytes=" + b"0-1," * 1000, b"respond-async;x=\xff", b"Bearer \xff", b"\xc2\xb2",
     b"force"]
)  # fmt: skip
queries = st.binary(max_size=60) | st.sampled_from(
    [b"dialect=\xff", b"dialect=openai&include_usage=%ff", b"last_event_id=%00", b"&&==", b"dialect", b"a=b&" * 500,
     b"last_event_id=" + b"9" * 4000, b"%", b"%zz", b"dialect=native&dialect=openai", b"last_event_id=a-1&a"]
)  # fmt: skip


class Asgi:
    """The application as any server would call it, without a socket in between that refuses by itself."""

    def __init__(self) -> None:
        self.container = Container(settings=get_settings({"LOG_LEVEL": "critical"}))
        self.app = build_app(self.container)[0]

    async def ask(
        self, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], content: bytes = b""
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body; what the application raises is raised."""
        scope: Scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode("utf-8", "replace"), "query_string": query, "root_path": "",
            "headers": headers, "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 80), "extensions": {},
        }  # fmt: skip
        sent: list[Message] = []
        given = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Message:
            if given:
                return given.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        async with asyncio.timeout(5):
            await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], dict(sent[0]["headers"]), body


@pytest.fixture(scope="module")
def asgi() -> Asgi:
    return Asgi()


def check(status: int, headers: dict[bytes, bytes], body: bytes, method: str) -> None:
    assert status < 500, body
    if status == 405:
        assert headers[b"allow"]
    if status >= 400 and method != "HEAD":
        assert headers[b"content-type"] in {b"application/json", b"application/problem+json"}
        assert headers[b"x-thread-id"]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(METHODS),
    st.sampled_from(PLACES),
    any_text | st.sampled_from(ODD_IDS),
    queries,
    st.lists(st.tuples(st.sampled_from(HEADERS), any_value), max_size=6),
)
@example("GET", "/v1/streams/{}", "s_!!!!!!!!!!!!!!!!!!!!!!!!", b"", [])
def test_g9_no_request_is_a_500(
    asgi: Asgi, method: str, place: str, odd: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    status, got, body = asyncio.run(asgi.ask(method, place.format(odd), query, headers, b"{}"))
    check(status, got, body, method)


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_g9_an_id_that_is_none_is_not_found_51(asgi: Asgi, odd: str) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        for path in (f"/v1/streams/{odd}", f"/v1/threads/{odd}/execution"):
            if method == "DELETE" and path.startswith("/v1/threads"):
                continue
            status, headers, body = await asgi.ask(method, path, b"", [(b"host", b"localhost")])
            # Without an id it is the path that streams are started at, with a slash behind it.
            assert status == (405 if path == "/v1/streams/" else 404), (method, body)
            assert headers[b"content-type"] in {b"application/json", b"application/problem+json"}
    for path in (f"/v1/providers/{odd}/x/breaker", f"/v1/providers/nobody/{odd}/breaker"):
        json = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        status, _, _ = await asgi.ask("POST", path, b"", json, b'{"state":"open"}')
        assert status == 404


@pytest.mark.parametrize(
    ("event_id", "status"),
    [
        (b"-1", 400), (b"\xff-1", 400), (b"a" * 10_000, 400), (b"abc-1", 200), (b"gone-0", 200),
        (b"abc-999999999999", 200), (b"abc-9999999999999", 400), (b"0-0", 200), (b"abc-1\tx", 400), (b"ABC-1", 400),
        (b"abc-\xb2", 400), (b"abc-1,abc-2", 400), (b"null", 400), (b"undefined", 400),
    ],
)  # fmt: skip
async def test_s5_an_event_id_is_refused_or_says_that_it_begins_anew_31(event_id: bytes, status: int) -> None:
    async with running(llm={"demo": demo()}) as service:
        made = await service.client.post("/v1/streams", json=body("fast"))
        path = made.headers["content-location"]
        answer = await service.client.get(path, headers=[(b"Last-Event-ID", event_id)])
        assert answer.status_code == status
        if status == 200:
            assert answer.text.startswith("event: reset\n")
        else:
            assert answer.json()["code"] == "invalid_event_id"
        other = await service.client.post("/v1/streams", json=body("fast", prompt="other"))
        theirs = [line for line in other.text.splitlines() if line.startswith("id: ")][1].removeprefix("id: ")
        told = await service.client.get(path, headers={"Last-Event-ID": theirs})
        assert told.text.startswith("event: reset\n")
