"""Routes and targets in headgate.toml: weights, and what an operator declares."""

from pathlib import Path

from adapters.providers.capabilities import Capabilities, capabilities_by
from adapters.settings import get_settings
from adapters.settings_report import settings_report
from domain.model import Place

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
