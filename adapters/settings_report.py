"""What `headgate check` prints: every setting in effect, where it came from, and what is plugged into what."""

import difflib
import os
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from adapters.settings import Settings
from adapters.settings_groups import GROUPS
from adapters.settings_layers import ENVIRONMENT, read_layers
from adapters.settings_problems import MASK, Path, dotted
from domain.model import Place

DEFAULT_TIER: Mapping[str, Path] = {
    "requests_per_minute": ("rate_limit", "requests_per_minute"),
    "tokens_per_minute": ("rate_limit", "tokens_per_minute"),
    "max_concurrent_streams": ("stream", "max_concurrent_per_caller"),
}
"""What the default tier is made of where the file does not give it, and with it `premium`."""
SHOWN = frozenset({"kind", "base_url", "api_key_header", "ca_file"})
"""Options of a provider that are no secrets."""
SHARED_PREFIXES = ("REDIS_", "LOG_")
"""Other software has variables that begin like this, and much like ours."""


def settings_report(
    settings: Settings, ports: Mapping[str, str], environ: Mapping[str, str] | None = None
) -> list[str]:
    """Lines fit to be printed, with no secret in them.

    `ports` says what adapter is plugged into each port. The environment and the file are read again for the sources;
    raises `ConfigurationError` if the file cannot be.
    """
    environ = os.environ if environ is None else environ
    layers = read_layers(environ)
    rows = []
    for path, value in _effective(settings):
        origin = path
        if origin[:2] == ("tiers", "premium") and "premium" not in layers.file.get("tiers", {}):
            origin = ("tiers", "default", path[2])
        if origin[:2] == ("tiers", "default") and "default" not in layers.file.get("tiers", {}):
            origin = DEFAULT_TIER.get(path[2], origin)
        rows.append((dotted(path), _text(path, value), layers.source(origin)))
    names, values = (min(max(len(row[column]) for row in rows), 40) for column in (0, 1))
    lines = [f"file: {layers.path.resolve() if layers.path else 'none'}", "", "settings"]
    lines += [f"  {name:<{names}}  {value:<{values}}  {source}" for name, value, source in rows]
    lines += ["", "ports"]
    lines += [f"  {port:<{names}}  {adapter}" for port, adapter in ports.items()]
    return lines + [f"warning: {warning}" for warning in settings_warnings(environ)]


def settings_warnings(environ: Mapping[str, str] | None = None) -> list[str]:
    """What an operator should know: providers whose certificates are not checked, and variables that do nothing, by a
    slip in the name of a setting or since the file gives it in another way."""
    environ = os.environ if environ is None else environ
    known = {*ENVIRONMENT, "HEADGATE_CONFIG"}
    prefixes = {*(str(group.prefix) for group in GROUPS.values()), "HEADGATE_"} - {*SHARED_PREFIXES}
    suspects = sorted(name for name in environ if name not in known and name.startswith(tuple(prefixes)))
    nearest = ((name, difflib.get_close_matches(name, known, n=1, cutoff=0.85)) for name in suspects)
    slips = [f"{name} is not a setting; did you mean {near[0]}?" for name, near in nearest if near]
    layers = read_layers(environ)
    slips += [
        f"{dotted(('providers', name, 'verify'))} is false: whoever is on the way can read its key, prompts and answers"
        for name, row in layers.file.get("providers", {}).items()
        if row.get("verify") is False
    ]
    if "default" not in layers.file.get("tiers", {}):
        return slips
    idle = [layers.variables[path] for path in DEFAULT_TIER.values() if path in layers.variables]
    return slips + [f"{name} does nothing; [tiers.default] in {layers.path} alone counts" for name in idle]


def _effective(settings: Settings) -> Iterator[tuple[Path, object]]:
    for table, group in GROUPS.items():
        for key in group.model_fields:
            yield (table, key), getattr(getattr(settings, table), key)
    for name, provider in settings.providers.items():
        yield ("providers", name, "kind"), provider.kind
        for option, value in provider.options.items():
            yield ("providers", name, option), value
    for name, places in settings.routes.items():
        yield ("routes", name), ", ".join(_place(place) for place in places)
    for name, target in settings.targets.items():
        for key, value in target.items():
            yield ("targets", name, key), value
    for name, tier in settings.tiers.items():
        for key in (*DEFAULT_TIER, "weight"):
            yield ("tiers", name, key), getattr(tier, key)
    for name, row in settings.keys.items():
        yield ("keys", name, "sha256"), SecretStr(row.sha256)
        yield ("keys", name, "tier"), row.tier
        yield ("keys", name, "tenant"), row.tenant


def _place(place: Place) -> str:
    return place.target if place.weight is None else f"{place.target} (weight {place.weight})"


def _text(path: Path, value: object) -> str:
    match value:
        case None:
            return "(unset)"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return f"{value:.15g}"
        case str() if path[0] != "providers" or path[2] in SHOWN:
            return value if value.isprintable() else ascii(value)
        case _:  # a secret, or an option that only its adapter knows: it may be one
            return MASK
