"""Every kind of key, account and national number, through the whole chain of the logs and in every place (P1)."""

import io
import json
import logging
import random
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import structlog

from adapters.observability import redaction_key_formats as formats
from adapters.observability.logging import configure_logging, get_logger
from adapters.observability.redaction import Redactor
from adapters.observability.redaction_ibans import is_iban
from tests.adapters.redaction_corpus import corpus
from tests.adapters.redaction_ids_planted import BBAN, NATIONAL_IDS, compact_iban, iban, in_fours, itin, ssn
from tests.adapters.redaction_keys_planted import VENDOR_KEYS
from tests.adapters.redaction_rarer_planted import RARER_KEYS
from tests.adapters.redaction_vendors_planted import MORE_VENDOR_KEYS

MAKERS = VENDOR_KEYS | MORE_VENDOR_KEYS | RARER_KEYS | NATIONAL_IDS | {"iban": iban}
GROUPS = ("UNDERSCORED", "HYPHENED", "DOTTED", "AFTER_COLON", "AFTER_SLASH", "CAPITALS", "OTHERS")


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Logging is the process's own: put back what a test set."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def shows(secret: str, text: str) -> bool:
    return any(piece in text for piece in (secret, secret[:8], secret[-8:]))


def refuse(secret: str) -> None:
    raise ValueError(f"cannot use {secret!r}")


def fail(secret: str) -> None:
    try:
        refuse(secret)
    except ValueError as error:
        error.add_note(f"given {secret}")
        raise RuntimeError(f"GET /v1/use/{secret}?n=1") from error


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("form", MAKERS)
@pytest.mark.usefixtures("as_it_was")
def test_what_a_library_logs_shows_none_p1(form: str, log_format: str) -> None:
    """P1: as an argument, a field, in a container, in an exception, its cause and its note."""
    stream = io.StringIO()
    configure_logging("info", log_format, stream)
    secret = MAKERS[form](random.Random(form))
    library = logging.getLogger("library")
    library.warning("refused %s for %r", secret, {"given": [secret, (b"x", secret.encode())]})
    get_logger("ours").info("stored", value=secret, nested={"deep": [{"it": secret}]}, pair=("x", secret))
    try:
        fail(secret)
    except RuntimeError:
        library.exception("failed with %s", secret)
    text = stream.getvalue()
    assert "Traceback" in text
    assert text.count("[REDACTED:") >= 8
    assert not shows(secret, text)


@pytest.mark.parametrize("form", MAKERS)
def test_no_place_hides_it_p1(form: str, redactor: Redactor) -> None:
    rng = random.Random(f"places {form}")
    for _ in range(20):
        secret = MAKERS[form](rng)
        for text in (
            f"a={secret}",
            f'"{secret}"',
            f"'{secret}',",
            f"({secret})",
            f"<b>{secret}</b>",
            f"first\n{secret}\nlast",
            f"https://example.com/a?x={quote(secret, safe='')}&y=1",
            json.dumps({"a": json.dumps({"b": f"\n{secret}"})}),
            f"\x1b[1;31m{secret}\x1b[0m",
            f"\\x1b[31m{secret}\\x1b[0m",
            f"{secret}.",
            f"{secret}, {secret}",
        ):
            assert not shows(secret, redactor.text(text)), text


@pytest.mark.parametrize("country", sorted(BBAN))
def test_an_iban_of_each_country_and_in_each_form_p1(country: str, redactor: Redactor) -> None:
    rng = random.Random(country)
    number = next(made for made in iter(lambda: compact_iban(rng), "") if made.startswith(country))
    assert is_iban(number)
    for gap in ("", " ", "-", "\u00a0", "+", "%20"):
        for cased in (number, number.lower()):
            assert redactor.text(f"to {in_fours(cased, gap)}, thanks") == "to [REDACTED:iban], thanks"
    assert redactor.text(f"{number[:4]} {number[4:]}") == "[REDACTED:iban]"
    for wrong in (
        number[:-1],
        f"{number}0",
        f"{number[:2]}{(int(number[2:4]) + 1) % 97:02}{number[4:]}",
        f"x{number}",
        f"{number[:4]} {number[4:9]} {number[9:]}",
    ):
        assert "iban" not in redactor.text(f"to {wrong} thanks"), wrong


@pytest.mark.parametrize(
    "text",
    [
        "123-45-6789",
        "078-05-1120",
        "899-99-9999",
        "912-70-1234",
        "123\u201145\u20116789",
        "ssn: 123456789",
        "SSN 123 45 6789",
        "ssn=123.45.6789",
        '{"social_security_number": "123456789"}',
        "social-security-no#123-45-6789",
        "SSN123-45-6789",
        "national insurance number is AB123456C",
        "tax id: 12-3456789",
    ],
)
def test_a_social_security_number_p1(text: str, redactor: Redactor) -> None:
    shown = redactor.text(f"of {text} today")
    assert "[REDACTED:id]" in shown
    assert not re.search("[0-9]", shown)


@pytest.mark.parametrize(
    "text",
    [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "993-93-3456",
        "123-00-3456",
        "123-45-0000",
        "123-45-67890",
        "1123-45-6789",
        "A123-45-6789",
        "123-45-6789-A",
        "1.123-45-6789",
        "123-4567-89",
        "2026-01-15",
        "ssn_count=3",
        "ssn: none",
        "DE00123",
        "529.982.247-26",
        "184127645108947",
        "756.9217.0769.86",
        "GB123456A",
    ],
)
def test_what_only_looks_like_one(text: str, redactor: Redactor) -> None:
    assert redactor.text(f"of {text} today") == f"of {text} today"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ssn", 123456789, "[REDACTED:id]"),
        ("customerSsn", "123 456 789", "[REDACTED:id]"),
        ("social_security_number", "ab 12 34 56", "[REDACTED:id]"),
        ("national-id", "x", "x"),
        ("cpf", "52998224700", "[REDACTED:id]"),
        ("iban", "DE00 1234 5678", "[REDACTED:iban]"),
        ("creditor_iban", "pending", "pending"),
        ("new_relic_license_key", "abc", "[REDACTED:key]"),
        ("supabase_service_role_key", "abc", "[REDACTED:key]"),
        ("lessons", "1234567", "1234567"),
    ],
)
def test_names_of_accounts_and_national_numbers(name: str, value: object, shown: str, redactor: Redactor) -> None:
    assert redactor.value({name: value}) == {name: shown}


def test_no_harmless_line_is_taken_for_a_key_an_account_or_a_national_number(redactor: Redactor) -> None:
    harmless = [redactor.text(line.text) for line in corpus() if not line.planted]
    assert len(harmless) > 6_000
    assert [text for text in harmless if re.search(r"\[REDACTED:(?:key|iban|id)\]", text)] == []


def test_the_fixtures_are_valid() -> None:
    rng = random.Random(1)
    assert all(is_iban(compact_iban(rng)) for _ in range(500))
    assert not any(re.match("000|666|9|...-00|......-?0000", ssn(rng)) for _ in range(500))
    assert all(itin(rng).startswith("9") for _ in range(50))


@pytest.mark.parametrize("group", GROUPS)
def test_every_pattern_finds_a_planted_key(group: str) -> None:
    planted = "\n".join(line.text for line in corpus() if line.kind == "key")
    for literal, pattern in getattr(formats, group):
        assert re.search(pattern, planted), literal
