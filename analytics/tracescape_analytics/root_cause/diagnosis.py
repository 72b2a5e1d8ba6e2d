"""Ask what broke, and get a short list of causes with their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.root_cause.blame import Suspect, suspects
from tracescape_analytics.root_cause.choices import DEFAULT, Choices
from tracescape_analytics.root_cause.evidence import evidence
from tracescape_analytics.root_cause.exemplars import PATH_SCHEMA, exemplars, side_by_side, trace_id_of
from tracescape_analytics.root_cause.failures import failures
from tracescape_analytics.root_cause.measures import Measures, measured
from tracescape_analytics.root_cause.moments import odd_stretches
from tracescape_analytics.root_cause.paths import path_lines
from tracescape_analytics.root_cause.stories import KINDS, Names, item_of, told
from tracescape_analytics.span_forest import CALL_COLUMNS, IntArray, plant
from tracescape_analytics.windows import MARGIN_NS, Window, checked
from tracescape_analytics.words import counted, readable_duration
from tracescape_storage.local_time import readable_time
from tracescape_storage.reader import Extent, Reader

Interval = tuple[int, int]

#: Without a baseline, so many lengths of the window before it are one.
BASELINE_LENGTHS: Final = 6
#: A baseline is cut into blocks as long as the window, but into so many at least.
LEAST_BLOCKS: Final = 8
#: Without a window, it is looked for in about so many of the last spans.
SEARCHED_SPANS: Final = 2_000_000
_SHOWN_SUSPECTS: Final = 3
_LOOKED_AT: Final = 3
#: By how much the wait for a cause must have grown for the note to say so.
_WORTH_TELLING: Final = 1.1

CAUSE_SCHEMA: Final = {
    "rank": pl.Int64,
    "kind": pl.String,
    "service": pl.String,
    "operation": pl.String,
    "source": pl.String,
    "target": pl.String,
    "item": pl.String,
    "named": pl.Boolean,
    "since_ns": pl.Int64,
    "score": pl.Float64,
    "p_value": pl.Float64,
    "channels": pl.Int64,
    "traces": pl.Int64,
    "base_traces": pl.Int64,
    "before_ns": pl.Int64,
    "after_ns": pl.Int64,
    "before_share": pl.Float64,
    "after_share": pl.Float64,
    "before_times": pl.Float64,
    "after_times": pl.Float64,
    "waited_before_ns": pl.Int64,
    "waited_after_ns": pl.Int64,
    "sentence": pl.String,
    "typical_trace": pl.String,
    "bad_trace": pl.String,
    "explained_by": pl.String,
}


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What broke in a window, compared with a baseline.

    ``causes`` (columns of ``CAUSE_SCHEMA``, see docs/columns.md): what is named as a cause, the strongest
    first; empty when nothing is significant. ``suspects``: the same for every service that anything speaks
    against, the causes among them. ``paths``: the critical paths of the typical and of the bad trace of each
    cause side by side, by ``rank`` and ``step``. ``traces`` and ``base_traces`` count those whose main root
    starts in the window and in the baseline. ``found`` says that the window was not given but stood out.
    """

    causes: pl.DataFrame
    suspects: pl.DataFrame
    paths: pl.DataFrame
    window: Interval
    baseline: tuple[Interval, ...]
    traces: int
    base_traces: int
    found: bool = False

    def __str__(self) -> str:
        """A colleague's note."""
        lines = [self.headline()]
        for cause in self.causes.iter_rows(named=True):
            lines += ["", *self.told(cause), *path_lines(self.steps(cause["rank"]))]
        return "\n".join(lines) + self.hints()

    def headline(self) -> str:
        """When, of how many traces, and whether anything is significant."""
        against = f"against {self.base_traces:,} before" if self.base_traces else "with nothing to compare"
        where = f"{readable_time(self.window[0])} to {_until(*self.window)}"
        seen = f"{counted(self.traces, 'trace')}, {against}"
        if self.causes.is_empty():
            return f"Nothing significant from {where} ({seen})."
        return f"{'What stands out' if self.found else 'What broke'} from {where} ({seen}):"

    def __repr__(self) -> str:
        """The same: whoever types its name wants to read it."""
        return str(self)

    def objects(self) -> list[dict[str, Any]]:
        """The suspects for programs, an object each; ``path`` are the steps of ``paths``, of causes alone."""
        paths: dict[int, list[dict[str, Any]]] = {}
        for step in self.paths.iter_rows(named=True):
            paths.setdefault(step.pop("rank"), []).append(step)
        return [{**each, "path": paths.get(each["rank"], [])} for each in self.suspects.iter_rows(named=True)]

    def steps(self, rank: int) -> list[dict[str, Any]]:
        """The rows of ``paths`` of one cause."""
        return list(self.paths.filter(pl.col("rank") == rank).iter_rows(named=True))

    def told(self, cause: dict[str, Any]) -> list[str]:
        """A row of ``causes`` in lines, without its paths."""
        sure = "p < 1e-12" if cause["p_value"] < 1e-12 else f"p = {cause['p_value']:.1g}"
        since = _until(self.window[0], cause["since_ns"])
        return [
            f"{cause['rank']}. {cause['service']} ({cause['kind']}, since {since}). {cause['sentence']}",
            f"   {_waits(cause)}{counted(cause['channels'], 'sign')} of it ({sure}).",
            f"   typical trace {cause['typical_trace'] or 'none'} → bad trace {cause['bad_trace'] or 'none'}"
            + (", what they waited for, in order:" if self.steps(cause["rank"]) else ""),
        ]

    def hints(self) -> str:
        """Who is explained by a cause, and who is worth a look; each begins a line."""
        others, by = self.suspects.filter(~pl.col("named")), pl.col("explained_by")
        follow = others.filter(by.is_not_null()).head(_SHOWN_SUSPECTS)
        lines = [
            f"\n{row['service']} ({row['kind']}) is explained by {row['explained_by']}."
            for row in follow.iter_rows(named=True)
        ]
        # Beside a cause, what hardly moved is no use to anybody.
        worth = pl.col("score") >= (DEFAULT.least if len(self.causes) else 0.0)
        if weak := others.filter(by.is_null() & worth).head(_SHOWN_SUSPECTS)["service"].to_list():
            lines.append(f"\nNot proved, but it may be worth a look: {', '.join(weak)}.")
        return "".join(lines)


