"""Which key does what, and the page that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

from tracescape_render.moving import flown, tilted, turned

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop

_TURN_DEGREES: Final = 3.0
Handlers = dict[str, Callable[[], object]]

KEYS: Final = """\
drag            turn the world       right drag      move it
wheel           nearer, farther      arrows          turn, tilt
w a s d         fly                  e x             up, down
f               see everything       click           select
double click    go there             Esc             let go, close
/  Ctrl-F       search               g               go to the selected
n               go to the worst      Backspace       back (Alt-Left)
1 2 3 4         only so many hops    0               everything again
[               callers only         ]               called only
b               bookmark             B               next bookmark
m               world, map, tables   c               copy what is told
i               step inside a trace  t               other colours
k               copy this view
l               labels               p               save a picture
L               new places for all   ?               these keys
z               for two eyes        q               quit

Time: click or drag the strip; wheel on it for a shorter stretch
Space           play, pause          End             now: live again
, .             a step back, on      Home            the first moment
- +             slower, faster       r               play the other way
o               compare with this    v               blended, side by side

R               ride a request through the world: the trace that is open, else the worst of
                the selected service, else of all; a trace id in the search box: ride, or step in
Riding          keys of time are the request's;  u  as it really took, or evenly
                o  the camera follows        Esc  back to where you were"""


def handler_of(desktop: Desktop, event: QKeyEvent) -> Callable[[], object] | None:
    """What a key does in a window; None for nothing."""
    key, text, modifiers = Qt.Key(event.key()), event.text(), event.modifiers()
    if modifiers & Qt.KeyboardModifier.ControlModifier:
        return {
            Qt.Key.Key_F: desktop.search,
            Qt.Key.Key_C: desktop.taking.copy_told,
            Qt.Key.Key_Q: desktop.close,
        }.get(key)
    if modifiers & Qt.KeyboardModifier.AltModifier:
        return desktop.back if key == Qt.Key.Key_Left else None
    letters = {**_moving(desktop), **_looking(desktop), **_doing(desktop), **_timing(desktop)}
    return _named(desktop).get(key) or letters.get(text) or letters.get(text.lower())


def _named(desktop: Desktop) -> dict[Qt.Key, Callable[[], object]]:
    view = desktop.world.view
    return {
        Qt.Key.Key_Left: lambda: desktop.going.move_to(turned(view, _TURN_DEGREES)),
        Qt.Key.Key_Right: lambda: desktop.going.move_to(turned(view, -_TURN_DEGREES)),
        Qt.Key.Key_Up: lambda: desktop.going.move_to(tilted(view, _TURN_DEGREES)),
        Qt.Key.Key_Down: lambda: desktop.going.move_to(tilted(view, -_TURN_DEGREES)),
        Qt.Key.Key_Escape: desktop.let_go,
        Qt.Key.Key_Backspace: desktop.back,
        Qt.Key.Key_Space: desktop.time.toggle,
        Qt.Key.Key_End: desktop.time.now,
        Qt.Key.Key_Home: desktop.time.first,
    }


def _moving(desktop: Desktop) -> Handlers:
    view = desktop.world.view
    return {
        "w": lambda: desktop.going.move_to(flown(view, forward=1)),
        "s": lambda: desktop.going.move_to(flown(view, forward=-1)),
        "a": lambda: desktop.going.move_to(flown(view, right=-1)),
        "d": lambda: desktop.going.move_to(flown(view, right=1)),
        "e": lambda: desktop.going.move_to(flown(view, up=1)),
        "x": lambda: desktop.going.move_to(flown(view, up=-1)),
    }


def _looking(desktop: Desktop) -> Handlers:
    return {
        "0": lambda: desktop.choice.set_hops(None),
        "1": lambda: desktop.choice.set_hops(1),
        "2": lambda: desktop.choice.set_hops(2),
        "3": lambda: desktop.choice.set_hops(3),
        "4": lambda: desktop.choice.set_hops(4),
        "[": lambda: desktop.choice.toggle_way("up"),
        "]": lambda: desktop.choice.toggle_way("down"),
        "f": desktop.going.see_everything,
        "g": desktop.going.to_selected,
        "n": desktop.going.to_worst,
        "/": desktop.search,
        "b": desktop.going.set_bookmark,
        "B": desktop.going.next_bookmark,
        "m": desktop.next_page,
        "i": desktop.inside.step_in,
    }


def _timing(desktop: Desktop) -> Handlers:
    return {
        ",": lambda: desktop.time.step(-1),
        ".": lambda: desktop.time.step(1),
        "-": desktop.time.slower,
        "+": desktop.time.faster,
        "=": desktop.time.faster,
        "r": desktop.time.reverse,
        "R": lambda: desktop.riding.ride(),
        "o": desktop.time.mark,
        "v": desktop.time.beside,
    }


def _doing(desktop: Desktop) -> Handlers:
    return {
        "c": desktop.taking.copy_told,
        "k": desktop.taking.copy_command,
        "t": desktop.next_theme,
        "l": desktop.toggle_labels,
        "L": desktop.lay_out,
        "p": desktop.taking.save_picture,
        "z": desktop.toggle_stereo,
        "?": desktop.toggle_help,
        "q": desktop.close,
    }
