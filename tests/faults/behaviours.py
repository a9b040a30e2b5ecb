"""How the upstream of the tests answers or fails, by name."""

import asyncio
import gzip
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from tests.faults import odd_ends
from tests.faults.exchange import SILENCE, UNICODE_TEXT, Exchange

BIG_TEXT = (1 << 20) - 1024
"""Characters of the one event that is nearly as long as a line may be."""

Behaviour = Callable[[Exchange], Awaitable[None]]


def _error(status: int, code: str, **headers: str) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        # The message repeats the prompt, as providers do: nothing of it may be kept (P1).
        error = {"message": json.dumps(exchange.body), "type": "error", "param": "messages", "code": code}
        await exchange.reply(status, json.dumps({"error": error}).encode(), **headers)

    return behave


def _failing(fails: Callable[[float], bool]) -> Behaviour:
    """Answers 503 or an answer, as `fails` says of the seconds since the model was first asked."""
    first: dict[str, float] = {}

    async def behave(exchange: Exchange) -> None:
        now = time.monotonic()
        down = fails(now - first.setdefault(exchange.model, now))
        await (BEHAVIOURS["503-bare"] if down else BEHAVIOURS["ok"])(exchange)

    return behave


def _narrow(at_once: int, seconds: float) -> Behaviour:
    """Works on so many requests at once, each for so long before its first token; the others wait in here, unheard."""
    room = asyncio.Semaphore(at_once)

    async def behave(exchange: Exchange) -> None:
        async with room:
            await asyncio.sleep(seconds)
            await exchange.words(exchange.tokens)
            await exchange.finish()
            await exchange.done()

    return behave


def _streamed(*, pause: float = 0.0) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.words(exchange.tokens, pause)
        await exchange.finish()
        await exchange.done()

    return behave


def _stopped(count: int | None, *, finish: bool, then: str) -> Behaviour:
    """`count` tokens (None: as many as asked for), perhaps a finish reason, then `cut`, `end` or `silence`."""

    async def behave(exchange: Exchange) -> None:
        await exchange.words(exchange.tokens if count is None else count)
        if finish:
            await exchange.finish()
        if then == "end":
            await exchange.end()
        if then == "silence":
            await asyncio.sleep(SILENCE)
        exchange.writer.close()

    return behave


def _cut_in(**delta: Any) -> Behaviour:
    """Says this, which is no text, and half of the rest of it never comes."""

    async def behave(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event(exchange.chunk({"role": "assistant", "content": None, **delta}))
        exchange.writer.close()

    return behave


async def _silent(exchange: Exchange) -> None:
    await asyncio.sleep(SILENCE)
    exchange.writer.close()


async def _tools(exchange: Exchange) -> None:
    await exchange.head()
    calls: list[dict[str, Any]] = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}},
        *({"index": 0, "function": {"arguments": part}} for part in ('{"city"', ': "Par', 'is"}')),
    ]
    await exchange.event(exchange.chunk({"role": "assistant", "content": None}))
    for call in calls:
        await exchange.event(exchange.chunk({"tool_calls": [call]}))
    await exchange.finish("tool_calls")
    await exchange.done()


