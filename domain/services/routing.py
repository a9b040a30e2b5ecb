"""Which targets serve a model, in what order, and what a failed attempt means for the next."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from domain.errors import (
    ModelNotFoundError,
    NoConnectionLeftError,
    NoRoomLeftError,
    ProviderAnswerTooLargeError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderTruncatedError,
    ProviderUnavailableError,
)
from domain.model import CompletionRequest, Place
from domain.services.estimate import estimate_tokens
from domain.services.targets import Capabilities, Target, able, shuffled
from ports.provider import Provider

_VAGUE = frozenset({None, "400", "invalid_request_error", "INVALID_ARGUMENT"})
"""Codes of providers that say no more than the status 400 does."""
MAX_TARGETS = 1_000
"""Callers may name any model of a provider: so many are remembered."""


class Retry(StrEnum):
    """Whether the same target is asked again."""

    YES = "yes"
    NO = "no"
    LAST = "if no other is left"
    """Another target is the better try, and no slower."""


class Then(StrEnum):
    """Who is next when a target is done with."""

    NEXT = "next target"
    FITTING = "next target that is not known to be smaller"
    CALLER = "caller"


class Reaction(NamedTuple):
    """A row of the table: what an error of this class, and of this code of the provider's, leads to.

    `retry`: the same target is asked again, as long as nothing of its answer has come.
    """

    error: type[ProviderError]
    code: str | None
    retry: Retry
    then: Then


# The first row that fits an error counts, so that a class stands above its parents. After the first event `then` says
# who rescues the answer (R6).
REACTIONS: Sequence[Reaction] = (
    Reaction(ProviderRateLimitedError, None, retry=Retry.YES, then=Then.NEXT),
    Reaction(ProviderUnavailableError, None, retry=Retry.YES, then=Then.NEXT),
    Reaction(ProviderConnectionError, None, retry=Retry.LAST, then=Then.NEXT),
    Reaction(NoConnectionLeftError, None, retry=Retry.LAST, then=Then.NEXT),
    Reaction(NoRoomLeftError, None, retry=Retry.NO, then=Then.NEXT),
    Reaction(ProviderTruncatedError, None, retry=Retry.YES, then=Then.NEXT),
    Reaction(ProviderAnswerTooLargeError, None, retry=Retry.NO, then=Then.NEXT),
    Reaction(ProviderResponseError, None, retry=Retry.YES, then=Then.NEXT),
    Reaction(ProviderTimeoutError, None, retry=Retry.NO, then=Then.NEXT),
    Reaction(ProviderAuthenticationError, None, retry=Retry.NO, then=Then.NEXT),
    Reaction(ProviderModelNotFoundError, None, retry=Retry.NO, then=Then.NEXT),
    Reaction(ProviderRequestError, "context_length_exceeded", retry=Retry.NO, then=Then.FITTING),
    Reaction(ProviderRequestError, "request_too_large", retry=Retry.NO, then=Then.FITTING),
    Reaction(ProviderRequestError, "string_above_max_length", retry=Retry.NO, then=Then.FITTING),
    Reaction(ProviderRequestError, "unsupported_parameter", retry=Retry.NO, then=Then.NEXT),
    Reaction(ProviderRequestError, "unsupported_value", retry=Retry.NO, then=Then.NEXT),
    Reaction(ProviderRequestError, None, retry=Retry.NO, then=Then.CALLER),
    Reaction(ProviderError, None, retry=Retry.YES, then=Then.NEXT),
)


def reaction(error: ProviderError) -> Reaction:
    """The row of an error (R1)."""
    code = error.details.get("provider_code")
    return next(row for row in REACTIONS if isinstance(error, row.error) and row.code in (None, code))


def of_target_alone(error: ProviderError) -> bool:
    """Whether another target may well take the same request: what was found is an operator's mistake, or something that
    this model does not take."""
    then = reaction(error).then
    return isinstance(error, (ProviderAuthenticationError, ProviderRequestError)) and then is Then.NEXT


def _too_long(error: ProviderError, failed: Target, request: CompletionRequest) -> bool:
    """Whether a refusal that does not say why may be for the length: the request fills half of the target, by estimate.

    Anthropic and Gemini have no code of their own for it, and what an error says in words is not read.
    """
    vague = error.details.get("status") == 400 and error.details.get("provider_code") in _VAGUE
    return vague and 0 < failed.context_tokens <= 2 * estimate_tokens(request)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one target is tried, and the bounds of the wait between tries (seconds)."""

    max_attempts: int = 3
    base_delay: float = 1.0
    max_delay: float = 30.0


