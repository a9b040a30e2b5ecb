"""The report of `headgate check`: what is in effect, where it came from, and no secret."""

from pathlib import Path

import pytest

from adapters.settings import get_settings
from adapters.settings_report import settings_report, settings_warnings
from domain.errors import ConfigurationError

FILE = f"""
stream.idle_timeout = 3
redis.url = "redis://:planted-url@h/0"
[providers.local]
kind = "acme"
base_url = "http://127.0.0.1:8001/v1"
api_key = "env:LOCAL_KEY"
token = "planted-token"
depth = 3
fast = true
nested = {{ password = "planted-nested" }}
[routes]
"gpt-4.1" = ["local/y", "openai/gpt-4o"]
[tiers.premium]
requests_per_minute = 1
tokens_per_minute = 2
max_concurrent_streams = 3
[keys.acme]
sha256 = "{"ab" * 32}"
tier = "premium"
"""
ENVIRON = {
    "OPENAI_API_KEY": "planted-openai",
    "LOCAL_KEY": "planted-local",
    "REDIS_PASSWORD": "planted-redis",
    "RATE_LIMIT_TOKENS_PER_MINUTE": "5000000",
    "CACHE_TTL_SECONDS": "2592000",
}


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def report(environ: dict[str, str], file: str | None = None) -> list[str]:
    if file is not None:
        Path("headgate.toml").write_text(file, "utf-8")
    return settings_report(get_settings(environ), {"cache": "memory, 64 MiB"}, environ)


def values(lines: list[str]) -> dict[str, list[str]]:
    """Name -> value and source."""
    columns = [[part for part in line.strip().split("  ") if part] for line in lines if line.startswith("  ")]
    return {name: [part.strip() for part in rest] for name, *rest in columns}


def test_each_setting_comes_with_its_source() -> None:
    shown = values(report(ENVIRON, FILE))
    assert shown["stream.idle_timeout"] == ["3", "file headgate.toml"]
    assert shown["stream.total_timeout"] == ["3600", "default"]
    assert shown["stream.orphan_grace"] == ["(unset)", "default"]
    assert shown["cache.enabled"] == ["true", "default"]
    assert shown["cache.ttl_seconds"] == ["2592000", "environment CACHE_TTL_SECONDS"]
    assert shown["logging.level"] == ["info", "default"]
    assert shown["providers.openai.kind"] == ["openai", "default"]
    assert shown["providers.openai.base_url"] == ["https://api.openai.com/v1", "default"]
    assert shown["providers.local.base_url"] == ["http://127.0.0.1:8001/v1", "file headgate.toml"]
    assert shown["providers.local.depth"] == ["3", "file headgate.toml"]
    assert shown["providers.local.fast"] == ["true", "file headgate.toml"]
    assert shown['routes."gpt-4.1"'] == ["local/y, openai/gpt-4o", "file headgate.toml"]
    assert shown["tiers.premium.tokens_per_minute"] == ["2", "file headgate.toml"]
    assert shown["keys.acme.tier"] == ["premium", "file headgate.toml"]
    assert shown["keys.acme.tenant"] == ["acme", "default"]
    assert shown["cache"] == ["memory, 64 MiB"]


def test_secrets_are_masked_p1() -> None:
    lines = report(ENVIRON, FILE)
    shown = values(lines)
    assert shown["redis.url"] == ["****", "file headgate.toml"]
    assert shown["redis.password"] == ["****", "environment REDIS_PASSWORD"]
    assert shown["providers.openai.api_key"] == ["****", "environment OPENAI_API_KEY"]
    assert shown["providers.local.api_key"] == ["****", "environment LOCAL_KEY"]
    assert shown["providers.local.token"] == ["****", "file headgate.toml"]
    assert shown["providers.local.nested"] == ["****", "file headgate.toml"]
    assert shown["keys.acme.sha256"] == ["****", "file headgate.toml"]
    everything = "\n".join(lines) + repr(get_settings(ENVIRON)) + str(get_settings(ENVIRON))
    assert "planted" not in everything
    assert "ab" * 32 not in everything


