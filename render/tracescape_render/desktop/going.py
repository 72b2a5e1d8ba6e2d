"""Going somewhere in a window, and back: to a service, to what is worst, to bookmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tracescape_render.camera import View, close_up
from tracescape_render.contrast import name_of
from tracescape_render.desktop.pages import TRACE, WORLD
from tracescape_render.journey import Journey, Place
from tracescape_render.moving import nearer
from tracescape_render.strip import Spot, moment_of
from tracescape_render.text import display_name

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop

_ROOM_AROUND: Final = 1.8


class Going:
    """Who goes somewhere leaves a place, which is where `back` leads."""

    def __init__(self, window: Desktop) -> None:
        self._window = window
        self._journey = Journey()
        self._opened: NDArray[np.float32] | None = None

    @property
    def can_go_back(self) -> bool:
        """Whether a place was left."""
        return self._journey.can_go_back

    @property
    def place(self) -> Place:
        """Where one is."""
        window = self._window
        page = window.pages.currentIndex()
        return Place(
            window.world.view,
            window.selected,
            window.choice.focus,
            window.time.player.at_ns,
            window.time.against_ns,
            window.time.split,
            page,
            window.pages.trace_id if page == TRACE else None,
            window.visiting.guest,
            window.visiting.here(),
        )

    def leave(self) -> None:
        """Remember this place, before going elsewhere."""
        self._journey.leave(self.place)
        self._window.tell_bar()

    def to(self, name: str) -> None:
        """Select a service and fly to it; if it is hidden, everything is shown again."""
        window = self._window
        if name not in window.snapshot.scene.services:
            window.say(f"{display_name(name)} is not in what is shown now")
            return
        self.leave()
        if name not in window.scene.services:
            window.choice.focus = None
            window.showing.show()
        window.select(name)
        if name in window.scene.services:  # of two moments beside each other it may be there at neither
            self._approach(window.scene.positions[window.scene.services.index(name)])

    def to_selected(self) -> None:
        """Fly to what is selected, else to what was opened last."""
        selected = self._window.selected
        if selected is not None:
            self.to(selected)
        elif self._opened is not None:
            self.leave()
            self._approach(self._opened)
        else:
            self._window.say("nothing is selected: click a service first")

    def to_worst(self) -> None:
        """Fly to the cause of what is wrong, else to what is worst."""
        window = self._window
        worst = window.snapshot.scene.worst()
        if worst is None:
            window.say("All is well: nothing is degraded, failing or absent.")
            return
        window.set_page(WORLD)
        self.to(window.snapshot.scene.services[worst])
        if window.scene.beacon is not None:
            self._approach(window.scene.beacon)

    def to_mark(self, mark: Spot) -> None:
        """To the moment that shows a mark of the timeline, its service selected, its trace offered."""
        window = self._window
        self.leave()
        window.time.go(moment_of(window.time.line, mark))
        if mark.service:
            window.select(mark.service)
        if mark.trace_id:
            window.opened_trace = mark.trace_id
            window.riding.offer(mark.trace_id)
        offers = "R rides a trace that shows it, i steps inside" if mark.trace_id else "Backspace leads back"
        window.say(f"{mark.kind} {display_name(mark.service)}: {offers}")

    def see_everything(self) -> None:
        """From where all that is not hidden can be seen."""
        self.leave()
        self._window.world.see_everything()

    def move_to(self, view: View) -> None:
        """Be there at once."""
        self._window.world.look(view, fly=False)

    def back(self) -> None:
        """Where one was before."""
        place = self._journey.back()
        if place is None:
            self._window.say("this is where you began")
        else:
            self.return_to(place)

    def set_bookmark(self) -> None:
        """Remember this view."""
        number = self._journey.mark(self.place)
        self._window.say(f"bookmark {number} set; B goes from one to the next")

    def next_bookmark(self) -> None:
        """Go to the next bookmark."""
        found = self._journey.next_mark()
        if found is None:
            self._window.say("there is no bookmark yet: b sets one")
            return
        self.leave()
        self.return_to(found[1])
        self._window.say(f"bookmark {found[0]}")

    def return_to(self, place: Place) -> None:
        """Be at a place again: its moments, its focus, its selection, its page, its view."""
        window = self._window
        window.visiting.forget()
        window.showing.expect(halves=place.halves)
        window.time.compare(place.against_ns, split=place.split)
        if place.at_ns is None:
            window.time.now()
        elif place.at_ns != window.time.player.at_ns:
            window.time.stay(place.at_ns)
        if place.focus != window.choice.focus:
            window.choice.focus = place.focus
            window.showing.show()
        if place.selected != window.selected:
            window.select(place.selected)
        self._return_to_page(place)
        window.world.look(place.view)
        window.tell_bar()
        window.fill_page()

    def _return_to_page(self, place: Place) -> None:
        window = self._window
        if place.guest is not None and window.visiting.has(place.guest):
            window.visiting.enter(place.guest)  # who covers it goes
        else:
            window.visiting.dismiss()
        if place.guest is not None:
            place.guest.return_to(place.within)
        if place.trace is not None and place.trace != window.pages.trace_id:
            window.ask_for_trace(place.trace)  # its page comes with it
        elif place.guest is window.visiting.guest and place.page != window.pages.currentIndex():
            window.set_page(place.page)

    def clicked(self, body: int | None) -> None:
        """A service is selected, an island opened."""
        world = self._window.world
        stage = world.stage
        name = None if body is None else stage.service_of(body)
        self._window.select(None if name is None else name_of(name))
        self._opened = None
        if body is not None and name is None and stage.scene is not None:
            self._opened = stage.scene.positions[body].copy()
            if not world.open(body):
                self._window.say("too much is open to open more from here: double click flies there")

    def _approach(self, place: NDArray[np.float32]) -> None:
        """As near as one can see what is around it."""
        world = self._window.world
        world.look(nearer(close_up(place, world.view), _ROOM_AROUND))
