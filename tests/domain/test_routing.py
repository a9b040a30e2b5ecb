"""Routes, retries and what fails over (R1)."""

import random

import pytest

from adapters.memory.clock import SystemClock
from adapters.providers.demo import DemoProvider
from domain.errors import (
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderModelNotFoundError,
    ProviderRateLimitedError,
    ProviderRequestError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from domain.services.routing import RetryPolicy, Router


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
        delays = [one.retry_delay(ProviderUnavailableError("x"), attempt) for _ in range(500)]
        known = [delay for delay in delays if delay is not None]
        assert len(known) == 500
        assert max(known) <= most
        assert max(known) > 0.9 * most
        assert min(known) < 0.1 * most


def test_retry_after_is_honoured_within_the_bound_r1() -> None:
    limited = ProviderRateLimitedError("x", details={"retry_after": 5})
    assert router(base_delay=0.0).retry_delay(limited, 1) == 5.0
    assert router(max_delay=4.0).retry_delay(limited, 1) is None


def test_what_is_not_tried_again_on_the_same_target_r1() -> None:
    one = router(max_attempts=2)
    assert one.retry_delay(ProviderConnectionError("x"), 1) is not None
    assert one.retry_delay(ProviderConnectionError("x"), 2) is None
    for error in (ProviderTimeoutError("x"), ProviderRequestError("x"), ProviderAuthenticationError("x")):
        assert one.retry_delay(error, 1) is None


def test_what_another_target_might_do_better_r1() -> None:
    ours = (ProviderUnavailableError, ProviderTimeoutError, ProviderAuthenticationError, ProviderModelNotFoundError)
    assert all(Router.fails_over(better("x")) for better in ours)
    assert not Router.fails_over(ProviderRequestError("x"))
