"""Many requests on their way into a store together, and what each of their senders is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tracescape_ingest.accepting import Accepted, TableRequest
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
