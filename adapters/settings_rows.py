"""The rows of named things in headgate.toml: `[providers.local]`, `[tiers.premium]`, `[keys.acme]`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from adapters.settings_groups import DAY, TICK, Table, lower
from domain.model import Place, Tier


def _plain(text: str) -> bool:
    """Whether an HTTP request can carry it as it is."""
    return text.isascii() and text.isprintable() and " " not in text


def _base_url(url: str) -> str:
    """An address that can be shown and compared: no user, password, query or fragment in it."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
        parts = urlsplit("")
    if not sound or "@" in parts.netloc or "?" in url or "#" in url or not _plain(url):
        raise PydanticCustomError("base_url", "not a base URL")
    return url.rstrip("/")


def _api_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not text or not _plain(text):
        raise PydanticCustomError("api_key", "no HTTP header can carry this key")
    return key


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _clear_all(secrets: Mapping[str, SecretStr] | None) -> dict[str, str] | None:
    return None if secrets is None else {name: secret.get_secret_value() for name, secret in secrets.items()}


class ProviderRow(Table):
    """A provider: its kind, and the options of that kind. The registry checks options against the adapter."""

    model_config = ConfigDict(extra="allow")

    kind: Annotated[str, Field(min_length=1, max_length=64, description="a kind of the provider registry")]
    base_url: Annotated[
        str | None,
        AfterValidator(lambda url: url and _base_url(url)),
        Field(description="an http:// or https:// address in ASCII without user, password, query and fragment"),
    ] = None
    api_key: Annotated[
        SecretStr | None,
        AfterValidator(lambda key: key and _api_key(key)),
        Field(description="env:NAME or the key itself, printable ASCII without spaces"),
    ] = None
    api_key_header: Annotated[
        str | None, Field(description="the header in which the key goes as it is, as api-key; unset: the vendor's way")
    ] = None
    headers: Annotated[
        Mapping[str, SecretStr] | None, Field(description="a table of headers for each request, env:NAME or text")
    ] = None
    query: Annotated[
        Mapping[str, SecretStr] | None, Field(description="a table of parameters for each URL, env:NAME or text")
    ] = None
    proxy: Annotated[
        SecretStr | None,
        Field(description="an http:// or https:// address, with a user and a password or without, or env:NAME"),
    ] = None
    ca_file: Annotated[
        str | None,
        Field(min_length=1, max_length=4096, description="a file of certificates in PEM, which alone are trusted"),
    ] = None
    verify: Annotated[bool, Field(description="whether the provider's certificate is checked")] = True
    stream: Annotated[bool | None, Field(description="whether it streams (kind openai)")] = None
    stream_options: Annotated[bool | None, Field(description="whether it takes stream_options (kind openai)")] = None
    done: Annotated[
        Literal["finish"] | None,
        Field(description="finish: an answer without a finish reason is complete at [DONE] (kind openai)"),
    ] = None

    @property
    def options(self) -> Mapping[str, object]:
        """What the adapter's constructor gets: all that is set but the kind, the key in clear."""
        known: Mapping[str, object] = {
            "base_url": self.base_url,
            "api_key": _clear(self.api_key),
            "api_key_header": self.api_key_header,
            "headers": _clear_all(self.headers),
            "query": _clear_all(self.query),
            "proxy": _clear(self.proxy),
            "ca_file": self.ca_file,
            "verify": None if self.verify else False,
            "stream": self.stream,
            "stream_options": self.stream_options,
            "done": self.done,
        }
        return {name: value for name, value in known.items() if value is not None} | (self.model_extra or {})

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        """Options of other adapters may be secrets: their names only."""
        return [("kind", self.kind), ("base_url", self.base_url), ("options", sorted(self.options))]


TargetName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[^\s\pC]+$", max_length=200)]


class RoutePlace(Table):
    """A target in a route; a text alone is its name."""

    target: Annotated[TargetName, Field(description="provider/model")]
    weight: Annotated[
        int | None, Field(ge=1, le=100, description="share of the requests, beside neighbours with one")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: object) -> object:
        return {"target": given} if isinstance(given, str) else given

    def place(self) -> Place:
        """The domain's value of it."""
        return Place(self.target, self.weight)


class TargetRow(Table):
    """What a target can do, where that is not known or is known wrong, and its own limits of time. Unset: as for its
    family, and as the group `stream` has it."""

    context_tokens: Annotated[int | None, Field(ge=1, le=10**9, description="prompt and answer together")] = None
    tools: Annotated[bool | None, Field(description="whether it may call tools")] = None
    vision: Annotated[bool | None, Field(description="whether it looks at images")] = None
    prefill: Annotated[bool | None, Field(description="whether an answer goes on where a last message ends")] = None
    first_event_timeout: Annotated[float | None, Field(ge=TICK, le=3600, description="its own, seconds")] = None
    first_event_timeout_last: Annotated[float | None, Field(ge=TICK, le=3600, description="its own, seconds")] = None
    idle_timeout: Annotated[float | None, Field(ge=TICK, le=3600, description="its own, seconds")] = None
    total_timeout: Annotated[float | None, Field(ge=TICK, le=DAY, description="its own, seconds")] = None

    def declared(self) -> Mapping[str, float]:
        """What is set."""
        return {name: value for name, value in self if value is not None}


class TierRow(Table):
    """A tier as the file writes it."""

    model_config = ConfigDict(from_attributes=True)

    requests_per_minute: Annotated[int, Field(ge=1, le=10**9, description="requests per minute and caller")]
    tokens_per_minute: Annotated[int, Field(ge=1, le=10**12, description="tokens per minute and caller")]
    max_concurrent_streams: Annotated[int, Field(ge=1, le=10**6, description="generations at once for a caller")]
    weight: Annotated[int, Field(ge=1, le=100, description="share of the slots while there is a queue")] = 1

    def tier(self) -> Tier:
        """The domain's value of it."""
        return Tier(self.requests_per_minute, self.tokens_per_minute, self.max_concurrent_streams, self.weight)


PREMIUM_TIMES, PREMIUM_WEIGHT = 10, 4


def premium(default: Tier) -> Tier:
    """The tier `premium` where the file has none: so many times the default tier, no more than a row may say."""
    return Tier(
        min(PREMIUM_TIMES * default.requests_per_minute, 10**9),
        min(PREMIUM_TIMES * default.tokens_per_minute, 10**12),
        min(PREMIUM_TIMES * default.max_concurrent_streams, 10**6),
        PREMIUM_WEIGHT,
    )


class KeyRow(Table):
    """An API key, by its hash. The key itself is nowhere."""

    sha256: Annotated[
        str,
        BeforeValidator(lower),
        Field(pattern=r"^[0-9a-f]{64}$", repr=False, description="the SHA-256 of the key, 64 hexadecimal digits"),
    ]
    tier: Annotated[str, Field(description="a tier")] = "default"
    tenant: Annotated[str, Field(min_length=1, max_length=64, description="a name; unset: that of the key")]


ROWS: Mapping[str, type[Table]] = MappingProxyType(
    {"providers": ProviderRow, "targets": TargetRow, "tiers": TierRow, "keys": KeyRow}
)
"""By the name of the table that holds them."""
