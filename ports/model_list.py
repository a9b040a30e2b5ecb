"""The model list port: an optional power of a provider."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class ModelList(Protocol):
    """A provider that can say which models it has."""

    @abstractmethod
    async def list_models(self) -> Sequence[str]:
        """The provider's own names of its models, as calls take them; spends no tokens.

        Raises a `ProviderError`. A caller that does not want to wait cancels it.
        """
