"""The log line about keys that cannot be used."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from adapters.observability.key_state import log_key_warning
from adapters.observability.logging import configure_logging


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    yield stream
    structlog.reset_defaults()


def test_a_warning_names_the_key_and_the_tier(logged: io.StringIO) -> None:
    log_key_warning("The tier does not exist", {"key": "acme", "tier": "gold"})
    line = json.loads(logged.getvalue())
    assert (line["level"], line["event"], line["tier"]) == ("warning", "The tier does not exist", "gold")
    assert line["key"] == "acme"
