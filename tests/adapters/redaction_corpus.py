"""The redaction corpus, version 2: lines with one planted value each and harmless ones, always the same."""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from tests.adapters.redaction_harmless import OTHERS, STRICT, Maker
from tests.adapters.redaction_ids_planted import LABELLED_IDS, NATIONAL_IDS, iban
from tests.adapters.redaction_keys_planted import LABELLED_KEYS, VENDOR_KEYS
from tests.adapters.redaction_lookalikes import LOOKALIKES, STRICT_LOOKALIKES
from tests.adapters.redaction_rarer_planted import RARER_KEYS, RARER_PLACED_KEYS
from tests.adapters.redaction_values import card, email, international_phone, national_phone, us_phone
from tests.adapters.redaction_vendors_planted import MORE_LABELLED_KEYS, MORE_VENDOR_KEYS

VERSION = 2
PLACE = "\x00"

ANYWHERE = (
    f"{PLACE}",
    f"user wrote {PLACE} in the prompt",
    f"level=info value={PLACE} stage=5.0_LLM_STREAMING",
    f'{{"content": "{PLACE}", "n": 1}}',
    f"ValueError: cannot parse '{PLACE}'",
    f"upstream said: {PLACE}.",
    f"[2026-01-15 10:23:45] got ({PLACE}), retrying in 250 ms",
    f"a\\nb\\n{PLACE}\\nc",
    f"values=['x', '{PLACE}', 3]",
    f'body=b\'{{"q":"{PLACE}"}}\'',
    f"{PLACE}, and then 3 more",
    f"<p>{PLACE}</p>",
    f"first line\n{PLACE}\nlast line",
    f'  File "a.py", line 3, in f\nRuntimeError: {PLACE}',
    f"2026-01-15T10:23:45Z prompt={PLACE} tokens=512 total_ms=12.5",
    f'{{\\"content\\": \\"{PLACE}\\"}}',
)
OF_PHONES = (
    f"call me at {PLACE} please",
    f"phone: {PLACE}",
    f"Tel. {PLACE}",
    f'{{"phone_number": "{PLACE}"}}',
    f"my number is {PLACE}, thanks",
    f"mobile={PLACE}",
    f"reach her on {PLACE}!",
)
OF_EMAILS = (f"mailto:{PLACE}", f"From: Anna <{PLACE}>", f"to={PLACE}; cc=none", f"login {PLACE} failed")
OF_ACCOUNTS = (
    f"iban={PLACE}",
    f'{{"iban": "{PLACE}"}}',
    f"transfer to {PLACE} refused",
    f"POST /v1/accounts/{PLACE}/debit 422",
    f"IBAN: {PLACE}",
    f"Account(iban='{PLACE}', owner='x')",
)
OF_IDS = (f"ssn={PLACE}", f"GET /people/{PLACE} 404", f"Person(id='{PLACE}')", f"SSN {PLACE}; name withheld")
OF_CARDS = (f"card {PLACE} exp 12/27", f"pay with {PLACE} cvv 123", f"PAN={PLACE};")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the corpus. `around` is the line with PLACE where the value was planted."""

    kind: str
    form: str
    text: str
    planted: str
    around: str
    held_out: bool

    def leaks(self, redacted: str) -> bool:
        """Whether a piece of the value is still there: 4 characters of a number, 5 of an address, 8 of a key."""
        size = min(len(self.planted), {"key": 8, "email": 5}.get(self.kind, 4))
        pieces = (self.planted[at : at + size] for at in range(len(self.planted) - size + 1))
        return any(piece in redacted and piece not in self.around for piece in pieces if any(map(str.isalnum, piece)))

    def is_exact(self, redacted: str) -> bool:
        """Whether the marker took the value's place and the rest is as it was."""
        before, _, after = self.around.partition(PLACE)
        return redacted.startswith(f"{before}[REDACTED:") and redacted.endswith(f"]{after}")


def corpus() -> list[Line]:
    """Every line. The held-out half is chosen by a hash of the line's place."""
    rng, second = random.Random(20_260_115), random.Random(20_261_201)
    made = [*_planted(rng), *_harmless(rng, STRICT, OTHERS)]  # the first version's lines stay what they were
    made += [*_planted_since(second), *_harmless(second, STRICT_LOOKALIKES, LOOKALIKES)]
    return [Line(*line, held_out=hashlib.blake2b(str(n).encode()).digest()[0] % 2 == 1) for n, line in enumerate(made)]


def _planted(rng: random.Random) -> Iterator[tuple[str, str, str, str, str]]:
    for _ in range(500):
        yield _in_context("email", "", email(rng), ANYWHERE + OF_EMAILS, rng)
    for form, make in VENDOR_KEYS.items():
        for _ in range(20):
            yield _in_context("key", form, make(rng), ANYWHERE, rng)
    for form, (around, make) in LABELLED_KEYS.items():
        for _ in range(12):
            secret, place = make(rng), around.replace("@", PLACE, 1)
            yield "key", form, place.replace(PLACE, secret), secret, place
    for _ in range(300):
        yield _in_context("card", "", card(rng), ANYWHERE + OF_CARDS, rng)
    for _ in range(400):
        yield _in_context("phone international", "", international_phone(rng), ANYWHERE + OF_PHONES, rng)
    for _ in range(200):
        yield _in_context("phone US", "", us_phone(rng), ANYWHERE + OF_PHONES, rng)
    for _ in range(400):
        yield _in_context("phone national", "", national_phone(rng), ANYWHERE + OF_PHONES, rng)


def _planted_since(rng: random.Random) -> Iterator[tuple[str, str, str, str, str]]:
    for form, make in (MORE_VENDOR_KEYS | RARER_KEYS).items():
        for _ in range(20):
            yield _in_context("key", form, make(rng), ANYWHERE, rng)
    for _ in range(600):
        yield _in_context("iban", "", iban(rng), ANYWHERE + OF_ACCOUNTS, rng)
    for form, make in NATIONAL_IDS.items():
        for _ in range(300 if form == "us ssn" else 60):
            yield _in_context("national id", form, make(rng), ANYWHERE + OF_IDS, rng)
    for kind, labelled in (("key", MORE_LABELLED_KEYS | RARER_PLACED_KEYS), ("national id", LABELLED_IDS)):
        for form, (around, make) in labelled.items():
            for _ in range(12):
                secret, place = make(rng), around.replace("@", PLACE, 1)
                yield kind, form, place.replace(PLACE, secret), secret, place


def _in_context(
    kind: str, form: str, value: str, contexts: tuple[str, ...], rng: random.Random
) -> tuple[str, str, str, str, str]:
    if kind != "key" and rng.random() < 0.06:  # in a URL, encoded
        value, around = quote(value, safe=""), f"GET /v1/search?q={PLACE}&n=2 HTTP/1.1"
    elif not value.isascii() and rng.random() < 0.3:  # in JSON that escapes other scripts
        value, around = json.dumps(value)[1:-1], f'{{"text": "{PLACE}"}}'
    else:
        around = rng.choice(contexts)
    return kind, form, around.replace(PLACE, value), value, around


def _harmless(
    rng: random.Random, strict: dict[str, Maker], others: dict[str, Maker]
) -> Iterator[tuple[str, str, str, str, str]]:
    for makers, count in ((strict, 420), (others, 205)):
        for form, make in makers.items():
            for _ in range(count):
                text = make(rng)
                yield "strict" if makers is strict else "harmless", form, text, "", text
