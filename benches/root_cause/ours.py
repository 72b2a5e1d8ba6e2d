"""Our answer, as the harness wants it."""

from __future__ import annotations

import pyarrow as pa
from cases import Case

from naive import Answer
from tracescape_analytics.root_cause import diagnose_of


def diagnosed(case: Case, window: pa.Table, baseline: pa.Table) -> tuple[Answer, Answer]:
    """All that we suspect, and what we name as a cause.

    Of the case only its times are used: in which blocks the baseline falls apart.
    """
    spans = pa.concat_tables([baseline, window])
    found = diagnose_of(spans, window=case.window, baseline=case.baseline)
    suspects, causes = (
        dict(frame.select("service", "score").iter_rows()) for frame in (found.suspects, found.causes)
    )
    return suspects, causes
