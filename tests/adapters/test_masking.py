"""What is ours in a provider's words is masked; everything else stays (R9, P2)."""

import time

import pytest

from adapters.masking import NO_MASKING, Masking, masking_of
from adapters.settings_rows import ProviderRow

KEY = "sk-ours-0123456789"
MASKING = Masking([KEY, "p@ss wörd/1", "abcd", "xy"], ["api.internal.example", "vllm"])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"Incorrect key: {KEY}.", "Incorrect key: ****."),
        ("at p%40ss%20w%C3%B6rd%2F1", "at ****"),
        ("user abcd, not abcde and not xy", "user ****, not abcde and not xy"),
        ("http://api.internal.example:8443/v1 and API.INTERNAL.EXAMPLE", "http://****/v1 and ****"),
        ("other.api.internal.example.org", "other.api.internal.example.org"),
        (
            "vllm failed at http://vllm:8000/v1, vllm:8000, host='vllm'",
            "vllm failed at http://****/v1, ****, host='****'",
        ),
        (
            "10.0.0.7:80 and [fe80::1] and ::1, at 12:30:45 or a::b:c.",
            "****:80 and [****] and ****, at 12:30:45 or ****.",
        ),
        ("sk-proj-abcdefgh12345678, org-AbC123xyz7, proj_a1b2c3d4", "****, ****, ****"),
        ("org-structure and sk-1 and Basic information and Bearer authentication", None),
        ("Authorization: Bearer abc.def123==", "Authorization: ****"),
        ("http://user:secret@proxy", "http://****@proxy"),
        ("arn:aws:iam::123456789012:user/x may not", "**** may not"),
        ("projects/123456789 lacks it", "**** lacks it"),
        ("max_tokens must be at most 4096; use 'max_completion_tokens' instead. 😀", None),
        ("std::vector, 1.5.2, 99.99.99.999", None),
    ],
)
def test_what_is_ours_is_masked_and_nothing_else(text: str, masked: str | None) -> None:
    assert MASKING.mask(text) == (text if masked is None else masked)


def test_the_rows_say_what_is_ours() -> None:
    row = ProviderRow.model_validate(
        {
            "kind": "openai",
            "base_url": "https://llm.corp.example/v1",
            "api_key": "key-planted-1",
            "headers": {"X-Team": "team-planted-2"},
            "query": {"sig": "sig-planted-3"},
            "proxy": "http://joe:pass-planted-4@proxy.corp.example:3128",
            "token": "other-planted-5",
            "more": {"deep": "deep-planted-6", "n": 1},
        }
    )
    text = (
        "key-planted-1 team-planted-2 sig-planted-3 pass-planted-4 proxy.corp.example:3128 other-planted-5"
        " deep-planted-6 llm.corp.example am9lOnBhc3MtcGxhbnRlZC00"
    )
    assert masking_of([row]).mask(text) == " ".join(["****"] * 9)
    assert "planted" not in repr(masking_of([row]))


@pytest.mark.parametrize("unit", ["://", "a", "sk-", "org-", ":", "0.", "Basic ", "projects/", "1", "::", "@"])
def test_the_time_grows_as_the_text_does(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        started = time.process_time()
        NO_MASKING.mask(text)
        return time.process_time() - started

    assert seconds(1 << 17) < 20 * seconds(1 << 14) + 0.05
