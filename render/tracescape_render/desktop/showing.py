"""Which snapshot a window shows, now or of the past, and what of it is drawn."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer

from tracescape_render.contrast import split
from tracescape_render.effects import SPARE, STILL, Effects
from tracescape_render.focus import narrowed, within
from tracescape_render.palette import in_the_past
from tracescape_render.scene import Scene
from tracescape_render.snapshot import Snapshot
from tracescape_render.text import display_name

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop


class Showing:
    """What is drawn.

    Attributes:
        snapshot: what is shown; whole: its scene, or that of two moments; scene: what of that is drawn.
        newest: what now looks like, also while the past is shown; None until it is known.
        effects: how much is drawn of it.
    """

    snapshot: Snapshot
    whole: Scene
    scene: Scene

    def __init__(self, window: Desktop) -> None:
        self._window = window
        self._had_bodies = self._halves = self._held = False
        self.newest: Snapshot | None = None
        self.effects = Effects()

    def begin(self, snapshot: Snapshot) -> None:
        """The window opens with this."""
        self.snapshot = snapshot
        self.newest = snapshot if snapshot.at_ns is None else None
        self._had_bodies = len(snapshot.scene.positions) > 0
        self.wear()
        self.show(keep_view=False)

    def follow(self, newest: Snapshot) -> None:
        """The source has something newer, which is shown unless somebody is in the past."""
        self.newest = newest
        if self._window.time.is_now:
            self._show_snapshot(newest)

    def past(self, snapshot: Snapshot) -> None:
        """Show a moment; whoever is in it has no other details than those of then."""
        moved = snapshot.at_ns != self.snapshot.at_ns or snapshot.against_ns != self.snapshot.against_ns
        if moved:
            self._window.asked.known = None
        if snapshot.reasoned and (moved or not self.snapshot.reasoned):
            self._window.asked.another_time()  # whoever drags on would have asked for nothing
        self._show_snapshot(snapshot)
        if moved:
            self._window.tell_panel()

    def now(self) -> None:
        """Show the newest again, as soon as it is known."""
        self._window.asked.another_time()
        if self.newest is None:
            self._window.feed.again()
        else:
            self._show_snapshot(self.newest)
            self._window.tell_panel()

    def expect(self, *, halves: bool) -> None:
        """Somebody goes to a view of two moments beside each other, or of one world, and stays there."""
        self._held = halves != self._halves

    def arrange(self) -> None:
        """Two moments are shown in another way, or one is again."""
        if self._window.time.against_ns is None and self.snapshot.both is not None:
            self.snapshot = dataclasses.replace(self.snapshot, both=None, against_ns=None)
        self.show()
        self._window.fill_page()

    def wear(self) -> None:
        """The window's colours; the past has a ground of its own."""
        theme = self._window.theme
        past = self.snapshot.at_ns is not None
        self._window.world.use(in_the_past(theme) if past else theme)

    def show(self, *, keep_view: bool = True) -> None:
        """Draw what of the snapshot is in focus."""
        window = self._window
        if window.closed:
            return
        scene, focus = self.snapshot.both or self.snapshot.scene, window.choice.focus
        self.whole = scene
        if focus is not None and focus.service in scene.services:
            scene = narrowed(scene, within(scene, focus))
        elif focus is not None:
            window.say(f"{display_name(focus.service)} is gone, so everything is shown")
            window.choice.focus = None
        if scene.contrast is not None and window.time.split:
            scene = split(scene)
        self.scene = scene
        halves = self.snapshot.both is not None and window.time.split
        opened = halves != self._halves and not self._held
        first = len(scene.positions) > 0 and (not self._had_bodies or opened)
        self._held = self._held and halves == self._halves
        self._halves = halves
        self._had_bodies = self._had_bodies or first
        window.world.stage.lights_on = self.effects.level < STILL
        window.world.stage.spare = self.effects.level == SPARE
        window.world.show(scene, keep_view=keep_view and not first)
        if window.selected is not None:
            window.world.mark(window.selected, reveal=False)
        window.tell_bar()

    def saw_frame(self, seconds: float) -> None:
        """A frame took so long: less or more is drawn where that lasts."""
        if self.effects.saw(seconds):
            QTimer.singleShot(0, self.show)

    def _show_snapshot(self, snapshot: Snapshot) -> None:
        other = (self.snapshot.at_ns is None) != (snapshot.at_ns is None)
        self.snapshot = snapshot
        if other:
            self.wear()
        self.show()
        self._window.asked.renew(self._window.selected, snapshot)
        self._window.pages.follow(snapshot, self.scene, self._window.selected, self._window.theme)
