"""What the scenarios of overload report: percentiles, and how equal shares are."""

from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def jain_index(shares: Sequence[float]) -> float:
    """1 where all have the same, 1/n where one has all.

    Source: R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984.
    """
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def spread(values: Sequence[float]) -> str:
    """Seconds, for the log of a long run."""
    return f"p50 {percentile(values, 50):.3f} s, p99 {percentile(values, 99):.3f} s, at most {max(values):.3f} s"
