"""The groups of single settings: names, types, ranges, defaults.

`[stream] idle_timeout` in headgate.toml is STREAM_IDLE_TIMEOUT in the environment: the group's prefix, then the key.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from adapters.settings_problems import Problem, Problems
from domain.model import OutagePolicy

KIB, MIB, TIB = 1024, 1024**2, 1024**4
DAY = 86_400
TICK = 0.01
"""Seconds; the shortest wait that can be set."""


class LogLevel(StrEnum):
    """The least severe lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class LogFormat(StrEnum):
    """How lines are written. `auto`: console where the output is a terminal, else json."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class Table(BaseModel):
    """A table of settings. Frozen; keys that it does not have are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    prefix: ClassVar[str | None] = None
    """Of a group: what its environment names begin with. A row has none."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_as_number(cls, value: object, info: ValidationInfo) -> object:
        """Pydantic would read `idle_timeout = true` as one second."""
        annotation = cls.model_fields[info.field_name].annotation if info.field_name else None
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
            raise PydanticCustomError("truth_value", "a truth value is no number and no text")
        return value


def _redis_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme == "redis+sentinel":
            sentinels = [urlsplit(f"//{host}") for host in parts.netloc.rpartition("@")[2].split(",")]
            service, _, db = parts.path.removeprefix("/").partition("/")
            known = bool(service) and (not db or db.isdecimal()) and all(one.hostname and one.port for one in sentinels)
        else:
            known = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known and not url.get_secret_value().startswith("unix:///"):
        raise PydanticCustomError("redis_url", "not a Redis URL")
    return url


def lower(value: object) -> object:
    """Text in lower case; anything else as it is, for the type to refuse."""
    return value.lower() if isinstance(value, str) else value


class RedisSettings(Table):
    """Redis, for a fleet. Without `url` and `host` everything is in memory."""

    prefix = "REDIS_"

    url: Annotated[
        SecretStr | None,
        AfterValidator(lambda url: url and _redis_url(url)),
        Field(description="redis://, rediss://, redis+sentinel:// or unix:// address; instead of host"),
    ] = None
    host: Annotated[str | None, Field(min_length=1, max_length=255, description="host name or address")] = None
    port: Annotated[int, Field(ge=1, le=65_535, description="TCP port")] = 6379
    db: Annotated[int, Field(ge=0, le=9_999, description="number of the database")] = 0
    password: Annotated[SecretStr | None, Field(description="password, where Redis asks for one")] = None
    pool_min: Annotated[int, Field(ge=0, le=10_000, description="connections kept open")] = 10
    pool_max: Annotated[int, Field(ge=1, le=10_000, description="connections at most")] = 200

    @property
    def enabled(self) -> bool:
        """Whether Redis is configured."""
        return self.url is not None or self.host is not None

    @model_validator(mode="after")
    def _consistent(self) -> "RedisSettings":
        problems = []
        if self.url is not None and self.host is not None:
            problems.append(Problem(("redis", "host"), "got a host beside redis.url; takes one of the two"))
        if self.pool_min > self.pool_max:
            text = f"got {self.pool_min}; takes at most redis.pool_max, {self.pool_max}"
            problems.append(Problem(("redis", "pool_min"), text))
        if problems:
            raise Problems(problems)
        return self


class LoggingSettings(Table):
    """Log lines."""

    prefix = "LOG_"

    level: Annotated[LogLevel, BeforeValidator(lower), Field(description="least severe lines written")] = LogLevel.INFO
    format: Annotated[
        LogFormat, BeforeValidator(lower), Field(description="auto: console on a terminal, else json")
    ] = LogFormat.AUTO


class TrackingSettings(Table):
    """The execution tracker."""

    prefix = "EXECUTION_TRACKING_"

    enabled: Annotated[bool, Field(description="whether stages are timed")] = True
    sample_rate: Annotated[float, Field(ge=0, le=1, description="share of requests that are tracked")] = 0.1


class CacheSettings(Table):
    """Stored answers."""

    prefix = "CACHE_"

    enabled: Annotated[bool, Field(description="whether answers are stored")] = True
    ttl_seconds: Annotated[float, Field(ge=1, le=365 * DAY, description="seconds that an answer is kept")] = 3600.0
    l1_max_bytes: Annotated[int, Field(ge=KIB, le=TIB, description="bytes of answers in a process's memory")] = 64 * MIB
    shared_across_tenants: Annotated[bool, Field(description="whether tenants share answers")] = False
    exclude_sampled: Annotated[bool, Field(description="whether requests that ask for randomness go past it")] = False


class RateLimitSettings(Table):
    """What the default tier may use."""

    prefix = "RATE_LIMIT_"

    enabled: Annotated[bool, Field(description="whether tiers are enforced")] = True
    requests_per_minute: Annotated[int, Field(ge=1, le=10**9, description="requests per minute and caller")] = 600
    tokens_per_minute: Annotated[int, Field(ge=1, le=10**12, description="tokens per minute and caller")] = 1_000_000
    outage: Annotated[
        OutagePolicy, BeforeValidator(lower), Field(description="without Redis: share, deny or allow")
    ] = OutagePolicy.SHARE
    replicas: Annotated[int, Field(ge=1, le=10_000, description="of how many parts a share is one")] = 2
    lease_requests: Annotated[
        int, Field(ge=0, le=1000, description="calls that a process debits in advance for a busy caller; 0: none")
    ] = 0


class StreamSettings(Table):
    """Streams: how many, how long, how much. Times are seconds."""

    prefix = "STREAM_"

    max_concurrent: Annotated[int, Field(ge=1, le=10**6, description="generations at once, in all")] = 10_000
    max_concurrent_per_caller: Annotated[
        int, Field(ge=1, le=10**6, description="generations at once for a caller of the default tier")
    ] = 20
    adaptive_concurrency: Annotated[
        bool, Field(description="whether calls of a target wait for as many others as it answers well")
    ] = False
    first_event_timeout: Annotated[
        float,
        Field(ge=TICK, le=3600, description="longest silence before the first event while another target could answer"),
    ] = 10.0
    first_event_timeout_last: Annotated[
        float, Field(ge=TICK, le=3600, description="longest silence before the first event while no other target could")
    ] = 120.0
    idle_timeout: Annotated[float, Field(ge=TICK, le=3600, description="longest silence between two events")] = 60.0
    total_timeout: Annotated[float, Field(ge=TICK, le=DAY, description="longest time for a whole answer")] = 3600.0
    heartbeat_interval: Annotated[
        float, Field(ge=TICK, le=3600, description="pause between comments on a quiet stream")
    ] = 15.0
    retention: Annotated[float, Field(ge=TICK, le=30 * DAY, description="how long a stream is kept after its end")] = (
        600.0
    )
    orphan_grace: Annotated[
        float | None,
        Field(ge=0, le=DAY, description="how long work goes on after its last reader; unset: 30 native, else 0"),
    ] = None
    max_grace: Annotated[float, Field(ge=0, le=DAY, description="the most that X-Stream-Grace may ask for")] = 300.0
    drain_timeout: Annotated[float, Field(ge=0, le=3600, description="how long streams go on after SIGTERM")] = 30.0
    max_answer_bytes: Annotated[
        int, Field(ge=KIB, le=1024 * MIB, description="bytes of an answer, and of an event, as a provider sends it")
    ] = 64 * MIB
    log_max_bytes: Annotated[int, Field(ge=MIB, le=TIB, description="bytes of stream logs in memory")] = 256 * MIB
    send_timeout: Annotated[float, Field(ge=TICK, le=3600, description="how long a reader may stop reading")] = 30.0


class QueueSettings(Table):
    """The waiting line in front of the slots."""

    prefix = "QUEUE_"

    max_depth: Annotated[int, Field(ge=0, le=10**7, description="requests that may wait; 0: none")] = 10_000
    max_wait: Annotated[float, Field(ge=TICK, le=DAY, description="seconds that one may wait to start")] = 60.0


class BreakerSettings(Table):
    """Circuit breakers."""

    prefix = "CB_"

    failure_threshold: Annotated[int, Field(ge=1, le=10_000, description="failures that open a breaker")] = 5
    minimum_calls: Annotated[int, Field(ge=1, le=10**6, description="calls in a minute that it takes too")] = 1
    recovery_timeout: Annotated[float, Field(ge=TICK, le=DAY, description="seconds before a probe")] = 60.0
    operators: Annotated[
        str | None,
        Field(max_length=4096, description="tenants that may open and close breakers by hand, as ops,oncall"),
    ] = None

    @property
    def operator_tenants(self) -> frozenset[str]:
        """The operators' tenants."""
        return frozenset(_listed(self.operators or ""))


