"""The API keys on Redis: made and revoked once for all replicas."""

import secrets
from collections.abc import Iterator

import msgspec

from adapters.redis.client import RedisClient
from adapters.redis.errors import RedisAuthenticationError, RedisClientError
from adapters.redis.resp import Reply
from adapters.redis.script import Script
from adapters.stored_key import StoredKey
from domain.errors import ConfigurationError
from ports.keys import ApiKey, ApiKeys

KEY = "headgate:keys"
VERSION = ""
"""The field that changes with every change. No key has this name."""
SECONDS = 0.4
"""No request waits for these commands; what waits reads again soon."""

_PUT, _REMOVE = Script("keys_put"), Script("keys_remove")
_ROW = msgspec.json.Decoder(StoredKey)


class RedisApiKeys(ApiKeys):
    """Keys in one hash. As long as nothing changes, a `list` brings a few bytes."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._version: bytes | None = None
        self._keys: tuple[ApiKey, ...] = ()

    async def list(self) -> tuple[ApiKey, ...]:
        """All keys, by name. Raises `ConfigurationError`, also if the hash was there and is gone."""
        try:
            version = await self._client.execute("HGET", KEY, VERSION, timeout=SECONDS, read=True)
            if isinstance(version, bytes) and version != self._version:
                reply = await self._client.execute_bulk("HGETALL", KEY, timeout=SECONDS, read=True)
                rows = dict(_pairs(reply))
                version = rows.pop(VERSION, None)
                if version is not None:
                    self._keys = tuple(key for name in sorted(rows) if (key := _key(name, rows[name])))
                    self._version = version
        except RedisClientError as error:
            raise _failed(error) from error
        if version is None and self._version is not None:
            raise ConfigurationError(f"REDIS_URL: Redis has lost {KEY}; create the keys again", details={"lost": True})
        return self._keys

    async def put(self, key: ApiKey) -> bool:
        """Stores a new key. Raises `ConfigurationError`."""
        return await self._change(_PUT, key.name, msgspec.json.encode(StoredKey.of(key)))

    async def remove(self, name: str) -> bool:
        """Removes a key. Raises `ConfigurationError`."""
        return await self._change(_REMOVE, name)

    async def _change(self, script: Script, *args: str | bytes) -> bool:
        try:
            done = await self._client.evalsha(script, (KEY,), (*args, secrets.token_hex(8)), timeout=SECONDS)
        except RedisClientError as error:
            raise _failed(error) from error
        return done == 1


def _pairs(reply: Reply) -> Iterator[tuple[str, bytes]]:
    fields = reply if isinstance(reply, list) else []
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if isinstance(name, bytes) and isinstance(value, bytes):
            yield name.decode("utf-8", "replace"), value


def _key(name: str, row: bytes) -> ApiKey | None:
    """A row that nobody can read is no key: it must not keep the revocation of others from being seen."""
    try:
        return _ROW.decode(row).key(name)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _failed(error: RedisClientError) -> ConfigurationError:
    if isinstance(error, RedisAuthenticationError):
        text = "REDIS_URL, REDIS_PASSWORD: Redis does not accept these credentials"
    elif error.maybe_executed:
        text = f"REDIS_URL: Redis did not say whether it was done ({error.word}); see `headgate keys list`"
    else:
        text = f"REDIS_URL: Redis does not serve ({error.word})"
    return ConfigurationError.from_exception(error, text, details={"word": error.word})
