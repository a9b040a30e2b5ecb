"""Quantiles of a stream of durations in bounded memory, with a bound on their relative error.

DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB
2019): values fall into buckets whose bounds grow by gamma = (1 + alpha) / (1 - alpha); the middle of the bucket that
holds a quantile is within alpha of it. When there are too many buckets, the lowest are joined: high quantiles keep
their bound.
"""

import math

ALPHA = 0.01
"""The relative error of a quantile."""
MAX_BUCKETS = 1024
"""No bucket is joined while the largest value is less than 780 million times the smallest: 1 us to 13 minutes."""
SMALLEST = 1e-9
"""Values below this many seconds count as none."""
_GAMMA = (1 + ALPHA) / (1 - ALPHA)
_LOG_GAMMA = math.log(_GAMMA)


class QuantileSketch:
    """Takes values of 0 or more; knows their number, sum, extremes and quantiles. Not safe under threads."""

    __slots__ = ("_buckets", "_zeros", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._zeros = 0
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = 0.0

    def __len__(self) -> int:
        """Buckets in use: at most MAX_BUCKETS."""
        return len(self._buckets)

    def add(self, value: float) -> None:
        """Counts one value."""
        self.count += 1
        self.total += value
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        if value < SMALLEST:
            self._zeros += 1
            return
        bucket = math.ceil(math.log(value) / _LOG_GAMMA)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        if len(self._buckets) > MAX_BUCKETS:
            lowest = self._buckets.pop(min(self._buckets))
            self._buckets[min(self._buckets)] += lowest

    def quantile(self, share: float) -> float:
        """The value below which `share` (0 to 1) of the values lie, within ALPHA of it; 0 if there are none.

        That is the value of rank floor(share * (count - 1)), counted from 0 in ascending order.
        """
        rank = share * (self.count - 1)
        seen = self._zeros
        if self.count == 0 or rank < seen:
            return 0.0
        buckets = iter(sorted(self._buckets))
        bucket = next(buckets)
        seen += self._buckets[bucket]
        while rank >= seen:  # ends: the rank is below the count, and the buckets add up to it
            bucket = next(buckets)
            seen += self._buckets[bucket]
        middle: float = 2 * _GAMMA**bucket / (_GAMMA + 1)
        return min(max(middle, self.minimum), self.maximum)
