"""Where settings come from: the environment over headgate.toml over the defaults of the vendors."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from adapters.proxy_address import proxy_variable
from adapters.settings_groups import GROUPS
from adapters.settings_problems import Path, Problem, did_you_mean, dotted, shown
from adapters.settings_rows import ROWS
from domain.errors import ConfigurationError

Tree: TypeAlias = dict[str, dict[str, Any]]
"""Values as they were given: table, then key."""

DEFAULT_FILE = "headgate.toml"
VENDORS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "openai": ("openai", "https://api.openai.com/v1"),
        "deepseek": ("openai", "https://api.deepseek.com/v1"),
        "anthropic": ("anthropic", "https://api.anthropic.com"),
        "gemini": ("gemini", "https://generativelanguage.googleapis.com/v1beta"),
    }
)
"""Providers that the environment can configure: name -> kind and base URL. Their variables begin with the name."""
PROXIED = frozenset(kind for kind, _ in VENDORS.values())
"""Kinds that go through the proxies that the environment names."""
ENVIRONMENT: Mapping[str, Path] = MappingProxyType(
    {f"{group.prefix}{key}".upper(): (table, key) for table, group in GROUPS.items() for key in group.model_fields}
    | {f"{name}_{key}".upper(): ("providers", name, key) for name in VENDORS for key in ("base_url", "api_key")}
)
"""Every setting that a variable can give, by the variable's name."""


class Layers(NamedTuple):
    """What was given, and what was wrong with it already."""

    environment: Tree
    file: Tree
    vendors: Tree
    variables: Mapping[Path, str]
    """The variable that gave the value at a path."""
    path: FilePath | None
    """The file that was read."""
    problems: list[Problem]

    def source(self, path: Path) -> str:
        """`environment NAME`, `file PATH` or `default`."""
        if path in self.variables:
            return f"environment {self.variables[path]}"
        return f"file {self.path}" if self._in_file(path) else "default"

    def name(self, path: Path) -> str:
        """The setting as whoever set it knows it: the variable, or the key in the file."""
        if path in self.variables:
            return self.variables[path]
        if path[0] in GROUPS and not self._in_file(path):
            return next((name for name, known in ENVIRONMENT.items() if known == path), dotted(path))
        return dotted(path)

    def _in_file(self, path: Path) -> bool:
        node: object = self.file
        for part in path:
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return True


def read_layers(environ: Mapping[str, str]) -> Layers:
    """Reads the environment, and the file that HEADGATE_CONFIG names or ./headgate.toml if there is one.

    An empty variable counts as unset; spaces around a value are dropped. Raises `ConfigurationError` if the file
    cannot be read.
    """
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    path, file = _read_file(given.get("HEADGATE_CONFIG"))
    problems = _drop_what_is_no_table(file)
    environment, variables = _read_environment(given)
    for name, row in file.get("providers", {}).items():
        _resolve_references(("providers", name), row, given, variables, problems)
    vendors: Tree = {"providers": {}}
    for name in [name for name in VENDORS if name in environment["providers"] or name in file.get("providers", {})]:
        kind, base_url = VENDORS[name]
        if file.get("providers", {}).get(name, {}).get("kind", kind) == kind:
            vendors["providers"][name] = {"kind": kind, "base_url": base_url}
    for name in {**environment["providers"], **file.get("providers", {})}:
        _add_proxy(name, (environment, file, vendors), given, variables)
    return Layers(environment, file, vendors, variables, path, problems)


def _read_file(named: str | None) -> tuple[FilePath | None, Tree]:
    path = FilePath(named or DEFAULT_FILE)
    setting = "HEADGATE_CONFIG" if named else DEFAULT_FILE
    try:
        return path, tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if named is None:
            return None, {}
        wrong = f"got {path}, which does not exist"
    except OSError as error:
        wrong = f"got {path}, which cannot be read: {os.strerror(error.errno or 0)}"
    except UnicodeDecodeError:
        wrong = f"got {path}, which is not UTF-8"
    except tomllib.TOMLDecodeError as error:
        wrong = f"got {path}, which is not TOML: {error}"  # names a line and column, and one character at most
    raise ConfigurationError(f"{setting}: {wrong}; takes the path of a TOML file", details={"problems": 1})


def _read_environment(given: Mapping[str, str]) -> tuple[Tree, dict[Path, str]]:
    tree: Tree = {table: {} for table in (*GROUPS, "providers")}
    variables = {path: name for name, path in ENVIRONMENT.items() if name in given}
    for (table, *parents, key), name in variables.items():
        row = tree[table]
        for parent in parents:
            row = row.setdefault(parent, {})
        row[key] = given[name]
    return tree, variables


def _drop_what_is_no_table(file: Tree) -> list[Problem]:
    """Takes out what the merge with the environment would hide or trip over."""
    known = {*GROUPS, *ROWS, "routes"}
    problems = []
    for name in list(file):
        if name not in known:
            problems.append(Problem((name,), f"unknown table; {did_you_mean(name, known)}"))
        elif not isinstance(file[name], dict):
            problems.append(Problem((name,), f"got {shown(file[name])}; takes a table"))
        else:
            continue
        del file[name]
    providers = file.get("providers", {})
    wrong = [name for name, row in providers.items() if not isinstance(row, dict)]
    return problems + [
        Problem(("providers", name), f"got {shown(providers.pop(name))}; takes a table") for name in wrong
    ]


def _resolve_references(
    path: Path, row: dict[str, Any], given: Mapping[str, str], variables: dict[Path, str], problems: list[Problem]
) -> None:
    """Replaces each `env:NAME` in a row, and in the tables in it, by what the environment holds, unless the vendor's
    own variable wins anyway."""
    for key, value in list(row.items()):
        where = (*path, key)
        if isinstance(value, dict):
            _resolve_references(where, value, given, variables, problems)
        if not isinstance(value, str) or not value.startswith("env:") or where in variables:
            continue
        name = value.removeprefix("env:")
        if name in given:
            row[key] = given[name]
            variables[where] = name
        else:
            del row[key]
            got = value if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else shown(value)  # else it may be a key
            what = "the key" if key == "api_key" else "the value"
            problems.append(Problem(where, f"got {got}, which is not set; takes env:NAME or {what} itself"))


def _add_proxy(
    name: str, layers: tuple[Tree, Tree, Tree], given: Mapping[str, str], variables: dict[Path, str]
) -> None:
    """The proxy that the environment names for a provider, in the last layer: what a row says counts more."""
    rows = [layer.get("providers", {}).get(name, {}) for layer in layers]
    kind, base_url = (next((row[key] for row in rows if key in row), None) for key in ("kind", "base_url"))
    if kind not in PROXIED or not isinstance(base_url, str) or any("proxy" in row for row in rows):
        return
    variable = proxy_variable(base_url, given)
    if variable is not None:
        layers[-1]["providers"].setdefault(name, {})["proxy"] = given[variable]
        variables["providers", name, "proxy"] = variable
