"""Settings: every name, its default, and what wins over what."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from adapters.settings import LogFormat, LogLevel, RedisSettings, Settings, StreamSettings, get_settings
from adapters.settings_groups import GROUPS
from adapters.settings_layers import ENVIRONMENT
from adapters.settings_rows import ROWS
from domain.errors import ConfigurationError
from domain.model import OutagePolicy, Place, Tier

HASH = "ab" * 32
WriteFile = Callable[[str], dict[str, str]]

# name, value as given, where it is found, what is found there, the default
SCALARS: list[tuple[str, str, str, object, object]] = [
    ("REDIS_HOST", "r", "redis.host", "r", None),
    ("REDIS_PORT", "7000", "redis.port", 7000, 6379),
    ("REDIS_DB", "3", "redis.db", 3, 0),
    ("REDIS_PASSWORD", "pw", "redis.password", SecretStr("pw"), None),
    ("REDIS_URL", "redis://h/1", "redis.url", SecretStr("redis://h/1"), None),
    ("REDIS_POOL_MIN", "1", "redis.pool_min", 1, 10),
    ("REDIS_POOL_MAX", "50", "redis.pool_max", 50, 200),
    ("LOG_LEVEL", "DEBUG", "logging.level", LogLevel.DEBUG, LogLevel.INFO),
    ("LOG_FORMAT", "json", "logging.format", LogFormat.JSON, LogFormat.AUTO),
    ("EXECUTION_TRACKING_ENABLED", "false", "tracking.enabled", False, True),
    ("EXECUTION_TRACKING_SAMPLE_RATE", "1", "tracking.sample_rate", 1.0, 0.1),
    ("CACHE_ENABLED", "0", "cache.enabled", False, True),
    ("CACHE_TTL_SECONDS", "60", "cache.ttl_seconds", 60.0, 3600.0),
    ("CACHE_L1_MAX_BYTES", "1_000_000", "cache.l1_max_bytes", 1_000_000, 64 * 2**20),
    ("CACHE_SHARED_ACROSS_TENANTS", "true", "cache.shared_across_tenants", True, False),
    ("CACHE_EXCLUDE_SAMPLED", "true", "cache.exclude_sampled", True, False),
    ("RATE_LIMIT_ENABLED", "no", "rate_limit.enabled", False, True),
    ("RATE_LIMIT_REQUESTS_PER_MINUTE", "5", "rate_limit.requests_per_minute", 5, 600),
    ("RATE_LIMIT_TOKENS_PER_MINUTE", "7", "rate_limit.tokens_per_minute", 7, 1_000_000),
    ("RATE_LIMIT_OUTAGE", "DENY", "rate_limit.outage", OutagePolicy.DENY, OutagePolicy.SHARE),
    ("RATE_LIMIT_REPLICAS", "8", "rate_limit.replicas", 8, 2),
    ("RATE_LIMIT_LEASE_REQUESTS", "20", "rate_limit.lease_requests", 20, 0),
    ("STREAM_MAX_CONCURRENT", "9", "stream.max_concurrent", 9, 10_000),
    ("STREAM_ADAPTIVE_CONCURRENCY", "true", "stream.adaptive_concurrency", True, False),
    ("STREAM_MAX_CONCURRENT_PER_CALLER", "2", "stream.max_concurrent_per_caller", 2, 20),
    ("STREAM_FIRST_EVENT_TIMEOUT", "1.5", "stream.first_event_timeout", 1.5, 10.0),
    ("STREAM_FIRST_EVENT_TIMEOUT_LAST", "1.6", "stream.first_event_timeout_last", 1.6, 120.0),
    ("STREAM_MAX_ANSWER_BYTES", "2048", "stream.max_answer_bytes", 2048, 64 * 2**20),
    ("STREAM_IDLE_TIMEOUT", "2", "stream.idle_timeout", 2.0, 60.0),
    ("STREAM_TOTAL_TIMEOUT", "3", "stream.total_timeout", 3.0, 3600.0),
    ("STREAM_HEARTBEAT_INTERVAL", "4", "stream.heartbeat_interval", 4.0, 15.0),
    ("STREAM_RETENTION", "5", "stream.retention", 5.0, 600.0),
    ("STREAM_ORPHAN_GRACE", "6", "stream.orphan_grace", 6.0, None),
    ("STREAM_MAX_GRACE", "7", "stream.max_grace", 7.0, 300.0),
    ("STREAM_DRAIN_TIMEOUT", "8", "stream.drain_timeout", 8.0, 30.0),
    ("STREAM_LOG_MAX_BYTES", "2000000", "stream.log_max_bytes", 2_000_000, 256 * 2**20),
    ("STREAM_SEND_TIMEOUT", "9", "stream.send_timeout", 9.0, 30.0),
    ("QUEUE_MAX_DEPTH", "0", "queue.max_depth", 0, 10_000),
    ("QUEUE_MAX_WAIT", "1", "queue.max_wait", 1.0, 60.0),
    ("CB_FAILURE_THRESHOLD", "1", "breaker.failure_threshold", 1, 5),
    ("CB_MINIMUM_CALLS", "20", "breaker.minimum_calls", 20, 1),
    ("CB_RECOVERY_TIMEOUT", "2", "breaker.recovery_timeout", 2.0, 60.0),
    ("HEADGATE_ALLOW_ANONYMOUS", "true", "access.allow_anonymous", True, False),
    ("CB_OPERATORS", "ops, oncall", "breaker.operators", "ops, oncall", None),
    ("RETRY_MAX_ATTEMPTS", "1", "retry.max_attempts", 1, 3),
    ("RETRY_BASE_DELAY", "0", "retry.base_delay", 0.0, 1.0),
    ("RETRY_MAX_DELAY", "60", "retry.max_delay", 60.0, 30.0),
    ("HEADGATE_KEYS_FILE", "k.json", "access.keys_file", "k.json", "headgate-keys.json"),
    ("HEADGATE_TRUSTED_PROXIES", "10.0.0.0/8, ::1", "access.trusted_proxies", "10.0.0.0/8, ::1", None),
    ("HEADGATE_MEMORY_BUDGET", "33554432", "access.memory_budget", 33554432, 268435456),
    ("HEADGATE_ALLOWED_HOSTS", "a.example, ::1", "access.allowed_hosts", "a.example, ::1", None),
]


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No headgate.toml of the developer's."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    """Writes a file and gives the environment that names it."""

    def write(text: str) -> dict[str, str]:
        path = tmp_path / "given.toml"
        path.write_text(text, "utf-8")
        return {"HEADGATE_CONFIG": str(path)}

    return write


def at(settings: Settings, dotted: str) -> object:
    group, name = dotted.split(".")
    return getattr(getattr(settings, group), name)


@pytest.mark.parametrize(("name", "given", "where", "found", "default"), SCALARS)
def test_each_setting_has_its_default_and_takes_its_variable(
    name: str, given: str, where: str, found: object, default: object
) -> None:
    assert at(get_settings({}), where) == default
    got = at(get_settings({name: f" {given}\n"}), where)
    assert got == found
    assert type(got) is type(found)


@pytest.mark.parametrize(("name", "given", "where", "found", "default"), SCALARS)
def test_each_setting_stands_in_the_file_too(
    write_file: WriteFile, name: str, given: str, where: str, found: object, default: object
) -> None:
    group, key = where.split(".")
    quoted = f'"{given}"' if isinstance(found, str | SecretStr) else given.lower()
    if isinstance(found, bool):
        quoted = str(found).lower()
    assert at(get_settings(write_file(f"[{group}]\n{key} = {quoted}")), where) == found


def test_the_list_above_is_whole() -> None:
    groups = {name: path for name, path in ENVIRONMENT.items() if path[0] in GROUPS}
    assert {name: tuple(where.split(".")) for name, _, where, _, _ in SCALARS} == groups
    assert {*Settings.model_fields} == {*GROUPS, *ROWS, "routes"}
    assert {name: Settings.model_fields[name].annotation for name in GROUPS} == GROUPS


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(write_file: WriteFile) -> None:
    environ = write_file("[stream]\nidle_timeout = 7\nretention = 8")
    stream = get_settings({**environ, "STREAM_IDLE_TIMEOUT": "9"}).stream
    assert (stream.idle_timeout, stream.retention, stream.total_timeout) == (9, 8, 3600)


def test_an_empty_variable_is_unset() -> None:
    settings = get_settings({"OPENAI_API_KEY": " ", "STREAM_IDLE_TIMEOUT": "", "HEADGATE_CONFIG": ""})
    assert settings == get_settings({})


def test_without_an_argument_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT.keys() & os.environ.keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUEUE_MAX_WAIT", "5")
    assert get_settings().queue.max_wait == 5


def test_settings_made_by_hand_do_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM", '{"idle_timeout": 1}')
    monkeypatch.setenv("STREAM_IDLE_TIMEOUT", "1")
    settings = Settings(stream=StreamSettings(total_timeout=5), tiers={"mine": Tier(1, 2, 3)})
    assert (settings.stream.idle_timeout, settings.stream.total_timeout) == (60, 5)
    assert settings.tiers["mine"] == Tier(1, 2, 3)
    assert settings.routes == {"demo": (Place("demo/demo"),)}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_settings_made_by_hand_are_checked_and_show_no_value(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({name: "planted"})
    assert "planted" not in str(caught.value)


def test_headgate_toml_here_is_read(tmp_path: Path) -> None:
    (tmp_path / "headgate.toml").write_text("queue.max_depth = 3", "utf-8")
    assert get_settings({}).queue.max_depth == 3


def test_nothing_can_be_changed() -> None:
    settings = get_settings({})
    with pytest.raises(ValidationError):
        settings.stream = StreamSettings()
    with pytest.raises(ValidationError):
        settings.stream.idle_timeout = 1
    for mapping in (settings.providers, settings.routes, settings.tiers, settings.keys):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]


@pytest.mark.parametrize(
    ("given", "enabled"),
    [
        ({}, False),
        ({"port": 1}, False),
        ({"host": "h"}, True),
        ({"url": "rediss://u:p@h:1/0"}, True),
        ({"url": "unix:///run/redis"}, True),
        ({"url": "redis+sentinel://u:p@a:1,[::1]:2/service"}, True),
        ({"url": "redis+sentinel://a:1/service/3"}, True),
    ],
)
def test_redis_is_enabled_by_a_host_or_url(given: dict[str, object], *, enabled: bool) -> None:
    assert RedisSettings.model_validate(given).enabled is enabled


# --- providers and routes


def test_without_a_provider_the_demo_answers(write_file: WriteFile) -> None:
    settings = get_settings(write_file('[routes]\nfast = ["demo/demo"]'))
    assert {name: row.kind for name, row in settings.providers.items()} == {"demo": "demo"}
    assert settings.providers["demo"].options == {}
    assert settings.routes == {"demo": (Place("demo/demo"),), "fast": (Place("demo/demo"),)}


@pytest.mark.parametrize(
    ("prefix", "kind", "base_url"),
    [
        ("OPENAI", "openai", "https://api.openai.com/v1"),
        ("DEEPSEEK", "openai", "https://api.deepseek.com/v1"),
        ("ANTHROPIC", "anthropic", "https://api.anthropic.com"),
        ("GEMINI", "gemini", "https://generativelanguage.googleapis.com/v1beta"),
    ],
)
def test_a_vendor_exists_when_its_key_or_base_url_is_set(prefix: str, kind: str, base_url: str) -> None:
    with_key = get_settings({f"{prefix}_API_KEY": "sk-1"})
    row = with_key.providers[prefix.lower()]
    assert (row.kind, row.base_url, row.api_key) == (kind, base_url, SecretStr("sk-1"))
    assert [*with_key.providers] == [prefix.lower()]
    assert with_key.routes == {}
    elsewhere = get_settings({f"{prefix}_BASE_URL": "http://localhost:9/v1/"}).providers[prefix.lower()]
    assert (elsewhere.kind, elsewhere.base_url, elsewhere.api_key) == (kind, "http://localhost:9/v1", None)


def test_providers_of_the_file(write_file: WriteFile) -> None:
    environ = write_file("""
        [providers.local]
        kind = "openai"
        base_url = "http://127.0.0.1:8001/v1"
        api_key = "env:LOCAL_KEY"
        [providers.literal]
        kind = "acme"
        api_key = "sk-literal"
        depth = 3
        [routes]
        "gpt-4.1" = ["local/meta/llama-3", "literal/x"]
        """)
    settings = get_settings({**environ, "LOCAL_KEY": "sk-local"})
    assert settings.providers["local"].options == {
        "base_url": "http://127.0.0.1:8001/v1",
        "api_key": "sk-local",
    }
    assert settings.providers["literal"].options == {"api_key": "sk-literal", "depth": 3}
    assert settings.routes == {"gpt-4.1": (Place("local/meta/llama-3"), Place("literal/x"))}


def test_a_vendor_in_the_file_keeps_what_it_does_not_say(write_file: WriteFile) -> None:
    environ = write_file("""
        [providers.openai]
        api_key = "env:ELSEWHERE"
        [providers.gemini]
        kind = "demo"
        """)
    providers = get_settings({**environ, "OPENAI_API_KEY": "sk-env"}).providers
    assert providers["openai"].api_key == SecretStr("sk-env"), "the environment wins, the reference is not followed"
    assert providers["openai"].base_url == "https://api.openai.com/v1"
    assert (providers["gemini"].kind, providers["gemini"].options) == ("demo", {})


# --- tiers and keys


def test_the_default_tier_is_made_of_its_variables_unless_the_file_gives_it(write_file: WriteFile) -> None:
    environ = {
        "RATE_LIMIT_REQUESTS_PER_MINUTE": "1",
        "RATE_LIMIT_TOKENS_PER_MINUTE": "2",
        "STREAM_MAX_CONCURRENT_PER_CALLER": "3",
    }
    assert get_settings({}).tiers == {"default": Tier(600, 1_000_000, 20), "premium": Tier(6_000, 10_000_000, 200, 4)}
    assert get_settings(environ).tiers == {"default": Tier(1, 2, 3), "premium": Tier(10, 20, 30, 4)}
    row = "requests_per_minute = 7\ntokens_per_minute = 8\nmax_concurrent_streams = 9\n"
    premium = write_file(f"[tiers.premium]\n{row}")
    assert get_settings({**environ, **premium}).tiers == {"default": Tier(1, 2, 3), "premium": Tier(7, 8, 9)}
    default = write_file(f"[tiers.default]\n{row}")
    assert get_settings({**environ, **default}).tiers == {"default": Tier(7, 8, 9), "premium": Tier(70, 80, 90, 4)}


def test_premium_is_no_larger_than_a_tier_may_be() -> None:
    environ = {
        "RATE_LIMIT_REQUESTS_PER_MINUTE": "1_000_000_000",
        "RATE_LIMIT_TOKENS_PER_MINUTE": "1_000_000_000_000",
        "STREAM_MAX_CONCURRENT_PER_CALLER": "1_000_000",
    }
    assert get_settings(environ).tiers["premium"] == Tier(10**9, 10**12, 10**6, 4)


def test_a_key_may_be_of_the_premium_tier_without_a_word_about_it(write_file: WriteFile) -> None:
    file = write_file(f'[keys.acme]\nsha256 = "{HASH}"\ntier = "premium"\n')
    assert get_settings(file).keys["acme"].tier == "premium"


def test_keys_have_a_tier_and_a_tenant(write_file: WriteFile) -> None:
    keys = get_settings(
        write_file(f"""
        [tiers.premium]
        requests_per_minute = 1
        tokens_per_minute = 1
        max_concurrent_streams = 1
        [keys.acme]
        sha256 = "{HASH.upper()}"
        [keys.beta]
        sha256 = "{"cd" * 32}"
        tier = "premium"
        tenant = "shared"
        """)
    ).keys
    assert (keys["acme"].sha256, keys["acme"].tier, keys["acme"].tenant) == (HASH, "default", "acme")
    assert (keys["beta"].tier, keys["beta"].tenant) == ("premium", "shared")


# --- the file itself


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^HEADGATE_CONFIG: got .*gone\.toml, which does not exist; takes"):
        get_settings({"HEADGATE_CONFIG": str(tmp_path / "gone.toml")})


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="which cannot be read: Is a directory"):
        get_settings({"HEADGATE_CONFIG": str(tmp_path)})


def test_a_file_that_is_no_toml_says_where_and_shows_nothing(tmp_path: Path) -> None:
    (tmp_path / "headgate.toml").write_text('[providers.x]\napi_key = "sk-planted" oops', "utf-8")
    with pytest.raises(ConfigurationError, match=r"^headgate\.toml: got headgate\.toml, which is not TOML") as caught:
        get_settings({})
    assert "line 2" in caught.value.message
    assert "planted" not in caught.value.message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "headgate.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="which is not UTF-8"):
        get_settings({})


def test_trusted_proxies_are_networks_and_the_keys_file_has_an_absolute_path(tmp_path: Path) -> None:
    access = get_settings({"HEADGATE_TRUSTED_PROXIES": "10.0.0.0/8, ::1,"}).access
    assert [str(network) for network in access.proxies] == ["10.0.0.0/8", "::1/128"]
    assert access.keys_path == tmp_path / "headgate-keys.json"
    assert get_settings({}).access.proxies == ()


@pytest.mark.parametrize("wrong", ["proxy.internal", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8 ::1"])
def test_a_proxy_that_is_no_address_is_an_error(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^HEADGATE_TRUSTED_PROXIES: got .*; takes addresses or networks"):
        get_settings({"HEADGATE_TRUSTED_PROXIES": wrong})


@pytest.mark.parametrize("value", ["a b", "http://a", "a:80", "a/b", "*.a", "é.example", "-a", ":1", "[::1", "a,,b?"])
def test_what_is_no_host_is_no_setting(value: str) -> None:
    with pytest.raises(ConfigurationError, match="HEADGATE_ALLOWED_HOSTS"):
        get_settings({"HEADGATE_ALLOWED_HOSTS": value})


def test_the_setting_is_a_list_of_hosts() -> None:
    settings = get_settings({"HEADGATE_ALLOWED_HOSTS": " a.example,,10.0.0.5 , ::1,[fd00::1],*,a_b"})
    assert settings.access.host_names == ("a.example", "10.0.0.5", "::1", "[fd00::1]", "*", "a_b")


def test_operators_are_names_of_tenants() -> None:
    assert get_settings({"CB_OPERATORS": "ops, oncall,"}).breaker.operator_tenants == {"ops", "oncall"}
    assert get_settings({}).breaker.operator_tenants == frozenset()
