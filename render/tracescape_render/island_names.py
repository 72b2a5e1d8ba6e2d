"""What an island is called: by what its members' names have in common, else by the busiest of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tracescape_render.text import display_name

_LENGTH: Final = 34
#: So many of an island's bodies share a word, or it is no name for all.
_IN_COMMON: Final = 0.6
_END_OF_WORD: Final = re.compile(r"[/\-._:\s]")


def island_names(services: Sequence[str], calls: NDArray[np.float64], island: NDArray[np.int64]) -> list[str]:
    """A name an island, by its number; empty ones where there is one island only, which needs none.

    The word that most members' names begin with (``shop/cart``, ``shop-cart``: shop), if no other island has
    it too; else "around" the member with the most calls.
    """
    count = int(island.max()) + 1 if len(island) else 0
    if count < 2:
        return [""] * count
    members = np.split(np.argsort(island, kind="stable"), np.cumsum(np.bincount(island))[:-1])
    words = [_in_common([services[i] for i in own.tolist()]) for own in members]
    often = Counter(words)
    return [
        display_name(word if word and often[word] == 1 else _around(services, calls, own), _LENGTH)
        for word, own in zip(words, members, strict=True)
    ]


def _in_common(names: list[str]) -> str:
    first = [name[: end.start()] for name in names if (end := _END_OF_WORD.search(name)) is not None]
    word, times = Counter(first).most_common(1)[0] if first else ("", 0)
    return word if times >= _IN_COMMON * len(names) else ""


def _around(services: Sequence[str], calls: NDArray[np.float64], own: NDArray[np.int64]) -> str:
    busiest = own[np.argmax(calls[own])]
    return f"around {services[int(busiest)]}"
