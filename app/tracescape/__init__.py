"""Tracescape: enter the world of your application.

>>> import tracescape as ts
>>> store = ts.open("traces.db")            # a file, also while a collector writes it
>>> store = ts.connect("localhost:4318")    # a collector
>>> store.topology(since="15m").edges       # a Polars frame
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracescape.answers import Diagnosis, Found, Trace
    from tracescape.plots import plot
    from tracescape.store import Store, Topology, connect, open
    from tracescape_analytics.errors import UnknownTraceError
    from tracescape_analytics.health import Thresholds
    from tracescape_storage.errors import QueryError, StoreError
    from tracescape_storage.filters import field

__all__ = [
    "Diagnosis",
    "Found",
    "QueryError",
    "Store",
    "StoreError",
    "Thresholds",
    "Topology",
    "Trace",
    "UnknownTraceError",
    "__version__",
    "connect",
    "field",
    "open",
    "plot",
]

__version__ = "0.1.0"

_HOMES = {
    "Diagnosis": "tracescape.answers",
    "Found": "tracescape.answers",
    "QueryError": "tracescape_storage.errors",
    "Store": "tracescape.store",
    "StoreError": "tracescape_storage.errors",
    "Thresholds": "tracescape_analytics.health",
    "Topology": "tracescape.store",
    "Trace": "tracescape.answers",
    "UnknownTraceError": "tracescape_analytics.errors",
    "connect": "tracescape.store",
    "field": "tracescape_storage.filters",
    "open": "tracescape.store",
    "plot": "tracescape.plots",
}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is: a collector needs neither Numba nor Polars."""
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tracescape' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
