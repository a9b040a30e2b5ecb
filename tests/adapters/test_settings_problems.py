"""Wrong settings: one line each, which names the setting, what it got and what it takes, and shows no secret."""

import datetime
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.settings import get_settings
from adapters.settings_problems import did_you_mean, dotted, shown
from domain.errors import ConfigurationError

HASH = "ab" * 32
NAMES = "letters, digits and . _ - after a letter or digit, at most 64 in all"
URL = "an http:// or https:// address in ASCII without user, password, query and fragment"

FROM_ENVIRONMENT = [
    ({"STREAM_IDLE_TIMEOUT": "soon"}, "STREAM_IDLE_TIMEOUT: got 'soon'; takes a number from 0.01 to 3600"),
    ({"STREAM_IDLE_TIMEOUT": "nan"}, "STREAM_IDLE_TIMEOUT: got 'nan'; takes a number from 0.01 to 3600"),
    ({"STREAM_ORPHAN_GRACE": "-1"}, "STREAM_ORPHAN_GRACE: got '-1'; takes a number from 0 to 86400"),
    ({"QUEUE_MAX_DEPTH": "1.5"}, "QUEUE_MAX_DEPTH: got '1.5'; takes a whole number from 0 to 10000000"),
    (
        {"REDIS_PORT": "tcp://10.0.0.1:6379"},
        "REDIS_PORT: got 'tcp://10.0.0.1:6379'; takes a whole number from 1 to 65535",
    ),
    ({"CACHE_ENABLED": "maybe"}, "CACHE_ENABLED: got 'maybe'; takes true or false"),
    ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: got 'loud'; takes one of debug, info, warning, error, critical"),
    ({"EXECUTION_TRACKING_SAMPLE_RATE": "10"}, "EXECUTION_TRACKING_SAMPLE_RATE: got '10'; takes a number from 0 to 1"),
    ({"RETRY_BASE_DELAY": "31"}, "RETRY_BASE_DELAY: got 31; takes at most retry.max_delay, 30"),
    ({"REDIS_POOL_MAX": "3"}, "REDIS_POOL_MIN: got 10; takes at most redis.pool_max, 3"),
    (
        {"REDIS_URL": "redis://h", "REDIS_HOST": "h"},
        "REDIS_HOST: got a host beside redis.url; takes one of the two",
    ),
    *(
        (
            {"REDIS_URL": url},
            "REDIS_URL: got ****; takes redis://, rediss://, redis+sentinel:// or unix:// address; instead of host",
        )
        for url in (
            *("http://h", "redis://", "redis://h:99999", "redis://[", "unix://h", "h:6379"),
            *("redis+sentinel://h:1", "redis+sentinel://h/s", "redis+sentinel://h:1,:2/s", "redis+sentinel://h:1/s/x"),
        )
    ),
    *(
        (
            {"OPENAI_API_KEY": key},
            "OPENAI_API_KEY: got ****; takes env:NAME or the key itself, printable ASCII without spaces",
        )
        for key in ("two words", "ключ", "a\x7fb")
    ),
    ({"OPENAI_BASE_URL": "api.openai.com/v1"}, f"OPENAI_BASE_URL: got 'api.openai.com/v1'; takes {URL}"),
    ({"OPENAI_BASE_URL": "https://u:pw@h/v1"}, f"OPENAI_BASE_URL: got ****; takes {URL}"),
    ({"OPENAI_BASE_URL": "https://h/v1?key=pw"}, f"OPENAI_BASE_URL: got ****; takes {URL}"),
    ({"OPENAI_BASE_URL": "https://h/v1#x"}, f"OPENAI_BASE_URL: got 'https://h/v1#x'; takes {URL}"),
    ({"OPENAI_BASE_URL": "https://a b/"}, f"OPENAI_BASE_URL: got 'https://a b/'; takes {URL}"),
    ({"OPENAI_BASE_URL": "https://ü.de"}, rf"OPENAI_BASE_URL: got 'https://\xfc.de'; takes {URL}"),
    ({"OPENAI_BASE_URL": "https://["}, f"OPENAI_BASE_URL: got 'https://['; takes {URL}"),
    ({"OPENAI_BASE_URL": "https://h:0/"}, f"OPENAI_BASE_URL: got 'https://h:0/'; takes {URL}"),
    (
        {"OPENAI_BASE_URL": "ftp://files.example.org/a/long/path"},
        f"OPENAI_BASE_URL: got an address at ftp://files.example.org; takes {URL}",
    ),
]

