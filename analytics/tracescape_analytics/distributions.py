"""Quantiles of durations that are counted in buckets, of many things at once."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.sampling import whole
from tracescape_native.buckets import bucket_values
from tracescape_native.call_keys import MEASURE_SHIFT, OFFSET

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: The code of what has no durations: below all others.
NO_CODE: Final = -OFFSET


class Durations(NamedTuple):
    """How often each thing, numbered from 0, has each code; how often is in units of `sampling`.

    ``keys``, int64, shape (cells,), ascending: the number of the thing and the code, as ``call_keys`` packs
    them. ``up_to``, shape (cells + 1,): the sum of the counts before each. ``begin``, shape (things + 1,):
    where the cells of each thing begin. ``total``, shape (things,): the sum of its counts; ``seen``: how many
    spans or pairs of spans tell of it.
    """

    keys: IntArray
    up_to: IntArray
    begin: IntArray
    total: IntArray
    seen: IntArray

    @property
    def calls(self) -> IntArray:
        """How many there were of each thing, to the nearest whole number."""
        return whole(self.total)

    def share(self, units: IntArray) -> IntArray:
        """As many of what is seen of each thing as ``units`` are of its total, to the nearest whole."""
        shares = units / np.maximum(self.total, 1)
        return np.asarray(np.rint(self.seen * shares).astype(np.int64))

    def at(self, share: float) -> IntArray:
        """The smallest code that at least this share of what is counted does not exceed, of each thing."""
        # The small part keeps 0.95 · 100, which is 95.00000000000001 or less, at 95.
        total = self.total
        rank = np.ceil(total * share - math.ulp(1.0) * total).astype(np.int64).clip(1, np.maximum(total, 1))
        place = np.searchsorted(self.up_to[1:], self.up_to[self.begin[:-1]] + rank)
        some = total > 0
        codes = np.full(len(total), NO_CODE)
        codes[some] = _code(self.keys[place[some]])
        return codes

    def above(self, codes: IntArray) -> IntArray:
        """How many of each thing have a greater code than its own of ``codes``."""
        number = np.arange(len(self.total))
        place = np.searchsorted(self.keys, (number << MEASURE_SHIFT) + codes + OFFSET, "right")
        return np.asarray(self.up_to[self.begin[1:]] - self.up_to[place])


def durations(thing: IntArray, code: IntArray, counted: IntArray, seen: IntArray, things: int) -> Durations:
    """Of cells in any order, several for a code where it so happens; ``thing`` below ``things``."""
    keys = (thing << MEASURE_SHIFT) + (code + OFFSET)
    order = np.argsort(keys)
    keys, up_to = keys[order], np.zeros(len(keys) + 1, np.int64)
    np.cumsum(counted[order], out=up_to[1:])
    begin = np.searchsorted(keys, np.arange(things + 1) << MEASURE_SHIFT)
    return Durations(keys, up_to, begin, np.diff(up_to[begin]), sums(thing, seen, things))


def _code(keys: IntArray) -> IntArray:
    return np.asarray((keys & ((1 << MEASURE_SHIFT) - 1)) - OFFSET)


def sums(thing: IntArray, count: IntArray, things: int) -> IntArray:
    """The sum of the counts of each thing; int64, shape (things,)."""
    found = np.zeros(things, np.int64)
    np.add.at(found, thing, count)
    return found


def values(name: str, codes: IntArray) -> pl.Series:
    """What stands for each code (Int64, ns); null for `NO_CODE`."""
    known = codes != NO_CODE
    return nullable(name, bucket_values(np.where(known, codes, 0)), known)


def nullable(name: str, numbers: IntArray, known: BoolArray) -> pl.Series:
    """A column that is null where the number is not ``known``."""
    column = pl.Series(name, numbers)
    return column if known.all() else column.set(pl.Series(~known), None)
