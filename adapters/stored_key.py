"""An API key as the file and Redis keep it: a JSON object beside its name."""

from typing import Annotated

import msgspec

from ports.keys import ApiKey


class StoredKey(msgspec.Struct, frozen=True):
    """What is kept of a key under its name."""

    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    tier: str
    created: int | None = None

    @classmethod
    def of(cls, key: ApiKey) -> "StoredKey":
        """The row of a key."""
        return cls(key.sha256, key.tenant, key.tier, key.created)

    def key(self, name: str) -> ApiKey:
        """The key of this row."""
        return ApiKey(name, self.sha256, self.tenant, self.tier, self.created)
