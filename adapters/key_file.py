"""The API keys in a JSON file, for one machine: commands replace it atomically, a running service sees that."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from adapters.stored_key import StoredKey
from domain.errors import ConfigurationError
from ports.keys import ApiKey, ApiKeys

MODE = 0o600
MAX_BYTES = 64 << 20

_Stamp: TypeAlias = tuple[int, int, int]
_ROWS = msgspec.json.Decoder(dict[str, StoredKey])


class FileApiKeys(ApiKeys):
    """Keys in the file at `path`; none while it does not exist. Only its owner may read it.

    A change is written beside the file and takes its place in one step: a reader has the old keys or the new ones.
    The file beside it is the lock too: of two commands at once, one is told to try again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._keys: tuple[ApiKey, ...] = ()

    async def list(self) -> tuple[ApiKey, ...]:
        """All keys, by name; read again only if the file is another. Raises `ConfigurationError`."""
        return await asyncio.to_thread(self._read)

    async def put(self, key: ApiKey) -> bool:
        """Stores a new key. Raises `ConfigurationError`."""

        def add(rows: dict[str, StoredKey]) -> bool:
            return rows.setdefault(key.name, row) is row

        row = StoredKey.of(key)
        return await asyncio.to_thread(self._change, add)

    async def remove(self, name: str) -> bool:
        """Removes a key. Raises `ConfigurationError`."""
        return await asyncio.to_thread(self._change, lambda rows: rows.pop(name, None) is not None)

    def _read(self) -> tuple[ApiKey, ...]:
        try:
            with self._path.open("rb") as file:
                facts = os.fstat(file.fileno())
                stamp = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
                if stamp != self._stamp:
                    rows = self._rows(file.read(MAX_BYTES + 1))
                    self._keys = tuple(rows[name].key(name) for name in sorted(rows))
                    self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._keys = None, ()
        except OSError as error:
            raise self._wrong(error, "read") from error
        return self._keys

    def _rows(self, text: bytes) -> dict[str, StoredKey]:
        try:
            return _ROWS.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigurationError.from_exception(
                error, f"HEADGATE_KEYS_FILE: got {self._path}, which `headgate keys` did not write; takes its file"
            ) from error

    def _change(self, change: Callable[[dict[str, StoredKey]], bool]) -> bool:
        """Applies it to what is in the file; the file stays as it is if `change` says False."""
        path = self._path.resolve()  # a link stays a link
        fresh = path.with_name(f"{path.name}.lock")
        try:
            file = os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb")
        except FileExistsError as error:
            text = f"HEADGATE_KEYS_FILE: {fresh} exists: another command is at work; if none is, remove it"
            raise ConfigurationError.from_exception(error, text) from error
        except OSError as error:
            raise self._wrong(error, "written") from error
        ours = True
        try:
            with file:
                rows = self._rows(path.read_bytes() if path.exists() else b"{}")
                changed = change(rows)
                file.write(msgspec.json.format(msgspec.json.encode(rows, order="sorted"), indent=2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if changed:
                fresh.replace(path)
                ours = False  # a lock that is there from now on is another's
                _sync(path.parent)
        except OSError as error:
            raise self._wrong(error, "written") from error
        finally:
            if ours:
                fresh.unlink()
        return changed

    def _wrong(self, error: OSError, done: str) -> ConfigurationError:
        why = os.strerror(error.errno or 0)
        return ConfigurationError.from_exception(
            error, f"HEADGATE_KEYS_FILE: got {self._path}, which cannot be {done}: {why}"
        )


def _sync(folder: Path) -> None:
    """A revoked key does not come back with the power."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
