"""Exponential histograms by OpenTelemetry's definition, in exact arithmetic: defines
``tracescape_native.histograms``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, localcontext


def index(value: int, scale: int) -> int:
    """The bucket of a positive value: i with base^i < value <= base^(i+1), base = 2^(2^-scale)."""
    if value & (value - 1) == 0:  # a power of 2 is the upper bound of its bucket, at every scale
        exponent = value.bit_length() - 1
        return exponent * 2**scale - 1 if scale >= 0 else (exponent - 1) >> -scale
    with localcontext() as context:
        context.prec = 60
        logarithm = Decimal(value).ln() / Decimal(2).ln()
        return int((logarithm * Decimal(2) ** scale).to_integral_value("ROUND_CEILING")) - 1


@dataclass
class Histogram:
    most: int = 160
    values: list[int] = field(default_factory=list)

    @property
    def scale(self) -> int:
        """The largest at which the buckets from the smallest to the largest value are not too many."""
        positive = [value for value in self.values if value]
        scale = 20
        while positive and index(max(positive), scale) - index(min(positive), scale) >= self.most:
            scale -= 1
        return scale

    @property
    def buckets(self) -> dict[int, int]:
        return dict(Counter(index(value, self.scale) for value in self.values if value))

    def quantile(self, share: float) -> int:
        """Exactly: the smallest recorded value that at least that share of the values do not exceed."""
        return next(
            value
            for value in sorted(self.values)
            if sum(other <= value for other in self.values) >= share * len(self.values)
        )
