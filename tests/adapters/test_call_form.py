"""What an error says about the form of a call, and how long that is remembered (kinds 13 and 14)."""

import json

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.providers.call_form import MAX_REMEMBERED, CallForm, CallForms, Form
from adapters.providers.refused_form import MAX_DEPTH, Refused, refused_form

VERIFY = (
    b'{"error":{"message":"Your organization must be verified to stream this model.","type":"invalid_request_error",'
    b'"param":"stream","code":"unsupported_value"}}'
)
PYDANTIC = (
    b'{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted",'
    b'"input":{"include_usage":true}}]}'
)
MISTRAL = b'{"object":"error","message":%b,"type":"invalid_request_error","param":null,"code":null}' % PYDANTIC
AZURE = (
    b'{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error",'
    b'"param":null,"code":null}}'
)
STREAM, OPTIONS = Refused.STREAM, Refused.STREAM_OPTIONS


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (400, VERIFY, STREAM),
        (403, VERIFY, STREAM),
        (422, b'{"detail":[{"loc":["body","stream"],"msg":"unsupported"}]}', STREAM),
        (400, b'{"error":{"code":"streaming_not_supported"}}', STREAM),
        (400, b'{"error":{"code":"StreamingUnsupported","param":null}}', STREAM),
        (403, b'{"error":{"type":"stream-not-allowed"}}', STREAM),
        (400, b'{"error":{"code":"unsupported_value","param":"body.stream"}}', STREAM),
        (422, PYDANTIC, OPTIONS),
        (422, MISTRAL, OPTIONS),
        (400, AZURE, OPTIONS),
        (400, b'{"error":{"code":"unknown_parameter","param":"stream_options"}}', OPTIONS),
        (400, b'{"error":{"code":"unknown_parameter","param":"stream_options.include_usage"}}', OPTIONS),
        (400, b'{"error":{"message":"%b","code":400}}' % PYDANTIC.replace(b'"', b'\\"'), OPTIONS),
        (400, b'{"error":{"message":"x","metadata":{"raw":"%b"}}}' % VERIFY.replace(b'"', b'\\"'), STREAM),
        (400, b'{"error":"Unknown field: stream_options","param":"None"}', OPTIONS),
        # Other statuses, other things, and what a request says of itself.
        (401, VERIFY, None),
        (404, VERIFY, None),
        (429, VERIFY, None),
        (500, VERIFY, None),
        (400, b'{"error":{"code":"context_length_exceeded","param":"messages"}}', None),
        (400, b'{"error":{"code":"unsupported_value","param":"temperature","message":"not stream_options"}}', None),
        (400, b'{"error":{"message":"You cannot stream this."}}', None),
        (400, b'{"error":{"message":"my_stream_options_x"}}', None),
        (422, b'{"detail":[{"loc":["body","n"],"input":{"param":"stream","stream_options":1}}]}', None),
        (422, b'{"detail":[{"loc":["body","messages",0,"stream_kind"],"msg":"x"}]}', None),
        (400, b'{"error":{"param":7,"code":["stream_unsupported"]}}', None),
        (400, b"Unknown field: stream_options", OPTIONS),
        (400, b"You cannot stream this.", None),
        (400, b"", None),
        (400, b"[" * 5000, None),
        (400, b'{"error":{"message":"{broken"}}', None),
        (400, b'"' + b"x" * 60_000 + b'"', None),
        (400, b'{"error":' * (MAX_DEPTH + 2) + VERIFY + b"}" * (MAX_DEPTH + 2), None),
    ],
)
def test_what_is_refused_is_told_by_status_code_and_parameter_13_14(
    status: int, body: bytes, refused: Refused | None
) -> None:
    assert refused_form(status, body) is refused


def refusal(param: str) -> bytes:
    return json.dumps({"error": {"param": param}}).encode()


def test_what_was_refused_is_remembered_for_a_model_for_an_hour_13_14() -> None:
    clock = ManualClock()
    forms = CallForms(Form(), clock)
    call = CallForm(forms, "m")
    assert call.form == (True, True)
    assert call.refused(400, refusal("stream_options"))
    assert call.form == (True, False)
    assert forms.of("m") == (True, True)  # it may have been another reason: only an answer tells
    assert not call.refused(400, refusal("stream_options"))
    assert call.refused(400, refusal("stream"))
    assert not call.refused(400, refusal("stream"))
    call.accepted()
    assert (forms.of("m"), forms.of("other")) == ((False, False), (True, True))
    CallForm(forms, "m").accepted()  # which was never refused: it renews nothing
    clock._now += 3_599 * 10**9
    assert forms.of("m") == (False, False)
    clock._now += 10**9
    assert forms.of("m") == (True, True)


def test_what_is_remembered_is_bounded_13_14() -> None:
    forms = CallForms(Form(), ManualClock())
    for number in range(MAX_REMEMBERED + 5):
        forms.remember(f"m{number}", Form(stream=False, stream_options=False))
    forms.remember("m10", Form(stream_options=False))
    assert len(forms._found) == MAX_REMEMBERED
    assert forms.of("m4") == (True, True)
    assert forms.of("m6").stream is False
    assert forms.of("m10") == (True, False)


def test_a_row_says_it_beforehand_13_14() -> None:
    call = CallForm(CallForms(Form(stream=False, stream_options=False)), "m")
    assert call.form == (False, False)
    assert not call.refused(400, VERIFY)
