"""The command line: serve, worker, check, keys, queue, ask."""

import argparse
import asyncio
import ipaddress
import signal
import sys
from collections.abc import Sequence

import uvloop

from adapters.observability.logging import configure_logging, get_logger
from adapters.settings import Settings, get_settings
from adapters.settings_report import settings_warnings
from container import Container
from domain.errors import ConfigurationError
from entrypoints.ask import ask
from entrypoints.check import check, connect
from entrypoints.http.server.limits import raise_open_files
from entrypoints.keys import add_keys_parser, run_keys
from entrypoints.last_resort import LastResort
from entrypoints.main import build_app
from entrypoints.queue import add_queue_parser, run_queue
from entrypoints.server import DrainingServer
from entrypoints.signals import STOPPING, survive
from entrypoints.worker import work
from entrypoints.workers import listener, serve_workers


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status: 0 done, 1 failed, 2 wrong configuration or usage, 70 ended by a defect."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "serve":
            return _gone(
                _serve_all(get_settings(), options) if options.workers > 1 else _serve(get_settings(), options)
            )
        if options.command == "check":
            return _check(get_settings(), connecting=options.connect)
        if options.command == "worker":
            return _gone(_work(get_settings()))
        if options.command == "queue":
            return asyncio.run(_queue(get_settings(), options))
        if options.command == "keys":
            return asyncio.run(_keys(get_settings(), options))
        return ask(options.prompt, url=options.url, model=options.model, key=options.key)
    except ConfigurationError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("headgate", description="The streaming front door of LLM products.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the service")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--allow-anonymous", action="store_true", help="be open to the network without API keys")
    serve.add_argument("--workers", type=int, default=1, help="processes; more than one are a fleet, and take Redis")
    serve.add_argument("--worker-of", type=int, help=argparse.SUPPRESS)
    checking = commands.add_parser("check", help="validate the configuration and say what is plugged into what")
    checking.add_argument(
        "--connect", action="store_true", help="ask each provider for its models too; fails if one does not answer"
    )
    commands.add_parser("worker", help="serve the queue of a fleet, without a door")
    add_keys_parser(commands)
    add_queue_parser(commands)
    question = commands.add_parser("ask", help="stream an answer in the terminal, through a running service")
    question.add_argument("prompt")
    question.add_argument("--model", help="a public model name; default: the service's first")
    question.add_argument("--url", default="http://127.0.0.1:8000", help="where the service runs")
    question.add_argument("--key", help="an API key, where the service asks for one")
    return parser


def _check(settings: Settings, *, connecting: bool) -> int:
    container = Container(settings=settings)
    print("\n".join(check(settings, container)), flush=True)  # noqa: T201 - a command line prints
    if not connecting:
        return 0
    lines, answered = asyncio.run(connect(settings, container.llm_providers()))
    print("\n".join(["", "providers", *(f"  {line}" for line in lines)]))  # noqa: T201
    return 0 if answered else 1


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    hangup = survive()
    configure_logging(settings.logging.level, settings.logging.format)
    raise_open_files()
    for warning in settings_warnings():
        get_logger("headgate").warning(warning)
    container = Container(settings=settings)
    app, streams = build_app(container, allow_anonymous=options.allow_anonymous)

    async def connect() -> None:
        fleet = container.fleet()
        if fleet is not None:
            await fleet.connect()
        await _check_keys(container, options)

    server = DrainingServer(
        app,
        container.stream_service(),
        streams,
        container.connections(),
        host=options.host,
        port=options.port,
        drain_timeout=settings.stream.drain_timeout,
        connect=connect,
        parent=options.worker_of,
        defects=container.defects(),
        last_resort=LastResort(),
        hangup=hangup,
    )
    for number in STOPPING:  # uvicorn puts back what it finds: a signal between its end and ours would end us by itself
        signal.signal(number, server.handle_exit)
    server.run([listener(options.host, options.port)] if options.worker_of else None)
    return server.status


def _serve_all(settings: Settings, options: argparse.Namespace) -> int:
    if not settings.redis.enabled:
        raise ConfigurationError("--workers: more than one process is a fleet, which is in Redis; REDIS_URL is not set")
    hangup = survive()
    configure_logging(settings.logging.level, settings.logging.format)
    arguments = ["--allow-anonymous"] if options.allow_anonymous else []
    drain_timeout = settings.stream.drain_timeout
    return asyncio.run(serve_workers(options.workers, options.host, options.port, arguments, drain_timeout, hangup))


def _work(settings: Settings) -> int:
    hangup = survive()
    configure_logging(settings.logging.level, settings.logging.format)
    return uvloop.run(work(Container(settings=settings), settings.stream.drain_timeout, LastResort(), hangup))


def _gone(status: int) -> int:
    """All is done, and the interpreter only goes away: a signal that comes now must not change the exit status."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    return status


async def _check_keys(container: Container, options: argparse.Namespace) -> None:
    """Open to the network only in so many words: without them, there are keys or there is no service.

    On loopback, Redis is not waited for: while it cannot tell, there are no keys but the configured.
    """
    callers = container.callers()
    told = options.allow_anonymous or container.settings().access.allow_anonymous
    exposed = not told and not _is_loopback(options.host)
    if (exposed and callers.open) or container.redis_client() is None:
        stored = await container.api_keys().list()
        if exposed and callers.open and not stored:
            raise ConfigurationError(
                f"--host: got {options.host}, and there are no API keys; `headgate keys create` makes one; takes "
                "a loopback address, or --allow-anonymous beside it to serve anybody"
            )
    if exposed:
        callers.close()


async def _keys(settings: Settings, options: argparse.Namespace) -> int:
    configure_logging("critical", settings.logging.format, sys.stderr)  # what goes wrong is said once, by the command
    container = Container(settings=settings)
    client = container.redis_client()
    if client is None:
        return await run_keys(options, settings, container.api_keys(), container.clock())
    await client.start()
    try:
        return await run_keys(options, settings, container.api_keys(), container.clock())
    finally:
        await client.aclose()


async def _queue(settings: Settings, options: argparse.Namespace) -> int:
    configure_logging("critical", settings.logging.format, sys.stderr)
    return await run_queue(options, Container(settings=settings))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