def diagnose(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    baseline: Interval | None = None,
) -> Diagnosis:
    """What broke in [since_ns, until_ns), compared with ``baseline``.

    An open end is the last span that is stored. Without a baseline it is ``BASELINE_LENGTHS`` times the
    length of the window just before it, as far as spans are stored. Without a window it is the stretch of the
    last ``SEARCHED_SPANS`` spans that stands out most, and the baseline all that is around it; if none does,
    the last tenth. Traces count by the start of their main root.

    Raises ``ValueError`` for a window that ends before it begins or in which no trace starts, for a baseline
    that overlaps it, and where nothing is stored to compare with.
    """
    extent = reader.extent()
    if not extent.spans:
        raise ValueError("the store has no spans yet: send some, then ask again")
    if since_ns is None:
        return _searched(reader, extent, until_ns, baseline)
    if until_ns is None and since_ns > extent.last_start_ns:
        raise ValueError(f"no trace starts since {readable_time(since_ns)}: {_held(extent)}")
    until = extent.last_start_ns + 1 if until_ns is None else until_ns
    window = _within(checked(since_ns, until), extent)
    before = _before(window, baseline, extent)
    parts = [Window(*part) for part in _joined(window, before)]
    spans = pa.concat_tables([part.read(reader, CALL_COLUMNS) for part in parts])
    failed = pa.concat_tables([failures(reader, part) for part in parts])
    links = pa.concat_tables([part.links(reader) for part in parts])
    return diagnose_of(spans, failed, links, window=window, baseline=[before])


def diagnose_of(
    spans: pa.Table,
    failed: pa.Table | None = None,
    links: pa.Table | None = None,
    *,
    window: Interval,
    baseline: Sequence[Interval],
) -> Diagnosis:
    """``diagnose`` over a table with ``schema.ANALYSIS_COLUMNS`` and any of ``PROMOTED``.

    ``failed``, ``links``: see ``measured``.
    """
    for since, until in baseline:
        if since < window[1] and until > window[0]:
            raise ValueError(
                f"the baseline [{since}, {until}) overlaps the window [{window[0]}, {window[1]}): "
                "choose one that ends where the window begins"
            )
    return judged(measured(plant(spans), failed, links), window, baseline)


