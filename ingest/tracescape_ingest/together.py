"""Many requests on their way into a store together, and what each of their senders is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tracescape_ingest.accepting import Accepted, TableRequest
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.fast_spans import ScannedRequest
from tracescape_storage.errors import StoreError, UnstorableError


@dataclass(slots=True, eq=False)
class Waiting:
    """An admitted request: ``nbytes`` is what admission counts, whatever is left out of it later."""

    request: Accepted
    nbytes: int
    done: Future[None]

    @classmethod
    def of(cls, request: Accepted) -> Waiting:
        """``request``, which nobody can call off any more."""
        waiting = cls(request, request.nbytes, Future())
        waiting.done.set_running_or_notify_cancel()
        return waiting


class Admission:
    """How much is held in memory because it is not stored, and its bound.

    Whoever changes it holds a lock of their own.

    Args:
        most_bytes: the bound. A request that is larger is admitted alone, so that it is not refused for ever.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.held_bytes = 0

    @property
    def is_pressed(self) -> bool:
        """Whether there is little room left."""
        return self.held_bytes > self._most_bytes * 3 // 4

    def admit(self, waiting: Waiting) -> None:
        """Hold one more. Raises `OverloadError` where there is no room."""
        if self.held_bytes and self.held_bytes + waiting.nbytes > self._most_bytes:
            raise OverloadError(f"{self.held_bytes >> 20} MiB wait to be stored already")
        self.held_bytes += waiting.nbytes

    def release(self, group: Iterable[Waiting]) -> None:
        """These are held no more."""
        self.held_bytes -= sum(waiting.nbytes for waiting in group)


def tables_of(requests: Sequence[Accepted]) -> list[Mapping[str, pa.Table]]:
    """The tables of all requests: scanned ones together, those that are in tables concatenated by kind."""
    batches: list[Mapping[str, pa.Table]] = []
    scanned = [request.content for request in requests if isinstance(request.content, ScannedRequest)]
    if scanned:
        from tracescape_ingest.span_tables import span_tables

        batches.append(span_tables(scanned))
    tables: dict[str, list[Any]] = {}
    for request in requests:
        if isinstance(request.content, TableRequest):
            for name, table in request.content.tables.items():
                tables.setdefault(name, []).append(table)
    if tables:
        batches.append(
            {name: pa.concat_tables(parts, promote_options="default") for name, parts in tables.items()}
        )
    return batches


def for_one_waiter(error: Exception) -> Exception:
    """An exception of its own for each waiter, so that their tracebacks do not grow into each other."""
    if isinstance(error, StoreError):
        return type(error)(*error.args)
    return StoreError(f"Storing failed unexpectedly: {type(error).__name__}: {error}")


def is_of_content(error: Exception) -> bool:
    """Whether it fails for what is to be stored, and not for the disk, the memory or the store."""
    return isinstance(error, UnstorableError) or not isinstance(error, StoreError | OSError | MemoryError)
