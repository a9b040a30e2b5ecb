"""Redaction's properties: it never raises, repeats without effect, is bounded, and no planted secret survives (P1)."""

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.observability.redaction import Redactor
from adapters.observability.redaction_text import LONGEST_TEXT
from tests.adapters.redaction_ids_planted import iban, ssn
from tests.adapters.redaction_keys_planted import VENDOR_KEYS
from tests.adapters.redaction_values import card, email, international_phone
from tests.adapters.redaction_vendors_planted import MORE_VENDOR_KEYS

RNG = random.Random(7)
SECRETS = sorted(
    {make(RNG) for make in (VENDOR_KEYS | MORE_VENDOR_KEYS).values() for _ in range(5)}
    | {make(RNG) for make in (card, email, international_phone, iban, ssn) for _ in range(100)}
)
secrets = st.sampled_from(SECRETS)
# Texts that come near to what the patterns look for find more than texts of any characters.
PIECES = (
    "@",
    "+",
    "%40",
    "\\u0040",
    "sk-",
    "eyJ",
    "Bearer ",
    "password=",
    "token: ",
    '"',
    "'",
    "://",
    "?key=",
    "4111",
    " ",
    "-",
    ".",
    "(",
    ")",
    "0",
    "00",
    "+1",
    "\n",
    "\\n",
    "[REDACTED:key]",
    "a",
    "Z",
    "9",
    "example.com",
    "cookie: ",
    "{",
    "}",
    ",",
    ":",
    "415",
    "İ",
    "\ud800",
    "é",
    "phone ",
    "_",
    "DE89",
    "3704",
    "iban=",
    "123-45-",
    "ssn ",
    "sk_live_",
    "AC",
    "\x1b[31m",
    "m",
)
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.binary(), st.dates(), st.uuids())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(texts, inner, max_size=4),
        st.tuples(inner, inner),
        st.frozensets(st.integers() | texts, max_size=4),
    ),
    max_leaves=15,
)


@settings(max_examples=400)
@given(texts)
def test_a_text_is_redacted_once_and_for_all(text: str) -> None:
    redactor = Redactor()
    once = redactor.text(text)
    assert redactor.text(once) == once
    assert Redactor().text(once) == once
    assert len(once) <= min(LONGEST_TEXT, 16 * len(text))


@settings(max_examples=300)
@example({f"{'0' * 40}?KEY={'0' * 80}\\COOKIE": 0})
@given(values)
def test_a_value_is_redacted_once_and_for_all(value: object) -> None:
    redactor = Redactor()
    once = redactor.value(value)
    assert repr(redactor.value(once)) == repr(once)


@settings(max_examples=100)
@example("seven words and more", 0)
@example("", 200)
@example("", 10_000)
@given(texts, st.integers(0, 300))
def test_what_a_secret_s_name_of_any_length_names_does_not_survive(before: str, dashes: int) -> None:
    """P1: what the name ends with tells, and separators are no part of it."""
    assert "Saturday" not in repr(Redactor().value({f"{before * 20}_api_key{'-' * dashes}": "Saturday"}))


@settings(max_examples=400)
@given(texts, secrets, texts)
def test_a_secret_in_a_text_does_not_survive(before: str, secret: str, after: str) -> None:
    """P1."""
    assert secret not in Redactor().text(f"{before} {secret} {after}")


@settings(max_examples=400)
@given(secrets, st.lists(st.integers(0, 9), max_size=6), texts)
def test_a_secret_in_any_nesting_does_not_survive(secret: str, wrappings: list[int], name: str) -> None:
    """P1."""
    value: object = secret
    for kind in wrappings:
        value = _wrapped(value, kind, name)
    for shown in (Redactor().value(value), Redactor()(None, "info", {"event": "x", "field": value})):
        assert secret not in repr(shown)
        assert secret not in str(shown)


def _wrapped(value: object, kind: int, name: str) -> object:
    match kind:
        case 0:
            return [value, 1]
        case 1:
            return (name, value)
        case 2:
            return {name: value}
        case 3:
            return {repr(value): name}
        case 4:
            return str(value).encode("utf-8", "replace")
        case 5:
            return ValueError(value)
        case 6:
            outer = KeyError(name)
            outer.__cause__ = RuntimeError(str(value))
            return outer
        case 7:
            return frozenset({str(value)})
        case 8:
            return {"a": {"b": value}}
        case _:
            return f"args={value!r} n={len(name)}"
