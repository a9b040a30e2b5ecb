"""Which targets serve a model, in what order, and what a failed attempt means for the next."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import (
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderTimeoutError,
)
from ports.provider import Provider


@dataclass(frozen=True, slots=True)
class Target:
    """One model of one provider."""

    provider: Provider
    provider_name: str
    model: str

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider_name}/{self.model}"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one target is tried, and the bounds of the wait between tries (seconds)."""

    max_attempts: int = 3
    base_delay: float = 1.0
    max_delay: float = 30.0


class Router:
    """Turns a public model name into targets, and a failure into what comes next (R1)."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        routes: Mapping[str, tuple[str, ...]],
        retry: RetryPolicy,
        random_source: random.Random,
    ) -> None:
        self._providers = providers
        self._retry = retry
        self._random = random_source
        self._routes = {model: tuple(self._target(name) for name in names) for model, names in routes.items()}

    @property
    def models(self) -> tuple[str, ...]:
        """The public names, in the order of the configuration; the first is the default."""
        return tuple(self._routes)

    def resolve(self, model: str) -> tuple[Target, ...]:
        """The targets of `model`, best first. Raises `ModelNotFoundError`."""
        targets = self._routes.get(model)
        return targets if targets is not None else (self._target(model),)

    def retry_delay(self, error: ProviderError, attempt: int) -> float | None:
        """Seconds to wait before the same target is tried again after its `attempt`-th try, or None: do not.

        Exponential backoff with full jitter (Brooker, AWS Architecture Blog, 2015). A target that was silent is not
        asked again; a Retry-After is waited for if it is within the bound.
        """
        policy = self._retry
        if not error.retryable or attempt >= policy.max_attempts or isinstance(error, ProviderTimeoutError):
            return None
        delay = self._random.uniform(0.0, min(policy.max_delay, policy.base_delay * 2 ** (attempt - 1)))
        least = error.retry_after or 0.0
        return max(delay, least) if least <= policy.max_delay else None

    @staticmethod
    def fails_over(error: ProviderError) -> bool:
        """Whether another target might do better: not if the request itself was refused."""
        return error.retryable or isinstance(error, ProviderAuthenticationError | ProviderModelNotFoundError)

    def _target(self, name: str) -> Target:
        provider_name, slash, model = name.partition("/")
        provider = self._providers.get(provider_name)
        if provider is None or not slash or not model:
            raise ModelNotFoundError("No such model.", details={"param": "model"})
        return Target(provider, provider_name, model)
