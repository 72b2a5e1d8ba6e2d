"""A store's answer in the form that the caller works with."""

from __future__ import annotations

from typing import Literal, TypeAlias

import polars as pl
import pyarrow as pa

from tracescape_storage.reader import Reader

#: ``frame``: a Polars frame; ``lazy``: the same, lazy; ``arrow``: record batches, one after the other.
Form: TypeAlias = Literal["frame", "lazy", "arrow"]


def formed(reader: Reader, query: str, form: Form) -> pl.DataFrame | pl.LazyFrame | pa.RecordBatchReader:
    """The rows of ``query`` as ``form``; Arrow as it is taken. Raises ``ValueError`` for another form."""
    if form == "arrow":
        return reader.stream(query)
    if form not in ("frame", "lazy"):
        raise ValueError(f"there is no form {form!r}; it is frame, lazy or arrow")
    frame = pl.DataFrame(reader.sql(query))
    return frame if form == "frame" else frame.lazy()
