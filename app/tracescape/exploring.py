"""What ``tracescape explore`` does: a window, pictures or a film of what its options name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tracescape import pictures, stepping_in
from tracescape.moment import WIDTH
from tracescape.panels import StorePanels
from tracescape.past import Past
from tracescape.times import format_time
from tracescape.view import beginning_at, explore_command, follow, recent, snapshot_of
from tracescape.watching import Watch

if TYPE_CHECKING:
    from tracescape.store import Store, Topology
    from tracescape.time_shown import TimeShown
    from tracescape_render import Snapshot, Start
    from tracescape_render.inside.asked import InsideWish


class Request(NamedTuple):
    """What is asked about one trace: to ride it, to a share of its way, or to step inside."""

    trace: str | None = None
    share: float | None = None
    inside: InsideWish | None = None

    @classmethod
    def parsed(
        cls, trace: str | None, share: str | None, beside: str | None, *, stepping: bool, filmed: bool
    ) -> Request:
        """From the options of a command line. Raises ``ValueError`` where they do not go together."""
        if share is not None and trace is None:
            raise ValueError("--share is how far the replay of a trace is: name one with --trace")
        inside = stepping_in.wish_of(trace, beside, stepping=stepping)
        if inside is not None and (filmed or share is not None):
            raise ValueError(
                "--inside is a place, not a replay: leave out --video and --share, or --inside and --beside"
            )
        return cls(None if inside else trace, pictures.share_of(share), inside)


class Drawn(NamedTuple):
    """Files that were written, and what there is to say about them."""

    paths: list[Path]
    notes: list[str]


def window(store: Store, target: str, shown: TimeShown, request: Request, start: Start) -> None:
    """Open the window, and stay until it is closed."""
    from tracescape_render import open_window

    if request.inside is not None:
        stepping_in.inside(store, request.inside)  # what is wrong with it is said before a window opens
    moment, other_ns = shown.moment(store), shown.other_ns(store)
    panels = _panels(store, target, shown)
    ask = recent if moment else (lambda held: _topology(held, shown))
    source = follow(store, ask, given=shown.given and not moment, panels=panels)
    if moment:
        source = beginning_at(moment.until_ns, source, panels, other_ns)
    start = dataclasses.replace(
        start,
        title=f"Tracescape · {store.location}",
        command=explore_command(target, [] if moment else shown.words(store)),
        against_ns=other_ns,
        trace=None if request.trace is None else shown.trace_id(store),
        share=request.share,
        inside=request.inside,
    )
    # A closed file does not move.
    open_window(source, questions=panels, refresh_s=0.5 if store.live else None, start=start)


def drawn(
    store: Store,
    target: str,
    shown: TimeShown,
    request: Request,
    start: Start,
    screenshot: Path | None,
    video: Path | None,
) -> Drawn:
    """Write a picture, a film, or both."""
    if request.inside is not None and screenshot is not None:
        answer = stepping_in.inside(store, request.inside)
        return Drawn([stepping_in.picture(answer, screenshot, start.size, start.theme.name)], [])
    seen, topology, notes = _seen(store, target, shown)
    route = None if request.trace is None else pictures.route_in(store, request.trace)
    paths = []
    if screenshot is not None:
        paths.append(pictures.picture_of(seen, screenshot, start, route, request.share))
    if video is not None:
        played = topology is not None and (shown.since or shown.until)
        during = (topology.since_ns, topology.until_ns) if topology and played else None
        paths.append(pictures.film(store, seen.scene, video, start, route, during))
    return Drawn(paths, notes)


def _seen(store: Store, target: str, shown: TimeShown) -> tuple[Snapshot, Topology | None, list[str]]:
    """The world as it is shown, its topology where it is none of a moment, and what to say about it."""
    from tracescape_render.snapshot import MomentWish

    moment, other_ns = shown.moment(store), shown.other_ns(store)
    if moment is not None:
        wish = MomentWish(moment.until_ns, causes=True, against_ns=other_ns)
        return _panels(store, target, shown).moment(wish), None, [moment.note] if moment.note else []
    topology = _topology(store, shown)
    watch = Watch(store, given=shown.given)
    causes = watch.causes(topology)
    seen = snapshot_of(watch.completed(topology), store, store.reader.positions(), causes)
    return seen, topology, [] if topology.spans else [_nothing_there(store)]


def _panels(store: Store, target: str, shown: TimeShown) -> StorePanels:
    return StorePanels(store, Past(store, target, shown.width or (WIDTH if shown.moment(store) else None)))


def _topology(store: Store, shown: TimeShown) -> Topology:
    return shown.topology(store) if shown.given else recent(store)


def _nothing_there(store: Store) -> str:
    extent = store.extent()
    if not extent.spans:
        return f"{store.location} holds no spans yet"
    first, last = format_time(extent.first_start_ns), format_time(extent.last_start_ns)
    return f"no spans in that window; {store.location} holds {extent.spans:,} from {first} to {last}"
