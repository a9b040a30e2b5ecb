"""The registry: rows and entry points, loaded when asked for, and checked before anything is made."""

import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Protocol

import pytest

from adapters.registry import ROWS, Registry, bind_providers
from adapters.settings import ProviderRow, get_settings
from domain.errors import ConfigurationError
from ports.clock import Clock
from ports.provider import Provider


class Port(Protocol):
    pass


class Named(Port):
    def __init__(self, name: str, base_url: str, api_key: str | None = None, *, depth: int = 1) -> None:
        self.given = (name, base_url, api_key, depth)


class Timed(Port):
    def __init__(self, name: str, clock: object) -> None:
        self.given = (name, clock)


class Open(Port):
    def __init__(self, ignored: int = 0, /, *more: int, name: str, **options: object) -> None:
        self.given = (ignored, more, name, options)


class Bare(Port):
    """Without a constructor: the one of its Protocol seems to take anything."""


class Plain:
    """Without a constructor and without a Protocol."""


not_a_class = 3


class StillClock(Clock):
    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None: ...


def here(name: str) -> str:
    return f"{__name__}:{name}"


def point(kind: str, value: str = "x:Y") -> EntryPoint:
    return EntryPoint(kind, value, "headgate.providers")


def registry(rows: Mapping[str, str], *found: EntryPoint) -> Registry[Port]:
    return Registry[Port]("headgate.providers", rows, found)


# --- kinds


def test_rows_and_entry_points_are_kinds() -> None:
    one = registry({"named": here("Named")}, point("acme", here("Timed")))
    assert one.kinds() == ("acme", "named")
    assert one.load("named") is Named
    assert one.load("acme") is Timed


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys; from adapters.registry import *; Registry('headgate.providers'); "
        "print([m for m in sys.modules if m.startswith(('adapters.providers', 'adapters.memory', 'fastapi', 'redis'))])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("group", ROWS)
def test_each_group_has_built_in_kinds(group: str) -> None:
    assert set(ROWS[group]) <= set(Registry[Port](group).kinds())
    assert ("memory" in ROWS[group]) is (group != "headgate.providers")


def test_entry_points_of_installed_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[headgate.caches]\nacme = {here('Timed')}\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert Registry[Port]("headgate.caches").load("acme") is Timed
    (info / "entry_points.txt").write_text(f"[headgate.caches]\nmemory = {here('Timed')}\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"^headgate\.caches: got kind 'memory' from headgate and acme; takes"):
        Registry[Port]("headgate.caches")


def test_two_claims_on_one_kind_are_an_error_each() -> None:
    with pytest.raises(ConfigurationError) as caught:
        registry({"named": here("Named")}, point("named"), point("a"), point("a"))
    assert caught.value.message.split("\n") == [
        "headgate.providers: got kind 'named' from headgate and an unnamed package; takes one adapter a kind",
        "headgate.providers: got kind 'a' from an unnamed package and an unnamed package; takes one adapter a kind",
    ]
    assert caught.value.details == {"problems": 2}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("namd", "got kind 'namd', which is unknown; did you mean named?"),
        ("no_module", "kind no_module of headgate, gone.away:Thing, cannot be imported"),
        ("no_name", f"kind no_name of headgate, {here('Gone')}, cannot be imported"),
        ("no_class", f"kind no_class of headgate, {here('not_a_class')}, is not a class"),
    ],
)
def test_a_kind_that_cannot_be_had_says_why(kind: str, message: str) -> None:
    rows = {
        "named": here("Named"),
        "no_module": "gone.away:Thing",
        "no_name": here("Gone"),
        "no_class": here("not_a_class"),
    }
    with pytest.raises(ConfigurationError) as caught:
        registry(rows).load(kind)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(("group", "kind"), [(group, kind) for group, rows in ROWS.items() for kind in rows])
def test_each_built_in_kind_is_a_class_of_ours(group: str, kind: str) -> None:
    module, _, name = ROWS[group][kind].partition(":")
    loaded = Registry[Port](group).load(kind)
    assert (loaded.__module__, loaded.__qualname__) == (module, name)


# --- options


