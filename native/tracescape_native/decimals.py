"""Numbers as decimal text inside kernels.

Doubles follow F. Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers", PLDI 2010,
section 5 (Grisu2): what is printed always reads back as the same double, and is the shortest such text for
all but about one double in a thousand. The layout of digits and exponent is that of Python's ``repr``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from tracescape_native.memory import ByteArray, Word, store64

#: Room that any number needs.
MAX_NUMBER_BYTES: Final = 32

_LOW32: Final = np.uint64(0xFFFFFFFF)
_HIDDEN: Final = np.uint64(1 << 52)
_FRACTION: Final = np.uint64((1 << 52) - 1)
_FIRST_POWER: Final = -348
_POWER_STEP: Final = 8


def _cached_powers() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """10^k for k = -348, -340, …, 340 as f · 2^e with a 64-bit f, rounded to nearest (exact arithmetic)."""
    fractions, exponents = [], []
    for power in range(_FIRST_POWER, 341, _POWER_STEP):
        numerator, denominator = (10**power, 1) if power >= 0 else (1, 10**-power)
        shift = numerator.bit_length() - denominator.bit_length() - 64
        while True:
            top, bottom = (
                (numerator, denominator << shift) if shift >= 0 else (numerator << -shift, denominator)
            )
            fraction = (2 * top + bottom) // (2 * bottom)
            if fraction < 1 << 63:
                shift -= 1
            elif fraction >= 1 << 64:
                shift += 1
            else:
                break
        fractions.append(fraction)
        exponents.append(shift)
    return np.array(fractions, np.uint64), np.array(exponents, np.int64)


_POWER_F, _POWER_E = _cached_powers()
_TENS: Final = np.array([10**n for n in range(20)], np.uint64)


#: Numbers below it are small.
SMALL: Final = 10_000


@njit(cache=True, nogil=True, inline="always")
def write_small(out: ByteArray, at: int, value: Word) -> Word:
    """Write an int64 from 0 to `SMALL` - 1 without a branch; eight bytes are written, whatever it needs."""
    hundreds = value * 5243 >> 19
    ones = value - hundreds * 100
    thousands, tens = hundreds * 103 >> 10, ones * 103 >> 10
    digits = thousands | (hundreds - thousands * 10) << 8 | tens << 16 | (ones - tens * 10) << 24 | 0x30303030
    leading = 3 - (value > 9) - (value > 99) - (value > 999)
    store64(out, at, np.uint64(digits >> 8 * leading))
    return at + 4 - leading


@njit(cache=True, nogil=True)
def write_unsigned(out: ByteArray, at: int, value: Word) -> int:
    """Write the digits of a uint64 at ``out[at:]``; returns where they end."""
    value = np.uint64(value)
    digits = 1
    while digits < 20 and value >= _TENS[digits]:
        digits += 1
    for place in range(at + digits - 1, at - 1, -1):
        rest = value // np.uint64(10)
        out[place] = np.uint8(48) + np.uint8(value - rest * np.uint64(10))
        value = rest
    return at + digits


@njit(cache=True, nogil=True)
def write_signed(out: ByteArray, at: int, value: Word) -> int:
    """Write an int64 at ``out[at:]``; returns where it ends."""
    if value >= 0:
        return write_unsigned(out, at, np.uint64(value))
    out[at] = 45
    return write_unsigned(out, at + 1, np.uint64(0) - np.uint64(value))


@njit(cache=True, nogil=True)
def _multiply_high(a: Word, b: Word) -> Word:
    # The upper 64 bits of the product, rounded.
    a_high, a_low = a >> np.uint64(32), a & _LOW32
    b_high, b_low = b >> np.uint64(32), b & _LOW32
    middle_a, middle_b = a_high * b_low, a_low * b_high
    carry = (
        ((a_low * b_low) >> np.uint64(32)) + (middle_a & _LOW32) + (middle_b & _LOW32) + np.uint64(1 << 31)
    )
    return (
        a_high * b_high + (middle_a >> np.uint64(32)) + (middle_b >> np.uint64(32)) + (carry >> np.uint64(32))
    )


@njit(cache=True, nogil=True)
def _shifted(fraction: Word) -> int:
    # How far the top bit of a non-zero uint64 is from bit 63.
    shift = 0
    while fraction < np.uint64(1 << 63):
        fraction <<= np.uint64(1)
        shift += 1
    return shift


@njit(cache=True, nogil=True)
def _round_last_digit(out: ByteArray, last: int, delta: Word, rest: Word, unit: Word, distance: Word) -> None:
    # Move the last digit towards the exact value while that stays inside the interval.
    while (
        rest < distance
        and delta - rest >= unit
        and (rest + unit < distance or distance - rest > rest + unit - distance)
    ):
        out[last] -= np.uint8(1)
        rest += unit


@njit(cache=True, nogil=True)
def _digits(
    out: ByteArray, at: int, fraction: Word, high: Word, exponent: int, delta: Word
) -> tuple[int, int]:
    # Digits of a number inside (high - delta, high), closest to fraction; all scaled by 2^exponent, which is
    # in [-60, -32]. Returns where the digits end and the decimal exponent of the last one.
    shift = np.uint64(-exponent)
    one = np.uint64(1) << shift
    distance = high - fraction
    whole = high >> shift
    part = high & (one - np.uint64(1))
    kappa = 1
    while kappa < 10 and whole >= _TENS[kappa]:
        kappa += 1
    end = at
    while kappa > 0:
        digit = whole // _TENS[kappa - 1]
        whole -= digit * _TENS[kappa - 1]
        if digit or end > at:
            out[end] = np.uint8(48) + np.uint8(digit)
            end += 1
        kappa -= 1
        rest = (whole << shift) + part
        if rest <= delta:
            _round_last_digit(out, end - 1, delta, rest, _TENS[kappa] << shift, distance)
            return end, kappa
    unit = np.uint64(1)
    while True:
        part *= np.uint64(10)
        delta *= np.uint64(10)
        unit *= np.uint64(10)
        digit = part >> shift
        if digit or end > at:
            out[end] = np.uint8(48) + np.uint8(digit)
            end += 1
        part &= one - np.uint64(1)
        kappa -= 1
        if part < delta:
            _round_last_digit(out, end - 1, delta, part, one, distance * unit)
            return end, kappa


@njit(cache=True, nogil=True)
def _layout(out: ByteArray, at: int, end: int, exponent: int) -> int:
    # Place the point in the digits out[at:end], which count 10^exponent each, as repr does.
    count = end - at
    point = count + exponent  # digits before the point
    if 0 < point <= 16:
        if exponent >= 0:
            for place in range(end, at + point):
                out[place] = 48
            end = at + point
            out[end], out[end + 1] = 46, 48
            return end + 2
        for place in range(end, at + point, -1):
            out[place] = out[place - 1]
        out[at + point] = 46
        return end + 1
    if -4 < point <= 0:
        shift = 2 - point
        for place in range(end - 1, at - 1, -1):
            out[place + shift] = out[place]
        for place in range(at, at + shift):
            out[place] = 48
        out[at + 1] = 46
        return end + shift
    if count > 1:
        for place in range(end, at + 1, -1):
            out[place] = out[place - 1]
        out[at + 1] = 46
        end += 1
    scale = point - 1
    out[end] = 101
    out[end + 1] = 45 if scale < 0 else 43
    end += 2
    if abs(scale) < 10:
        out[end] = 48
        end += 1
    return write_unsigned(out, end, np.uint64(abs(scale)))


@njit(cache=True, nogil=True)
def write_double(out: ByteArray, at: int, bits: Word) -> int:
    """Write the finite double with these 64 bits (uint64) at ``out[at:]``; returns where it ends."""
    bits = np.uint64(bits)
    if bits >> np.uint64(63):
        out[at] = 45
        at += 1
    biased = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF))
    fraction = bits & _FRACTION
    if biased == 0 and fraction == np.uint64(0):
        out[at], out[at + 1], out[at + 2] = 48, 46, 48
        return at + 3
    exponent: Word = -1074
    if biased:
        fraction |= _HIDDEN
        exponent = biased - 1075
    # The neighbours' midpoints bound what reads back as this double.
    high, high_exponent = (fraction << np.uint64(1)) + np.uint64(1), exponent - 1
    if fraction == _HIDDEN and biased > 1:
        low, low_exponent = (fraction << np.uint64(2)) - np.uint64(1), exponent - 2
    else:
        low, low_exponent = (fraction << np.uint64(1)) - np.uint64(1), exponent - 1
    shift = _shifted(high)
    high <<= np.uint64(shift)
    high_exponent -= shift
    low <<= np.uint64(low_exponent - high_exponent)
    fraction <<= np.uint64(exponent - high_exponent)
    # A power of ten that brings the exponent into [-60, -32].
    power = int(np.ceil((-61 - high_exponent) * 0.30102999566398114)) + 347
    index = (power >> 3) + 1
    scaled = _multiply_high(fraction, _POWER_F[index])
    top = _multiply_high(high, _POWER_F[index]) - np.uint64(1)
    bottom = _multiply_high(low, _POWER_F[index]) + np.uint64(1)
    scale = high_exponent + _POWER_E[index] + 64
    end, kappa = _digits(out, at, scaled, top, scale, top - bottom)
    return _layout(out, at, end, kappa - (_FIRST_POWER + index * _POWER_STEP))
