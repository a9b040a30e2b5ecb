"""The house keeps its shape: import contracts, file sizes, errors with a row at the edge."""

import subprocess
import sys
from pathlib import Path

from domain.errors import SSEBaseError
from entrypoints.http.errors import BY_CODE, TABLE, family

ROOT = Path(__file__).parents[1]
PACKAGES = ("domain", "ports", "adapters", "entrypoints", "tests")


def test_imports_look_down_never_up_never_sideways() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_only_the_programs_see_the_container() -> None:
    """What `headgate` runs, and no door, service or adapter."""
    users = {
        path.relative_to(ROOT).parent.as_posix()
        for package in PACKAGES[:-1]
        for path in (ROOT / package).rglob("*.py")
        if "from container import" in path.read_text() or "import container" in path.read_text()
    }
    assert users == {"entrypoints"}


def test_no_file_grows_past_400_lines() -> None:
    long = {
        str(path): count
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_every_error_has_a_row_and_a_code_of_its_own() -> None:
    classes = [cls for cls in family(SSEBaseError) if cls.__module__.startswith("domain.")]
    assert set(classes) == set(TABLE)
    assert len(BY_CODE) == len(TABLE)
    for cls, row in TABLE.items():
        # The official clients retry these statuses: nothing permanent may use them.
        if not cls.retryable and cls.__subclasses__() == []:
            assert row.status not in {408, 409, 429}
