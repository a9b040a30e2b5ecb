"""The failing upstream, one process for each module of tests."""

from collections.abc import Iterator

import pytest

from tests.faults.provider import process


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with process() as url:
        yield url
