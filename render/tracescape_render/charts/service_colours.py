"""Which service wears which colour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from zlib import crc32

from tracescape_render.palette import SERVICE_COLOURS
from tracescape_render.text import display_name

_OWN: Final = len(SERVICE_COLOURS) - 1
_DARK: Final = frozenset({0, 3, 5})


class ServiceColours:
    """Colours of services, the most important first; those beyond the palette share a grey.

    A name asks for a place of its own by its hash, so that it mostly wears the same colour in every chart,
    and takes the next free one where that is taken.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._slots: dict[str, int] = {}
        free = set(range(_OWN))
        for name in dict.fromkeys(names):
            slot = crc32(name.encode("utf-8", "replace")) % _OWN
            while free and slot not in free:
                slot = (slot + 1) % _OWN
            self._slots[name] = slot if free else _OWN
            free.discard(slot)

    def style(self, name: str) -> str:
        """The CSS class of a service's shapes."""
        return f"s{self._slots.get(name, _OWN)}"

    def text_style(self, name: str) -> str:
        """The CSS class of text on such a shape."""
        return "on-dark" if self._slots.get(name, _OWN) in _DARK else "on-light"

    def legend(self) -> list[tuple[str, str]]:
        """Entries for `Drawing.legend`: a name a colour, and how many share the grey."""
        own = [(f"s{slot}", display_name(name)) for name, slot in self._slots.items() if slot != _OWN]
        shared = len(self._slots) - len(own)
        grey = (f"s{_OWN}", f"{shared} more service{'s' if shared > 1 else ''}")
        return own + [grey] * (shared > 0)
