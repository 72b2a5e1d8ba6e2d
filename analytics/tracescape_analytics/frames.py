"""A table of a store's answer in the form that the caller works with."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import polars as pl
import pyarrow as pa

#: ``frame``: a Polars frame; ``lazy``: the same, lazy; ``arrow``: record batches, one after the other.
Form: TypeAlias = Literal["frame", "lazy", "arrow"]

_BATCH_ROWS: Final = 65_536


def formed(table: pa.Table, form: Form) -> pl.DataFrame | pl.LazyFrame | pa.RecordBatchReader:
    """``table`` as ``form``. Raises ``ValueError`` for another form."""
    if form == "arrow":
        return table.to_reader(max_chunksize=_BATCH_ROWS)
    if form not in ("frame", "lazy"):
        raise ValueError(f"there is no form {form!r}; it is frame, lazy or arrow")
    frame = pl.DataFrame(table)
    return frame if form == "frame" else frame.lazy()
