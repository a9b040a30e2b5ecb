"""The bad-input matrix, as far as our code answers it: a clear 4xx in the door's own shape, never an echo (P3, P4)."""

import json
import time
from typing import Any

import httpx
import pytest

from entrypoints.http.context import MAX_BODY_BYTES
from tests.entrypoints.demo_service import demo
from tests.service import JSON, Running, running

SECRET = "sk-planted-4f9d8a7b6c5e"
MESSAGE = {"role": "user", "content": "hi"}


def chat(**fields: object) -> bytes:
    return json.dumps({"model": "demo/fast", "messages": [MESSAGE], **fields}).encode()


# Number in BAD_INPUT.md, what is sent, status, code, param.
CHAT: list[tuple[str, bytes, int, str, str | None]] = [
    ("1 not JSON", f'{{"x": "{SECRET}"'.encode(), 400, "invalid_json", None),
    ("1 trailing bytes", chat() + SECRET.encode(), 400, "invalid_json", None),
    ("2 empty", b"", 400, "invalid_json", None),
    ("7 nesting", b'{"a":' * 65 + b"1" + b"}" * 65, 400, "json_too_deep", None),
    ("8 messages", chat(messages=[MESSAGE] * 1001), 400, "too_many_items", "messages"),
    ("8 tools", chat(tools=[{}] * 129), 400, "too_many_items", "tools"),
    ("10 NaN", chat(temperature=float("nan")), 400, "number_out_of_range", "temperature"),
    ("10 Infinity", chat(top_p=float("inf")), 400, "number_out_of_range", "top_p"),
    ("11 digits", b'{"max_tokens":' + b"9" * 5000 + b"}", 400, "number_out_of_range", "max_tokens"),
    ("11 max_tokens -1", chat(max_tokens=-1), 400, "number_out_of_range", "max_tokens"),
    ("11 max_tokens 0", chat(max_completion_tokens=0), 400, "number_out_of_range", "max_completion_tokens"),
    ("11 max_tokens 2^63", chat(max_tokens=2**63), 400, "number_out_of_range", "max_tokens"),
    ("11 n", chat(n=1000), 400, "number_out_of_range", "n"),
    ("12 UTF-8", b'{"model":"\xff' + SECRET.encode() + b'"}', 400, "invalid_encoding", None),
    ("12 UTF-16", chat().decode().encode("utf-16"), 400, "invalid_encoding", None),
    ("12 BOM", b"\xef\xbb\xbf" + chat(), 400, "invalid_encoding", None),
    (
        "13 surrogate",
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        400,
        "invalid_encoding",
        "messages.0.content",
    ),
    ("15 unknown model", chat(model=SECRET), 404, "model_not_found", "model"),
    ("15 unknown provider", chat(model=f"other/{SECRET}"), 404, "model_not_found", "model"),
    ("16 base_url", chat(base_url="http://127.0.0.1:1"), 400, "forbidden_parameter", "base_url"),
    ("16 api_base", chat(api_base=SECRET), 400, "forbidden_parameter", "api_base"),
    ("16 api_key", chat(api_key=SECRET), 400, "forbidden_parameter", "api_key"),
    ("16 proxy", chat(proxy=SECRET), 400, "forbidden_parameter", "proxy"),
    ("16 callback_url", chat(callback_url=SECRET), 400, "forbidden_parameter", "callback_url"),
    ("18 messages", chat(messages=SECRET), 400, "invalid_type", "messages"),
    ("18 message", chat(messages=[SECRET]), 400, "invalid_type", "messages.0"),
    ("18 role", chat(messages=[MESSAGE, {"role": 7}]), 400, "invalid_type", "messages.1.role"),
    ("18 content", chat(messages=[{"role": "user", "content": 7}]), 400, "invalid_type", "messages.0.content"),
    ("18 part", chat(messages=[{"role": "user", "content": [7]}]), 400, "invalid_type", "messages.0.content.0"),
    ("18 model", chat(model=[SECRET]), 400, "invalid_type", "model"),
    ("18 tools", chat(tools={}), 400, "invalid_type", "tools"),
    ("18 tool", chat(tools=[SECRET]), 400, "invalid_type", "tools.0"),
    ("18 temperature", chat(temperature=True), 400, "invalid_type", "temperature"),
    ("18 n", chat(n=1.5), 400, "invalid_type", "n"),
    ("18 stream", chat(stream="yes"), 400, "invalid_type", "stream"),
    ("18 stop", chat(stop=7), 400, "invalid_type", "stop"),
    (
        "18 include_usage",
        chat(stream_options={"include_usage": 1}),
        400,
        "invalid_type",
        "stream_options.include_usage",
    ),
    ("no model", b'{"messages":[]}', 400, "missing_parameter", "model"),
    ("no messages", b'{"model":"demo/fast"}', 400, "missing_parameter", "messages"),
    ("no role", chat(messages=[{}]), 400, "missing_parameter", "messages.0.role"),
    ("empty messages", chat(messages=[]), 400, "invalid_request", "messages"),
    ("empty model", chat(model=""), 400, "invalid_request", "model"),
    ("long model", chat(model="m" * 300), 400, "invalid_request", "model"),
]