async def _plain(exchange: Exchange) -> None:
    text = "".join(f" tok{number}" for number in range(1, exchange.tokens + 1))
    message = {"role": "assistant", "content": text, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    completion = {**exchange.usage(), "object": "chat.completion", "choices": [choice], "service_tier": "default"}
    await exchange.reply(200, json.dumps(completion).encode())


async def _unicode(exchange: Exchange) -> None:
    """Raw UTF-8 where JSON allows it, an emoji's halves in two chunks, and every byte in a write of its own."""
    await exchange.head()
    data = json.dumps(exchange.chunk({"role": "assistant", "content": UNICODE_TEXT}), ensure_ascii=False).encode()
    halves = [
        b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\\ude00"}}]}',
    ]
    for event in (data, *halves):
        for byte in b"data: " + event + b"\r\n\r\n":
            await exchange.piece(bytes([byte]))
    await exchange.finish()
    await exchange.done()


async def _error_midway(exchange: Exchange) -> None:
    await exchange.words(20)
    await exchange.event({"error": {"message": json.dumps(exchange.body), "type": "server_error", "code": None}})
    await asyncio.sleep(SILENCE)


async def _broken_json(exchange: Exchange) -> None:
    """It does not notice, and goes on for four seconds."""
    await exchange.words(20)
    await exchange.piece(b'data: {"choices": [{"delta": {"content": "tr\n\n')
    for number in range(21, exchange.tokens + 1):
        await asyncio.sleep(0.1)
        await exchange.event(exchange.chunk({"content": f" tok{number}"}))
    await exchange.finish()
    await exchange.done()


async def _extra_fields(exchange: Exchange) -> None:
    await exchange.head()
    extra: dict[str, Any] = {
        "x_invented": {"deep": [1, 2.50, 1e3]},
        "choice": {"logprobs": {"content": [{"token": "a"}]}, "x": None},
    }
    await exchange.event(exchange.chunk({"role": "assistant", "content": "a", "annotations": []}, **extra))
    await exchange.finish()
    await exchange.done()


async def _huge_line(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.piece(b"data: ")
    for _ in range(300):
        await exchange.piece(b"x" * (1 << 20))
    await exchange.done()


async def _gzip(exchange: Exchange) -> None:
    await exchange.head(content_encoding="gzip")
    await exchange.piece(b"\x1f\x8b\x08\x00")
    await exchange.end()


async def _gzip_bomb(exchange: Exchange) -> None:
    """Half a megabyte that would be five hundred."""
    await exchange.head(content_encoding="gzip")
    member = gzip.compress(bytes(1 << 20))
    for _ in range(500):
        await exchange.piece(member)
    await asyncio.sleep(SILENCE)


def _stalling_error(status: int, **headers: str) -> Behaviour:
    """The head of an error, and half of its body."""

    async def behave(exchange: Exchange) -> None:
        await exchange.head(status, "application/json", **headers)
        await exchange.piece(b'{"error": {"code": ')
        await asyncio.sleep(SILENCE)

    return behave


def _dated(seconds: float) -> Behaviour:
    """429, to be asked again at a moment so many seconds from now."""

    async def behave(exchange: Exchange) -> None:
        now = time.time()
        date = {"date": formatdate(now, usegmt=True), "retry_after": formatdate(now + seconds, usegmt=True)}
        await _error(429, "rate_limit_exceeded", **date)(exchange)

    return behave


async def _error_first(exchange: Exchange) -> None:
    """Says who speaks, and then nothing but an error."""
    await exchange.words(0)
    await exchange.event({"error": {"message": json.dumps(exchange.body), "type": "server_error", "code": None}})
    await asyncio.sleep(SILENCE)


async def _html(exchange: Exchange) -> None:
    await exchange.reply(200, b"<html>Please log in</html>", "text/html; charset=utf-8")


async def _redirect(exchange: Exchange) -> None:
    await exchange.reply(307, b"", location="/v1/elsewhere")


def _once(failure: Behaviour) -> Behaviour:
    """Fails the first time, and answers from then on."""

    async def behave(exchange: Exchange) -> None:
        await (failure if exchange.number == 1 else _streamed())(exchange)

    return behave


async def _flapping(exchange: Exchange) -> None:
    """Three requests fail, three are answered, and so on."""
    await (_streamed() if (exchange.number - 1) % 6 >= 3 else _error(503, "overloaded"))(exchange)


async def _heals(exchange: Exchange) -> None:
    """The first eight requests fail, the others are answered."""
    await (_streamed() if exchange.number > 8 else _error(503, "overloaded"))(exchange)


async def _reset(exchange: Exchange) -> None:
    """A RST instead of an answer."""
    exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.writer.transport.abort()


async def _late(exchange: Exchange) -> None:
    """The first token after two seconds."""
    await exchange.head()
    await asyncio.sleep(2.0)
    await exchange.event(exchange.chunk({"role": "assistant", "content": "late"}))
    await exchange.finish()
    await exchange.done()


async def _refuse_prefill(exchange: Exchange) -> None:
    await (_error(400, "invalid_request_error") if exchange.prefilled else _streamed())(exchange)


def _begins(place: Callable[[int], int]) -> Behaviour:
    """Goes on from another token than the one it was asked to go on from."""

    async def behave(exchange: Exchange) -> None:
        exchange.begun = place(exchange.begun)
        await _streamed()(exchange)

    return behave


async def _other(exchange: Exchange) -> None:
    """Begins again, and says something else after a while."""
    exchange.begun = 0
    await exchange.words(10)
    await exchange.event(exchange.chunk({"content": " and now for something else"}))
    await exchange.finish()
    await exchange.done()


async def _dressed(exchange: Exchange) -> None:
    """A byte order mark, comments, CRLF, fields that mean nothing, and data in two lines."""
    await exchange.head()
    await exchange.piece(b"\xef\xbb\xbf: hello\r\n\r\n")
    for number in range(1, exchange.tokens + 1):
        head, tail = json.dumps(exchange.chunk({"content": f" tok{number}"})).encode().split(b", ", 1)
        await exchange.piece(b": keep-alive\r\nid: 7\r\nretry: 9\r\ndata: %b,\r\ndata:%b\r\n\r\n" % (head, tail))
    await exchange.finish()
    await exchange.done()


async def _big_event(exchange: Exchange) -> None:
    await exchange.head()
    await exchange.event(exchange.chunk({"content": "x" * BIG_TEXT}))
    await exchange.finish()
    await exchange.done()


async def _wrong_type(exchange: Exchange) -> None:
    await exchange.reply(200, b'data: {"choices": []}\n\n', "text/plain")


async def _no_usage(exchange: Exchange) -> None:
    await exchange.words(exchange.tokens)
    await exchange.event(exchange.chunk({}, "stop"))
    await exchange.done()


BEHAVIOURS: dict[str, Behaviour] = {
    "ok": _streamed(),
    "ok-slow": _streamed(pause=0.02),
    "narrow": _narrow(4, 0.2),
    "down-4": _failing(lambda age: age < 4),
    "down-60": _failing(lambda age: age < 60),
    "dies-4": _failing(lambda age: 3 <= age < 7),
    "dies-60": _failing(lambda age: 3 <= age < 63),
    "flaps": _failing(lambda age: age % 4 < 2),
    "tools": _tools,
    "plain": _plain,
    "unicode": _unicode,
    "cut-40": _stopped(40, finish=False, then="cut"),
    "cut-function": _cut_in(function_call={"name": "get_weather", "arguments": '{"ci'}),
    "cut-refusal": _cut_in(refusal="I cannot"),
    "cut-audio": _cut_in(audio={"id": "audio_1", "data": "UklG"}),
    "no-finish": _stopped(None, finish=False, then="end"),
    "no-done": _stopped(None, finish=True, then="end"),
    "no-done-cut": _stopped(None, finish=True, then="cut"),
    "no-done-open": _stopped(None, finish=True, then="silence"),
    "stall-20": _stopped(20, finish=False, then="silence"),
    "silent": _silent,
    "error-midway": _error_midway,
    "broken-json": _broken_json,
    "extra-fields": _extra_fields,
    "huge-line": _huge_line,
    "gzip": _gzip,
    "gzip-bomb": _gzip_bomb,
    "html": _html,
    "redirect": _redirect,
    "400": _error(400, "context_length_exceeded"),
    "401": _error(401, "invalid_api_key"),
    "404": _error(404, "model_not_found"),
    "429": _error(429, "rate_limit_exceeded", retry_after="1"),
    "500": _error(500, "server_error"),
    "503": _error(503, "overloaded", retry_after="2"),
    "429-once": _once(_error(429, "rate_limit_exceeded", retry_after="1")),
    "429-bare": _error(429, "rate_limit_exceeded"),
    "429-bare-once": _once(_error(429, "rate_limit_exceeded")),
    "429-long": _error(429, "rate_limit_exceeded", retry_after="30"),
    "500-once": _once(_error(500, "server_error")),
    "503-bare": _error(503, "overloaded"),
    "429-date": _dated(2.0),
    "429-bad-date": _error(429, "rate_limit_exceeded", retry_after="Wed, 21 Oct 99999999999999 07:28:00 GMT"),
    "429-stall": _stalling_error(429, retry_after="30"),
    "400-stall": _stalling_error(400),
    "error-first": _error_first,
    "gives-up": odd_ends.gives_up,
    "huge-counts": odd_ends.huge_counts,
    "huge-index": odd_ends.huge_index,
    "huge-answer": odd_ends.huge_answer,
    "huge-silence": odd_ends.huge_silence,
    "huge-json": odd_ends.huge_json,
    "finishes-twice": odd_ends.finishes_twice,
    "flapping": _flapping,
    "heals": _heals,
    "reset": _reset,
    "reset-once": _once(_reset),
    "late": _late,
    "cut-50": _stopped(50, finish=False, then="cut"),
    "refused": _error(400, "content_filter"),
    "refuse-prefill": _refuse_prefill,
    "repeats": _begins(lambda begun: max(0, begun - 3)),
    "restarts": _begins(lambda _: 0),
    "other": _other,
    "dressed": _dressed,
    "big-event": _big_event,
    "wrong-type": _wrong_type,
    "no-usage": _no_usage,
}
