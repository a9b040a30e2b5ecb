"""`headgate check`: builds everything that a service would, and says what is plugged into what."""

from adapters.settings import Settings
from adapters.settings_report import settings_report
from container import Container
from entrypoints.main import build_app


def check(settings: Settings) -> list[str]:
    """The lines to print. Raises `ConfigurationError`."""
    container = Container(settings=settings)
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
