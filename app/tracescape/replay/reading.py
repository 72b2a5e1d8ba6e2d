"""Recorded traces from files, as a stream of OTLP requests in order of their first start."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import polars as pl
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from tracescape.replay.errors import ReplayError
from tracescape_ingest.otlp_json import OtlpJsonError, request_of

REQUIRED: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "service",
    "operation",
    "start_ns",
    "duration_ns",
)
_OPTIONAL: Final = ("kind", "status")
_INTEGERS: Final = frozenset({"start_ns", "duration_ns", "kind", "status"})
_SCOPE: Final = "tracescape.replay"


class Part(NamedTuple):
    """One request to be sent, its number of spans and the start of its first span in epoch nanoseconds."""

    request: ExportTraceServiceRequest
    spans: int
    start_ns: int


class Recording(NamedTuple):
    """A file that can be replayed: how many spans, when the last one ends, and its parts in order."""

    spans: int
    end_ns: int
    parts: Iterator[Part]


def read(path: Path, *, batch: int, limit: int | None) -> Recording:
    """Open a recording: a Parquet span table, or OTLP JSON (one document, or one a line).

    A Parquet table is sorted by start, for which the seven columns are held in memory (about 250 bytes a
    span); requests are built as they are taken. ``limit`` keeps the first spans by start.

    Raises:
        ReplayError: there is no such file, or it is no recording; says what is wrong where.
    """
    if path.is_dir():
        raise ReplayError(f"{path} is a folder. Name a file in it.")
    if not path.is_file():
        raise ReplayError(f"There is no file {path}.")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PAR1":
        return _read_parquet(path, batch, limit)
    if path.suffix.lower() == ".parquet":
        raise ReplayError(f"{path} is no Parquet file, or it is cut off.")
    return _read_json(path, limit)


def _read_parquet(path: Path, batch: int, limit: int | None) -> Recording:
    try:
        lazy = pl.scan_parquet(path)
        names = lazy.collect_schema().names()
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise ReplayError(
                f"{path} lacks the columns {', '.join(missing)}; a span table has {', '.join(REQUIRED)}."
            )
        chosen = [*REQUIRED, *(name for name in _OPTIONAL if name in names)]
        ordered = lazy.select(chosen).sort("start_ns", maintain_order=True)
        frame = (ordered if limit is None else ordered.head(limit)).collect()
    except pl.exceptions.PolarsError as error:
        raise ReplayError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    _check_columns(frame, path)
    end = cast("int", (frame["start_ns"] + frame["duration_ns"]).max())  # `_check_columns` has seen rows
    parts = (_part(rows, path) for rows in frame.iter_slices(batch))
    return Recording(frame.height, end, parts)


def _check_columns(frame: pl.DataFrame, path: Path) -> None:
    if frame.is_empty():
        raise ReplayError(f"{path} holds no spans.")
    for name, kind in frame.schema.items():
        wanted = kind.is_integer() if name in _INTEGERS else kind in {pl.String, pl.Categorical}
        if not wanted:
            expected = "integers" if name in _INTEGERS else "text"
            raise ReplayError(f"{path}: the column {name} must be {expected}, not {kind}.")
        if frame[name].null_count():
            raise ReplayError(f"{path}: the column {name} has {frame[name].null_count()} empty values.")
    bad = frame.filter((pl.col("duration_ns") < 0) | (pl.col("start_ns") < 0)).height
    if bad:
        raise ReplayError(f"{path}: {bad} spans have a negative start or duration.")


def _part(rows: pl.DataFrame, path: Path) -> Part:
    by_service: dict[str, list[Span]] = defaultdict(list)
    for row in rows.iter_rows(named=True):
        try:
            by_service[row["service"]].append(_span(row))
        except ValueError as error:
            raise ReplayError(
                f"{path}: the span {row['span_id']!r} of trace {row['trace_id']!r} cannot be sent: {error}"
            ) from error
    request = ExportTraceServiceRequest()
    for service, spans in by_service.items():
        group: ResourceSpans = request.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = service
        group.scope_spans.add(spans=spans).scope.name = _SCOPE
    return Part(request, rows.height, rows["start_ns"][0])


def _span(row: dict[str, Any]) -> Span:
    return Span(
        trace_id=bytes.fromhex(row["trace_id"]),
        span_id=bytes.fromhex(row["span_id"]),
        parent_span_id=bytes.fromhex(row["parent_span_id"]),
        name=row["operation"],
        start_time_unix_nano=row["start_ns"],
        end_time_unix_nano=row["start_ns"] + row["duration_ns"],
        kind=row.get("kind", 0),
        status=Status(code=row.get("status", 0)),
    )


def _read_json(path: Path, limit: int | None) -> Recording:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReplayError(f"{path} is neither Parquet nor JSON text.") from error
    parts = [_json_part(_request(document, where)) for document, where in _documents(text, path)]
    parts = sorted((part for part in parts if part.spans), key=lambda part: part.start_ns)
    if not parts:
        raise ReplayError(f"{path} holds no spans.")
    if limit is not None:
        parts = _first_spans(parts, limit)
    end = max(span.end_time_unix_nano for part in parts for span in spans_of(part.request))
    return Recording(sum(part.spans for part in parts), end, iter(parts))


def _request(document: object, where: str) -> ExportTraceServiceRequest:
    if not isinstance(document, dict) or "resourceSpans" not in document:
        raise ReplayError(f'{where}: this is no OTLP JSON; it needs a list "resourceSpans"')
    try:
        return request_of(document)
    except OtlpJsonError as error:
        raise ReplayError(f"{where}: {error}") from error


def _documents(text: str, path: Path) -> Iterator[tuple[object, str]]:
    """The documents of a file and where each stands: the whole file, or one a line."""
    try:
        yield json.loads(text), str(path)
        return
    except (json.JSONDecodeError, RecursionError) as error:
        whole = error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) < 2:
        raise ReplayError(f"{path} is no JSON: {whole}") from whole
    for number, line in lines:
        try:
            yield json.loads(line), f"{path}, line {number}"
        except (json.JSONDecodeError, RecursionError) as error:
            # Of a pretty-printed document that is cut off, every line is broken: then tell of the whole.
            reason = whole if number == lines[0][0] else error
            raise ReplayError(f"{path} is no JSON at line {number}: {reason}") from error


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """Every span of a request."""
    for group in request.resource_spans:
        for scope in group.scope_spans:
            yield from scope.spans


def _json_part(request: ExportTraceServiceRequest) -> Part:
    starts = [span.start_time_unix_nano for span in spans_of(request)]
    return Part(request, len(starts), min(starts, default=0))


def _first_spans(parts: list[Part], limit: int) -> list[Part]:
    kept = []
    for part in parts:
        if limit <= 0:
            break
        for group in part.request.resource_spans:
            for scope in group.scope_spans:
                del scope.spans[max(limit, 0) :]
                limit -= len(scope.spans)
        kept.append(_json_part(part.request))
    return kept
