"""The words for a span's kind and status, by OTLP's numbers."""

from __future__ import annotations

from typing import Final

KINDS: Final = ("unset", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")
