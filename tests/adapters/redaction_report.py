"""Prints what redaction finds and what it spoils on the corpus.

    python -m tests.adapters.redaction_report [--tuning]

With `--tuning` the held-out half is not looked at.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Iterable

from adapters.observability.redaction import Redactor
from tests.adapters.redaction_corpus import Line, corpus

KINDS = ("email", "key", "card", "phone international", "phone US", "phone national", "iban", "national id")
MARKERS = {
    "email": "email",
    "key": "key",
    "card": "card",
    "phone": "phone international, phone US, phone national",
    "iban": "iban",
    "id": "national id",
}
TYPICAL = (
    '{"event":"request served","level":"info","timestamp":"2026-01-15T10:23:45.123456Z","trace_id":"4bf92f3577b34da6a3'
    'ce929d0e0e4736","route":"chat","target":"openai:gpt-4o","prompt_tokens":512,"total_ms":1532.9}'
)


def main(arguments: list[str]) -> None:
    lines = corpus()
    halves = {"tuning": [line for line in lines if not line.held_out]}
    if "--tuning" not in arguments:
        halves["held out"] = [line for line in lines if line.held_out]
    for name, half in halves.items():
        report(name, half)
    speed([line.text for half in halves.values() for line in half])


def report(name: str, lines: Iterable[Line]) -> None:
    redactor = Redactor()
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    spoiled_by: dict[str, int] = defaultdict(int)
    for line in lines:
        redacted = redactor.text(line.text)
        row = rows[line.kind]
        row[0] += 1
        if line.planted:
            leaks = line.leaks(redacted)
            row[1] += not leaks
            row[2] += line.is_exact(redacted)
            if leaks:
                say(f"  missed {line.kind} {line.form}: {line.text!r} -> {redacted!r}")
            elif not line.is_exact(redacted):
                say(f"  wide {line.kind} {line.form}: {line.text!r} -> {redacted!r}")
        else:
            for marker in MARKERS:
                spoiled_by[marker] += f"[REDACTED:{marker}]" in redacted
            if redacted != line.text:
                row[1] += 1
                say(f"  spoiled {line.form}: {line.text!r} -> {redacted!r}")
    for kind in KINDS:
        total, found, exact = rows[kind]
        say(f"{name:8} {kind:20} {total:5} lines, recall {found / total:7.2%}, nothing else taken {exact / total:7.2%}")
    for marker, kinds in MARKERS.items():
        found = sum(rows[kind][1] for kind in kinds.split(", "))
        spoiled = spoiled_by[marker]
        say(f"{name:8} {marker:20} precision {found / (found + spoiled):7.2%}, harmless lines changed {spoiled}")
    found = sum(rows[kind][1] for kind in KINDS)
    spoiled = sum(rows[kind][1] for kind in ("strict", "harmless"))
    total = sum(rows[kind][0] for kind in ("strict", "harmless"))
    strict = f"{rows['strict'][1]} of {rows['strict'][0]}"
    say(f"{name:8} precision {found / (found + spoiled):.2%}, harmless lines changed {spoiled} of {total}")
    say(f"{name:8} of UUIDs, ISO dates, trace ids, versions, our ids, images and git's {strict}")


def speed(texts: list[str]) -> None:
    size = sum(len(text.encode()) for text in texts)
    best = min(_seconds(texts) for _ in range(5))
    typical = min(_seconds([f"{TYPICAL}{n}" for n in range(2_000)]) for _ in range(5)) / 2_000
    say(f"corpus {size / best / 1e6:.1f} MB/s, {best / len(texts) * 1e6:.1f} us a line of {size // len(texts)} bytes")
    say(f"typical line of {len(TYPICAL) + 3} bytes {typical * 1e6:.1f} us")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _seconds(texts: list[str]) -> float:
    redactor = Redactor()
    start = time.process_time()
    for text in texts:
        redactor.text(text)
    return time.process_time() - start


if __name__ == "__main__":
    main(sys.argv[1:])
