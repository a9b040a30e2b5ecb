"""`headgate keys`: makes API keys, shows which there are, revokes them. A running service notices by itself."""

import argparse
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256

from adapters.settings import KeyRow, Settings
from adapters.settings_problems import NAMES, did_you_mean, shown
from domain.errors import ConfigurationError
from entrypoints.columns import columns, printable
from ports.clock import Clock
from ports.keys import ApiKey, ApiKeys

PREFIX = "hg_"
"""By which scanners of code and our own redaction know a key."""
KEY_BYTES = 32
SHOWN_DIGITS = 8
"""Of a hash, to tell keys apart."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def add_keys_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `keys` and what it takes."""
    actions = commands.add_parser("keys", help="make, list and revoke API keys").add_subparsers(
        dest="action", required=True
    )
    create = actions.add_parser("create", help="make a key: it is printed once and only its hash is kept")
    create.add_argument("--name", required=True, help="what the key is called in lists")
    create.add_argument("--tenant", help="whose limits, streams and answers it shares; default: its name")
    create.add_argument("--tier", default="default", help="a tier of the settings")
    actions.add_parser("list", help="show all keys, without the keys")
    revoke = actions.add_parser("revoke", help="make a key invalid, on every replica within two seconds")
    revoke.add_argument("--name", required=True)


async def run_keys(options: argparse.Namespace, settings: Settings, keys: ApiKeys, clock: Clock) -> int:
    """Runs one of the commands. 0 if it is done. Raises `ConfigurationError` if it cannot be."""
    if options.action == "create":
        tenant = options.name if options.tenant is None else options.tenant
        await _create(settings, keys, options.name, tenant, options.tier, int(clock.time()))
    elif options.action == "revoke":
        await _revoke(settings, keys, options.name)
    else:
        sys.stdout.write(_table(_configured(settings), await keys.list()))
    return 0


async def _create(settings: Settings, keys: ApiKeys, name: str, tenant: str, tier: str, now: int) -> None:
    for option, value in (("--name", name), ("--tenant", tenant)):
        if not _NAME.fullmatch(value):
            raise ConfigurationError(f"{option}: got {shown(value)}; takes {NAMES}")
    if tier not in settings.tiers:
        text = f"--tier: got {shown(tier)}, a tier that does not exist; {did_you_mean(tier, settings.tiers)}"
        raise ConfigurationError(text)
    if name in settings.keys:
        raise ConfigurationError(f"--name: got {name}, which is [keys.{name}] in headgate.toml; takes a new name")
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    if not await keys.put(ApiKey(name, sha256(key.encode()).hexdigest(), tenant, tier, now)):
        raise ConfigurationError(f"--name: got {name}, which there is already; takes a new name, or revoke it first")
    sys.stdout.write(f"{key}\n")
    sys.stderr.write(f"{name}: stored {_place(settings)}. The key is not shown again.\n")


async def _revoke(settings: Settings, keys: ApiKeys, name: str) -> None:
    if await keys.remove(name):
        sys.stdout.write(f"{name}: revoked {_place(settings)}.\n")
    elif name in settings.keys:
        text = f"--name: got {name}, which is [keys.{name}] in headgate.toml; remove it there and restart the service"
        raise ConfigurationError(text)
    else:
        known = [key.name for key in await keys.list()]
        raise ConfigurationError(f"--name: got {shown(name)}, a key that does not exist; {did_you_mean(name, known)}")


def _place(settings: Settings) -> str:
    return "in Redis" if settings.redis.enabled else f"in {settings.access.keys_path}"


def _configured(settings: Settings) -> list[ApiKey]:
    rows: Mapping[str, KeyRow] = settings.keys
    return [ApiKey(name, row.sha256, row.tenant, row.tier) for name, row in rows.items()]


def _table(configured: Iterable[ApiKey], stored: Iterable[ApiKey]) -> str:
    rows = [("NAME", "TENANT", "TIER", "CREATED", "SHA256")]
    rows += [_row(key, "headgate.toml") for key in configured]
    rows += [_row(key, "unknown" if key.created is None else _date(key.created)) for key in stored]
    return columns(rows)


def _row(key: ApiKey, created: str) -> tuple[str, str, str, str, str]:
    return printable(key.name), printable(key.tenant), printable(key.tier), created, key.sha256[:SHOWN_DIGITS]


def _date(created: int) -> str:
    return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M")
