"""Errors: what they carry, what they survive, and what is never in them (P1)."""

import copy
import pickle
from collections.abc import Iterator

import pytest

from domain import errors
from domain.errors import CacheConnectionError, ProviderTimeoutError, Scalar, SSEBaseError


def family(root: type[SSEBaseError]) -> Iterator[type[SSEBaseError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__.startswith("domain."):
            yield from family(child)


ALL = list(family(SSEBaseError))
DETAILS: dict[str, Scalar] = {"provider": "openai", "seconds": 30, "share": 0.5, "first": True, "none": None}


@pytest.mark.parametrize("cls", ALL)
def test_every_class_is_exported_documented_and_has_a_code_of_its_own(cls: type[SSEBaseError]) -> None:
    assert getattr(errors, cls.__name__) is cls
    assert cls.__doc__
    assert cls.code == cls.code.lower()
    assert [other for other in ALL if other.code == cls.code] == [cls]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    def draw(cls: type[SSEBaseError], depth: int) -> list[str]:
        own = [child for child in cls.__subclasses__() if child.__module__.startswith("domain.")]
        return ["    " * depth + cls.__name__, *(line for child in own for line in draw(child, depth + 1))]

    drawn = (errors.__doc__ or "").strip().splitlines()[2:]
    assert sorted(drawn) == sorted(draw(SSEBaseError, 0))


@pytest.mark.parametrize("cls", ALL)
def test_pickling_and_copying_keep_everything(cls: type[SSEBaseError]) -> None:
    error = cls("What happened.", thread_id="t_1", details=DETAILS)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is cls
        assert (other.message, other.thread_id, dict(other.details)) == ("What happened.", "t_1", DETAILS)
        assert str(other) == "What happened."
        assert repr(other) == repr(error)


def test_the_repr_is_useful() -> None:
    error = ProviderTimeoutError("Silent.", thread_id="t_1", details={"seconds": 30})
    assert repr(error) == (
        "ProviderTimeoutError('Silent.', code='provider_timeout', retryable=True, "
        "thread_id='t_1', details={'seconds': 30})"
    )


def test_details_are_read_only() -> None:
    error = SSEBaseError("x", details={"a": 1})
    with pytest.raises(TypeError):
        error.details["a"] = 2  # type: ignore[index]


def test_a_cause_is_named_by_its_type_never_by_its_text_p1() -> None:
    cause = ConnectionError("redis://user:planted-secret@host")
    error = CacheConnectionError.from_exception(cause, thread_id="t_1", details={"operation": "get"})
    assert dict(error.details) == {"cause": "ConnectionError", "operation": "get"}
    assert error.message == "CacheConnectionError after ConnectionError"
    assert "planted-secret" not in repr(error)
    assert CacheConnectionError.from_exception(cause, "Redis is away.").message == "Redis is away."


@pytest.mark.parametrize(("value", "expected"), [(None, None), (5, 5.0), (0.5, 0.5), ("soon", None)])
def test_retry_after_is_a_number_of_seconds_or_nothing(value: object, expected: float | None) -> None:
    assert SSEBaseError("x", details={"retry_after": value}).retry_after == expected  # type: ignore[dict-item]


def test_catching_a_family_catches_its_members() -> None:
    """The use that other teams make of it: catch by family, log `thread_id` and `details`."""
    with pytest.raises(errors.CacheError) as caught:
        raise CacheConnectionError("Redis is away.", thread_id="t_9", details={"operation": "get"})
    assert (caught.value.thread_id, caught.value.details["operation"]) == ("t_9", "get")


def test_a_wrong_request_points_at_its_parameter() -> None:
    error = errors.InvalidTypeError.at("messages.0.role", "Must be a string.")
    assert (type(error), error.message, dict(error.details)) == (
        errors.InvalidTypeError,
        "Must be a string.",
        {"param": "messages.0.role"},
    )
