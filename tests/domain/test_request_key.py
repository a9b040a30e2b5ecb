"""The cache key covers what can change an answer and nothing else (K2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import domain.services.request_key
from domain.model import CompletionRequest, Message
from domain.services.request_key import IGNORED
from domain.services.request_key import request_key as key_of

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


def request_key(tenant: str, request: CompletionRequest) -> str:
    """The key, made without a loop: nobody else is there to have a turn."""
    making = key_of(tenant, request)
    while True:
        try:
            making.send(None)
        except StopIteration as done:
            return str(done.value)


def asked(**options: object) -> CompletionRequest:
    return CompletionRequest("fast", [Message("user", "hi")], options)  # type: ignore[arg-type]


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5), st.randoms())
def test_the_order_of_fields_does_not_matter_k2(options: dict[str, object], shuffler: object) -> None:
    names = list(options)
    shuffler.shuffle(names)  # type: ignore[attr-defined]
    assert request_key("t", asked(**options)) == request_key("t", asked(**{name: options[name] for name in names}))


def test_equal_numbers_are_equal_k2() -> None:
    assert request_key("t", asked(temperature=1)) == request_key("t", asked(temperature=1.0))
    assert request_key("t", asked(stop=[{"a": 2.0}])) == request_key("t", asked(stop=[{"a": 2}]))
    assert request_key("t", asked(logprobs=True)) != request_key("t", asked(logprobs=1))


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_what_cannot_matter_is_left_out_k2(name: str) -> None:
    assert request_key("t", asked(**{name: "x"})) == request_key("t", asked())


@given(st.text(min_size=1, max_size=8).filter(lambda name: name not in IGNORED), json_values)
def test_every_other_field_matters_k2(name: str, value: object) -> None:
    assert request_key("t", asked(**{name: value})) != request_key("t", asked())


def test_tenant_model_and_every_part_of_a_message_matter_k2() -> None:
    variants = [
        ("t", CompletionRequest("fast", [Message("user", "hi")])),
        ("u", CompletionRequest("fast", [Message("user", "hi")])),
        ("t", CompletionRequest("slow", [Message("user", "hi")])),
        ("t", CompletionRequest("fast", [Message("system", "hi")])),
        ("t", CompletionRequest("fast", [Message("user", "hi!")])),
        ("t", CompletionRequest("fast", [Message("user", None)])),
        ("t", CompletionRequest("fast", [Message("user", [{"type": "text", "text": "hi"}])])),
        ("t", CompletionRequest("fast", [Message("user", "hi", {"name": "x"})])),
        ("t", CompletionRequest("fast", [Message("user", "hi"), Message("user", "hi")])),
        ("t", CompletionRequest("fast", [Message("user", "\ud800")])),
    ]
    assert len({request_key(*variant) for variant in variants}) == len(variants)


@given(json_values, st.integers(1, 4), st.integers(1, 4))
def test_a_key_is_the_same_however_it_is_made_k2_g6(value: object, step: int, piece: int) -> None:
    """At once, or in steps of any length."""
    one = asked(value=value, text="a text with pieces")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain.services.request_key, "PIECE", piece)
        at_once = request_key("t", one)
        patch.setattr(domain.services.request_key, "STEP", step)
        assert request_key("t", one._replace(size=1 << 24)) == at_once


def test_a_long_text_is_no_list_of_its_pieces_k2() -> None:
    long = "a" * (2 * domain.services.request_key.PIECE)
    half = long[: domain.services.request_key.PIECE]
    assert len({request_key("t", asked(x=value)) for value in (long, [half, half], half, long + "a")}) == 4
