"""What may arrive and how often a collector reports on itself, unless told otherwise. Loads no library."""

from __future__ import annotations

from typing import Final

DEFAULT_MAX_MESSAGE_BYTES: Final = 64 << 20
DEFAULT_OBSERVE_S: Final = 15.0
#: The thread that makes the compiled decoder ready.
KERNELS_THREAD: Final = "tracescape-kernels"
