"""The API keys in memory."""

from ports.keys import ApiKey, ApiKeys


class MemoryApiKeys(ApiKeys):
    """Keys of one process; they end with it."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    async def list(self) -> tuple[ApiKey, ...]:
        """All keys, by name."""
        return tuple(self._keys[name] for name in sorted(self._keys))

    async def put(self, key: ApiKey) -> bool:
        """Stores a new key."""
        return self._keys.setdefault(key.name, key) is key

    async def remove(self, name: str) -> bool:
        """Removes a key."""
        return self._keys.pop(name, None) is not None
