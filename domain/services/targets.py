"""Targets: what is known of them, which of a route's can serve a request, and whose turn it is by weight."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from domain.model import CompletionRequest
from domain.services.estimate import estimate_tokens, has_images
from ports.provider import Provider


class Capabilities(Protocol):
    """What routing asks of a model."""

    @property
    @abstractmethod
    def context_tokens(self) -> int:
        """Prompt and answer together; 0 if that is not known."""

    @property
    @abstractmethod
    def tools(self) -> bool:
        """Whether it may call tools."""

    @property
    @abstractmethod
    def vision(self) -> bool:
        """Whether it looks at images."""

    @property
    @abstractmethod
    def prefill(self) -> bool:
        """Whether an answer goes on where a last message of the assistant ends."""


@dataclass(frozen=True, slots=True)
class Target:
    """One model of one provider. `capabilities` None: nothing is known of it."""

    provider: Provider
    provider_name: str
    model: str
    capabilities: Capabilities | None = None
    weight: int | None = None
    """Its share of the requests, beside neighbours of the route that have one too."""

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider_name}/{self.model}"

    @property
    def prefill(self) -> bool:
        """Whether it is known to go on from the beginning of an answer."""
        return self.capabilities is not None and self.capabilities.prefill

    @property
    def context_tokens(self) -> int:
        """Tokens of prompt and answer; 0 if that is not known."""
        return 0 if self.capabilities is None else self.capabilities.context_tokens


def able(targets: Sequence[Target], request: CompletionRequest) -> Sequence[Target]:
    """Those that can serve the request, by what is known of them.

    If that is none, all: what is known may be wrong, and the provider says better than we why it cannot.
    """
    tools = bool(request.options.get("tools") or request.options.get("functions"))
    images = any(has_images(message) for message in request.messages)
    tokens = estimate_tokens(request)

    def fits(target: Target) -> bool:
        known = target.capabilities
        if known is None:
            return True
        small = 0 < known.context_tokens < tokens
        return not small and (known.tools or not tools) and (known.vision or not images)

    return [target for target in targets if fits(target)] or targets


def shuffled(targets: Sequence[Target], chance: Callable[[], float]) -> Sequence[Target]:
    """Neighbours that have weights in an order by chance, each the more likely to be early the greater its weight.

    Source: P. Efraimidis, P. Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters
    97(5), 2006: by `u ** (1 / weight)`, greatest first. `chance` gives u, from 0 to 1.
    """
    order: list[Target] = []
    for weighted, neighbours in groupby(targets, lambda target: target.weight is not None):
        if weighted:
            order += sorted(neighbours, key=lambda target: -(chance() ** (1 / (target.weight or 1))))
        else:
            order += neighbours
    return order
