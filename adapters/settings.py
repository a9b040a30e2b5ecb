"""The whole of Headgate's settings: nested, typed, frozen, from the environment and headgate.toml.

settings = get_settings()
settings.redis.host, settings.logging.level, settings.providers["openai"].api_key
"""

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    GetPydanticSchema,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from adapters.settings_groups import (
    GROUPS,
    AccessSettings,
    BreakerSettings,
    CacheSettings,
    LogFormat,
    LoggingSettings,
    LogLevel,
    QueueSettings,
    RateLimitSettings,
    RedisSettings,
    RetrySettings,
    StreamSettings,
    Table,
    TrackingSettings,
)
from adapters.settings_layers import read_layers
from adapters.settings_network import network_problems
from adapters.settings_problems import Problem, Problems, describe, did_you_mean, dotted, shown
from adapters.settings_rows import ROWS, KeyRow, ProviderRow, RoutePlace, TargetName, TargetRow, TierRow, premium
from domain.errors import ConfigurationError
from domain.model import Place, Tier

__all__ = [
    "AccessSettings",
    "BreakerSettings",
    "CacheSettings",
    "KeyRow",
    "LogFormat",
    "LogLevel",
    "LoggingSettings",
    "ProviderRow",
    "QueueSettings",
    "RateLimitSettings",
    "RedisSettings",
    "RetrySettings",
    "Settings",
    "StreamSettings",
    "TrackingSettings",
    "get_settings",
]

DEMO_PROVIDERS: Mapping[str, object] = MappingProxyType({"demo": {"kind": "demo"}})
DEMO_ROUTES: Mapping[str, object] = MappingProxyType({"demo": ("demo/demo",)})
"""What answers if no provider is configured."""

Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
RouteName: TypeAlias = Annotated[str, Field(pattern=r"^[^\s\pC]+$", max_length=200)]
K = TypeVar("K")
V = TypeVar("V")
Frozen: TypeAlias = Annotated[Mapping[K, V], AfterValidator(MappingProxyType)]


def _made_of(row: type[Table], make: Callable[[Any], object]) -> GetPydanticSchema:
    """A value of the domain that is written as a row."""
    return GetPydanticSchema(
        lambda _, handler: core_schema.no_info_after_validator_function(make, handler.generate_schema(row))
    )


class Settings(BaseSettings):
    """Everything that can be set. Without arguments: the defaults alone, whatever the environment holds."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    redis: RedisSettings = RedisSettings()
    logging: LoggingSettings = LoggingSettings()
    tracking: TrackingSettings = TrackingSettings()
    cache: CacheSettings = CacheSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    stream: StreamSettings = StreamSettings()
    queue: QueueSettings = QueueSettings()
    breaker: BreakerSettings = BreakerSettings()
    retry: RetrySettings = RetrySettings()
    access: AccessSettings = AccessSettings()
    providers: Frozen[Name, ProviderRow] = Field(default_factory=dict)
    routes: Frozen[RouteName, tuple[Annotated[Place, _made_of(RoutePlace, RoutePlace.place)], ...]] = Field(
        default_factory=dict
    )
    targets: Frozen[TargetName, Annotated[Mapping[str, float], _made_of(TargetRow, TargetRow.declared)]] = Field(
        default_factory=dict
    )
    tiers: Frozen[Name, Annotated[Tier, _made_of(TierRow, TierRow.tier)]] = Field(default_factory=dict)
    keys: Frozen[Name, KeyRow] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: `get_settings` alone reads the environment and the file."""
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _add_demo(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("providers"):
            return given
        routes = given.get("routes", {})
        return {
            **given,
            "providers": DEMO_PROVIDERS,
            "routes": {**DEMO_ROUTES, **routes} if isinstance(routes, Mapping) else routes,
        }

    @field_validator("providers", mode="after")
    @classmethod
    def _providers_can_be_reached(cls, rows: Mapping[str, ProviderRow]) -> Mapping[str, ProviderRow]:
        problems = [problem for name, row in rows.items() for problem in network_problems(name, row)]
        if problems:
            raise Problems(problems)
        return rows

    @field_validator("routes", mode="after")
    @classmethod
    def _routes_lead_to_providers(cls, routes: Mapping[str, tuple[Place, ...]], info: ValidationInfo) -> object:
        providers = info.data.get("providers")
        if providers is None:
            return routes
        problems = []
        for name, places in routes.items():
            if not places:
                problems.append(
                    Problem(("routes", name), "got an empty list; takes one target or more, provider/model")
                )
            for place in places:
                provider = place.target.partition("/")[0]
                if provider not in providers:
                    meant = did_you_mean(provider, providers)
                    text = f"got {shown(place.target)}, a provider that is not configured; {meant}"
                    problems.append(Problem(("routes", name), text))
        if problems:
            raise Problems(problems)
        return routes

    @property
    def routed(self) -> tuple[str, ...]:
        """The targets of all routes, each once."""
        return tuple(dict.fromkeys(place.target for places in self.routes.values() for place in places))

    @field_validator("tiers", mode="after")
    @classmethod
    def _add_tiers(cls, tiers: Mapping[str, Tier], info: ValidationInfo) -> Mapping[str, Tier]:
        limits, stream = info.data.get("rate_limit"), info.data.get("stream")
        if limits is None or stream is None:
            return tiers
        default = Tier(limits.requests_per_minute, limits.tokens_per_minute, stream.max_concurrent_per_caller)
        return MappingProxyType({"default": default, "premium": premium(tiers.get("default", default)), **tiers})

    @field_validator("keys", mode="before")
    @classmethod
    def _name_tenants(cls, keys: object) -> object:
        if not isinstance(keys, Mapping):
            return keys
        return {name: {"tenant": name, **row} if isinstance(row, dict) else row for name, row in keys.items()}

    @field_validator("keys", mode="after")
    @classmethod
    def _keys_are_distinct_and_tiered(cls, keys: Mapping[str, KeyRow], info: ValidationInfo) -> object:
        tiers = info.data.get("tiers")
        problems, owners = [], dict[str, str]()
        for name, row in keys.items():
            if tiers is not None and row.tier not in {"default", "premium", *tiers}:
                text = f"got {shown(row.tier)}, a tier that does not exist; {did_you_mean(row.tier, tiers)}"
                problems.append(Problem(("keys", name, "tier"), text))
            if (owner := owners.setdefault(row.sha256, name)) != name:
                text = f"got the hash of {dotted(('keys', owner))} again; takes a key of its own"
                problems.append(Problem(("keys", name, "sha256"), text))
        if problems:
            raise Problems(problems)
        return keys


def get_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Reads and checks all settings: environment over headgate.toml over defaults. Reads `os.environ` if none is given.

    Raises one `ConfigurationError` with a line for each problem: the setting, what it got and what it takes.
    """
    layers = read_layers(os.environ if environ is None else environ)
    problems = list(layers.problems)
    sources = tuple(InitSettingsSource(Settings, layer) for layer in (layers.environment, layers.file, layers.vendors))
    settings = None
    try:
        settings = Settings(_build_sources=(sources, {}))  # type: ignore[call-arg]  # seen by pydantic's plugin only
    except ValidationError as error:
        problems += describe(error, {**GROUPS, **ROWS})
    if settings is None or problems:  # raised apart from its cause, which holds what was given, secrets too
        lines = "\n".join(f"{layers.name(problem.path)}: {problem.text}" for problem in problems)
        raise ConfigurationError(lines, details={"problems": len(problems)})
    return settings
