"""Our answer, as the harness wants it."""

from __future__ import annotations

import pyarrow as pa
from cases import Case
from scoring import proved_first

from naive import Answer
from tracescape_analytics.root_cause import Diagnosis, diagnose_of, search_of

#: No window begins a whole number of steps after this.
_LEFT_OUT_NS = 37_000_000_000


def diagnosed(
    case: Case, window: pa.Table, baseline: pa.Table, links: pa.Table | None
) -> tuple[Answer, Answer]:
    """All that we suspect, and what we name as a cause.

    Of the case only its times are used: in which blocks the baseline falls apart.
    """
    spans = pa.concat_tables([baseline, window])
    return _answers(diagnose_of(spans, links=links, window=case.window, baseline=case.baseline))


def finds_its_time(case: Case) -> bool:
    """Whether a case can be asked without its window: one stretch of time is all there is."""
    return len(case.baseline) == 1 and case.baseline[0][1] == case.window[0]


def searched(
    case: Case, window: pa.Table, baseline: pa.Table, links: pa.Table | None
) -> tuple[Answer, Answer]:
    """The same where nobody says when it was; nor does the beginning of all, by being steps before it."""
    spans = pa.concat_tables([baseline, window])
    within = (case.baseline[0][0] + _LEFT_OUT_NS, case.window[1])
    return _answers(search_of(spans, links=links, within=within))


def _answers(found: Diagnosis) -> tuple[Answer, Answer]:
    suspects = proved_first(found.suspects.select("service", "score", "named").iter_rows())
    causes = dict(found.causes.select("service", "score").iter_rows())
    return suspects, causes