NATIVE: list[tuple[str, bytes, int, str, str | None]] = [
    ("1 not JSON", b"{", 400, "invalid_json", None),
    ("17 unknown field", b'{"prompt":"x","extra":1}', 400, "unknown_parameter", "extra"),
    ("17 stream", b'{"prompt":"x","stream":true}', 400, "unknown_parameter", "stream"),
    ("17 a field that is a secret", f'{{"prompt":"x","{SECRET} ":1}}'.encode(), 400, "unknown_parameter", "?"),
    ("16 base_url", b'{"prompt":"x","base_url":"http://127.0.0.1:1"}', 400, "forbidden_parameter", "base_url"),
    ("no prompt", b"{}", 400, "missing_parameter", "prompt"),
    ("both", b'{"prompt":"x","messages":[]}', 400, "invalid_request", "prompt"),
    ("18 prompt", b'{"prompt":{}}', 400, "invalid_type", "messages.0.content"),
    ("15 model", b'{"prompt":"x","model":"nope"}', 404, "model_not_found", "model"),
]


def check_openai(response: httpx.Response, status: int, code: str, param: str | None) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")
    assert response.headers["x-should-retry"] == "false"
    assert SECRET not in response.text


def check_native(response: httpx.Response, status: int, code: str, param: str | None) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"], problem.get("param")) == (status, code, param)
    assert problem["type"] == f"urn:headgate:error:{code}"
    assert SECRET not in response.text


async def test_every_row_of_the_openai_door_p4() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        for _, content, status, code, param in CHAT:
            response = await service.client.post("/v1/chat/completions", content=content, headers=JSON)
            check_openai(response, status, code, param)
        assert provider.calls == 0  # P3: nothing went anywhere
        assert len(service.container.generations()) == 0


async def test_every_row_of_the_native_door_p4() -> None:
    async with running(llm={"demo": demo()}) as service:
        for _, content, status, code, param in NATIVE:
            check_native(await service.client.post("/v1/streams", content=content, headers=JSON), status, code, param)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/streams"])
async def test_wrong_kinds_of_body_3_4_5_6(path: str) -> None:
    async with running(llm={"demo": demo()}) as service:
        check = check_native if path == "/v1/streams" else check_openai

        async def post(content: Any, **headers: str) -> httpx.Response:
            return await service.client.post(path, content=content, headers={**JSON, **headers})

        check(await post(chat(), **{"Content-Type": "text/plain"}), 415, "unsupported_media_type", None)
        check(
            await post(chat(), **{"Content-Type": "application/x-www-form-urlencoded"}),
            415,
            "unsupported_media_type",
            None,
        )
        check(await post(b"x" * 100, **{"Content-Encoding": "gzip"}), 415, "unsupported_encoding", None)
        check(await chunked(service, path), 413, "request_too_large", None)


