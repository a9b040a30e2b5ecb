"""`headgate check`: builds everything that a service would, and says what is plugged into what."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from adapters.settings import Settings
from adapters.settings_report import settings_report
from container import Container
from domain.errors import NoConnectionLeftError, ProviderConnectionError, ProviderError, ProviderTimeoutError
from entrypoints.main import build_app
from ports.model_list import ModelList
from ports.provider import Provider

CONNECT_SECONDS = 5.0
"""For one provider; all are asked at once."""
_REASONS: Mapping[str, str] = {
    "ConnectionRefusedError": "the connection is refused",
    "gaierror": "there is no host of this name",
    "SSLCertVerificationError": "its certificate is not trusted",
    "SSLError": "it does not speak TLS",
    "UnicodeError": "there is no host of this name",
}
_STATUSES: Mapping[int, str] = {
    401: "the key is refused",
    402: "the account is empty",
    403: "the key may not do this",
    404: "there is no list of models at this address; base_url ends where /models begins",
    407: "the proxy refuses who asks",
    429: "too many requests",
}


class Found(NamedTuple):
    """What came of asking one provider: a line, and its models, None if it failed."""

    line: str
    models: frozenset[str] | None
    failed: bool


async def connect(
    settings: Settings, providers: Mapping[str, Provider], seconds: float = CONNECT_SECONDS
) -> tuple[list[str], bool]:
    """Asks each provider for its models, which spends no tokens, and gives each so many `seconds`.

    Returns a line for each provider and for each target of a route that its provider does not list, and whether all
    answered.
    """
    try:
        answers = await asyncio.gather(*(_ask(name, one, seconds) for name, one in providers.items()))
    finally:
        for provider in providers.values():
            await provider.aclose()
    found = dict(zip(providers, answers, strict=True))
    lines = [one.line for one in answers]
    for route, places in settings.routes.items():
        for place in places:
            name, _, model = place.target.partition("/")
            models = found[name].models
            if models is not None and model not in models:
                lines.append(f"route {route}: {name} does not list {model}")
    return lines, not any(one.failed for one in answers)


async def _ask(name: str, provider: Provider, seconds: float) -> Found:
    if not isinstance(provider, ModelList):
        return Found(f"provider {name}: not asked, its kind cannot list models", None, failed=False)
    try:
        async with asyncio.timeout(seconds):
            models = frozenset(await provider.list_models())
    except TimeoutError:
        return Found(f"provider {name}: no answer within {seconds:g} s", None, failed=True)
    except ProviderError as error:
        return Found(f"provider {name}: {_reason(error)}", None, failed=True)
    return Found(f"provider {name}: ok, {len(models)} model{'' if len(models) == 1 else 's'}", models, failed=False)


def _reason(error: ProviderError) -> str:
    """What went wrong, from the error's class and details: never a host, a key or a provider's words."""
    status, cause = error.details.get("status"), error.details.get("cause")
    proxy_status = error.details.get("proxy_status")
    if isinstance(proxy_status, int):
        return f"cannot connect: the proxy answers {proxy_status or 'nothing'}"
    if isinstance(status, int) and status != 200:
        return f"{status}: {_STATUSES.get(status, error.message)}"
    if isinstance(error, ProviderConnectionError | ProviderTimeoutError | NoConnectionLeftError):
        return f"cannot connect: {_REASONS.get(str(cause), error.message)}"
    return error.message


def check(settings: Settings, container: Container) -> list[str]:
    """The lines to print. Raises `ConfigurationError`."""
    build_app(container)
    return settings_report(settings, plugged(container))


def plugged(container: Container) -> dict[str, str]:
    """What is plugged into each port."""
    ports = {
        "clock": container.clock(),
        "cache": container.cache(),
        "stream log": container.stream_log(),
        "limiter": container.limiter(),
        "slots": container.slots(),
        "queue": container.queue(),
        "dead letters": container.dead_letters(),
        "breaker board": container.breaker_board(),
        "API keys": container.api_keys(),
    }
    adapters = {port: type(adapter).__name__ for port, adapter in ports.items()}
    if (l2 := container.l2_cache()) is not None:
        adapters["cache"] += f", then {type(l2).__name__}"
    adapters["recorder"] = str(container.recorder())
    return adapters | {f"provider {name}": type(one).__name__ for name, one in container.llm_providers().items()}
