"""Ids as text: lower-case hexadecimal digits of whole columns at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, np.dtype[Any]]

_DIGITS: Final = np.array([f"{byte:02x}".encode() for byte in range(256)], "S2").view(np.uint16)


def fixed_bytes(values: pa.Array, width: int) -> Array:
    """Binary values that all have ``width`` bytes, none null: uint8 of shape (n, width)."""
    fixed = values.cast(pa.binary(width))
    data = np.frombuffer(fixed.buffers()[1] or b"", np.uint8)
    return data[width * fixed.offset : width * (fixed.offset + len(fixed))].reshape(-1, width)


def hex_of_bytes(data: Array) -> pa.Array:
    """Digits of bytes, uint8 of shape (n, width)."""
    count, width = data.shape
    offsets = np.arange(0, 2 * width * count + 1, 2 * width, dtype=np.int32)
    return _strings(offsets, _DIGITS[data].reshape(-1))


def hex_of_spans(ids: Array) -> pa.Array:
    """16 digits of each span id (int64); ``""`` of 0, which is none."""
    there = ids != 0
    offsets = np.zeros(len(ids) + 1, np.int32)
    np.cumsum(16 * there, out=offsets[1:])
    return _strings(offsets, _DIGITS[ids[there].astype(">i8").view(np.uint8)])


def _strings(offsets: Array, data: Array) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)
