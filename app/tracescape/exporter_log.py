"""The OTLP exporter's log, collected instead of printed: whoever sends tells failures once, in a sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NAME: Final = "opentelemetry.exporter.otlp.proto.grpc.exporter"
_KEPT: Final = 10


class ExporterLog(logging.Filter):
    """Keeps the last messages of the exporter and lets none pass."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the message; it goes no further."""
        self.messages = [*self.messages[1 - _KEPT :], record.getMessage()]
        return False

    def reason(self) -> str:
        """Why the last export failed, in at most 200 characters."""
        text = self.messages[-1] if self.messages else "no answer"
        _, found, details = text.partition("rror details: ")
        return " ".join((details if found else text).split())[:200]


@contextmanager
def collected() -> Iterator[ExporterLog]:
    """Within the block what the exporter logs is kept in what is yielded and goes nowhere else."""
    log = logging.getLogger(_NAME)
    kept = ExporterLog()
    # First in line: the SDK's own filter would swallow what looks like a repetition of the last failure.
    log.filters.insert(0, kept)
    try:
        yield kept
    finally:
        log.removeFilter(kept)
