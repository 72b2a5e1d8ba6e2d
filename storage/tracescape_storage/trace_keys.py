"""`schema.TRACE_KEY`: a few bytes of a trace id as an integer, which a store scans ten times faster."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FIRST, _END = (
    13,
    16,
)  # of the 16 bytes: W3C wants these random, wherever ids are longer than the sender's own


def trace_key(trace_id: bytes) -> int:
    """The key of one trace id (16 bytes)."""
    return int.from_bytes(trace_id[_FIRST:_END], "big")


def trace_keys(ids: pa.ChunkedArray) -> pa.Array:
    """The keys of trace ids, int32; null for null."""
    ids = ids.cast(pa.binary())
    tails = pc.binary_slice(ids.combine_chunks(), _FIRST, _END).fill_null(b"\0\0\0")
    packed = tails.cast(pa.binary(_END - _FIRST))
    width, begin = _END - _FIRST, packed.offset
    data = np.frombuffer(packed.buffers()[1], np.uint8)[width * begin : width * (begin + len(packed))]
    parts = data.reshape(-1, width).astype(np.int32)
    keys = pa.array(parts[:, 0] << 16 | parts[:, 1] << 8 | parts[:, 2])
    return keys if not ids.null_count else pc.if_else(ids.combine_chunks().is_valid(), keys, None)