def _searched(reader: Reader, extent: Extent, until_ns: int | None, baseline: Interval | None) -> Diagnosis:
    if baseline is not None:
        raise ValueError("a baseline needs a window to compare with: give since")
    last = extent.last_start_ns + 1
    until = last if until_ns is None else min(until_ns, last)
    share = min(SEARCHED_SPANS / extent.spans, 1.0)
    since = max(until - max(round((last - extent.first_start_ns) * share), 1), extent.first_start_ns)
    window = _within(checked(since, until), extent)
    whole = Window(*window)
    spans = whole.read(reader, CALL_COLUMNS)
    return search_of(spans, failures(reader, whole), whole.links(reader), within=window)


def search_of(
    spans: pa.Table,
    failed: pa.Table | None = None,
    links: pa.Table | None = None,
    *,
    within: Interval,
) -> Diagnosis:
    """``diagnose`` without a window, over a table as ``diagnose_of`` takes it.

    It is the diagnosis of the stretch of ``within`` that stands out most, against all that is around it but
    the step of time on either side, in which it may have begun or ended.

    Where nothing is at fault in it, others that stand out are asked too, ``_LOOKED_AT`` in all. If none
    stands out, it is that of the last tenth.
    """
    measures = measured(plant(spans), failed, links)
    first: Diagnosis | None = None
    for stretch in odd_stretches(measures, *within, most=_LOOKED_AT):
        window = (stretch.since_ns, stretch.until_ns)
        answer = judged(measures, window, stretch.around(*within), found=True)
        if len(answer.causes):
            return answer
        first = first or answer
    if first is not None:
        return first
    begin = within[1] - max((within[1] - within[0]) // 10, 1)
    return judged(measures, (begin, within[1]), [(within[0], begin)])


def _within(window: Window, extent: Extent) -> Interval:
    since, until = window
    assert since is not None
    assert until is not None
    if since > extent.last_start_ns or until <= extent.first_start_ns or since == until:
        window_text = f"{readable_time(since)} to {readable_time(until)}"
        raise ValueError(f"no trace starts from {window_text}: {_held(extent)}")
    return since, until


def _held(extent: Extent) -> str:
    return f"the store holds {readable_time(extent.first_start_ns)} to {readable_time(extent.last_start_ns)}"


def _before(window: Interval, baseline: Interval | None, extent: Extent) -> Interval:
    if baseline is not None:
        before = checked(*baseline)
        assert before.since_ns is not None
        assert before.until_ns is not None
        return before.since_ns, before.until_ns
    begin = max(window[0] - BASELINE_LENGTHS * (window[1] - window[0]), extent.first_start_ns)
    if begin >= window[0]:
        raise ValueError(
            f"nothing is stored before {readable_time(window[0])} to compare with: "
            "choose a later since, or a baseline"
        )
    return begin, window[0]


def _joined(window: Interval, baseline: Interval) -> list[Interval]:
    # Read once what lies side by side: margins would else be read twice.
    apart = max(window[0] - baseline[1], baseline[0] - window[1])
    if apart <= 2 * MARGIN_NS:
        return [(min(window[0], baseline[0]), max(window[1], baseline[1]))]
    return [baseline, window]


def blocks_of(starts: IntArray, window: Interval, baseline: Sequence[Interval]) -> IntArray:
    """For each trace, by its start: -1 in the window, -2 in neither, else the number of a block of baseline.

    Blocks are as long as the window, or as long as gives ``LEAST_BLOCKS``.
    """
    length = sum(until - since for since, until in baseline)
    width = max(min(window[1] - window[0], length // LEAST_BLOCKS), 1)
    block = np.full(len(starts), -2, np.int64)
    for since, until in baseline:
        inside = (starts >= since) & (starts < until)
        block[inside] = starts[inside] // width
    block[(starts >= window[0]) & (starts < window[1])] = -1
    return block


def judged(
    measures: Measures,
    window: Interval,
    baseline: Sequence[Interval],
    *,
    found: bool = False,
    choices: Choices = DEFAULT,
) -> Diagnosis:
    """The diagnosis of a window from what was measured of all traces."""
    forest = measures.trees.forest
    block = blocks_of(forest.start[forest.main_root], window, baseline)
    every = suspects(evidence(measures, block, choices), choices)
    rows = [_row(measures, block, rank, each) for rank, each in enumerate(every, 1)]
    listed = pl.DataFrame(rows, schema=CAUSE_SCHEMA, orient="row")
    causes = listed.filter("named")
    paths = [_paths(measures, block, rank, every[rank - 1]) for rank in causes["rank"]]
    return Diagnosis(
        causes=causes,
        suspects=listed,
        paths=pl.concat(paths) if paths else pl.DataFrame(schema=PATH_SCHEMA),
        window=window,
        baseline=tuple(baseline),
        traces=int((block == -1).sum()),
        base_traces=int((block >= 0).sum()),
        found=found,
    )


def _paths(measures: Measures, block: IntArray, rank: int, suspect: Suspect) -> pl.DataFrame:
    return side_by_side(measures, rank, exemplars(measures, block, suspect.rows[0]))


def _row(measures: Measures, block: IntArray, rank: int, suspect: Suspect) -> tuple[Any, ...]:
    nodes = measures.owners.nodes.frame()["name"].to_list()
    names = Names(nodes, measures.trees.operations, len(measures.trees.services))
    first = suspect.rows[0]
    shown = exemplars(measures, block, first)
    ends = {
        "source": {row["node"] for row in suspect.rows},
        "target": {row["callee"] for row in suspect.rows},
    }
    edge = {
        side: names.nodes[next(iter(nodes))] if suspect.way != "work" and len(nodes) == 1 else None
        for side, nodes in ends.items()
    }
    waited = _waited(measures, block, suspect)
    return (
        rank,
        KINDS[first["measure"], suspect.way],
        names.nodes[suspect.node],
        names.operations[first["operation"]],
        edge["source"],
        edge["target"],
        item_of(first, names),
        suspect.named,
        shown.since_ns,
        suspect.score,
        first["p_value"],
        len(suspect.rows),
        first["traces"],
        first["base_traces"],
        *_numbers(first),
        *waited,
        told(suspect.node, suspect.way, suspect.rows, names),
        trace_id_of(measures, shown.typical),
        trace_id_of(measures, shown.bad),
        None if suspect.explained_by is None else names.nodes[suspect.explained_by],
    )


def _numbers(row: dict[str, Any]) -> tuple[float | None, ...]:
    # Before and after: in ns, as a share, how many times; what it is not is null.
    sides, none = (row["before"], row["after"]), (None, None)
    if row["measure"] == "time":
        return (*(round(2**side) for side in sides), *none, *none)
    if row["measure"] == "calls":
        return (*none, *none, *(2**side for side in sides))
    return (*none, *sides, *none)


def _waited(measures: Measures, block: IntArray, suspect: Suspect) -> tuple[int, int]:
    # Critical time a trace, before and after, of what the suspect is to blame for.
    node, callee = pl.col("node") == suspect.node, pl.col("callee")
    owned = {"work": node & (callee < 0), "to": callee == suspect.node, "from": node & (callee >= 0)}
    rows = measures.times.filter(owned[suspect.way])
    side = block[rows["trace"].to_numpy()]
    spent = rows["critical_ns"].to_numpy()
    return (
        int(spent[side >= 0].sum()) // max(int((block >= 0).sum()), 1),
        int(spent[side == -1].sum()) // max(int((block == -1).sum()), 1),
    )


def _waits(cause: dict[str, Any]) -> str:
    # Who fails at once is waited for as long as ever, or less: that is no sign of anything.
    before, after = cause["waited_before_ns"], cause["waited_after_ns"]
    if after < _WORTH_TELLING * before:
        return ""
    times = readable_duration(after), readable_duration(before)
    return f"Traces wait for it {times[0]} on average, before it was {times[1]}. "


def _until(since_ns: int, until_ns: int) -> str:
    # The date is said once.
    since, until = readable_time(since_ns), readable_time(until_ns)
    return until.removeprefix(since[:11])
