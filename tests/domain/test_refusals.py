"""A limiter's refusal as the details of an error, and back."""

from hypothesis import given
from hypothesis import strategies as st

from domain.model import Quota, Verdict
from domain.services.refusals import refusal, refusal_details


@given(
    requests=st.none() | st.builds(Quota, st.integers(1), st.just(60), st.integers(0), st.floats(0, 1e6)),
    tokens=st.none() | st.builds(Quota, st.integers(1), st.just(60), st.integers(0), st.floats(0, 1e6)),
    retry_after=st.none() | st.integers(1),
)
def test_an_error_carries_a_refusal_whole(
    requests: Quota | None, tokens: Quota | None, retry_after: int | None
) -> None:
    verdict = Verdict(admitted=False, requests=requests, tokens=tokens, retry_after=retry_after)
    assert refusal(refusal_details(verdict)) == verdict


def test_details_that_say_nothing_of_limits_are_a_refusal_of_which_nothing_is_known() -> None:
    assert refusal({"tokens": 5}) == Verdict(admitted=False)
