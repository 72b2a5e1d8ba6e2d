"""Numbers as text: what is printed reads back as the same number, and looks as Python prints it."""

import math
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracescape_native.decimals import (
    MAX_NUMBER_BYTES,
    SMALL,
    write_double,
    write_signed,
    write_small,
    write_unsigned,
)


def written(write: object, number: object) -> str:
    out = np.full(MAX_NUMBER_BYTES + 8, 0x2A, np.uint8)
    end = int(write(out, 4, number))  # type: ignore[operator]
    assert out[:4].tobytes() == b"****"
    return out[4:end].tobytes().decode()


def double(number: float) -> str:
    return written(write_double, np.uint64(struct.unpack("<Q", struct.pack("<d", number))[0]))


def layout(text: str) -> str:
    """Where point and exponent stand, whatever the digits."""
    return re.sub(r"\d+", lambda digits: "9" * min(len(digits.group()), 1), text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_double_reads_back_as_itself(number: float) -> None:
    text = double(number)
    assert float(text) == number
    assert math.copysign(1, float(text)) == math.copysign(1, number)
    assert len(text) <= MAX_NUMBER_BYTES


def test_random_bit_patterns_read_back_and_nearly_all_are_shortest() -> None:
    random = np.random.default_rng(2010)
    numbers = random.integers(0, 2**64, 30_000, np.uint64).view(np.float64)
    numbers = numbers[np.isfinite(numbers)].tolist()
    texts = [double(number) for number in numbers]
    assert [float(text) for text in texts] == numbers
    assert sum(text == repr(number) for text, number in zip(texts, numbers, strict=True)) > 0.99 * len(
        numbers
    )


@given(st.floats(1e-8, 1e20) | st.floats(-1e5, 1e5) | st.integers(-(2**60), 2**60).map(float))
def test_the_point_stands_where_repr_puts_it(number: float) -> None:
    assert layout(double(number)) == layout(repr(number))


@pytest.mark.parametrize(
    "number",
    [0.0, -0.0, 1.0, 10.0, 0.1, 0.5, 1e15, 1e16, 1e17, 123456789012345678.0, 0.0001, 0.00001, 5e-324, 2.5e-10]
    + [1.7976931348623157e308, 2.2250738585072014e-308, 2.0**53, 9007199254740993.0, 100.0, 1e22, 3.14],
)
def test_well_known_doubles_look_as_python_prints_them(number: float) -> None:
    assert double(number) == repr(number)


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_integers(number: int) -> None:
    assert written(write_signed, np.int64(number)) == str(number)


@given(st.integers(0, 2**64 - 1) | st.integers(0, 19).flatmap(lambda n: st.sampled_from([10**n, 10**n - 1])))
def test_unsigned_integers(number: int) -> None:
    assert written(write_unsigned, np.uint64(number)) == str(number)


def test_every_small_integer() -> None:
    assert [written(write_small, np.int64(number)) for number in range(SMALL)] == [
        str(number) for number in range(SMALL)
    ]
