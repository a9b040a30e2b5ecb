"""What is wrong with a configuration, in lines that name the setting, what it got and what it takes.

A line never shows a secret: not what was given for one, and no long text at all, since a key may have been put in the
wrong place.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_args

from annotated_types import Ge, Le
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from adapters.settings_groups import Table

Path: TypeAlias = tuple[str, ...]
"""Where a setting stands: ("stream", "idle_timeout"), ("providers", "local", "kind")."""

LONGEST_SHOWN = 24
"""Characters; the keys of all vendors are longer."""
MASK = "****"
NAMES = "letters, digits and . _ - after a letter or digit, at most 64 in all"
ROUTE_NAMES = "at most 200 printable characters without spaces"
TARGET_NAMES = "provider/model"
WEIGHT = "a whole number from 1 to 100"
TARGETS = "a list of targets, provider/model"


class Problem(NamedTuple):
    """One thing that is wrong: where, and what it got and takes."""

    path: Path
    text: str


class Problems(ValueError):
    """What a validator found, each with a path of its own. Pydantic catches it and `describe` reads it."""

    def __init__(self, found: Sequence[Problem]) -> None:
        super().__init__(f"{len(found)} problems")
        self.found = found


def dotted(path: Iterable[str]) -> str:
    """The path as TOML writes a key."""
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' if part.isprintable() else ascii(part)
        for part in path
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """How to go on after an unknown word: the nearest known one, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word[:64], names, n=1)
    return f"did you mean {near[0]}?" if near else f"takes one of {', '.join(names) or '(nothing)'}"


def shown(value: object) -> str:
    """A value as a line shows it."""
    match value:
        case bool():
            return str(value).lower()
        case str() if "@" in value or "?" in value:
            return MASK
        case str() if len(value) <= LONGEST_SHOWN:
            return ascii(value)
        case str() if address := re.match(r"([a-z]{1,8}://[a-zA-Z0-9.:\[\]-]{1,100})(?:/|$)", value):
            return f"an address at {address[1]}"
        case str():
            return f"text of {len(value)} characters"
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)[:LONGEST_SHOWN]


def takes(field: FieldInfo) -> str:
    """What a setting takes: its type and range, or its description where it is text."""
    kind = next((kind for kind in get_args(field.annotation) if kind is not NoneType), field.annotation)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    if kind is bool:
        return "true or false"
    if kind in {int, float}:
        least = next(bound.ge for bound in field.metadata if isinstance(bound, Ge))
        most = next(bound.le for bound in field.metadata if isinstance(bound, Le))
        return f"{'a whole number' if kind is int else 'a number'} from {least} to {most}"
    return field.description or "text"


def describe(error: ValidationError, tables: Mapping[str, "type[Table]"]) -> list[Problem]:
    """Every problem that pydantic found, in the order of the settings."""
    problems: list[Problem] = []
    for one in error.errors(include_url=False):
        cause = one.get("ctx", {}).get("error")
        if isinstance(cause, Problems):
            problems += cause.found
            continue
        path = tuple(str(part) for part in one["loc"])
        if path[0] == "routes" and path[-1] == "target":
            path = path[:-1]  # mostly the name stands there alone
        problems.append(Problem(tuple(part for part in path if part != "[key]"), _text(one, path, tables)))
    return problems


def _text(one: Mapping[str, Any], path: Path, tables: Mapping[str, "type[Table]"]) -> str:
    model = tables.get(path[0])
    if path[-1] == "[key]":
        names = ROUTE_NAMES if model is None else TARGET_NAMES if path[0] == "targets" else NAMES
        return f"got a name that does not fit; takes {names}"
    if path[0] == "routes" and len(path) == 4 and path[-1] != "target":
        return f"got {shown(one['input'])}; takes {WEIGHT if path[-1] == 'weight' else 'target and weight'}"
    if model is None:
        return f"got {shown(one['input'])}; takes {TARGETS if len(path) > 1 else 'a table'}"
    field = model.model_fields.get(path[-1]) if len(path) == (2 if model.prefix else 3) else None
    if one["type"] == "extra_forbidden":
        return f"unknown setting; {did_you_mean(path[-1], model.model_fields)}"
    if field is None and path[0] == "providers" and len(path) == 4 and path[2] in model.model_fields:
        return f"got {MASK}; takes text"
    if field is None:
        return f"got {shown(one['input'])}; takes a table"
    if one["type"] == "missing":
        return f"missing; takes {takes(field)}"
    return f"got {MASK if is_secret(field) else shown(one['input'])}; takes {takes(field)}"


def is_secret(field: FieldInfo) -> bool:
    """Whether the value of this setting is never shown."""
    return _has_secrets(field.annotation) or not field.repr


def _has_secrets(annotation: object) -> bool:
    """Whether it is the type of a secret, or of a table or choice with one in it."""
    return annotation is SecretStr or any(map(_has_secrets, get_args(annotation)))
