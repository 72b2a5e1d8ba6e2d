"""What ``tracescape explore`` does: a window, pictures or a film of what its options name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tracescape import pictures, stepping_in
from tracescape.moment import WIDTH
from tracescape.panels import StorePanels
from tracescape.past import Past
from tracescape.places import places_of
from tracescape.times import format_time
from tracescape.view import beginning_at, explore_command, follow, recent, snapshot_of
from tracescape.watching import Watch
from tracescape_render.inside.asked import InsideWish, Seen

if TYPE_CHECKING:
    from tracescape.store import Store, Topology
    from tracescape.time_shown import TimeShown
    from tracescape_render import Snapshot, Start


class Request(NamedTuple):
    """What is asked about one trace: to ride it, to a share of its way, or to step inside and see a part."""

    trace: str | None = None
    share: float | None = None
    inside: InsideWish | None = None
    seen: Seen | None = None


class Asked(NamedTuple):
    """The options of a command line that do not all go together, as they were written."""

    trace: str | None = None
    share: str | None = None
    inside: bool = False
    beside: str | None = None
    within: str | None = None
    span: str | None = None
    wall_view: str | None = None
    at: str | None = None
    against: str | None = None
    split: bool = False
    screenshot: Path | None = None
    video: Path | None = None
    stereo: bool = False
    openxr: bool = False
    glb: Path | None = None

    def request(self) -> Request:
        """What is asked about a trace. Raises ``ValueError`` where options do not go together."""
        from tracescape_render.view_command import parsed_part, parsed_view

        wish = stepping_in.wish_of(self.trace, self.beside, stepping=self.inside)
        for wrong, why in self._wrong(wish):
            if wrong:
                raise ValueError(why)
        seen = parsed_part(self.within) if self.within is not None else Seen()
        view = None if self.wall_view is None else parsed_view(self.wall_view)
        seen = seen._replace(span=self.span or "", view=view)
        part = None if wish is None or seen == Seen() else seen
        return Request(None if wish else self.trace, pictures.share_of(self.share), wish, part)

    @property
    def draws(self) -> bool:
        """Whether a file is asked for, and no window."""
        return any(file is not None for file in (self.screenshot, self.video, self.glb))

    def _wrong(self, wish: InsideWish | None) -> Iterator[tuple[bool, str]]:
        stepping, rides = wish is not None, wish is None and self.trace is not None
        yield (
            self.share is not None and self.trace is None,
            "--share is how far the replay of a trace is: name one with --trace",
        )
        yield (
            stepping and (self.video is not None or self.share is not None),
            "--inside is a place, not a replay: leave out --video and --share, or --inside and --beside",
        )
        yield (
            not stepping and any(text is not None for text in (self.within, self.span, self.wall_view)),
            "--within, --span and --wall-view are what is seen inside of a trace: add --inside",
        )
        yield (
            self.share is not None and self.video is not None and self.screenshot is None,
            "--video is the whole replay: leave out --share, or add --screenshot for a picture of it",
        )
        yield self.split and self.against is None, "--split is of two moments: name the other with --against"
        yield (
            self.against is not None and self.video is not None,
            "--video is of one moment: leave out --against, or write a picture with --screenshot",
        )
        yield (
            self.stereo and stepping and self.screenshot is not None,
            "--stereo is of the world: leave out --inside, or --stereo",
        )
        yield (
            self.openxr and (stepping or rides or self.stereo or self.against is not None or self.draws),
            "--openxr is the world at one moment: leave out --trace, --inside, --against, --stereo and files",
        )
        yield (
            self.against is not None and rides and self.screenshot is not None,
            "a picture is of two moments or of a request: leave out --against, or --trace",
        )


class Drawn(NamedTuple):
    """Files that were written, and what there is to say about them."""

    paths: list[Path]
    notes: list[str]


def window(store: Store, target: str, shown: TimeShown, request: Request, start: Start) -> None:
    """Open the window, and stay until it is closed."""
    from tracescape_render import open_window

    wish, answer = request.inside, None
    if wish is not None:  # what is wrong with it is said before a window opens
        answer = stepping_in.inside(store, wish)
        wish = wish._replace(trace_id=answer.traces[-1].trace_id)
    ends_ns = None if answer is None else int(answer.traces[-1].spans["end_ns"].to_numpy().max())
    shown = shown.settled(store, ends_ns)
    moment, other_ns = shown.moment(store), shown.other_ns(store)
    panels = _panels(store, target, shown)
    if wish is not None and answer is not None:
        panels.has_read(wish, answer)
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
        inside=wish,
        seen=request.seen,
    )
    # A closed file does not move.
    open_window(source, questions=panels, refresh_s=0.5 if store.live else None, start=start)


def headset(store: Store, target: str, shown: TimeShown, start: Start) -> None:
    """The world as it is now in a headset, through VTK's OpenXR, until one ends it there.

    Raises `RenderError` where there is no OpenXR; it says what does work.
    """
    from tracescape_render.openxr import check_openxr, open_headset

    check_openxr()
    seen, _, _ = _seen(store, target, shown.settled(store))
    open_headset(seen.scene, start.theme)


def drawn(
    store: Store,
    target: str,
    shown: TimeShown,
    request: Request,
    start: Start,
    screenshot: Path | None,
    video: Path | None,
    glb: Path | None = None,
) -> Drawn:
    """Write a picture, a film, a GLB file, or several of them."""
    if request.inside is not None and screenshot is not None:
        answer = stepping_in.inside(store, request.inside)
        picture = stepping_in.picture(answer, screenshot, start.size, start.theme.name, request.seen)
        return Drawn([picture], [])
    shown = shown.settled(store)
    seen, topology, notes = _seen(store, target, shown)
    route = None if request.trace is None else pictures.route_in(store, request.trace)
    paths = []
    if screenshot is not None:
        paths.append(pictures.picture_of(seen, screenshot, start, route, request.share))
    if glb is not None:
        paths.append(pictures.glb_of(seen, glb, start))
    if video is not None:
        played = topology is not None and (shown.since or shown.until)
        during = (topology.since_ns, topology.until_ns) if topology and played else None
        paths.append(pictures.film(store, seen, video, start, route, during))
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
    seen = snapshot_of(watch.completed(topology), store, places_of(store), causes)
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
