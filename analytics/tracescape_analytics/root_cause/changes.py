"""When something changed, for a timeline: the stretches that `diagnose` would look at, and what it says."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from tracescape_analytics.root_cause.diagnosis import SEARCHED_SPANS, judged
from tracescape_analytics.root_cause.failures import failures
from tracescape_analytics.root_cause.measures import measured
from tracescape_analytics.root_cause.moments import Stretch, odd_stretches
from tracescape_analytics.span_forest import CALL_COLUMNS, plant
from tracescape_analytics.windows import Window
from tracescape_storage.reader import Reader

CHANGE_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "service": pl.String,
    "text": pl.String,
    "score": pl.Float64,
    "trace_id": pl.String,
}
#: So many stretches are looked for.
MOST: Final = 5
_NOBODY: Final = "traces are unlike those around; no cause is proved"


def changes(reader: Reader, since_ns: int, until_ns: int, most: int = MOST) -> pl.DataFrame:
    """At most ``most`` stretches of the window that stand out, apart, in order of time; `CHANGE_SCHEMA`.

    They are those of `odd_stretches`, each diagnosed against all that is around it: ``service`` and ``text``
    are those of its first cause, null and a sentence where there is none; ``trace_id`` shows that cause.
    The last ``SEARCHED_SPANS`` spans of the window are looked at, a longer one not from its begin.
    """
    window = _searched(reader, since_ns, until_ns)
    read = Window(*window)
    spans = read.read(reader, CALL_COLUMNS)
    if not spans.num_rows:
        return pl.DataFrame(schema=CHANGE_SCHEMA)
    measures = measured(plant(spans), failures(reader, read), read.links(reader))

    def row(stretch: Stretch) -> dict[str, Any]:
        odd = stretch.since_ns, stretch.until_ns
        causes = judged(measures, odd, stretch.around(*window), found=True).causes
        told = (
            causes.select("service", "sentence", "bad_trace").row(0) if len(causes) else (None, _NOBODY, None)
        )
        service, text, trace_id = told
        values = stretch.since_ns, stretch.until_ns, service, text, stretch.score, trace_id
        return dict(zip(CHANGE_SCHEMA, values, strict=True))

    found = sorted(odd_stretches(measures, *window, most=most))
    return pl.DataFrame([row(stretch) for stretch in found], schema=CHANGE_SCHEMA)


def _searched(reader: Reader, since_ns: int, until_ns: int) -> tuple[int, int]:
    # The end of the window, as much as may be read if spans come evenly.
    extent = reader.extent()
    length = max(extent.last_start_ns + 1 - extent.first_start_ns, 1)
    most = round(length * SEARCHED_SPANS / max(extent.spans, 1))
    return max(since_ns, until_ns - max(most, 1)), until_ns
