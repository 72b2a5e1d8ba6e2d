"""Riding a request in a window: which one, where in it, and the world around it. A guest of the window's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

from tracescape_render.asking import Asker
from tracescape_render.camera import View, close_up
from tracescape_render.desktop.arriving import may_arrive, pause
from tracescape_render.desktop.pages import WORLD
from tracescape_render.desktop.ride_track import RideTrack
from tracescape_render.desktop.timeline import Strip
from tracescape_render.moving import nearer
from tracescape_render.palette import Theme
from tracescape_render.ride_player import RidePlayer
from tracescape_render.riding_words import title
from tracescape_render.route import Route, route_of
from tracescape_render.snapshot import Questions, RideWish
from tracescape_render.text import display_name, duration

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop

#: Labels are placed anew this seldom while time goes by.
_RELABEL_S: Final = 0.12
_ROOM_AROUND: Final = 2.2
_MS: Final = 1_000_000
#: What the banner says in the past, where keys of time are the request's.
_KEYS: Final = ("the world of the request", "Esc: back", "End: where it ends")

_Asked = tuple[RideWish, Questions]


class RidePlace(NamedTuple):
    """A request, where in it one is (epoch ns), whether time goes by there, and from where it is seen."""

    trace_id: str
    at_ns: int
    playing: bool
    view: View


class RidingGuest:
    """Not thread-safe: only the asking is done on another thread."""

    covers = False

    def __init__(self, window: Desktop) -> None:
        self._window = window
        self._asker: Asker[_Asked, Route] = Asker(lambda asked: route_of(asked[1].replay(asked[0])), "rides")
        self._wanted: RideWish | None = None
        self._share: float | None = None
        self._view: View | None = None
        self._place: RidePlace | None = None
        self._offer: tuple[str, int | None, str | None] = ("", None, None)
        self._growing = False  # what is asked for is more of what is there
        self.route: Route | None = None
        self.player: RidePlayer | None = None
        self.follows = False
        self._near: int | None = None
        self._shown: tuple[int, int] | None = None
        self._ticked = self._asked_at = self._labelled = time.monotonic()
        self.track = RideTrack(window.theme, self.go)
        self.strip = Strip(
            cast(Any, self.track),
            {
                "|◀": (
                    "its beginning  (Home)",
                    lambda: self._play(lambda player: self.go(player.range_ns[0])),
                ),
                "◀": ("play backwards  (r)", lambda: self._play(RidePlayer.reverse)),
                "▶": ("play, pause  (Space)", self.toggle),
                "−": ("slower  (-)", lambda: self._play(lambda player: player.faster(-1))),
                "+": ("faster  (+)", lambda: self._play(RidePlayer.faster)),
                "≈": ("evenly, or as it really took  (u)", self.toggle_even),
                "◎": ("the camera follows  (o)", self.toggle_follow),
                "×": ("leave  (Esc)", self._window.back),
            },
        )
        self.strip.hide()

    @property
    def on_stage(self) -> bool:
        """Whether a request is ridden now."""
        return self._window.visiting.guest is self

    # What can be done.

    def ride(self, trace_id: str = "", share: float | None = None, view: View | None = None) -> None:
        """Ride a trace, from a share of its way; without one what is opened, else what is offered, else the
        worst that is shown.

        The worst is a failed one before the slowest, of the selected service if there is one. With ``view``
        it is seen from there, else from where all that it touches is seen.
        """
        window = self._window
        opens = window.pages.currentWidget() is window.pages.trace or window.visiting.guest is window.inside
        opened = window.opened_trace if opens else ""
        trace_id = trace_id or opened or self._offered()
        wish = RideWish(trace_id, None if trace_id else window.selected)
        self._wanted, self._share, self._view, self._place = wish, share, view, None
        self._growing = False
        window.visiting.expect(self)
        self._asker.want((wish, window.snapshot.questions or window.questions))
        what = f"trace {display_name(wish.trace_id, 40)}" if wish.trace_id else "the worst request"
        whose = f" of {display_name(wish.service)}" if wish.service else ""
        window.say(f"asking for {what}{whose} …")

    def offer(self, trace_id: str) -> None:
        """Ride this one next, as long as neither the moment nor the selection is another one."""
        self._offer = trace_id, self._window.time.player.at_ns, self._window.selected

    def _offered(self) -> str:
        trace_id, *where = self._offer
        return trace_id if where == [self._window.time.player.at_ns, self._window.selected] else ""

    def go(self, at_ns: int) -> None:
        """To a moment of it, and stand still there."""
        if self.player is not None:
            self.player.playing = False
            self.player.go(at_ns)

    def toggle(self) -> None:
        """Play, pause."""
        self._play(RidePlayer.toggle)

    def toggle_even(self) -> None:
        """Let its time go by evenly, or as it did."""
        if self.player is not None and self.route is not None:
            self.player.set_even(not self.player.even)
            self.track.use(self.route, self.player.tempo)

    def toggle_follow(self) -> None:
        """Let the camera go where the request is, or stand where it is."""
        self.follows, self._near = not self.follows, None
        self._window.say("the camera follows the request" if self.follows else "the camera stands still")

    # What a guest does; see `Guest`.

    def give_up(self) -> None:
        """The request that was asked for is not ridden when it comes."""
        self._asker.forget()

    def enter(self) -> int:
        """Draw the request instead of the world's lights, and its strip instead of the timeline."""
        assert self.route is not None
        assert self.player is not None
        window = self._window
        window.time.compare(None)  # one request goes through one world; the way back leads to both
        window.world.stage.ride(self.route)
        self._shown, self._near = None, None
        self.track.theme = window.theme
        self.track.use(self.route, self.player.tempo)
        self.strip.show()
        window.time.strip.hide()
        window.time.guest_keys = _KEYS
        window.world.look(self._view or window.world.stage.overview_of_ride())
        self._view = None
        self._ticked = time.monotonic()
        return WORLD

    def leave(self) -> None:
        """The world as it was."""
        window = self._window
        self.route = self.player = None
        self.track.tip.hide()
        self.strip.hide()
        window.time.strip.show()
        window.time.guest_keys = ()
        if not window.closed:
            window.world.stage.ride(None)
            window.world.changed()

    def tick(self) -> None:
        """Time goes by while the world is seen."""
        route, player = self.route, self.player
        now = time.monotonic()
        seconds, self._ticked = now - self._ticked, now
        if route is None or player is None:
            return
        if self._window.pages.currentIndex() == WORLD:
            player.advance(min(seconds, 0.2))
            self._draw(player, now)
        waits = self._window.visiting.awaits(self)  # for another one, whose answer this would replace
        if not waits and self._may_arrive(route) and now - self._asked_at > pause(len(route.replay.spans)):
            self._asked_at = now
            self._growing = True
            wish = RideWish(route.replay.trace_id, None)
            self._wanted = wish
            self._asker.want((wish, self._window.questions))

    def handler(self, event: QKeyEvent) -> Callable[[], object] | None:
        """The keys of time are those of the request."""
        if event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            return None
        named: dict[int, Callable[[], object]] = {
            Qt.Key.Key_Space: self.toggle,
            Qt.Key.Key_Home: lambda: self._play(lambda player: self.go(player.range_ns[0])),
            Qt.Key.Key_End: lambda: self._play(lambda player: self.go(player.range_ns[1])),
        }
        letters: dict[str, Callable[[], object]] = {
            ",": lambda: self._play(lambda player: player.step(-1)),
            ".": lambda: self._play(lambda player: player.step(1)),
            "-": lambda: self._play(lambda player: player.faster(-1)),
            "+": lambda: self._play(RidePlayer.faster),
            "=": lambda: self._play(RidePlayer.faster),
            "r": lambda: self._play(RidePlayer.reverse),
            "u": self.toggle_even,
            "o": self.toggle_follow,
            "f": lambda: self._window.world.look(self._window.world.stage.overview_of_ride()),
            "v": lambda: self._window.say("one world is ridden through: Esc leads back to the moments"),
        }
        return named.get(event.key()) or letters.get(event.text())

    def use(self, theme: Theme) -> None:
        """Wear other colours."""
        self.track.theme = theme
        self.track.update()
        self._shown = None

    def words(self) -> Sequence[str]:
        """The trace, and how far it is."""
        if self.route is None or self.player is None:
            return ()
        replay = self.route.replay
        length = max(replay.end_ns - replay.start_ns, 1)
        share = (self.player.at_ns - replay.start_ns) / length
        return (f"--trace={replay.trace_id}", f"--share={share:.6g}")

    def here(self) -> RidePlace | None:
        """Where in the request one is."""
        route, player = self.route, self.player
        if route is None or player is None:
            return None
        return RidePlace(route.replay.trace_id, player.at_ns, player.playing, self._window.world.view)

    def return_to(self, here: object) -> None:
        """Be there again; another request than that which is ridden is asked for."""
        if not isinstance(here, RidePlace):
            return
        if self.on_stage and self.route is not None and self.route.replay.trace_id == here.trace_id:
            self._be_at(here)
        else:
            self.ride(here.trace_id, view=here.view)
            self._place = here

    # What happens by itself.

    def follow(self) -> None:
        """Take what was answered; call it as often as the window draws."""
        for (wish, _), answer in self._asker.take():
            if wish != self._wanted:
                continue  # somebody wants another one by now
            if not self._growing and not self._window.visiting.answered(self):
                continue  # or something else
            there = self.route is not None and self._window.visiting.has(self)
            if isinstance(answer, Exception):
                if not self._growing:
                    self._window.say(_sentence(wish, answer))
            elif there and self.route is not None and _same(answer, self.route) and self._growing:
                self._grown(answer)
            elif not self._growing:  # else one has left what was to grow
                self._begin(answer)

    def close(self) -> None:
        """Ask no more."""
        self.track.tip.close()
        self._asker.stop()

    def _begin(self, route: Route) -> None:
        window = self._window
        self.route, self.player = route, RidePlayer(route)
        place = self._place
        if self._share is not None:
            replay = route.replay
            self.go(replay.share(self._share).at_ns)
        elif place is not None:
            self._be_at(place)
        window.opened_trace = route.replay.trace_id
        if self.on_stage:  # from one request to another: the way back stays
            window.set_page(self.enter())
        else:
            window.visiting.enter(self)
        if place is None and not self._is_shown(route):
            window.time.stay((route.replay.end_ns // _MS + 1) * _MS)
        self._tell_begun(route)

    def _grown(self, route: Route) -> None:
        """More of it has arrived."""
        assert self.player is not None
        assert self.route is not None
        if len(route.replay.spans) == len(self.route.replay.spans):
            return
        self.route = route
        self.player.follows(route)
        self._window.world.stage.ride(route)
        self.track.use(route, self.player.tempo)
        self._shown = None
        self._window.say(f"more of it has arrived: {len(route.replay.spans):,} spans by now")

    def _be_at(self, place: RidePlace) -> None:
        self.go(place.at_ns)
        if self.player is not None:
            self.player.playing = place.playing

    def _is_shown(self, route: Route) -> bool:
        """Whether the world that is shown is that of the request's time."""
        window, replay = self._window, route.replay
        snapshot = window.snapshot
        if snapshot.at_ns is not None:
            return snapshot.at_ns - snapshot.width_ns <= replay.start_ns and replay.end_ns <= snapshot.at_ns
        if snapshot.newest_ns is None or not snapshot.seconds:
            return True
        return replay.start_ns >= snapshot.newest_ns - round(snapshot.seconds * 1e9)

    def _may_arrive(self, route: Route) -> bool:
        return may_arrive(self._window.snapshot, route.replay.end_ns)

    def _tell_begun(self, route: Route) -> None:
        """That it is there, and who of it cannot be seen."""
        ride = self._window.world.stage.riding
        self._window.say(f"riding trace {display_name(route.replay.trace_id, 40)}: Esc leads back")
        if ride is not None and ride.missing:
            names = ", ".join(display_name(name) for name in ride.missing[:4])
            more = f" and {len(ride.missing) - 4} more" if len(ride.missing) > 4 else ""
            self._window.say(f"not in the world that is shown, so not drawn: {names}{more}")

    def _draw(self, player: RidePlayer, now: float) -> None:
        window = self._window
        stage = window.world.stage
        if stage.riding is None:  # nothing is there to ride on yet
            return
        shown = player.at_ns, id(stage.riding)
        if shown != self._shown:
            self._shown = shown
            sentence = stage.sentence
            stage.ride_to(player.at_ns, player.linger_ns)
            window.world.redraw()
            if now - self._labelled > _RELABEL_S or (sentence != stage.sentence and not player.playing):
                self._labelled = now
                window.world.changed()
            self.track.show_moment(player.at_ns)
            self._follow_camera()
        self._tell(player)

    def _follow_camera(self) -> None:
        stage = self._window.world.stage
        ride, here = stage.riding, stage.critical_body
        if not self.follows or ride is None or here is None or here == self._near:
            return
        self._near = here
        world = self._window.world
        world.look(nearer(close_up(ride.scene.positions[here], world.view), _ROOM_AROUND))

    def _tell(self, player: RidePlayer) -> None:
        assert self.route is not None
        replay = self.route.replay
        moment = f"{duration(player.at_ns - replay.start_ns) if player.at_ns > replay.start_ns else '0'}"
        moment += f" of {duration(replay.end_ns - replay.start_ns)}"
        how = "evenly" if player.even else "as it took"
        more = f"{title(self.route)} · {how}"
        if self._may_arrive(self.route):
            more = f"{title(self.route)} · {len(replay.spans):,} spans so far"
        speed = f"×{player.speed:g}"
        self.strip.tell("TRACE", "trace", moment, more, speed, plays=player.playing)

    def _play(self, do: Callable[[RidePlayer], object]) -> None:
        if self.player is not None:
            do(self.player)


def _same(one: Route, other: Route) -> bool:
    return one.replay.trace_id == other.replay.trace_id


def _sentence(wish: RideWish, error: Exception) -> str:
    what = f"trace {display_name(wish.trace_id, 40)}" if wish.trace_id else "no request to ride"
    return f"{what}: {display_name(error, 160) if str(error) else type(error).__name__}"
