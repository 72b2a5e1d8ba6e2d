"""How a process that opens a store file finds the collector that holds it.

DuckDB lets one process have a file. The collector that has it leaves a note beside it,
``<file>.collector.json``, with the address that answers questions.
"""

from __future__ import annotations

import json
import os
from pathlib import Path


def note_path(store: Path) -> Path:
    """Where the collector of ``store`` leaves its note."""
    return store.with_name(store.name + ".collector.json")


def announce(store: Path, url: str) -> None:
    """Leave the note: ``url`` answers questions about ``store`` while this process lives."""
    note = note_path(store)
    draft = note.with_name(f"{note.name}.{os.getpid()}")
    draft.write_text(json.dumps({"pid": os.getpid(), "url": url}), encoding="utf-8")
    draft.replace(note)


def withdraw(store: Path) -> None:
    """Take the note away, if it is this process's."""
    if _read(store).get("pid") == os.getpid():
        note_path(store).unlink(missing_ok=True)


def collector_of(store: Path) -> str | None:
    """The URL of the collector that says it holds ``store``, or None."""
    url = _read(store).get("url")
    return url if isinstance(url, str) else None


def _read(store: Path) -> dict[str, object]:
    try:
        note = json.loads(note_path(store).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
