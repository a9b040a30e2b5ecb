"""The command line: serve, check, ask."""

import argparse
import ipaddress
import sys
from collections.abc import Sequence

from adapters.observability.logging import configure_logging, get_logger
from adapters.settings import Settings, get_settings
from adapters.settings_report import settings_report, settings_warnings
from container import Container, plugged
from domain.errors import ConfigurationError
from entrypoints.ask import ask
from entrypoints.main import build_app
from entrypoints.server import DrainingServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status: 0 done, 1 failed, 2 wrong configuration or usage."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "serve":
            return _serve(get_settings(), options)
        if options.command == "check":
            return _check(get_settings())
        return ask(options.prompt, url=options.url, model=options.model, key=options.key)
    except ConfigurationError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - a command line prints
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("headgate", description="The streaming front door of LLM products.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the service")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--allow-anonymous", action="store_true", help="be open to the network without API keys")
    commands.add_parser("check", help="validate the configuration and say what is plugged into what")
    question = commands.add_parser("ask", help="stream an answer in the terminal, through a running service")
    question.add_argument("prompt")
    question.add_argument("--model", help="a public model name; default: the service's first")
    question.add_argument("--url", default="http://127.0.0.1:8000", help="where the service runs")
    question.add_argument("--key", help="an API key, where the service asks for one")
    return parser


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    if not settings.keys and not options.allow_anonymous and not _is_loopback(options.host):
        raise ConfigurationError(
            f"--host: got {options.host}, and no API keys are configured; takes a loopback address, "
            "or --allow-anonymous beside it to serve anybody"
        )
    configure_logging(settings.logging.level, settings.logging.format)
    for warning in settings_warnings():
        get_logger("headgate").warning(warning)
    container = Container(settings=settings)
    app, streams = build_app(container)
    fleet = container.fleet()
    DrainingServer(
        app,
        container.stream_service(),
        streams,
        host=options.host,
        port=options.port,
        drain_timeout=settings.stream.drain_timeout,
        connect=None if fleet is None else fleet.connect,
    ).run()
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check(settings: Settings) -> int:
    container = Container(settings=settings)
    build_app(container)
    print("\n".join(settings_report(settings, plugged(container))))  # noqa: T201
    return 0
