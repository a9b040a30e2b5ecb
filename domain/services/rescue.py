"""Rescue: how the next target is asked to go on with an answer that broke off (R6)."""

from collections.abc import Mapping, Sequence

from domain.model import CompletionRequest, Json, JsonObject, Message
from domain.services.estimate import CHARACTERS_PER_TOKEN
from domain.services.progress import Progress
from domain.services.seam import is_half

GO_ON = (
    "Your answer was cut off here. Go on exactly where it stopped: begin with the very next character, repeat nothing"
    " of it, and say nothing about the interruption."
)
LONG_TOKEN = 2 * CHARACTERS_PER_TOKEN
"""Characters; events that are longer on average are more than a token each."""
_LIMITS = ("max_tokens", "max_completion_tokens")
_GEMINI, _GEMINI_LIMIT = "generationConfig", "maxOutputTokens"
_THINKING = "thinking"
# Options that ask for another form than a text: OpenAI's old functions, and what vLLM and llama.cpp call their own.
_FORMS = frozenset(
    {"functions", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar",
     "json_schema"}
)  # fmt: skip
_GEMINI_FORMS = ("responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities")
_TEXT = (None, "text/plain", ["TEXT"])


def rescuable(progress: Progress) -> bool:
    """Whether another target can go on with what was sent: one text, whole in memory, that is not a structure.

    Halves of a tool call, several choices at once and answers in JSON cannot be continued by a sentence. An answer that
    has said no word of its text is begun anew, whatever its form.
    """
    if progress.too_long or progress.beyond_text or progress.choices != 1:
        return False
    return not (any(progress.answer.texts) and _structured(progress.request.options))


def _structured(options: Mapping[str, Json]) -> bool:
    """Whether something else than a text is asked for, in the words of any dialect."""
    form, gemini, anthropic = (options.get(name) for name in ("response_format", _GEMINI, "output_config"))
    return (
        any(options.get(name) for name in _FORMS)
        or options.get("modalities") not in (None, ["text"])
        or (isinstance(form, dict) and form.get("type") != "text")
        or (isinstance(gemini, dict) and any(gemini.get(name) not in _TEXT for name in _GEMINI_FORMS))
        or (isinstance(anthropic, dict) and bool(anthropic.get("format")))
    )


def continuation(progress: Progress, sent: str, *, prefill: bool) -> CompletionRequest:
    """The request for the rest of an answer of which `sent` is there.

    With `prefill` the partial answer is the last message, without white space at its end (Anthropic refuses that);
    else a message of the user asks to go on. What the caller limited is lowered by what was used. Anthropic's budget of
    thoughts is left out: nobody would see them, a beginning is refused with it, and so is a lower limit of the answer.
    """
    request = progress.request
    tokens = _tokens(progress)
    options = _lowered(request.options, _LIMITS, tokens)
    gemini = options.get(_GEMINI)
    if isinstance(gemini, dict):
        options[_GEMINI] = _lowered(gemini, (_GEMINI_LIMIT,), tokens)
    thinking = options.get(_THINKING)
    if progress.characters and isinstance(thinking, dict) and "budget_tokens" in thinking:
        del options[_THINKING]
    partial = sent[:-1] if is_half(sent) else sent
    if prefill:
        partial = partial.rstrip()
    messages = list(request.messages)
    if partial.strip():
        messages = _with_answer(messages, partial)
        if not prefill:
            messages.append(Message("user", GO_ON))
    return CompletionRequest(request.model, messages, options, request.size + len(partial))


def _lowered(options: Mapping[str, Json], names: Sequence[str], used: int) -> JsonObject:
    limits = {name: limit for name in names if isinstance(limit := options.get(name), int)}
    return {**options, **{name: max(1, limit - used) for name, limit in limits.items()}}


def _tokens(progress: Progress) -> int:
    """What the answer has used, thoughts included, by estimate: one for each event; where events are long, as those of
    Gemini are, as many as the characters say."""
    events = sum(map(bool, progress.answer.texts))
    return max(events, progress.characters // CHARACTERS_PER_TOKEN if progress.characters > LONG_TOKEN * events else 0)


def _with_answer(messages: list[Message], partial: str) -> list[Message]:
    """The conversation and the partial answer; one that the caller began itself goes on in its own message."""
    last = messages[-1] if messages else None
    if last is not None and last.role == "assistant" and isinstance(last.content, str):
        whole: Json = last.content + partial
        return [*messages[:-1], Message("assistant", whole, last.extra)]
    return [*messages, Message("assistant", partial)]
