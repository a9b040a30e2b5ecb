"""Logs: one chain for structlog and the standard library, redaction last, JSON or console.

logger = get_logger(__name__)
log_stage(logger, "2.1_L1_CACHE_LOOKUP", "hit", entries=12)
"""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

import msgspec
import structlog
from structlog.types import EventDict, Processor

from adapters.observability.redaction import Redactor
from domain import stages

QUIET = ("httpx", "httpcore", "sse_starlette.sse", "uvicorn.access")
"""Loggers whose lines would repeat URLs, or every chunk of an answer."""


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines carry `name`. It may be made before logging is configured, not used."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(logger_name=name)
    return logger


class LineLogger(structlog.BoundLoggerBase):
    """For the one line that each request leaves: its fields are in a dict already. As keyword arguments, which is how
    structlog's own methods take them, they are copied three times."""

    def info(self, fields: EventDict) -> None:
        """Passes the fields through the chain, and writes what comes out of it."""
        line: Any = fields
        for process in self._processors:
            line = process(self._logger, "info", line)
        self._logger.info(line)


def info_lines(name: str) -> Callable[[EventDict], None]:
    """Writes fields, `event` among them, as lines of the level info. To be called when logging is configured."""
    if not get_logger(name).bind().is_enabled_for(logging.INFO):
        return lambda fields: None
    logger: LineLogger = structlog.wrap_logger(None, wrapper_class=LineLogger).bind()
    return logger.info


def log_stage(
    logger: structlog.stdlib.BoundLogger, stage: str, message: str, *, level: str = "info", **fields: object
) -> None:
    """One line about one stage of a request."""
    logger.log(logging.getLevelNamesMapping()[level.upper()], message, stage=stage, **fields)


def configure_logging(level: str, log_format: str, stream: TextIO = sys.stdout) -> None:
    """Sets up both worlds. `level` as in LOG_LEVEL; `log_format`: `json`, `console` or `auto` (a terminal decides)."""
    number = logging.getLevelNamesMapping()[level.upper()]
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        _add_context,
        structlog.stdlib.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    # Redaction is the last that sees the fields: whatever a processor adds, it passes here; but for the time, which is
    # new with each line and is nobody's secret.
    time = structlog.processors.TimeStamper(fmt="iso", utc=True)
    last: list[Processor] = [Redactor(), time, _console() if console else _json()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _add_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    _hand_over(["uvicorn", "uvicorn.error"], QUIET)


def _add_context(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The request and the stage that this task or OS thread works for."""
    thread_id, stage = stages.THREAD_ID.get(), stages.CURRENT_STAGE.get()
    if thread_id is not None:
        event.setdefault("thread_id", thread_id)
    if stage is not None:
        event.setdefault("stage", stage)
    return event


def _add_name(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["logger_name"] = event["_record"].name
    return event


def _hand_over(names: Iterable[str], quiet: Iterable[str]) -> None:
    """Makes other people's loggers use the root's handler, and the noisy ones speak only of trouble."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)


def _json() -> Processor:
    encode = msgspec.json.Encoder(enc_hook=repr).encode

    def render(_logger: object, _method: str, event: EventDict) -> str:
        try:
            line = encode(event)
        except UnicodeEncodeError:  # half of a surrogate pair: an escape says it, UTF-8 cannot
            line = b"\xff"
        # Beyond ASCII there are line ends (U+2028, U+0085) by which a value could forge a line for some readers.
        return line.decode("ascii") if line.isascii() else json.dumps(event, ensure_ascii=True, default=repr)

    return render


def _console() -> Processor:
    """Colours for people. Line ends inside values are escaped: a value cannot forge a line."""
    render: Callable[..., str | bytes | Mapping[str, Any]] = structlog.dev.ConsoleRenderer(colors=True)

    def escaped(logger: object, method: str, event: EventDict) -> str:
        safe = {name: _one_line(value) if name != "exception" else value for name, value in event.items()}
        return str(render(logger, method, safe))

    return escaped


def _one_line(value: object) -> object:
    if not isinstance(value, str) or value.isprintable():
        return value
    return value.encode("unicode_escape").decode("ascii")
