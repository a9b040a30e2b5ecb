"""The table of model families: found by the longest prefix."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.capabilities import FAMILIES, Reasoning, capabilities


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-sonnet-4-5", "claude-sonnet-4"),
        ("claude-opus-5-5", "claude-opus-5"),
        ("claude-something-new", "claude"),
        ("anthropic/claude-haiku-4-5", "claude-haiku-4"),
        ("models/gemini-2.5-flash-lite", "gemini-2.5"),
        ("Gemini-3.1-pro-preview", "gemini"),
        ("gpt-4o-mini", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("o3-mini-2025-01-31", "o3-mini"),
    ],
)
def test_the_longest_prefix_wins(model: str, family: str) -> None:
    assert capabilities(model) is FAMILIES[family]


@pytest.mark.parametrize("model", ["", "llama-3", "my-claude", "claude/llama-3"])
def test_of_other_models_nothing_is_known(model: str) -> None:
    assert capabilities(model) is None


@given(st.sampled_from(sorted(FAMILIES)), st.text(st.characters(exclude_characters="/"), max_size=20))
def test_any_member_of_a_family_has_a_row_at_least_as_special(family: str, rest: str) -> None:
    row = capabilities(f"{family}{rest}")
    special = [prefix for prefix in FAMILIES if prefix.startswith(family) and FAMILIES[prefix] is row]
    assert row is FAMILIES[family] or special


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_makes_sense(family: str) -> None:
    row = FAMILIES[family]
    assert 0 < row.output_tokens <= row.context_tokens
    assert family == family.lower()
    assert "/" not in family


def test_r6_who_goes_on_from_a_partial_answer() -> None:
    """Anthropic's models before 4.6 do; a later one answers 400."""
    takes = {model: (capabilities(model) or FAMILIES["claude"]).prefill for model in ("claude-haiku-4-5", "claude-3-5")}
    refuses = {model: (capabilities(model) or FAMILIES["claude"]).prefill for model in ("claude-opus-4-6", "gpt-4o")}
    assert all(takes.values())
    assert not any(refuses.values())


def test_how_families_are_told_to_think() -> None:
    words = {name: FAMILIES[name].reasoning for name in ("claude-3", "claude-sonnet-4", "claude-opus-5", "gemini-2.5")}
    assert words == {
        "claude-3": Reasoning.NONE,
        "claude-sonnet-4": Reasoning.BUDGET,
        "claude-opus-5": Reasoning.EFFORT,
        "gemini-2.5": Reasoning.BUDGET,
    }
