"""Codes of durations against integer arithmetic: base^i < v <= base^(i + 1), base^64 = 2."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracescape_native.buckets import CODES, RELATIVE_ERROR, SCALE, bucket_code, bucket_values
from tracescape_native.histograms import MAX_SCALE, record

positive = st.integers(1, 2**63 - 1)


@given(positive)
def test_a_code_is_the_bucket_of_the_exact_definition(value: int) -> None:
    index = int(bucket_code(value)) - 2
    power = value ** (2**SCALE)
    assert power <= 2 ** (index + 1)
    assert index < 0 or power > 2**index


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=2))
def test_codes_sort_as_values_do(values: list[int]) -> None:
    codes = [bucket_code(value) for value in sorted(values)]
    assert codes == sorted(codes)
    assert all(-CODES <= code <= CODES for code in codes)


@given(st.integers(-(2**52), 2**52))
def test_what_stands_for_a_bucket_is_near(value: int) -> None:
    (found,) = bucket_values(np.array([bucket_code(value)], np.int64))
    assert abs(found - value) <= RELATIVE_ERROR * abs(value) + 0.5


def test_small_values_are_exact() -> None:
    values = np.arange(-90, 91)
    assert bucket_values(np.array([bucket_code(v) for v in values], np.int64)).tolist() == values.tolist()


@given(positive)
def test_they_are_the_buckets_of_exponential_histograms(value: int) -> None:
    found = record(np.array([value]), np.array([0]), 1)
    assert found.scale[0] == MAX_SCALE
    assert found.first[0] >> (MAX_SCALE - SCALE) == bucket_code(value) - 2
