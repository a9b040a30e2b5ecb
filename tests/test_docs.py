"""The pages say what the code does."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from adapters.observability.logging import configure_logging
from adapters.providers.demo_scripts import SCRIPTS
from adapters.settings_layers import ENVIRONMENT, VENDORS
from domain import stages
from entrypoints.http.errors import TABLE

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    yield stream
    structlog.reset_defaults()


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert {page.name for page in PAGES[1:]} - {"README.md"} == set(re.findall(r"\]\(([^)]+)\)", index))


@pytest.mark.parametrize("name", ["errors.md", "logging.md"])
def test_the_examples_run(name: str, logged: io.StringIO) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / name).read_text())
    assert blocks
    for block in blocks:
        exec(compile(block, name, "exec"), {})
    assert logged.getvalue().count("\n") >= 1


def test_the_table_of_errors_is_the_table() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| (yes|no) \| (\d+) \| `(\w+)` \|$",
        (ROOT / "docs" / "errors.md").read_text(),
        re.MULTILINE,
    )
    assert rows == [
        (cls.__name__, cls.code, "yes" if cls.retryable else "no", str(row.status), row.kind)
        for cls, row in TABLE.items()
    ]


def test_the_readmes_settings_exist() -> None:
    table = (ROOT / "README.md").read_text().partition("| environment | default |")[2].partition("```")[0]
    names = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table))
    prefixes = {f"{vendor.upper()}_" for vendor in VENDORS}
    assert names - prefixes <= set(ENVIRONMENT)
    assert len(names) > 10


def test_the_stages_and_scripts_that_are_named_exist() -> None:
    known = {value for name, value in vars(stages).items() if name.isupper() and isinstance(value, str)}
    for page in PAGES:
        assert set(re.findall(r"`(\d\.\d_[A-Z0-9_]+)`", page.read_text())) <= known
    demo = (ROOT / "docs" / "providers.md").read_text().partition("## demo")[2]
    assert set(re.findall(r"`([a-z]+(?:-\d+)?)`", demo)) == set(SCRIPTS)
