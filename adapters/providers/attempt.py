"""Whose call it is: what every error of one attempt carries."""

from typing import NamedTuple, TypeVar

from adapters.masking import NO_MASKING, Masking
from domain.errors import ProviderError, Scalar

E = TypeVar("E", bound=ProviderError)


class Attempt(NamedTuple):
    """One call of one provider, as its errors name it: no host, no URL, no key."""

    provider: str
    thread_id: str
    masking: Masking = NO_MASKING
    """Masks what is ours in the provider's words."""

    def error(self, kind: type[E], message: str, **details: Scalar) -> E:
        """An error of `kind` that names this attempt."""
        return kind(message, thread_id=self.thread_id, details={"provider": self.provider, **details})