def test_the_default_tier_names_what_it_is_made_of() -> None:
    shown = values(report(ENVIRON, FILE))
    assert shown["tiers.default.tokens_per_minute"] == ["5000000", "environment RATE_LIMIT_TOKENS_PER_MINUTE"]
    assert shown["tiers.default.requests_per_minute"] == ["600", "default"]
    shown = values(report(ENVIRON, ""))
    assert shown["tiers.premium.tokens_per_minute"] == ["50000000", "environment RATE_LIMIT_TOKENS_PER_MINUTE"]
    assert (shown["tiers.premium.weight"], shown["tiers.default.weight"]) == (["4", "default"], ["1", "default"])
    given = "requests_per_minute = 1\ntokens_per_minute = 2\nmax_concurrent_streams = 3"
    shown = values(report(ENVIRON, f"[tiers.default]\n{given}"))
    assert shown["tiers.default.tokens_per_minute"] == ["2", "file headgate.toml"]
    assert shown["tiers.premium.tokens_per_minute"] == ["20", "file headgate.toml"]


def test_the_file_is_named_or_said_to_be_absent(tmp_path: Path) -> None:
    assert report({})[0] == "file: none"
    assert report({}, "")[0] == f"file: {tmp_path / 'headgate.toml'}"


def test_control_characters_of_the_file_reach_no_terminal() -> None:
    lines = report({}, '[redis]\nhost = "a\\u001b[2Jb"')
    assert all(line.isprintable() for line in lines)
    assert values(lines)["redis.host"][0] == r"'a\x1b[2Jb'"


def test_a_slip_in_a_name_is_a_warning_and_other_software_is_left_alone() -> None:
    environ = {
        "STREAM_IDLE_TIMOUT": "3",
        "HEADGATE_CONFIGG": "x",
        "STREAM_IDLE_TIMEOUT": "3",
        "STREAM_DECK": "1",
        "REDIS_PORTS": "1",
        "LOG_LEVELS": "x",
        "ANTHROPIC_API_KEY": "sk-ant-planted",
        "ANTHROPIC_BASE_URL": "",
    }
    expected = [
        "HEADGATE_CONFIGG is not a setting; did you mean HEADGATE_CONFIG?",
        "STREAM_IDLE_TIMOUT is not a setting; did you mean STREAM_IDLE_TIMEOUT?",
    ]
    assert settings_warnings(environ) == expected
    assert report(environ)[-2:] == [f"warning: {line}" for line in expected]


def test_a_variable_for_the_default_tier_beside_the_file_s_own_is_a_warning(tmp_path: Path) -> None:
    """The environment wins everywhere else."""
    config = tmp_path / "limits.toml"
    tier = "requests_per_minute = 1\ntokens_per_minute = 2\nmax_concurrent_streams = 3"
    environ = {"HEADGATE_CONFIG": str(config), "RATE_LIMIT_TOKENS_PER_MINUTE": "9", "RATE_LIMIT_REPLICAS": "9"}
    config.write_text(f"[tiers.gold]\n{tier}")
    assert settings_warnings(environ) == []
    config.write_text(f"[tiers.default]\n{tier}")
    text = f"RATE_LIMIT_TOKENS_PER_MINUTE does nothing; [tiers.default] in {config} alone counts"
    assert settings_warnings(environ) == [text]


def test_without_an_argument_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_MAX_WAIT", "7")
    monkeypatch.setenv("QUEUE_MAX_WEIT", "7")
    settings = get_settings({"QUEUE_MAX_WAIT": "7"})
    assert values(settings_report(settings, {}))["queue.max_wait"] == ["7", "environment QUEUE_MAX_WAIT"]
    assert settings_warnings() == ["QUEUE_MAX_WEIT is not a setting; did you mean QUEUE_MAX_WAIT?"]


def test_a_file_that_went_away_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        settings_report(get_settings({}), {}, {"HEADGATE_CONFIG": str(tmp_path / "gone.toml")})
