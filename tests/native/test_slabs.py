"""Memory that is used again only when nobody looks at it any more."""

import numpy as np

from tracescape_native.slabs import Slabs

_BYTES = 1 << 20


def test_what_is_taken_is_never_given_out_again_while_somebody_has_it() -> None:
    slabs, taken = Slabs(), []
    for number in range(40):
        part = slabs.take(_BYTES // 8, np.int64)
        part[:] = number
        taken.append(part[5:])
    for number, part in enumerate(taken):
        assert (part == number).all()


def test_memory_is_used_again_when_it_is_free() -> None:
    slabs, addresses = Slabs(kept=2), set()
    for _ in range(50):
        addresses.add(slabs.take(_BYTES).ctypes.data)
    assert len(addresses) <= 8  # two slabs of four


def test_a_view_of_a_view_keeps_it_alive() -> None:
    slabs = Slabs(kept=1)
    view = slabs.take(_BYTES)[10:].view(np.int8)[::2]
    view[:] = 7
    for _ in range(20):
        slabs.take(_BYTES)[:] = 0
    assert (view == 7).all()


def test_more_than_a_slab_and_nothing_at_all() -> None:
    slabs = Slabs()
    assert len(slabs.take(9 << 20)) == 9 << 20
    assert len(slabs.take(0)) == 0
    assert len(slabs.reserve(100)) >= 100


def test_copies_are_copies() -> None:
    slabs = Slabs()
    rows = np.arange(12, dtype=np.int32).reshape(3, 4)
    copy = slabs.copy(rows[1:])
    rows[:] = 0
    assert copy.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert copy.dtype == np.int32
