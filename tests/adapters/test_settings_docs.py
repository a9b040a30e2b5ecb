"""docs/settings.md says what the code does: its tables are compared with the models, line by line."""

from pathlib import Path

from pydantic.fields import FieldInfo

from adapters.settings import Settings
from adapters.settings_groups import GROUPS
from adapters.settings_layers import ENVIRONMENT, VENDORS
from adapters.settings_problems import takes
from adapters.settings_rows import ROWS

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def default(field: FieldInfo) -> str:
    value = field.default
    if value is None:
        return "unset"
    return (
        f"{value:.15g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def expected_rows() -> list[str]:
    rows = []
    for table, group in GROUPS.items():
        for key, field in group.model_fields.items():
            name = next(name for name, path in ENVIRONMENT.items() if path == (table, key))
            accepts = takes(field) if takes(field) != field.description else "text"
            meaning = field.description
            rows.append(f"| `{name}` | `{table}.{key}` | {default(field)} | {accepts} | {meaning} |")
    for vendor, (kind, base_url) in VENDORS.items():
        rows.append(
            f"| `{vendor.upper()}_API_KEY`, `{vendor.upper()}_BASE_URL` | `providers.{vendor}` | {kind} | {base_url} |"
        )
    for table, row in ROWS.items():
        for key, field in row.model_fields.items():
            given = "required" if field.is_required() else default(field)
            if (table, key) == ("keys", "tenant"):
                given = "unset"
            rows.append(f"| `{table}.NAME.{key}` | {given} | {takes(field)} |")
    return rows


def test_the_page_has_every_row_and_no_other() -> None:
    written = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert written == expected_rows(), "\n".join(["docs/settings.md should have these rows:", *expected_rows()])


def test_every_table_is_described() -> None:
    page = PAGE.read_text("utf-8")
    assert all(f"`{name}" in page for name in Settings.model_fields)
