"""OTLP's SpanKind as kernels compare it."""

from __future__ import annotations

from typing import Final

UNSET: Final = 0
INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5
