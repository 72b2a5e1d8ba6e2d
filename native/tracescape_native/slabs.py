"""Memory for results that live until they are stored: taken in large pieces, and used again.

Fresh memory is not free: the system hands it out page by page, zeroed, which costs more than to fill it with
what a scan finds. A slab is used again once nothing refers to any part of it.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np

from tracescape_native.memory import ByteArray

_SLAB_BYTES: Final = 4 << 20
_ALIGNMENT: Final = 64


def _references(slab: ByteArray) -> int:
    return sys.getrefcount(slab)


class Slabs:
    """For one thread.

    Args:
        kept: how many slabs are kept at most; what is larger than a slab is not kept.
    """

    def __init__(self, kept: int = 8) -> None:
        self._kept = kept
        self._slabs: list[ByteArray] = []
        self._slab: ByteArray = np.empty(0, np.uint8)
        self._used = 0

    def reserve(self, nbytes: int) -> ByteArray:
        """At least ``nbytes``, which hold anything; `take` says how much of it is needed after all."""
        if self._used + nbytes > len(self._slab):
            self._slab, self._used = self._fresh(nbytes), 0
        return self._slab[self._used :]

    def take(self, count: int, dtype: type[np.generic] = np.uint8) -> np.ndarray[Any, Any]:
        """The next ``count`` items, which begin where `reserve` does."""
        nbytes = count * np.dtype(dtype).itemsize
        found = self.reserve(nbytes)[:nbytes].view(dtype)
        self._used += -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        return found

    def copy(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A copy of ``array``, contiguous."""
        self.reserve(array.nbytes)
        found: np.ndarray[Any, Any] = np.ndarray(array.shape, array.dtype, self._slab, self._used)
        found[...] = array
        self._used += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        return found

    def _fresh(self, nbytes: int) -> ByteArray:
        if nbytes > _SLAB_BYTES:
            return np.empty(nbytes, np.uint8)
        self._slab = np.empty(0, np.uint8)  # so that it may be found unused, too
        for place in range(len(self._slabs)):
            if _references(self._slabs[place]) == _UNUSED:
                return self._slabs[place]
        slab = np.empty(_SLAB_BYTES, np.uint8)
        if len(self._slabs) < self._kept:
            self._slabs.append(slab)
        return slab


def _references_of_a_listed_one() -> int:
    slabs = [np.empty(1, np.uint8)]
    return _references(slabs[0])


#: What `_references` says of a slab that only the list of slabs refers to.
_UNUSED: Final = _references_of_a_listed_one()
