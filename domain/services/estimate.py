"""What a request may cost, in microseconds of ours: a tokenizer would take milliseconds."""

from domain.model import CompletionRequest, Message

CHARACTERS_PER_TOKEN = 4
DEFAULT_ANSWER_TOKENS = 512
PART_TOKENS = 1_000
"""For an image, a sound or a file: vendors count 85 to 1,600 for an image, and its bytes say nothing about that."""


def estimate_tokens(request: CompletionRequest, answer_tokens: int | None = None) -> int:
    """A quarter of the prompt's characters, and the longest answer that it allows.

    `answer_tokens` stands for the answer where that is known.
    """
    characters = others = 0
    for message in request.messages:
        if isinstance(message.content, str):
            characters += len(message.content)
        elif isinstance(message.content, list):
            for part in message.content:
                text = part.get("text") if isinstance(part, dict) else None
                if isinstance(text, str):
                    characters += len(text)
                else:
                    others += 1
    prompt = characters // CHARACTERS_PER_TOKEN + others * PART_TOKENS
    if answer_tokens is not None:
        return prompt + answer_tokens
    limit = request.options.get("max_completion_tokens") or request.options.get("max_tokens")
    return prompt + (limit if isinstance(limit, int) else DEFAULT_ANSWER_TOKENS)


def has_images(message: Message) -> bool:
    """Whether a part of it is an image."""
    parts = message.content
    return isinstance(parts, list) and any(isinstance(part, dict) and part.get("type") == "image_url" for part in parts)