def _unknown(_: str) -> None:
    return None


class Router:
    """Turns a public model name into targets, and a failure into what comes next (R1)."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        routes: Mapping[str, Sequence[str | Place]],
        retry: RetryPolicy,
        random_source: random.Random,
        capabilities: Callable[[str], Capabilities | None] = _unknown,
    ) -> None:
        self._providers = providers
        self._retry = retry
        self._random = random_source
        self._capabilities = capabilities
        self._known: dict[str, Target] = {}
        self._routes = {model: tuple(map(self._place, places)) for model, places in routes.items()}

    @property
    def models(self) -> tuple[str, ...]:
        """The public names, in the order of the configuration; the first is the default."""
        return tuple(self._routes)

    def resolve(self, model: str) -> Sequence[Target]:
        """The targets of `model`, as they are configured. Raises `ModelNotFoundError`."""
        targets = self._routes.get(model)
        return targets if targets is not None else (self._target(model),)

    def choose(self, request: CompletionRequest) -> Sequence[Target]:
        """Those of its model's targets that can serve it, in the order in which they are tried."""
        targets = self.resolve(request.model)
        return targets if len(targets) == 1 else shuffled(able(targets, request), self._random.random)

    def retry_delay(self, error: ProviderError, attempt: int, remaining: float, *, last: bool) -> float | None:
        """Seconds to wait before the same target is tried again after its `attempt`-th try, or None: do not.

        `last`: no other target is left.

        Exponential backoff with full jitter (Brooker, AWS Architecture Blog, 2015). A Retry-After is waited for if it
        is within the bound of a wait; nothing is that takes all the `remaining` seconds.
        """
        policy = self._retry
        retry = reaction(error).retry
        if retry is Retry.NO or (retry is Retry.LAST and not last) or attempt >= policy.max_attempts:
            return None
        delay = self._random.uniform(0.0, min(policy.max_delay, policy.base_delay * 2 ** (attempt - 1)))
        delay = max(delay, error.retry_after or 0.0)
        return delay if delay <= policy.max_delay and delay < remaining else None

    @staticmethod
    def after(
        error: ProviderError, failed: Target, rest: Sequence[Target], request: CompletionRequest
    ) -> Sequence[Target]:
        """Those of the `rest` of a route that may do better with the `request` than the `failed` target."""
        then = reaction(error).then
        if then is Then.FITTING or (then is Then.CALLER and _too_long(error, failed, request)):
            return [target for target in rest if not 0 < target.context_tokens < failed.context_tokens]
        return rest if then is Then.NEXT else ()

    def _place(self, place: str | Place) -> Target:
        if isinstance(place, str):
            return self._target(place)
        return replace(self._target(place.target), weight=place.weight)

    def _target(self, name: str) -> Target:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= MAX_TARGETS:
                self._known.clear()
            known = self._known[name] = self._made(name)
        return known

    def _made(self, name: str) -> Target:
        provider_name, slash, model = name.partition("/")
        provider = self._providers.get(provider_name)
        if provider is None or not slash or not model:
            raise ModelNotFoundError("No such model.", details={"param": "model"})
        return Target(provider, provider_name, model, self._capabilities(name))
