"""The command as a person types it, without a process of its own, which would import for a second first."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
from unittest import mock

from tracescape import cli


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``tracescape`` with these arguments in this process; what became of it."""
    typed = ["tracescape", *map(str, arguments)]
    handlers = list(logging.root.handlers)
    with (
        mock.patch.object(sys, "argv", typed),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            code = cli.run()
        finally:
            logging.root.handlers[:] = handlers
    return subprocess.CompletedProcess(typed, code, out.getvalue(), err.getvalue())
