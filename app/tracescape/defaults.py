"""Where a collector listens unless told otherwise; apart, because every command says so and few start one."""

from __future__ import annotations

from typing import Final

DEFAULT_GRPC: Final = "127.0.0.1:4317"
DEFAULT_HTTP: Final = "127.0.0.1:4318"