class RetrySettings(Table):
    """Retries before the first event."""

    prefix = "RETRY_"

    max_attempts: Annotated[int, Field(ge=1, le=20, description="attempts on a target, the first included")] = 3
    base_delay: Annotated[float, Field(ge=0, le=60, description="seconds before the first retry, at most")] = 1.0
    max_delay: Annotated[float, Field(ge=0, le=600, description="seconds before any retry, at most")] = 30.0

    @model_validator(mode="after")
    def _consistent(self) -> "RetrySettings":
        if self.base_delay > self.max_delay:
            text = f"got {self.base_delay:g}; takes at most retry.max_delay, {self.max_delay:g}"
            raise Problems([Problem(("retry", "base_delay"), text)])
        return self


def _networks(text: str) -> str:
    """Checks a list of addresses and networks; those of `AccessSettings.proxies` are made of it."""
    try:
        _parse_networks(text)
    except ValueError:
        raise PydanticCustomError("networks", "not a list of networks") from None
    return text


def _parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part) for part in _listed(text))


_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")


def _hosts(text: str) -> str:
    """Checks a list of names and addresses, or `*`; those of `AccessSettings.host_names` are made of it."""
    if not all(name == "*" or _HOST.fullmatch(name) or _is_ipv6(name) for name in _listed(text)):
        raise PydanticCustomError("hosts", "not a list of host names")
    return text


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_ipv6(name: str) -> bool:
    try:
        IPv6Address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True


