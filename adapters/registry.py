"""What kinds of adapters there are: built-in rows, then what other packages bring by entry points.

    registry = Registry[Provider]("headgate.providers")
    make = bind_providers(registry, settings.providers, clock)["local"]
    provider = make()

An adapter's module is imported when its kind is asked for, not before.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Generic, TypeVar

from adapters.answer_bounds import AnswerBounds
from adapters.masking import masking_of
from adapters.settings_problems import did_you_mean, dotted, shown
from adapters.settings_rows import ProviderRow
from domain.errors import ConfigurationError
from ports.clock import Clock
from ports.provider import Provider

P = TypeVar("P")

ROWS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "headgate.providers": {
            "openai": "adapters.providers.openai:OpenAIProvider",
            "anthropic": "adapters.providers.anthropic:AnthropicProvider",
            "gemini": "adapters.providers.gemini:GeminiProvider",
            "demo": "adapters.providers.demo:DemoProvider",
        },
        "headgate.caches": {"memory": "adapters.memory.cache:MemoryCache"},
        "headgate.queues": {"memory": "adapters.memory.queue:MemoryMessageQueue"},
        "headgate.limiters": {"memory": "adapters.memory.limiter:MemoryLimiter"},
        "headgate.stream_logs": {"memory": "adapters.memory.stream_log:MemoryStreamLog"},
        "headgate.recorders": {"memory": "adapters.memory.recorder:MemoryRecorder"},
    }
)
"""Entry-point group -> kind -> "module:Class". A new adapter of ours is one row here."""


class Registry(Generic[P]):
    """The kinds of one group; `P` is the port that their classes fill.

    Raises `ConfigurationError` when it is made if two adapters claim one kind.
    """

    def __init__(
        self, group: str, rows: Mapping[str, str] | None = None, found: Iterable[EntryPoint] | None = None
    ) -> None:
        self._group = group
        self._rows = dict(ROWS[group] if rows is None else rows)
        self._owners = dict.fromkeys(self._rows, "headgate")
        clashes = []
        for point in entry_points(group=group) if found is None else found:
            package = point.dist.name if point.dist else "an unnamed package"
            if point.name in self._rows:
                owners = f"{self._owners[point.name]} and {package}"
                clashes.append(f"{group}: got kind {shown(point.name)} from {owners}; takes one adapter a kind")
            else:
                self._rows[point.name], self._owners[point.name] = point.value, package
        if clashes:
            raise ConfigurationError("\n".join(clashes), details={"problems": len(clashes)})

    def kinds(self) -> tuple[str, ...]:
        """All kinds, sorted."""
        return tuple(sorted(self._rows))

    def load(self, kind: str) -> type[P]:
        """The class of a kind, imported now. Raises `ConfigurationError`: unknown, or cannot be imported."""
        if kind not in self._rows:
            raise ConfigurationError(f"got kind {shown(kind)}, which is unknown; {did_you_mean(kind, self._rows)}")
        value = self._rows[kind]
        try:
            loaded = EntryPoint(kind, value, self._group).load()
        except (ImportError, AttributeError) as error:
            message = f"kind {kind} of {self._owners[kind]}, {value}, cannot be imported"
            raise ConfigurationError.from_exception(error, message) from error
        if not isinstance(loaded, type):
            raise ConfigurationError(f"kind {kind} of {self._owners[kind]}, {value}, is not a class")
        return loaded

    def bind(
        self, setting: str, kind: str, options: Mapping[str, object], offered: Mapping[str, object]
    ) -> Callable[[], P]:
        """What makes the adapter, with its options checked against its constructor. Nothing is made yet.

        `options` come from the configuration; of what is `offered` (a name, a clock) it gets what its constructor
        names. Raises one `ConfigurationError` whose lines begin with `setting`.
        """
        try:
            loaded = self.load(kind)
        except ConfigurationError as error:
            raise ConfigurationError(f"{setting}: {error.message}", details=error.details) from error
        parameters = _parameters(loaded)
        named = {name for name, one in parameters.items() if one.kind is not one.VAR_KEYWORD}
        takes = named - offered.keys()
        takes_any = named != parameters.keys()
        problems = [
            f"{setting}.{dotted((name,))}: unknown option of kind {kind}; {did_you_mean(name, takes)}"
            for name in options
            if name in offered or (name not in takes and not takes_any)
        ]
        problems += [
            f"{setting}.{name}: missing; kind {kind} takes it"
            for name in sorted(takes - options.keys())
            if parameters[name].default is inspect.Parameter.empty
        ]
        if problems:
            raise ConfigurationError("\n".join(problems), details={"problems": len(problems)})
        arguments = {**options, **{name: value for name, value in offered.items() if name in named}}

        def make() -> P:  # not a partial: its repr would show the options, keys among them
            return loaded(**arguments)

        return make


def bind_providers(
    registry: Registry[Provider], rows: Mapping[str, ProviderRow], clock: Clock, bounds: AnswerBounds | None = None
) -> dict[str, Callable[[], Provider]]:
    """What makes each configured provider; each knows the secrets of all, and masks them in what it passes on (R9).

    Raises one `ConfigurationError` with a line for each problem of any.
    """
    bound: dict[str, Callable[[], Provider]] = {}
    problems: list[str] = []
    masking = masking_of(rows.values())
    for name, row in rows.items():
        setting = dotted(("providers", name))
        offered = {"name": name, "clock": clock, "bounds": bounds, "masking": masking}
        try:
            bound[name] = registry.bind(setting, row.kind, row.options, offered)
        except ConfigurationError as error:
            problems += error.message.splitlines()
    if problems:
        raise ConfigurationError("\n".join(problems), details={"problems": len(problems)})
    return bound


def _parameters(loaded: type) -> Mapping[str, inspect.Parameter]:
    """What a constructor takes by name, `**options` for any included."""
    owner = next(one for one in loaded.__mro__ if "__init__" in vars(one))
    if getattr(owner, "_is_protocol", False):
        return {}  # a Protocol gives a class that has no constructor one that seems to take anything
    own = inspect.signature(loaded).parameters
    return {name: one for name, one in own.items() if one.kind not in {one.VAR_POSITIONAL, one.POSITIONAL_ONLY}}
