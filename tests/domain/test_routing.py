"""Routes, retries, and the table of what goes where (R1)."""

import random
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from adapters.memory.clock import SystemClock
from adapters.providers.demo import DemoProvider
from domain import errors
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
from domain.model import CompletionRequest, Message, Place
from domain.services import routing
from domain.services.routing import REACTIONS, Retry, RetryPolicy, Router, Then
from domain.services.targets import Target


def router(**policy: float) -> Router:
    demo = DemoProvider("demo", SystemClock())
    routes = {"fast": ("demo/a", "demo/b/with/slashes"), "slow": ("demo/c",)}
    return Router({"demo": demo}, routes, RetryPolicy(**policy), random.Random(7))  # type: ignore[arg-type]


def test_a_route_is_its_targets_in_order_and_a_target_is_itself() -> None:
    assert [target.name for target in router().resolve("fast")] == ["demo/a", "demo/b/with/slashes"]
    assert [target.name for target in router().resolve("demo/any")] == ["demo/any"]
    assert router().models == ("fast", "slow")


@pytest.mark.parametrize("model", ["", "nope", "demo", "demo/", "/a", "other/a"])
def test_anything_else_is_not_found_and_not_repeated(model: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        router().resolve(model)
    assert str(caught.value) == "No such model."


def test_backoff_has_full_jitter_under_its_bounds_r1() -> None:
    one = router(max_attempts=10, base_delay=1.0, max_delay=8.0)
    for attempt, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (9, 8.0)):
        delays = [one.retry_delay(ProviderUnavailableError("x"), attempt, 100.0, last=False) for _ in range(500)]
        known = [delay for delay in delays if delay is not None]
        assert len(known) == 500
        assert max(known) <= most
        assert max(known) > 0.9 * most
        assert min(known) < 0.1 * most


def test_retry_after_is_honoured_within_the_bound_and_the_deadline_r1() -> None:
    limited = ProviderRateLimitedError("x", details={"retry_after": 5})
    assert router(base_delay=0.0).retry_delay(limited, 1, 100.0, last=False) == 5.0
    assert router(max_delay=4.0).retry_delay(limited, 1, 100.0, last=True) is None
    assert (
        router(base_delay=0.0).retry_delay(limited, 1, 5.0, last=True) is None
    )  # there would be no time left to answer


def test_a_target_has_so_many_attempts_r1() -> None:
    one = router(max_attempts=2)
    for last in (True, False):
        assert one.retry_delay(ProviderUnavailableError("x"), 1, 100.0, last=last) is not None
        assert one.retry_delay(ProviderUnavailableError("x"), 2, 100.0, last=last) is None


CODE = "context_length_exceeded"
ROWS: list[tuple[type[ProviderError], str | None, Retry, Then]] = [
    (ProviderRateLimitedError, None, Retry.YES, Then.NEXT),
    (ProviderUnavailableError, None, Retry.YES, Then.NEXT),
    (ProviderConnectionError, None, Retry.LAST, Then.NEXT),
    (NoConnectionLeftError, None, Retry.LAST, Then.NEXT),
    (NoRoomLeftError, None, Retry.NO, Then.NEXT),
    (ProviderTruncatedError, None, Retry.YES, Then.NEXT),
    (ProviderAnswerTooLargeError, None, Retry.NO, Then.NEXT),
    (ProviderResponseError, None, Retry.YES, Then.NEXT),
    (ProviderTimeoutError, None, Retry.NO, Then.NEXT),
    (ProviderAuthenticationError, None, Retry.NO, Then.NEXT),
    (ProviderModelNotFoundError, None, Retry.NO, Then.NEXT),
    (ProviderRequestError, CODE, Retry.NO, Then.FITTING),
    (ProviderRequestError, "request_too_large", Retry.NO, Then.FITTING),
    (ProviderRequestError, "string_above_max_length", Retry.NO, Then.FITTING),
    (ProviderRequestError, "unsupported_parameter", Retry.NO, Then.NEXT),
    (ProviderRequestError, "unsupported_value", Retry.NO, Then.NEXT),
    (ProviderRequestError, None, Retry.NO, Then.CALLER),
    (ProviderError, None, Retry.YES, Then.NEXT),
]


@pytest.mark.parametrize("code", ["content_policy_violation", "content_filter", "invalid_prompt"])
def test_a_content_refusal_is_passed_on_as_it_is_r1(code: str) -> None:
    """Whatever the length of the request: the code says that it is not that."""
    error = ProviderRequestError("x", details={"status": 400, "provider_code": code})
    failed, *rest = sized(1_000, 2_000)
    assert router().retry_delay(error, 1, 100.0, last=True) is None
    assert Router.after(error, failed, rest, asked(max_tokens=1_000)) == ()


class Model(NamedTuple):
    context_tokens: int
    prefill: bool = False
    tools: bool = True
    vision: bool = True


def sized(*contexts: int | None) -> tuple[Target, ...]:
    """Targets that are named by how much they take."""
    demo = DemoProvider("demo", SystemClock())
    return tuple(Target(demo, "demo", str(tokens), None if tokens is None else Model(tokens)) for tokens in contexts)


def route(*places: str | Place, **known: Model) -> Router:
    """A route `m` of the demo's models, of which this is known."""
    routes = {"m": [place if isinstance(place, Place) else f"demo/{place}" for place in places]}
    demo = {"demo": DemoProvider("demo", SystemClock())}
    return Router(demo, routes, RetryPolicy(), random.Random(7), lambda name: known.get(name.removeprefix("demo/")))


