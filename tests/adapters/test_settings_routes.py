"""Routes and targets in headgate.toml: weights, and what an operator declares."""

from pathlib import Path

from adapters.providers.capabilities import Capabilities, capabilities_by
from adapters.settings import get_settings
from adapters.settings_report import settings_report
from container import PROBE_MARGIN, Container
from domain.model import Place
from domain.services.timeouts import StreamTimeouts

TEXT = """
[routes]
fast = [{ target = "demo/short", weight = 3 }, "demo/demo"]
[targets."demo/short"]
context_tokens = 100
vision = false
"""


def test_places_of_a_route_may_have_weights_and_targets_may_be_described(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text(TEXT, "utf-8")
    environ = {"HEADGATE_CONFIG": str(file)}
    settings = get_settings(environ)
    assert settings.routes["fast"] == (Place("demo/short", 3), Place("demo/demo"))
    assert settings.routed == ("demo/demo", "demo/short")
    assert settings.targets == {"demo/short": {"context_tokens": 100, "vision": False}}
    lookup = capabilities_by(settings.targets)
    assert lookup("demo/short") == Capabilities(100, 0, vision=False)
    assert lookup("demo/demo") is None
    lines = settings_report(settings, {}, environ)
    assert any("routes.fast" in line and "demo/short (weight 3), demo/demo" in line for line in lines)
    assert any('targets."demo/short".vision' in line and "false" in line for line in lines)


def test_a_target_may_have_limits_of_time_of_its_own_r2(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text(
        '[targets."demo/demo"]\nfirst_event_timeout_last = 300\ntotal_timeout = 7200\ntools = true\n', "utf-8"
    )
    environ = {"HEADGATE_CONFIG": str(file), "STREAM_IDLE_TIMEOUT": "30"}
    settings = get_settings(environ)
    container = Container(settings=settings)
    timeouts = container.timeouts()
    assert timeouts.of("demo/demo") == StreamTimeouts(10.0, 300.0, 30.0, 7200.0)
    assert timeouts.of("demo/other") == StreamTimeouts(10.0, 120.0, 30.0, 3600.0)
    probe_seconds = container.breakers()._probe_seconds
    assert probe_seconds("demo/demo") == 300.0 + PROBE_MARGIN  # B3: longer than its call may take
    assert probe_seconds("demo/other") == 120.0 + PROBE_MARGIN
    assert capabilities_by(settings.targets)("demo/demo") == Capabilities(0, 0)
    lines = settings_report(settings, {}, environ)
    assert any('targets."demo/demo".total_timeout' in line and "7200" in line for line in lines)
