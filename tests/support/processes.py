"""The command as a process of its own."""

from __future__ import annotations

import os
import sys

COMMAND = [sys.executable, "-c", "from tracescape.cli import main; main()"]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("TRACESCAPE_")},
    "PYTHONPATH": os.pathsep.join(sys.path),
}