FROM_FILE = [
    ("strem.x = 1", "strem: unknown table; did you mean stream?"),
    ("stream.idle_timeot = 1", "stream.idle_timeot: unknown setting; did you mean idle_timeout?"),
    ("retry.zzz = 1", "retry.zzz: unknown setting; takes one of base_delay, max_attempts, max_delay"),
    ("stream = 3", "stream: got 3; takes a table"),
    ("routes = []", "routes: got a list; takes a table"),
    ("cache.ttl_seconds = true", "cache.ttl_seconds: got true; takes a number from 1 to 31536000"),
    ("redis.host = 1979-05-27", "redis.host: got 1979-05-27; takes host name or address"),
    ("redis.port = {}", "redis.port: got a table; takes a whole number from 1 to 65535"),
    ("providers.local = 3", "providers.local: got 3; takes a table"),
    ("[providers.local]", "providers.local.kind: missing; takes a kind of the provider registry"),
    ('[providers."a b"]\nkind = "demo"', f'providers."a b": got a name that does not fit; takes {NAMES}'),
    (
        '[providers.l]\nkind = "demo"\napi_key = "env:NOT_SET_ANYWHERE_AT_ALL"',
        "providers.l.api_key: got env:NOT_SET_ANYWHERE_AT_ALL, which is not set; takes env:NAME or the key itself",
    ),
    (
        '[providers.openai]\napi_key = "env:sk-planted-planted-planted"',
        "providers.openai.api_key: got text of 30 characters, which is not set; takes env:NAME or the key itself",
    ),
    (
        '[providers.l]\nkind = "demo"\napi_key = 3',
        "providers.l.api_key: got ****; takes env:NAME or the key itself, printable ASCII without spaces",
    ),
    ('routes.fast = "demo/demo"', "routes.fast: got 'demo/demo'; takes a list of targets, provider/model"),
    ('routes.fast = ["demo"]', "routes.fast.0: got 'demo'; takes a list of targets, provider/model"),
    ("routes.fast = [{weight = 1}]", "routes.fast.0: got a table; takes a list of targets, provider/model"),
    (
        'routes.fast = [{target = "demo/demo", weight = 0}]',
        "routes.fast.0.weight: got 0; takes a whole number from 1 to 100",
    ),
    (
        'routes.fast = [{target = "demo/demo", wait = 1}]',
        "routes.fast.0.wait: got 1; takes target and weight",
    ),
    ('targets."demo/demo".vision = 7', 'targets."demo/demo".vision: got 7; takes true or false'),
    ("targets.demo.vision = true", "targets.demo: got a name that does not fit; takes provider/model"),
    (
        'targets."demo/demo".idle_timeout = 0',
        'targets."demo/demo".idle_timeout: got 0; takes a number from 0.01 to 3600',
    ),
    (
        'targets."demo/demo".total_timeout = true',
        'targets."demo/demo".total_timeout: got true; takes a number from 0.01 to 86400',
    ),
    ('providers.demo = { kind = "demo", stream = 7 }', "providers.demo.stream: got 7; takes true or false"),
    ('targets."demo/demo".tool = true', 'targets."demo/demo".tool: unknown setting; did you mean tools?'),
    ("routes.fast = []", "routes.fast: got an empty list; takes one target or more, provider/model"),
    (
        'routes."a b" = ["demo/demo"]',
        'routes."a b": got a name that does not fit; takes at most 200 printable characters without spaces',
    ),
    (
        'routes.fast = ["dmo/x"]',
        "routes.fast: got 'dmo/x', a provider that is not configured; did you mean demo?",
    ),
    (
        "[tiers.p]\nrequests_per_minute = 0\ntokens_per_minute = 1\nmax_concurrent_streams = 1",
        "tiers.p.requests_per_minute: got 0; takes a whole number from 1 to 1000000000",
    ),
    ("tiers.p = 1", "tiers.p: got 1; takes a table"),
    ('keys.acme = "x"', "keys.acme: got 'x'; takes a table"),
    ("keys = 1", "keys: got 1; takes a table"),
    ('keys.acme.sha256 = "short"', "keys.acme.sha256: got ****; takes the SHA-256 of the key, 64 hexadecimal digits"),
    (
        f'keys.acme = {{ sha256 = "{HASH}", tier = "defualt" }}',
        "keys.acme.tier: got 'defualt', a tier that does not exist; did you mean default?",
    ),
    (
        f'keys.a.sha256 = "{HASH}"\nkeys.b.sha256 = "{HASH}"',
        "keys.b.sha256: got the hash of keys.a again; takes a key of its own",
    ),
]


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(environ: dict[str, str], file: str = "") -> list[str]:
    Path("headgate.toml").write_text(file, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        get_settings(environ)
    lines = caught.value.message.split("\n")
    assert caught.value.details == {"problems": len(lines)}
    assert caught.value.__cause__ is caught.value.__context__ is None, "pydantic's error holds what was given"
    return lines


@pytest.mark.parametrize(("environ", "line"), FROM_ENVIRONMENT)
def test_a_wrong_variable_is_one_line(environ: dict[str, str], line: str) -> None:
    assert problems(environ) == [line]


@pytest.mark.parametrize(("file", "line"), FROM_FILE)
def test_a_wrong_key_in_the_file_is_one_line(file: str, line: str) -> None:
    assert problems({}, file) == [line]


def test_all_problems_are_told_at_once() -> None:
    lines = problems(
        {"STREAM_IDLE_TIMEOUT": "x", "QUEUE_MAX_WAIT": "y", "OPENAI_API_KEY": "k"},
        'strem = 1\nqueue.max_depth = -1\nroutes.fast = ["opnai/x", "local/y"]\nkeys.a.sha256 = ""\nproviders.l = 1',
    )
    assert [line.partition(":")[0] for line in lines] == [
        "strem",
        "providers.l",
        "STREAM_IDLE_TIMEOUT",
        "queue.max_depth",
        "QUEUE_MAX_WAIT",
        "routes.fast",
        "routes.fast",
        "keys.a.sha256",
    ]


def test_what_hangs_on_a_wrong_setting_is_not_judged() -> None:
    """Neither routes without providers, nor keys without tiers, nor the default tier without its limits."""
    file = f'[providers.l]\n[routes]\nfast = ["x/y"]\n[tiers.p]\n[keys.a]\nsha256 = "{HASH}"\ntier = "q"'
    lines = problems({"RATE_LIMIT_TOKENS_PER_MINUTE": "0"}, file)
    assert [line.partition(":")[0] for line in lines] == [
        "RATE_LIMIT_TOKENS_PER_MINUTE",
        "providers.l.kind",
        "tiers.p.requests_per_minute",
        "tiers.p.tokens_per_minute",
        "tiers.p.max_concurrent_streams",
    ]
    assert problems({"RATE_LIMIT_TOKENS_PER_MINUTE": "0"}) == [
        "RATE_LIMIT_TOKENS_PER_MINUTE: got '0'; takes a whole number from 1 to 1000000000000"
    ]


SECRET_PLACES = [
    "providers.l.api_key",
    "providers.l.base_url",
    "providers.l.kind",
    "providers.l.token",
    "providers.l",
    "redis.url",
    "redis.password",
    "redis.host",
    "redis.port",
    "logging.level",
    "stream.idle_timeout",
    "keys.a.sha256",
    "keys.a.tier",
    "keys.a",
    "tiers.t.requests_per_minute",
    "routes.fast",
    "queue",
    "cache.unknown",
]

NO_PLACE_FOR_A_CHECK = {"redis.host", "providers.l.kind"}
"""What is put here is a sound name as far as settings can tell."""


@given(
    place=st.sampled_from(SECRET_PLACES),
    secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=26, max_size=80).map("sk-{}".format),
    broken=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_secret_anywhere_in_the_file_is_shown_nowhere_p1(place: str, secret: str, *, broken: bool) -> None:
    """P1: any secret, also in a place that is not one for secrets, with and without another problem."""
    lines = [f'{place} = "{secret}"']
    lines += ['providers.l.kind = "demo"'] * (place not in {"providers.l", "providers.l.kind"})
    lines += ["stream.max_grace = -1"] * broken
    Path("headgate.toml").write_text("\n".join(lines), "utf-8")
    try:
        made = get_settings({})
        text = "" if place in NO_PLACE_FOR_A_CHECK else repr(made)
    except ConfigurationError as error:
        text = "".join(traceback.format_exception(error)) + repr(error)
    assert secret not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (3, "3"),
        ("a\nb", r"'a\nb'"),
        ("user@host", "****"),
        ("x" * 25, "text of 25 characters"),
        ({"a": 1}, "a table"),
        ([1], "a list"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
    ],
)
def test_values_are_shown_short_and_in_one_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_paths_are_written_as_toml_writes_them() -> None:
    assert dotted(("routes", "gpt-4.1")) == 'routes."gpt-4.1"'
    assert dotted(("routes", "a\nb")) == r"routes.'a\nb'"


def test_an_unknown_word_gets_the_nearest_or_all() -> None:
    assert did_you_mean("opnai", ["openai", "demo"]) == "did you mean openai?"
    assert did_you_mean("zzz", ["openai", "demo"]) == "takes one of demo, openai"
    assert did_you_mean("zzz", []) == "takes one of (nothing)"
