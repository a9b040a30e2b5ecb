"""Compares our patterns for telephone numbers with the `phonenumbers` library on the same corpus.

uv run --with phonenumbers python -m tests.adapters.redaction_comparison
"""

import importlib
import sys
import time
from collections.abc import Callable

from adapters.observability.redaction_phones import may_hold_phone, phone_spans
from adapters.observability.redaction_view import View
from tests.adapters.redaction_corpus import Line, corpus

KINDS = ("phone international", "phone US", "phone national")
Spans = list[tuple[int, int]]


def main() -> None:
    lines = corpus()
    compare("ours", _ours, lines)
    library = importlib.import_module("phonenumbers")
    for region in (None, "US", "GB"):
        for leniency in ("POSSIBLE", "VALID"):
            level = getattr(library.Leniency, leniency)
            compare(f"phonenumbers, region {region}, {leniency}", _of_library(library, region, level), lines)


def _ours(text: str) -> Spans:
    view = View(text)
    return [view.source(span) for span in phone_spans(view.text)] if may_hold_phone(view.text) else []


def _of_library(library: object, region: str | None, leniency: int) -> Callable[[str], Spans]:
    def find(text: str) -> Spans:
        view = View(text)
        matcher = library.PhoneNumberMatcher(view.text, region, leniency=leniency)  # type: ignore[attr-defined]
        return [view.source((match.start, match.end)) for match in matcher]

    return find


def compare(name: str, find: Callable[[str], Spans], lines: list[Line]) -> None:
    start = time.process_time()
    found = {line.text: find(line.text) for line in lines}
    seconds = time.process_time() - start
    size = sum(len(line.text.encode()) for line in lines)
    parts = [f"{kind} {_recall(kind, found, lines):.1%}" for kind in KINDS]
    harmless = [line for line in lines if not line.planted]
    spoiled = sum(1 for line in harmless if found[line.text])
    hits = sum(_is_whole(line, found[line.text]) for line in lines if line.kind in KINDS)
    precision = hits / (hits + spoiled)
    sys.stdout.write(
        f"{name}: {', '.join(parts)}, precision {precision:.1%}, harmless changed {spoiled} of {len(harmless)}, "
        f"{size / seconds / 1e6:.2f} MB/s, {seconds / len(lines) * 1e6:.1f} us a line\n"
    )


def _recall(kind: str, found: dict[str, Spans], lines: list[Line]) -> float:
    of_kind = [line for line in lines if line.kind == kind]
    return sum(_is_whole(line, found[line.text]) for line in of_kind) / len(of_kind)


def _is_whole(line: Line, spans: Spans) -> bool:
    redacted = line.text
    for start, end in sorted(spans, reverse=True):
        redacted = redacted[:start] + "[]" + redacted[end:]
    return not line.leaks(redacted)


if __name__ == "__main__":
    main()
