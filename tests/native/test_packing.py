from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracescape_native.packing import packed, unpacked

NUMBERS = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**63 - 1)), max_size=30)


@given(NUMBERS, st.binary(max_size=3))
def test_what_is_packed_is_unpacked(numbers: list[int], more: bytes) -> None:
    content = packed(np.array(numbers, np.int64))
    values, used = unpacked(np.frombuffer(content + more, np.uint8), len(numbers))
    assert values.tolist() == numbers
    assert used == len(content)


def test_small_numbers_take_a_byte_and_the_largest_nine() -> None:
    assert packed(np.array([0, 1, 127], np.int64)) == b"\x00\x01\x7f"
    assert packed(np.array([128, 300], np.int64)) == b"\x80\x01\xac\x02"
    assert len(packed(np.array([2**63 - 1], np.int64))) == 9


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x80" * 12])
def test_what_is_cut_short_or_longer_than_any_number_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not 1 packed numbers"):
        unpacked(np.frombuffer(content, np.uint8), 1)
