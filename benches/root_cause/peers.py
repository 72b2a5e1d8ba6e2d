"""RCAEval's trace methods, where they are installed::

    pip install --target peers --no-deps rcaeval pandas tqdm python-dateutil six pytz tzdata
    TRACESCAPE_BENCH_PEERS=peers python benches/root_cause/run.py

They are loaded from their own files: the package as a whole wants dozens of others that these do not use.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from naive import Answer, frame_of

#: microrank compares all traces with each other, so it gets so many of each side, evenly spaced; tracerca
#: scans all spans for each operation.
_MOST_TRACES: Final = {"microrank": 300, "tracerca": 3000}


def peers() -> dict[str, Callable[[pa.Table, pa.Table], Answer]]:
    """Those that are installed, by name."""
    found = {}
    for folder in filter(None, os.environ.get("TRACESCAPE_BENCH_PEERS", "").split(os.pathsep)):
        for file in Path(folder).glob("**/RCAEval/e2e/tracerca.py"):
            packages = str(file.parents[2])
            if packages not in sys.path:
                sys.path.append(packages)
            for name in _MOST_TRACES:
                found[f"rcaeval {name}"] = _method(name, file.with_name(f"{name}.py"))
    return found


def _method(name: str, file: Path) -> Callable[[pa.Table, pa.Table], Answer]:
    def ask(window: pa.Table, baseline: pa.Table) -> Answer:
        function = _loaded(name, file)
        spans, service_of, inject_time = _as_rcaeval(window, baseline, _MOST_TRACES[name])
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):  # progress bars
                try:
                    ranks = function(spans, inject_time=inject_time)["ranks"]
                except (KeyError, ValueError, ZeroDivisionError, IndexError):
                    return {}  # it cannot handle this case: a miss
        answer: Answer = {}
        for place, operation in enumerate(ranks):
            answer.setdefault(service_of[operation], -float(place))
        return answer

    return ask


def _loaded(name: str, file: Path) -> Callable[..., dict[str, list[str]]]:
    module = sys.modules.get(f"rcaeval_{name}")
    if module is None:
        spec = importlib.util.spec_from_file_location(f"rcaeval_{name}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[f"rcaeval_{name}"] = module
    function: Callable[..., dict[str, list[str]]] = getattr(module, name)
    return function


def _as_rcaeval(window: pa.Table, baseline: pa.Table, most: int) -> tuple[Any, dict[str, str], int]:
    # Times are in µs, and only their order counts: the baseline ends before the moment of injection. Spans
    # of operations that the baseline lacks are dropped, for they would end it with a KeyError.
    import pandas as pd

    sides = [_thinned(frame_of(table), most) for table in (baseline, window)]
    known = set(zip(sides[0]["service"], sides[0]["operation"], strict=True))
    inject_time = int(max(side["duration_ns"].max() for side in sides) // 1000) + 1
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("traceID", "spanID", "parentSpanID", "serviceName", "methodName", "operationName")
    }
    times: dict[str, list[int]] = {"startTime": [], "duration": []}
    service_of: dict[str, str] = {}
    for begin, side in zip((0, inject_time), sides, strict=True):
        for row in side.iter_rows(named=True):
            if (row["service"], row["operation"]) not in known:
                continue
            columns["traceID"].append(f"{begin and 1}{row['trace_id'].hex()}")
            columns["spanID"].append(f"{begin and 1}{row['span_id']}")
            columns["parentSpanID"].append(f"{begin and 1}{row['parent_span_id']}")
            columns["serviceName"].append(row["service"])
            columns["methodName"].append(row["operation"])
            columns["operationName"].append(row["operation"])
            times["startTime"].append(begin if begin else -1)
            times["duration"].append(row["duration_ns"] // 1000)
            service_of[f"{row['service']}_{row['operation']}"] = row["service"]
    # A baseline span ends before the injection: begin them all early enough.
    starts = [time if time >= 0 else 0 for time in times["startTime"]]
    frame = pd.DataFrame({**columns, "startTime": starts, "duration": times["duration"]})
    return frame, service_of, inject_time


def _thinned(frame: Any, most: int) -> Any:
    import polars as pl

    traces = frame.group_by("trace_id").agg(pl.col("start_ns").min()).sort("start_ns", "trace_id")
    chosen = np.unique(np.linspace(0, len(traces) - 1, min(most, len(traces))).astype(np.int64))
    return frame.join(traces[chosen].select("trace_id"), on="trace_id")
