"""Keeps the stores of a collector within their limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from tracescape.periodic import Periodic
from tracescape_storage.retention import Limits, Prunes, Retention

#: Less than half a second's work a look; what arrives in between is beyond the limit.
DEFAULT_INTERVAL_S: Final = 5.0


def keeping(stores: Iterable[Prunes], limits: Limits, *, interval_s: float = DEFAULT_INTERVAL_S) -> Periodic:
    """Prunes ``stores`` at once and every ``interval_s`` seconds until it is closed."""
    steps = [_enforcing(Retention(store, limits)) for store in stores]
    return Periodic("keep", steps, interval_s=interval_s, at_once=True)


def _enforcing(retention: Retention) -> Callable[[], object]:
    return lambda: retention.enforce(time.time_ns())