async def chunked(service: Running, path: str) -> httpx.Response:
    async def pieces() -> Any:
        for _ in range(MAX_BODY_BYTES // 2**20 + 1):
            yield b" " * 2**20

    return await service.client.post(path, content=pieces(), headers=JSON)


async def test_a_declared_length_over_the_limit_is_refused_unread_5() -> None:
    async with running(llm={"demo": demo()}) as service:
        import asyncio

        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += "Content-Length: 200000000\r\n\r\n"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b" 413 " in answer.split(b"\r\n")[0]
        assert b"connection: close" in answer.lower()
        writer.close()


async def test_parameters_of_dialects_17_9_14() -> None:
    provider = demo()
    async with running(llm={"demo": provider}) as service:
        marks = []
        for content in (
            chat(brand_new=1),
            chat(brand_new=2),
            chat(brand_new=1),
            chat()[:-1] + b',"brand_new":7,"brand_new":1}',
            chat(messages=[{"role": "user", "content": "\0\x07\x1b"}]),
        ):
            response = await service.client.post("/v1/chat/completions", content=content, headers=JSON)
            assert response.status_code == 200
            marks.append(response.headers["x-cache"])
        assert marks == ["miss", "miss", "hit-l1", "hit-l1", "miss"]


@pytest.mark.parametrize(
    "event_id", ["x", "-1", "abc-", "abc--1", "abc-01", "ABC-1", "abc-1\t2", "é-1", "a" * 7_000, "abc-1" * 9]
)
async def test_event_ids_that_never_were_31(event_id: str) -> None:
    async with running(llm={"demo": demo()}) as service:
        first = await service.client.post("/v1/streams", json={"model": "demo/fast", "prompt": "x"})
        for request in ({"headers": {"Last-Event-ID": event_id.encode()}}, {"params": {"last_event_id": event_id}}):
            response = await service.client.get(first.headers["content-location"], **request)
            check_native(response, 400, "invalid_event_id", "Last-Event-ID")
        for tricky in ("abc-1\r\nid: 2", "abc-1\0"):
            response = await service.client.get(first.headers["content-location"], params={"last_event_id": tricky})
            check_native(response, 400, "invalid_event_id", "Last-Event-ID")


async def test_paths_and_methods_37_38() -> None:
    async with running(llm={"demo": demo()}) as service:
        for path in ("/v1/nothing", "/../etc/passwd", "/%2e%2e/x", "//", "/v1/streams/"):
            response = await service.client.get(path)
            assert response.status_code in {404, 405}
            assert response.json()
        odd = await service.client.request("PATCH", "/v1/chat/completions")
        assert (odd.status_code, odd.headers["allow"]) == (405, "OPTIONS, POST")
        assert odd.json()["error"]["code"] == "method_not_allowed"
        odd = await service.client.request("PUT", "/v1/streams/x")
        assert (odd.status_code, odd.json()["code"]) == (405, "method_not_allowed")


async def test_thread_ids_that_are_no_ids_are_replaced_40() -> None:
    async with running(llm={"demo": demo()}) as service:
        for given in ("a b", "x" * 1000, "é", "{}", ""):
            response = await service.client.post(
                "/v1/streams",
                json={"model": "demo/fast", "prompt": "x"},
                headers=[(b"X-Thread-ID", given.encode())],
            )
            assert response.headers["x-thread-id"].startswith("t_")


@pytest.mark.parametrize("grace", ["x", "-1", "1e9", "nan", "99999999"])
async def test_a_grace_that_is_no_number(grace: str) -> None:
    async with running(llm={"demo": demo()}) as service:
        response = await service.client.post(
            "/v1/chat/completions", content=chat(), headers={**JSON, "X-Stream-Grace": grace}
        )
        check_openai(response, 400, "invalid_header", "X-Stream-Grace")


async def test_unlisted_origins_get_no_grant_36() -> None:
    async with running(llm={"demo": demo()}) as service:
        for origin in ("http://evil.example", "null"):
            for method in ("OPTIONS", "POST"):
                response = await service.client.request(
                    method, "/v1/chat/completions", content=chat(), headers={**JSON, "Origin": origin}
                )
                assert "access-control-allow-origin" not in response.headers


async def test_keys_27_28_p2() -> None:
    import hashlib
    import pathlib
    import tempfile

    key = "hg_" + "k" * 40
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "headgate.toml")
        config.write_text(f'[keys.acme]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n')
        async with running({"HEADGATE_CONFIG": str(config)}, llm={"demo": demo()}) as service:

            async def ask(**headers: str) -> httpx.Response:
                raw = [(name.encode(), value.encode()) for name, value in {**JSON, **headers}.items()]
                return await service.client.post("/v1/chat/completions?key=x", content=chat(), headers=raw)

            missing = await ask()
            assert missing.status_code == 401
            assert missing.headers["www-authenticate"] == "Bearer"
            assert missing.json()["error"]["code"] == "missing_api_key"
            assert (await ask(Authorization=f"Basic {key}")).json()["error"]["code"] == "missing_api_key"
            bodies = {
                (await ask(Authorization=f"Bearer {wrong}")).content
                for wrong in ("x", key[:-1], "' OR 1=1", "é", "k" * 9000)
            }
            assert len(bodies) == 1
            assert json.loads(bodies.pop())["error"]["code"] == "invalid_api_key"
            # The native door's body has the thread id, which is another for each request unless the client names it.
            named = {**JSON, "X-Thread-ID": "mine"}
            problems = {
                (await service.client.post("/v1/streams", content=b"{}", headers={**named, "X-Api-Key": wrong})).content
                for wrong in ("x", key[:-1], "' OR 1=1", "k" * 9000)
            }
            assert len(problems) == 1
            assert json.loads(problems.pop())["thread_id"] == "mine"
            mine = await ask(Authorization=f"Bearer {key}", **{"X-Stream-Grace": "5"})
            assert mine.status_code == 200
            assert (await ask(**{"X-Api-Key": key})).status_code == 200
            # Another door, no key: nobody's streams.
            assert (await service.client.get(f"/v1/streams/{mine.headers['x-stream-id']}")).status_code == 401


async def test_big_lists_are_refused_in_bounded_time_8() -> None:
    async with running(llm={"demo": demo()}) as service:
        content = chat(messages=[MESSAGE] * 200_000)
        started = time.process_time()
        response = await service.client.post("/v1/chat/completions", content=content, headers=JSON)
        check_openai(response, 400, "too_many_items", "messages")
        assert time.process_time() - started < 5
