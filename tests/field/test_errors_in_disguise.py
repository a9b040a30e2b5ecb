"""Kind 4: an error that comes with the status 200, in any shape, is an error of its status, and no caller's mistake
opens a breaker; signs of life are no chunks."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.providers.error_body import STATUSES
from adapters.providers.frame_errors import says_nothing, status_in, status_of, told_error
from tests.field.bytes_upstream import chunk, datas, doors

CALLERS, BUSY, KEY, DOWN = (400, "provider_rejected_request"), (429, "provider_rate_limited"), (502,), (502,)

SHAPES: list[tuple[Any, int]] = [
    ({"choices": None, "error_type": "BadRequest", "error_code": 400}, 400),
    ({"choices": [], "code": 400, "message": "planted"}, 400),
    ({"object": "error", "message": "planted", "type": "BadRequestError", "param": None, "code": 400}, 400),
    ({"object": "error", "message": "planted", "type": "BadRequestError"}, 400),
    ({"detail": "planted"}, 500),
    ({"detail": [{"loc": ["body", "messages"], "msg": "planted"}]}, 422),
    ({"detail": {"error": {"code": "invalid_api_key"}}}, 401),
    ({"base_resp": {"status_code": 1026, "status_msg": "planted"}}, 400),
    ({"base_resp": {"status_code": 1002, "status_msg": "planted"}}, 429),
    ({"base_resp": {"status_code": 1004}, "choices": None}, 401),
    ({"base_resp": {"status_code": 1999}}, 500),
    ({"error": "planted text"}, 500),
    ({"error": "rate_limit_exceeded"}, 429),
    ({"error": "planted text", "status": 400}, 400),
    ({"error": True, "code": "429"}, 429),
    ({"error": {"message": "planted", "code": None}, "code": 429}, 429),
    ({"error": [{"code": 404}]}, 404),
    ({"code": 400, "msg": "planted"}, 400),
    ({"code": 42901, "msg": "planted"}, 429),
    ({"code": "InvalidParameter", "message": "planted", "request_id": "r"}, 400),
    ({"code": "Throttling.RateQuota", "message": "planted"}, 429),
    ({"success": False, "errors": [{"code": 3036, "message": "planted"}], "result": None}, 429),
    ({"success": False, "errors": [{"code": 5004, "message": "planted"}]}, 400),
    ({"success": False, "errors": []}, 500),
    ({"errors": [{"code": 400, "message": "planted"}]}, 400),
    ({"type": "error", "error": {"type": "overloaded_error", "message": "planted"}}, 529),
    ({"type": "error", "message": "planted"}, 500),
    ({"status": 429, "title": "planted"}, 429),
    ({"status": "INVALID_ARGUMENT", "error": {"message": "planted"}}, 400),
    ({"message": "planted"}, 500),
    ([{"error": {"code": 400, "status": "INVALID_ARGUMENT"}}], 400),
]

TO_CLIENTS = {400: 400, 404: 404, 422: 422, 429: 429}
"""Every other status is told as 502."""


@pytest.mark.parametrize(("frame", "status"), SHAPES)
def test_an_error_is_told_by_its_fields(frame: Any, status: int) -> None:
    told = told_error(frame)
    assert told is not None
    assert status_in(told) == status


@pytest.mark.parametrize(
    "frame",
    [
        chunk({"content": "a"}),
        chunk({"content": "a"}, base_resp={"status_code": 0}),
        {"choices": [], "usage": {"prompt_tokens": 1}},
        {"choices": [], "usage": {}, "code": 0, "message": "success"},
        {"choices": [], "code": "200", "msg": "ok"},
        {"choices": [], "error": None, "detail": "", "errors": []},
        {"type": "ping"},
        {"object": "ping"},
        {"base_resp": {"status_code": 0}},
        {"id": "i", "object": "chat.completion.chunk", "choices": []},
        [],
        None,
        "",
        3,
    ],
)
def test_what_is_no_error_is_none(frame: Any) -> None:
    assert told_error(frame) is None


@pytest.mark.parametrize("value", [None, True, 200, 600, "planted words of a prompt", "4000", "", 1.5, [], {}])
def test_only_codes_have_a_status(value: Any) -> None:
    assert status_of(value) is None


def test_signs_of_life_say_nothing() -> None:
    assert all(map(says_nothing, (None, {}, "", " ping ", "[HEARTBEAT]")))
    assert not any(map(says_nothing, ([], 0, "a", {"a": 1})))


@pytest.mark.parametrize("form", ["event", "named event", "json", "bare json"])
@pytest.mark.parametrize(("frame", "status"), SHAPES)
async def test_an_error_with_the_status_200_is_that_error(frame: Any, status: int, form: str, tmp_path: Path) -> None:
    """Never forwarded, on a stream, in a plain body, and in a body that says it is a stream and is none."""
    async with doors(tmp_path) as at:
        at.upstream.says(frame, event="error" if form == "named event" else None)
        if form in ("json", "bare json"):
            at.upstream.body = json.dumps(frame, indent=1).encode()
        if form == "json":
            at.upstream.kind = "application/json"
        told, body = await at.plain()
        assert told == TO_CLIENTS.get(status, 502)
        # Its words reach the caller where they are about the request, and nowhere else (R9).
        assert ("planted" in json.dumps(body)) is (status in STATUSES and "planted" in json.dumps(frame))


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
async def test_a_callers_mistake_opens_no_breaker(kind: str, tmp_path: Path) -> None:
    async with doors(tmp_path, kind, CB_FAILURE_THRESHOLD="2", CB_MINIMUM_CALLS="1") as at:
        at.upstream.says({"code": 400, "message": "planted", "type": "invalid_request_error"})
        assert [(await at.plain())[0] for _ in range(8)] == [400] * 8


@pytest.mark.parametrize("data", [b"planted, and no JSON", b"", b"{}", b"null", b'"text"', b"3"])
async def test_an_event_that_is_named_error_is_one_whatever_it_says(data: bytes, tmp_path: Path) -> None:
    async with doors(tmp_path) as at:
        at.upstream.body = b"event: error\ndata: %b\n\n" % data
        status, body = await at.plain()
        assert status == 502
        assert "planted" not in json.dumps(body)


async def test_an_error_behind_the_first_word_ends_the_stream_as_one(tmp_path: Path) -> None:
    """D4: what was said is kept, the error is never forwarded as content."""
    said = chunk({"content": "A"})
    async with doors(tmp_path) as at:
        at.upstream.says(said, {"choices": None, "error_type": "x", "error_code": 400, "error_msg": "planted"})
        first, error = await at.streamed()
        assert first == datas([said])[0]
        assert json.loads(error)["error"]["message"] == "planted"


LIFE = [
    b"data: {}\n\n",
    b"data: null\n\n",
    b'data: ""\n\n',
    b"data: ping\n\n",
    b'data: {"type":"ping"}\n\n',
    b'event: ping\ndata: {"type":"ping","cost":"0"}\n\n',
    b"event: ping\ndata: 2026-12-01 00:00\n\n",
    b"event: keepalive\ndata: {}\n\n",
    b'data: {"heartbeat":true}\n\n',
    b": OPENROUTER PROCESSING\n\n",
]


@pytest.mark.parametrize("sign", LIFE)
async def test_signs_of_life_are_no_chunks(sign: bytes, tmp_path: Path) -> None:
    frames = [chunk({"content": "A"}), chunk({"content": "B"}), chunk({}, "stop")]
    async with doors(tmp_path) as at:
        at.upstream.says()
        blocks = [b"data: %b\n\n" % data for data in (*datas(frames), b"[DONE]")]
        at.upstream.body = sign.join([b"", *blocks])
        assert await at.streamed() == [*datas(frames), b"[DONE]"]
        assert (await at.message())["content"] == "AB"


@pytest.mark.parametrize("form", ["event", "json"])
@pytest.mark.parametrize(
    ("error", "status"), [({"code": 400}, 400), ({"code": 429}, 429), ({"code": 502}, 502), ({}, 502)]
)
async def test_an_error_in_a_choice_is_that_error(
    error: dict[str, Any], status: int, form: str, tmp_path: Path
) -> None:
    """OpenRouter's choice has it beside the reason `error` (kind 4)."""
    choice = {"index": 0, "finish_reason": "error", "error": {**error, "message": "planted"} if error else None}
    async with doors(tmp_path) as at:
        at.upstream.says({**chunk({}), "choices": [{**choice, "delta": {"content": ""}}]})
        if form == "json":
            at.upstream.body = json.dumps({"choices": [{**choice, "message": {"content": ""}}]}).encode()
            at.upstream.kind = "application/json"
        told, body = await at.plain()
        assert told == status
        assert ("planted" in json.dumps(body)) is (status == 400)
