"""Rescue: how the next target is asked to go on with an answer that broke off (R6)."""

from domain.model import CompletionRequest, Json, Message
from domain.services.progress import Progress
from domain.services.seam import is_half

GO_ON = (
    "Your answer was cut off here. Go on exactly where it stopped: begin with the very next character, repeat nothing"
    " of it, and say nothing about the interruption."
)
_LIMITS = ("max_tokens", "max_completion_tokens")


def rescuable(progress: Progress) -> bool:
    """Whether another target can go on with what was sent: one text, whole in memory, that is not a structure.

    Halves of a tool call, several choices at once and answers in JSON cannot be continued by a sentence.
    """
    form = progress.request.options.get("response_format")
    structured = isinstance(form, dict) and form.get("type") != "text"
    return not (progress.too_long or structured or progress.calls_tools) and progress.choices == 1


def continuation(progress: Progress, sent: str, *, prefill: bool) -> CompletionRequest:
    """The request for the rest of an answer of which `sent` is there.

    With `prefill` the partial answer is the last message, without white space at its end (Anthropic refuses that);
    else a message of the user asks to go on. What the caller limited is lowered by what was used.
    """
    request = progress.request
    options = dict(request.options)
    for name in _LIMITS:
        limit = options.get(name)
        if isinstance(limit, int):  # a provider's event is about a token
            options[name] = max(1, limit - sum(map(bool, progress.answer.texts)))
    partial = sent[:-1] if is_half(sent) else sent
    if prefill:
        partial = partial.rstrip()
    messages = list(request.messages)
    if partial.strip():
        messages = _with_answer(messages, partial)
        if not prefill:
            messages.append(Message("user", GO_ON))
    return CompletionRequest(request.model, messages, options)


def _with_answer(messages: list[Message], partial: str) -> list[Message]:
    """The conversation and the partial answer; one that the caller began itself goes on in its own message."""
    last = messages[-1] if messages else None
    if last is not None and last.role == "assistant" and isinstance(last.content, str):
        whole: Json = last.content + partial
        return [*messages[:-1], Message("assistant", whole, last.extra)]
    return [*messages, Message("assistant", partial)]
