"""Which key does what, and the page that says so."""

from __future__ import annotations

from typing import Final

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
k               copy this view       t               other colours
l               labels               p               save a picture
?               these keys           q               quit"""