def bind(kind: str, options: Mapping[str, object], offered: Mapping[str, object] | None = None) -> object:
    rows = {name.lower(): here(name) for name in ("Named", "Timed", "Open", "Bare", "Plain")}
    return registry(rows).bind("providers.local", kind, options, offered or {"name": "local", "clock": "clock"})()


def test_an_adapter_gets_its_options_and_what_it_names_of_the_offer() -> None:
    named = bind("named", {"base_url": "u", "depth": 2})
    assert isinstance(named, Named)
    assert named.given == ("local", "u", None, 2)
    timed = bind("timed", {})
    assert isinstance(timed, Timed)
    assert timed.given == ("local", "clock")
    taking_any = bind("open", {"x": 1})
    assert isinstance(taking_any, Open)
    assert taking_any.given == (0, (), "local", {"x": 1})
    assert isinstance(bind("bare", {}), Bare)
    assert isinstance(bind("plain", {}), Plain)


@pytest.mark.parametrize(
    ("kind", "options", "lines"),
    [
        (
            "named",
            {"base_url": "u", "dept": 1},
            ["providers.local.dept: unknown option of kind named; did you mean depth?"],
        ),
        ("named", {}, ["providers.local.base_url: missing; kind named takes it"]),
        (
            "named",
            {"name": "other", "a b": 1},
            [
                "providers.local.name: unknown option of kind named; takes one of api_key, base_url, depth",
                'providers.local."a b": unknown option of kind named; takes one of api_key, base_url, depth',
                "providers.local.base_url: missing; kind named takes it",
            ],
        ),
        ("open", {"clock": 1}, ["providers.local.clock: unknown option of kind open; takes one of (nothing)"]),
        ("bare", {"x": 1}, ["providers.local.x: unknown option of kind bare; takes one of (nothing)"]),
        ("plain", {"x": 1}, ["providers.local.x: unknown option of kind plain; takes one of (nothing)"]),
        ("named2", {}, ["providers.local: got kind 'named2', which is unknown; did you mean named?"]),
    ],
)
def test_options_are_checked_against_the_constructor(
    kind: str, options: Mapping[str, object], lines: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bind(kind, options)
    assert caught.value.message.split("\n") == lines


# --- providers


def test_a_vendor_of_the_environment_becomes_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = get_settings(
        {
            "OPENAI_API_KEY": "k",
            "DEEPSEEK_BASE_URL": "http://localhost:9",
            "ANTHROPIC_API_KEY": "k",
            "GEMINI_API_KEY": "k",
        }
    ).providers
    bound = bind_providers(Registry[Provider]("headgate.providers"), rows, StillClock())
    assert {name: type(make()).__name__ for name, make in bound.items()} == {
        "openai": "OpenAIProvider",
        "deepseek": "OpenAIProvider",
        "anthropic": "AnthropicProvider",
        "gemini": "GeminiProvider",
    }


def test_providers_are_bound_and_not_made() -> None:
    providers = Registry[Provider]("headgate.providers", {"named": here("Named"), "timed": here("Timed")}, ())
    clock = StillClock()
    rows = {
        "a": ProviderRow.model_validate({"kind": "named", "base_url": "http://h/", "api_key": "k", "depth": 5}),
        "b": ProviderRow(kind="timed"),
    }
    bound = bind_providers(providers, rows, clock)
    assert "http://h" not in repr(bound), "a key would show as well"
    assert {name: getattr(make(), "given", None) for name, make in bound.items()} == {
        "a": ("a", "http://h", "k", 5),
        "b": ("b", clock),
    }


def test_the_problems_of_all_providers_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows_of_file = '[providers."a.b"]\nkind = "named"\nx = 1\n[providers.anthropic]\nkind = "nemed"'
    (tmp_path / "headgate.toml").write_text(rows_of_file, "utf-8")
    providers = Registry[Provider]("headgate.providers", {"named": here("Named")}, ())
    rows = get_settings({}).providers
    with pytest.raises(ConfigurationError) as caught:
        bind_providers(providers, rows, StillClock())
    assert sorted(caught.value.message.split("\n")) == [
        'providers."a.b".base_url: missing; kind named takes it',
        'providers."a.b".x: unknown option of kind named; takes one of api_key, base_url, depth',
        "providers.anthropic: got kind 'nemed', which is unknown; did you mean named?",
    ]
    assert caught.value.details == {"problems": 3}