class AccessSettings(Table):
    """Who may call."""

    prefix = "HEADGATE_"

    keys_file: Annotated[
        str, Field(min_length=1, max_length=4096, description="path of the keys that commands make, without Redis")
    ] = "headgate-keys.json"
    allow_anonymous: Annotated[
        bool, Field(description="whether anybody on the network may call while there are no keys")
    ] = False
    trusted_proxies: Annotated[
        str | None,
        AfterValidator(lambda text: text and _networks(text)),
        Field(max_length=4096, description="addresses or networks whose X-Forwarded-For counts, as 10.0.0.0/8,::1"),
    ] = None
    memory_budget: Annotated[
        int,
        Field(ge=16 * MIB, le=TIB, description="bytes of memory, of which bodies that are read may hold a quarter"),
    ] = 256 * MIB
    allowed_hosts: Annotated[
        str | None,
        AfterValidator(lambda text: text and _hosts(text)),
        Field(
            max_length=4096,
            description="names without ports, beside those of loopback, that are answered while there are no keys, "
            "as headgate.example,10.0.0.5; *: any",
        ),
    ] = None

    @property
    def host_names(self) -> tuple[str, ...]:
        """The allowed hosts."""
        return tuple(_listed(self.allowed_hosts or ""))

    @property
    def keys_path(self) -> Path:
        """The keys file, as an absolute path."""
        return Path(self.keys_file).absolute()

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The trusted proxies as networks."""
        return _parse_networks(self.trusted_proxies or "")


GROUPS: Mapping[str, type[Table]] = MappingProxyType(
    {
        "redis": RedisSettings,
        "logging": LoggingSettings,
        "tracking": TrackingSettings,
        "cache": CacheSettings,
        "rate_limit": RateLimitSettings,
        "stream": StreamSettings,
        "queue": QueueSettings,
        "breaker": BreakerSettings,
        "retry": RetrySettings,
        "access": AccessSettings,
    }
)
"""By the name of the table in headgate.toml, which is that of the field of `Settings`."""
