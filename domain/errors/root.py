"""The root of every error that Headgate raises."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, Self

Scalar = str | int | float | bool | None


class SSEBaseError(Exception):
    """Something that went wrong, fit to be logged and to be shown to the caller.

    `message` and `details` never hold a prompt, an answer or a secret; `details` holds scalars only.
    `code` is stable and is what clients should test; `retryable` says whether the same request may pass later.
    """

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, thread_id: str | None = None, details: Mapping[str, Scalar] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.thread_id = thread_id
        self.details: Mapping[str, Scalar] = MappingProxyType(dict(details or {}))

    @classmethod
    def from_exception(
        cls,
        cause: BaseException,
        message: str | None = None,
        *,
        thread_id: str | None = None,
        details: Mapping[str, Scalar] | None = None,
    ) -> Self:
        """An error of this class that names the type of its cause, never its text: a vendor's text may hold secrets."""
        kind = type(cause).__name__
        return cls(
            message or f"{cls.__name__} after {kind}", thread_id=thread_id, details={"cause": kind, **(details or {})}
        )

    @property
    def retry_after(self) -> float | None:
        """Seconds after which a retry makes sense, where that is known."""
        value = self.details.get("retry_after")
        return float(value) if isinstance(value, int | float) else None

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.message!r}, code={self.code!r}, retryable={self.retryable}, "
            f"thread_id={self.thread_id!r}, details={dict(self.details)!r})"
        )

    def __reduce__(self) -> tuple[Callable[..., "SSEBaseError"], tuple[object, ...]]:
        return _rebuild, (type(self), self.message, self.thread_id, dict(self.details))


def _rebuild(cls: type[SSEBaseError], message: str, thread_id: str | None, details: dict[str, Scalar]) -> SSEBaseError:
    return cls(message, thread_id=thread_id, details=details)
