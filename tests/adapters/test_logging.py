"""Logs: one chain for both worlds, context by task and thread, redaction last, and no forged lines (P1)."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from adapters.observability.logging import configure_logging, get_logger, log_stage
from adapters.observability.recorder import StructlogRecorder
from adapters.observability.redis_state import log_redis_state
from domain import stages
from domain.delta import Dialect, Usage
from domain.model import CacheStatus, Outcome, RequestRecord

MAIL = "jane.doe@example.com"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Logging is the process's own: put back what a test set."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(level: str = "info", log_format: str = "json") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level, log_format, stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_structlog_and_the_standard_library_write_alike() -> None:
    stream = configured()
    get_logger("headgate.test").info("ours", number=1)
    logging.getLogger("theirs").warning("%s to %s", "mail", MAIL)
    ours, theirs = lines(stream)
    assert (ours["event"], ours["number"], ours["level"], ours["logger_name"]) == ("ours", 1, "info", "headgate.test")
    assert (theirs["event"], theirs["level"], theirs["logger_name"]) == (
        "mail to [REDACTED:email]",
        "warning",
        "theirs",
    )
    assert ours["timestamp"].endswith("Z")
    assert set(theirs) == {"event", "level", "logger_name", "timestamp"}


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn.error"])
def test_the_server_goes_through_the_same_chain(name: str) -> None:
    server = logging.getLogger(name)
    server.handlers[:] = [logging.StreamHandler(io.StringIO())]
    stream = configured()
    server.info("started by %s", MAIL)
    assert lines(stream)[0]["event"] == "started by [REDACTED:email]"


@pytest.mark.parametrize("name", ["httpx", "sse_starlette.sse", "uvicorn.access"])
def test_loggers_that_repeat_urls_or_answers_are_quiet(name: str) -> None:
    stream = configured("debug")
    logging.getLogger(name).info("chunk: the whole answer")
    assert stream.getvalue() == ""


def test_levels_are_kept_in_both_worlds() -> None:
    stream = configured("warning")
    get_logger("x").info("no")
    logging.getLogger("x").info("no")
    log_stage(get_logger("x"), stages.CACHE_LOOKUP, "no")
    log_stage(get_logger("x"), stages.CACHE_LOOKUP, "yes", level="warning")
    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_a_stage_is_one_line_with_its_fields() -> None:
    stream = configured()
    log_stage(get_logger("cache"), "2.1_L1_CACHE_LOOKUP", "hit", entries=3, key="abc")
    (line,) = lines(stream)
    assert (line["stage"], line["event"], line["entries"]) == ("2.1_L1_CACHE_LOOKUP", "hit", 3)


async def test_every_line_carries_its_own_thread_id_and_stage() -> None:
    stream = configured()
    logger = get_logger("x")

    async def request(name: str) -> None:
        stages.THREAD_ID.set(name)
        stages.CURRENT_STAGE.set(f"stage-{name}")
        await asyncio.sleep(0)
        logger.info("task")
        logging.getLogger("theirs").info("stdlib")
        await asyncio.to_thread(logger.info, "thread")

    await asyncio.gather(*(asyncio.create_task(request(f"t{number}")) for number in range(5)))
    logger.info("outside")
    seen = lines(stream)
    assert len(seen) == 16
    for line in seen[:-1]:
        assert line["stage"] == f"stage-{line['thread_id']}"
    assert {line["thread_id"] for line in seen[:-1]} == {f"t{number}" for number in range(5)}
    assert "thread_id" not in seen[-1]
    explicit = configured()
    stages.THREAD_ID.set("context")
    get_logger("x").info("said", thread_id="said", stage="said")
    assert (lines(explicit)[0]["thread_id"], lines(explicit)[0]["stage"]) == ("said", "said")


def fail() -> None:
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"  # a local: tracebacks must not show it
    try:
        int(f"for {MAIL} with {secret}")
    except ValueError as error:
        raise RuntimeError("outer") from error


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_are_redacted_and_show_no_locals_p1(log_format: str) -> None:
    stream = configured(log_format=log_format)
    for logger in (get_logger("x"), logging.getLogger("theirs")):
        try:
            fail()
        except RuntimeError:
            logger.exception("failed")
    text = stream.getvalue()
    assert text.count("Traceback") == 4
    assert "RuntimeError" in text
    for planted in (MAIL, "sk-proj"):
        assert planted not in text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_value_cannot_forge_a_line(log_format: str) -> None:
    stream = configured(log_format=log_format)
    get_logger("x").info("one\n2026-01-01 [info] forged", field="a\r\nb\x1b[31m\u2028c")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b[31mc" not in stream.getvalue()


def test_half_a_surrogate_pair_is_written_as_an_escape() -> None:
    stream = configured()
    get_logger("x").info("half", text="a\ud800b")
    assert lines(stream)[0]["text"] == "a\ud800b"


def test_what_is_not_json_is_shown_as_text() -> None:
    stream = configured()
    get_logger("x").info("odd", value=object(), key="x" * 3)
    assert "object" in lines(stream)[0]["value"]


def test_auto_is_json_where_nobody_watches() -> None:
    stream = configured(log_format="auto")
    get_logger("x").info("plain")
    assert lines(stream)[0]["event"] == "plain"


RECORD = RequestRecord(
    thread_id="t",
    stream_id="s",
    tenant="acme",
    door=Dialect.OPENAI,
    model="fast",
    target="openai/gpt",
    outcome=Outcome.SERVED,
    code=None,
    cache=CacheStatus.MISS,
    attempts=2,
    usage=Usage(3, 4),
    first_event_seconds=0.01234,
    total_seconds=1.5,
    stages=(("5.0_LLM_STREAMING", 1.25),),
    failures=(("local/llama-3", "provider_timeout"),),
)


def test_the_canonical_line_says_all_that_is_worth_knowing() -> None:
    stream = configured()
    StructlogRecorder().record(RECORD)
    (line,) = lines(stream)
    del line["timestamp"]
    assert line == {
        "event": "request",
        "level": "info",
        "logger_name": "headgate.request",
        "thread_id": "t",
        "stream_id": "s",
        "tenant": "acme",
        "door": "openai",
        "route": "fast",
        "target": "openai/gpt",
        "outcome": "served",
        "code": None,
        "cache": "miss",
        "attempts": 2,
        "rescues": 0,
        "failures": [["local/llama-3", "provider_timeout"]],
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "first_event_ms": 12.3,
        "total_ms": 1500.0,
        "stages_ms": {"5.0_LLM_STREAMING": 1250.0},
    }


def test_the_line_of_a_request_that_no_stage_was_timed_of_has_none() -> None:
    stream = configured()
    StructlogRecorder().record(RECORD._replace(stages=(), usage=None, first_event_seconds=None, failures=()))
    (line,) = lines(stream)
    assert not {"stages_ms", "failures"} & line.keys()
    assert (line["prompt_tokens"], line["first_event_ms"]) == (None, None)


def test_the_canonical_line_is_of_the_level_info() -> None:
    stream = configured("warning")
    StructlogRecorder().record(RECORD)
    assert stream.getvalue() == ""


def test_a_store_s_going_and_coming_are_lines() -> None:
    stream = configured()
    log_redis_state(serves=False, reason="TIMEOUT")
    log_redis_state(serves=True, reason="")
    gone, back = lines(stream)
    assert (gone["level"], gone["reason"], gone["stage"]) == ("warning", "TIMEOUT", "REDIS.HEALTH")
    assert (back["level"], back["stage"]) == ("info", "REDIS.HEALTH")
