"""What holds for a tier: for one that this process does not know, what holds for the default tier.

Such callers come with jobs: those of a newer replica, or of yesterday's configuration, may be of any tier.
"""

from typing import TypeVar

T = TypeVar("T")

DEFAULT_TIER = "default"


class ByTier(dict[str, T]):
    """Something for each tier, by its name."""

    def __missing__(self, tier: str) -> T:
        if tier == DEFAULT_TIER:
            raise KeyError(tier)
        return self[DEFAULT_TIER]
