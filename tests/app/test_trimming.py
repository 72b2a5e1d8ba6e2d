"""What a collector freed goes back to the system."""

from __future__ import annotations

import ctypes
import platform

import pytest

from tracescape import trimming
from tracescape.trimming import GROWTH_BYTES, Trimmer
from tracescape_storage.query_guard import resident_bytes

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")


def _fragmented(nbytes: int) -> list[int]:
    """Blocks too small to be mapped for themselves, with what keeps the heap from shrinking behind them."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    blocks = [malloc(60_000) for _ in range(nbytes // 60_000)]
    for block in blocks:
        ctypes.memset(block, 1, 60_000)
    return [*blocks, malloc(60_000)]


@glibc
def test_what_was_freed_between_what_is_used_goes_back_to_the_system() -> None:
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]
    *blocks, last = _fragmented(4 * GROWTH_BYTES)
    for block in blocks:
        free(block)
    before = resident_bytes()
    assert Trimmer().step()
    assert resident_bytes() < before - 3 * GROWTH_BYTES
    free(last)


def test_a_process_that_has_not_grown_since_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    size = [5 * GROWTH_BYTES]
    monkeypatch.setattr(trimming, "resident_bytes", lambda: size[0])
    trimmer = Trimmer()
    assert trimmer.step()
    assert not trimmer.step()
    size[0] += GROWTH_BYTES - 1
    assert not trimmer.step()
    size[0] += 1
    assert trimmer.step()
