"""What a collector before ClickHouse spends on a span: CPU by step, then all of it into chdb.

``python benches/into_clickhouse.py [SPANS]``. One process, no gRPC: what that costs, ``ingest.py`` measures.
The last line has the engine's work in it, which on a real server happens elsewhere. CPU seconds are of all
threads.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
from template import ids_of, templates

from tracescape_ingest.accepting import Decoder
from tracescape_ingest.direct_intake import DirectIntake
from tracescape_ingest.intake import Signal
from tracescape_ingest.together import tables_of
from tracescape_storage.attribute_columns import WELL_KNOWN, Sampler
from tracescape_storage.clickhouse.address import parse_address
from tracescape_storage.clickhouse.quick_rows import quick_span_rows
from tracescape_storage.clickhouse.rows import span_rows
from tracescape_storage.clickhouse.writer import Writer

REQUEST = 512
ROUNDS = 3


def main() -> int:
    """Print a line a step."""
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 204_800
    print(f"{spans:,} spans in requests of {REQUEST}, CPU µs a span, the best of {ROUNDS}")
    # The first requests; then attributes that many spans have are in columns, as `DirectIntake` does it.
    (as_text,) = tables_of([_decoder({}).decode(Signal.TRACES, each) for each in _requests(spans, 0)])
    decoder = _decoder({**WELL_KNOWN, **Sampler().look(as_text["spans"]["attributes"], WELL_KNOWN)})
    requests = [decoder.decode(Signal.TRACES, each) for each in _requests(spans, 0)]
    (tables,) = tables_of(requests)
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(parse_address(f"clickhouse+chdb://{folder}"))
        block = writer.prepare(tables)
        print(f"  an insert has {len(block.data) / spans:.0f} bytes a span (LZ4)")
        _line("decode", spans, lambda: [decoder.decode(Signal.TRACES, each.payload) for each in requests])
        _line("to tables", spans, lambda: tables_of(requests))
        _line("to the exporter's rows", spans, lambda: quick_span_rows(tables))
        _line("… of attributes that are text", spans, lambda: quick_span_rows(as_text))
        _line("… row by row, as it is meant", spans, lambda: span_rows(tables))
        _line("rows, as they go over the wire", spans, lambda: writer.prepare(tables))
        tokens = iter(range(1 << 30))
        _line("insert into chdb, the engine's work", spans, lambda: writer.insert(block, f"t{next(tokens)}"))
        numbers = iter(range(1, 1 << 30))
        for name, sink in (("discarded at the end", _Nowhere(writer)), ("into chdb", writer)):
            intake = DirectIntake(sink, linger_s=0)
            intake.decoder.wait()
            sent = [_requests(spans, next(numbers)) for _ in range(ROUNDS)]
            _line(f"DirectIntake, {name}", spans, partial(_through, intake, sent))
            intake.close()
        writer.close()
    return 0


def _decoder(columns: Mapping[str, str]) -> Decoder:
    decoder = Decoder(1, wanted=columns)
    decoder.start()
    decoder.wait()
    return decoder


class _Nowhere:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def prepare(self, *batches: Mapping[str, pa.Table]) -> Any:
        return self._writer.prepare(*batches)

    def insert(self, block: Any, token: str) -> None:
        pass


def _through(intake: DirectIntake, sent: list[list[bytes]]) -> None:
    for each in [intake.submit(Signal.TRACES, request) for request in sent.pop()]:
        each.result(300)


def _requests(spans: int, seed: int) -> list[bytes]:
    forms = templates(REQUEST)
    return [
        bytes(forms[number % len(forms)].fresh(ids_of(REQUEST, 7 + seed, 1, number)))
        for number in range(spans // REQUEST)
    ]


def _line(name: str, spans: int, run: Callable[[], object]) -> None:
    best = min(_cpu(run) for _ in range(ROUNDS))
    print(f"  {name:<40}{best / spans * 1e6:8.2f}", flush=True)


def _cpu(run: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
