"""The address of the world on a collector's page, and the way there."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from tracescape_render.view_command import parsed_view, written_view

if TYPE_CHECKING:
    from tracescape.store import Store
    from tracescape.time_shown import TimeShown


def world_address(
    store: Store, shown: TimeShown, selected: str | None = None, view: str | None = None
) -> str:
    """Where a browser finds what ``tracescape explore`` would show in a window.

    Raises:
        ValueError: no collector has ``store``, or a browser cannot show this.
    """
    if not store.location.startswith(("http://", "https://")):
        raise ValueError(
            f"--web needs a collector, which serves the page: tracescape serve --db {store.location}"
        )
    if shown.trace or shown.against:
        raise ValueError("--web shows one moment and no trace: leave out --trace and --against")
    found = _time(store, shown)
    if selected is not None:
        found["service"] = selected
    if view is not None:
        found["view"] = written_view(parsed_view(view))
    question = f"?{urlencode(found, quote_via=quote)}" if found else ""
    return f"{store.location}/#/world{question}"


def open_browser(address: str) -> bool:
    """Whether a browser was found that shows it."""
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False


def _time(store: Store, shown: TimeShown) -> dict[str, str]:
    moment = shown.moment(store)
    if moment is not None:
        return {"since": str(moment.since_ns), "until": str(moment.until_ns)}
    since, until = store.window(shown.since, shown.until)
    if shown.since is not None and until is None:
        return {"since": shown.since}  # such as 15m, which moves on
    return {name: str(ns) for name, ns in (("since", since), ("until", until)) if ns is not None}
