"""What every collector is told, whatever keeps what it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from tracescape.defaults import DEFAULT_GRPC, DEFAULT_HTTP
from tracescape_ingest.access import Keys, read_keys
from tracescape_ingest.limits import DEFAULT_MAX_MESSAGE_BYTES
from tracescape_ingest.tls import Tls
from tracescape_storage.limits import QueryLimits


def _nothing() -> None:
    pass


class Settings(NamedTuple):
    """How a collector is reached, by whom, and what they may do.

    Attributes:
        grpc: ``host:port`` to listen at; port 0 takes a free one.
        http: likewise.
        tls: certificates for both ports; without them connections are plain.
        api_keys: the file of keys (see `tracescape_ingest.access`); without it everybody may send and ask.
        cors_origins: origins whose web pages may send.
        max_message_bytes: a larger request is refused.
        observe_s: how often the collector reports about itself into each store; 0 = never.
        queries: what questions may take.
        ready: called from another thread when the compiled decoder serves.
    """

    grpc: str = DEFAULT_GRPC
    http: str = DEFAULT_HTTP
    tls: Tls | None = None
    api_keys: Path | None = None
    cors_origins: Sequence[str] = ()
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    observe_s: float = 0.0
    queries: QueryLimits = QueryLimits()
    ready: Callable[[], None] = _nothing

    def keys(self) -> Keys | None:
        """What the file of keys says; None without one. Raises `KeysError`."""
        return None if self.api_keys is None else read_keys(self.api_keys)


class Given(TypedDict, total=False):
    """`Settings` as keyword arguments, those that are not as usual."""

    grpc: str
    http: str
    tls: Tls | None
    api_keys: Path | None
    cors_origins: Sequence[str]
    max_message_bytes: int
    observe_s: float
    queries: QueryLimits
    ready: Callable[[], None]
