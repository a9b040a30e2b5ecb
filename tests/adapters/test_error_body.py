"""What an HTTP error says about the request, of each vendor and shape: what is passed on, and what never is (R9)."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.masking import Masking
from adapters.providers import anthropic_errors, gemini_errors, openai_errors
from adapters.providers.attempt import Attempt
from adapters.providers.error_body import MAX_BYTES
from domain.errors import (
    ProviderAuthenticationError,
    ProviderError,
    ProviderModelNotFoundError,
    ProviderRequestError,
    UpstreamErrorBody,
)

ATTEMPT = Attempt("p", "t", Masking(["sk-planted-key-1"], ["llm.corp.example"]))
OPENAI, ANTHROPIC, GEMINI = openai_errors.status_error, anthropic_errors.status_error, gemini_errors.status_error
StatusError = Callable[[Attempt, int, Mapping[str, str], bytes], ProviderError]


def told(read: StatusError, status: int, body: object) -> UpstreamErrorBody | None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = read(ATTEMPT, status, {}, data)
    return error.told if isinstance(error, ProviderRequestError) else None


CASES: list[tuple[StatusError, int, object, tuple[object, ...]]] = [
    (
        OPENAI,
        400,
        {"error": {"message": "Too long.", "type": "invalid_request_error", "param": "messages",
                   "code": "context_length_exceeded"}},
        ("Too long.", "invalid_request_error", "context_length_exceeded", "messages"),
    ),
    (
        OPENAI,
        400,
        {"error": {"message": "Use 'max_completion_tokens' instead.", "type": "invalid_request_error",
                   "param": "max_tokens", "code": "unsupported_parameter"}},
        ("Use 'max_completion_tokens' instead.", "invalid_request_error", "unsupported_parameter", "max_tokens"),
    ),
    (OPENAI, 400, {"error": {"message": "m", "type": None, "param": None, "code": None}}, ("m", None, None, None)),
    (OPENAI, 404, {"error": {"message": "No such model", "type": "invalid_request_error", "param": None, "code": None}},
     ("No such model", "invalid_request_error", "model_not_found", None)),
    (OPENAI, 404, {"object": "error", "message": "m", "type": "NotFoundError", "param": "model", "code": 404},
     ("m", "NotFoundError", "model_not_found", "model")),
    (OPENAI, 404, {"error": {"message": "No file", "param": "file_id", "code": None}},
     ("No file", None, None, "file_id")),
    (OPENAI, 400, {"object": "error", "message": "m", "type": "BadRequestError", "param": None, "code": 400},
     ("m", "BadRequestError", "400", None)),
    (OPENAI, 400, {"error": "a text alone", "error_type": "validation"}, ("a text alone", "validation", None, None)),
    (OPENAI, 422, {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required", "input": "prompt"},
                              {"msg": "and more"}]},
     ("body.messages.0: Field required; and more", None, None, None)),
    (OPENAI, 422, {"detail": "nope"}, ("nope", None, None, None)),
    (OPENAI, 400, {"choices": None, "error_type": "bad", "error_code": 400, "error_message": "m"},
     ("m", "bad", "400", None)),
    (OPENAI, 413, b"<html>nginx</html>", (None, None, None, None)),
    (OPENAI, 413, b"Payload too large\n", ("Payload too large", None, None, None)),
    (OPENAI, 400, b"", (None, None, None, None)),
    (OPENAI, 400, b"[" * 5000, (None, None, None, None)),
    (OPENAI, 400, {"success": False, "errors": [{"code": 5004, "message": "bad input"}]},
     ("bad input", None, None, None)),
    (ANTHROPIC, 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long"}},
     ("prompt is too long", "invalid_request_error", None, None)),
    (ANTHROPIC, 404, {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-9"}},
     ("model: claude-9", "not_found_error", "model_not_found", None)),
    (ANTHROPIC, 413, {"type": "error", "error": {"type": "request_too_large", "message": "m"}},
     ("m", "request_too_large", None, None)),
    (
        GEMINI,
        400,
        [{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT",
                    "details": [{"fieldViolations": [{"field": "contents[0]", "description": "d"}]}]}}],
        ("m", None, "INVALID_ARGUMENT", "contents[0]"),
    ),
    (GEMINI, 404, {"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}},
     ("models/x is not found", None, "model_not_found", None)),
]  # fmt: skip


@pytest.mark.parametrize(("read", "status", "body", "expected"), CASES)
def test_the_words_of_each_shape(read: StatusError, status: int, body: object, expected: tuple[object, ...]) -> None:
    said = told(read, status, body)
    assert said is not None
    assert (said.status, said.message, said.type, said.code, said.param) == (status, *expected)


@pytest.mark.parametrize("status", [401, 402, 403, 407, 408, 409, 429, 500, 503])
@pytest.mark.parametrize("read", [OPENAI, ANTHROPIC, GEMINI])
def test_what_it_says_of_us_is_not_told(read: StatusError, status: int) -> None:
    error = read(ATTEMPT, status, {}, b'{"error": {"message": "planted", "param": "planted_param", "code": "c"}}')
    assert getattr(error, "told", None) is None
    assert "planted" not in f"{error!r} {error} {error.message}" or status == 409  # whose parameter is a word of ours


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "invalid_api_key", "message": "m"}),
        (400, {"type": "authentication_error", "message": "m"}),
        (400, {"code": "billing_hard_limit_reached", "message": "m"}),
        (429, {"code": "insufficient_quota", "message": "m"}),
    ],
)
def test_a_code_that_speaks_of_our_account_is_ours_whatever_its_status(status: int, error: object) -> None:
    assert type(OPENAI(ATTEMPT, status, {}, json.dumps({"error": error}).encode())) is ProviderAuthenticationError


def test_azures_innererror_and_openrouters_metadata_go_along() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    body = {
        "error": {"message": "m", "code": "content_filter", "innererror": inner, "metadata": {"raw": "{…}"}, "x": 1}
    }
    said = told(OPENAI, 400, body)
    assert said is not None
    assert json.loads(said.extra) == {"innererror": inner, "metadata": {"raw": "{…}"}}


def test_keys_and_addresses_of_ours_are_masked_everywhere() -> None:
    word = "sk-planted-key-1"
    fields: dict[str, Any] = dict.fromkeys(("message", "type", "code", "param"), f"{word} at llm.corp.example")
    fields["type"] = word
    fields["innererror"] = {word: [word, {"a": word}], "host": "10.1.2.3"}
    error = OPENAI(ATTEMPT, 400, {}, json.dumps({"error": fields}).encode())
    assert isinstance(error, ProviderRequestError)
    assert error.told is not None
    assert error.told[1:5] == ("**** at ****", "****", "**** at ****", "**** at ****")
    assert json.loads(error.told.extra) == {"innererror": {"****": ["****", {"a": "****"}], "host": "****"}}
    assert not any(one in f"{error!r}{error.details}" for one in (word, "llm.corp"))


def test_a_param_is_masked_in_the_details_too() -> None:
    error = OPENAI(ATTEMPT, 400, {}, b'{"error": {"param": "sk-planted-key-1", "code": "sk-planted-key-1"}}')
    assert (error.details["param"], error.details["provider_code"]) == ("****", "****")


def test_no_repr_and_no_text_has_the_words() -> None:
    error = OPENAI(ATTEMPT, 404, {}, b'{"error": {"message": "planted words"}}')
    assert isinstance(error, ProviderModelNotFoundError)
    assert error.told is not None
    assert "planted" not in f"{error!r} {error} {error.details} {error.told!r}"


@given(
    message=st.text(max_size=40) | st.integers(0, 30_000).map("é".__mul__) | st.just("x" * 100_000),
    code=st.text(max_size=2000),
    inner=st.dictionaries(st.text(max_size=5), st.text(max_size=5000), max_size=5),
)
def test_any_words_are_bounded_text(message: str, code: str, inner: dict[str, str]) -> None:
    body = json.dumps({"error": {"message": message, "code": code, "param": code, "innererror": inner}}).encode()
    said = told(OPENAI, 400, body)
    assert said is not None
    texts = [text for text in said[1:5] if isinstance(text, str)]
    assert sum(len(text.encode()) for text in texts) + len(said.extra) <= MAX_BYTES


def test_a_secret_that_the_cut_meets_does_not_come_out() -> None:
    text = "sk-planted-key-1" * 4095 + "x" * 10 + "sk-planted-key-1" * 4
    said = told(OPENAI, 400, {"error": {"message": text}})
    assert said is not None
    assert "planted" not in (said.message or "")