def asked(content: object = "hi", **options: object) -> CompletionRequest:
    return CompletionRequest("m", [Message("user", content)], options)  # type: ignore[arg-type]


def chosen(router: Router, request: CompletionRequest) -> list[str]:
    """The models that are tried, in order."""
    return [target.model for target in router.choose(request)]


IMAGE = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]


def test_targets_that_cannot_serve_a_request_are_passed_over_r1() -> None:
    small, blunt, blind = Model(1_000), Model(0, tools=False), Model(9_000, vision=False)
    router = route("small", "blunt", "blind", "unknown", small=small, blunt=blunt, blind=blind)
    assert chosen(router, asked()) == ["small", "blunt", "blind", "unknown"]
    assert chosen(router, asked("x" * 4_000)) == ["blunt", "blind", "unknown"]
    assert chosen(router, asked(max_tokens=1_000)) == ["small", "blunt", "blind", "unknown"]
    assert chosen(router, asked(max_tokens=1_001)) == ["blunt", "blind", "unknown"]
    assert chosen(router, asked(tools=[{"type": "function"}])) == ["small", "blind", "unknown"]
    assert chosen(router, asked(IMAGE, max_tokens=1)) == ["blunt", "unknown"]


def test_if_no_target_can_serve_it_all_are_asked_r1() -> None:
    router = route("a", "b", a=Model(10), b=Model(1))
    assert chosen(router, asked("x" * 4_000)) == ["a", "b"]
    assert chosen(route("a", a=Model(1)), asked()) == ["a"]


def test_neighbours_with_weights_share_the_requests_r1() -> None:
    router = route("first", Place("demo/nine", 9), Place("demo/one", 1), "last")
    orders = Counter(tuple(chosen(router, asked())) for _ in range(2_000))
    assert orders.keys() == {("first", "nine", "one", "last"), ("first", "one", "nine", "last")}
    assert 150 < orders["first", "one", "nine", "last"] < 250


@pytest.mark.parametrize(("kind", "code", "retried", "then"), ROWS)
def test_each_error_goes_where_its_row_says_r1(
    kind: type[ProviderError], code: str | None, retried: Retry, then: Then
) -> None:
    error = kind("x", details={"provider_code": code})
    assert (router().retry_delay(error, 1, 100.0, last=True) is None) == (retried is Retry.NO)
    assert (router().retry_delay(error, 1, 100.0, last=False) is None) == (retried is not Retry.YES)
    failed, *rest = sized(10, 5, 10, 20, None)
    names = [target.model for target in Router.after(error, failed, rest, asked(max_tokens=1))]
    assert names == {Then.NEXT: ["5", "10", "20", "None"], Then.FITTING: ["10", "20", "None"], Then.CALLER: []}[then]
    unknown, *rest = sized(None, 5, None)
    if then is Then.FITTING:  # nothing is known to be smaller than what is not known
        assert Router.after(error, unknown, rest, asked(max_tokens=1)) == rest


@pytest.mark.parametrize("code", [None, "invalid_request_error", "INVALID_ARGUMENT", "400"])
def test_a_refusal_that_says_nothing_may_be_for_the_length_r1(code: str | None) -> None:
    """Anthropic and Gemini have no code for that: if the request fills half of the target, one not smaller is asked."""
    failed, *rest = sized(2_000, 1_000, 4_000, None)
    vague = ProviderRequestError("x", details={"status": 400, "provider_code": code})
    assert [target.model for target in Router.after(vague, failed, rest, asked(max_tokens=1_000))] == ["4000", "None"]
    assert Router.after(vague, failed, rest, asked(max_tokens=999)) == ()
    unknown, *rest = sized(None, 4_000)
    assert Router.after(vague, unknown, rest, asked(max_tokens=10**6)) == ()


@pytest.mark.parametrize("details", [{"status": 400, "provider_code": "content_filter"}, {"status": 422}, {}])
def test_a_refusal_that_says_why_is_for_the_caller_however_long_the_request_r1(details: dict[str, Any]) -> None:
    failed, *rest = sized(2_000, 4_000)
    assert Router.after(ProviderRequestError("x", details=details), failed, rest, asked(max_tokens=2_000)) == ()


def test_the_rows_are_the_table_and_the_table_is_on_the_page() -> None:
    assert [(row.error, row.code, row.retry, row.then) for row in REACTIONS] == ROWS
    page = (Path(__file__).parents[2] / "docs" / "failures.md").read_text()
    for row in REACTIONS:
        name = f"`{row.error.__name__}`" + (f" with `{row.code}`" if row.code else "")
        assert f"| {name} | {row.retry} | {row.then} |" in page


def test_every_error_of_a_provider_is_in_the_table() -> None:
    kinds = {row.error for row in REACTIONS}
    assert {
        cls for cls in errors.__dict__.values() if isinstance(cls, type) and issubclass(cls, ProviderError)
    } == kinds


def test_a_target_of_which_nothing_is_known_is_smaller_than_any_that_is_known_r1() -> None:
    unknown, known = sized(None, 1)
    too_long = ProviderRequestError("x", details={"provider_code": CODE})
    assert Router.after(too_long, unknown, [known], asked()) == [known]
    assert not unknown.prefill


def test_of_the_models_that_callers_name_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "MAX_TARGETS", 2)
    one = router()
    first = one.resolve("demo/1")
    assert one.resolve("demo/1") == first
    for number in range(5):
        assert [target.name for target in one.resolve(f"demo/{number}")] == [f"demo/{number}"]
    assert len(one._known) <= 2
