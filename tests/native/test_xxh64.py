"""The compiled hash is the library's, bit for bit."""

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tracescape_native.xxh64 import xxh64, xxh64_of_words

_words = st.integers(0, 2**64 - 1)


def hashed(data: bytes, start: int, end: int, seed: int) -> int:
    return int(xxh64(np.frombuffer(data, np.uint8), start, end, np.uint64(seed)))


@given(st.binary(max_size=200), _words)
def test_any_bytes_hash_as_the_library_says(data: bytes, seed: int) -> None:
    assert hashed(data, 0, len(data), seed) == xxhash.xxh64_intdigest(data, seed)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 7, 8, 9, 12, 31, 32, 33, 63, 64, 65, 1000])
def test_a_run_inside_others_hashes_as_if_it_stood_alone(length: int) -> None:
    data = np.random.default_rng(length).bytes(length + 11)
    assert hashed(data, 5, 5 + length, 9) == xxhash.xxh64_intdigest(data[5 : 5 + length], 9)


@given(_words, _words, _words, _words)
def test_three_words_hash_as_their_bytes(first: int, second: int, third: int, seed: int) -> None:
    data = b"".join(word.to_bytes(8, "little") for word in (first, second, third))
    found = xxh64_of_words(np.uint64(first), np.uint64(second), np.uint64(third), np.uint64(seed))
    assert int(found) == xxhash.xxh64_intdigest(data, seed)
