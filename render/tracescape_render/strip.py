"""The timeline under the world as data: what is drawn where, what is told of it, which moment a spot is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracescape_render.text import display_name, duration, rate, share

#: Columns that a timeline has here; docs/columns.md says what they are. ``service`` is null for the whole.
LINE_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "service": pl.String,
    "calls": pl.Int64,
    "errors": pl.Int64,
    "rate_per_s": pl.Float64,
    "error_rate": pl.Float64,
    "p95_ns": pl.Int64,
}
MARK_SCHEMA: Final = {
    "kind": pl.String,
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "service": pl.String,
    "text": pl.String,
    "trace_id": pl.String,
}
#: What has a line of its own: a column, its name for people.
LANES: Final = (("rate_per_s", "rate"), ("error_rate", "errors"), ("p95_ns", "p95"))
_NEAR: Final = 0.006  # of the strip's width: so near the pointer must be to a mark
_MINUTE_NS: Final = 60_000_000_000
_SECOND_NS: Final = 1_000_000_000

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Line:
    """What a timeline shows.

    Attributes:
        since_ns, until_ns: what of the stored time it shows, epoch ns; equal where nothing is stored.
        stored_ns: the first and the last moment of all that is stored.
        steps: columns of `LINE_SCHEMA`: a row a step for the whole, then those of the selected, in order.
        marks: columns of `MARK_SCHEMA`, None as long as nobody has looked for them.
        selected: whose rows those are besides; None for nobody's.
    """

    since_ns: int = 0
    until_ns: int = 0
    stored_ns: tuple[int, int] = (0, 0)
    steps: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LINE_SCHEMA))
    marks: pl.DataFrame | None = None
    selected: str | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to go through."""
        return self.until_ns <= self.since_ns

    @property
    def step_ns(self) -> int:
        """How long a step is; at least a second."""
        if self.steps.is_empty():
            return _SECOND_NS
        return max(int(self.steps["end_ns"][0] - self.steps["start_ns"][0]), _SECOND_NS)

    def snapped(self, at_ns: float) -> int:
        """The moment that is asked for: a whole minute, or a whole step where those are shorter.

        Moments in whole minutes are answered from counts. Neither end of what is stored is cut off.
        """
        unit = min(self.step_ns, _MINUTE_NS)
        first, last = self.stored_ns
        if at_ns >= last:
            return last
        return int(min(max(round(at_ns / unit) * unit, first), last))

    def share_of(self, at_ns: float) -> float:
        """Where a moment is, from 0 on the left to 1 on the right; outside of that where it is outside."""
        return 0.0 if self.empty else (at_ns - self.since_ns) / (self.until_ns - self.since_ns)

    def moment_at(self, share: float) -> float:
        """The moment that is there, epoch ns."""
        return self.since_ns + min(max(share, 0.0), 1.0) * (self.until_ns - self.since_ns)

    def zoomed(self, share: float, factor: float) -> tuple[int, int]:
        """What of the stored time is shown when it is stretched about a spot: since, until."""
        first, last = self.stored_ns
        least = min(max(last - first, 1), 20 * _SECOND_NS)
        length = min(max((self.until_ns - self.since_ns) * factor, least), max(last - first, 1))
        since = self.moment_at(share) - share * length
        since = min(max(since, first), last - length)
        return round(since), round(since + length)


class Curve(NamedTuple):
    """A line: ``x`` and ``y`` from 0 to 1, float64, the middle of each step; NaN where there is nothing."""

    x: FloatArray
    y: FloatArray


class Lane(NamedTuple):
    """One of `LANES`: its name, its largest value in words, the whole's curve and that of the selected."""

    name: str
    top: str
    whole: Curve
    selected: Curve | None


class Spot(NamedTuple):
    """A mark: where it begins and ends (0 to 1, equal for a moment), what it is, and what is told of it.

    From when to when it is, epoch ns (``until_ns`` is None for a moment, and for what lasts), whose, and the
    trace that shows it; empty for nobody's, and for none.
    """

    begin: float
    end: float
    kind: str
    text: str
    since_ns: int = 0
    until_ns: int | None = None
    service: str = ""
    trace_id: str = ""


def lanes_of(line: Line) -> list[Lane]:
    """The lines that are drawn, from 0 to the largest value of the whole and the selected each."""
    whole = line.steps.filter(pl.col("service").is_null())
    chosen = line.steps.filter(pl.col("service").is_not_null())
    found = []
    for column, name in LANES:
        both = line.steps[column].cast(pl.Float64).fill_nan(None)
        top = float(both.max() or 0.0)  # type: ignore[arg-type]  # a number, or null
        curves = [_curve(line, rows, column, top) for rows in (whole, chosen)]
        found.append(Lane(name, _written(column, top), curves[0], curves[1] if len(chosen) else None))
    return found


def spots_of(line: Line) -> list[Spot]:
    """The marks within what is shown, bands before moments, so that those are drawn over them."""
    if line.marks is None or line.empty:
        return []
    found = []
    for row in line.marks.iter_rows(named=True):
        begin = line.share_of(row["start_ns"])
        lasting = row["end_ns"] is None and row["kind"] in {"absence", "gap"}
        end = begin if row["end_ns"] is None else line.share_of(row["end_ns"])
        end = 1.0 if lasting else end
        if end < 0.0 or begin > 1.0:
            continue
        when = _clock(row["start_ns"]) + (f" – {_clock(row['end_ns'])}" if row["end_ns"] else "")
        text = f"{row['kind']} · {when}{' – now' if lasting else ''}\n{display_name(row['text'], 300)}"
        whose = row["service"] or "", row["trace_id"] or ""
        when_ns = row["start_ns"], row["end_ns"]
        found.append(Spot(max(begin, 0.0), min(end, 1.0), row["kind"], text, *when_ns, *whose))
    return sorted(found, key=lambda spot: spot.begin - spot.end)


def spot_at(spots: Sequence[Spot], share: float) -> Spot | None:
    """The mark at a spot, the shortest of several; None where there is none."""
    near = [spot for spot in spots if spot.begin - _NEAR <= share <= spot.end + _NEAR]
    return min(near, key=lambda spot: spot.end - spot.begin, default=None)


def moment_of(line: Line, spot: Spot) -> int:
    """The moment that shows a mark best, epoch ns: as much of it is over as a moment looks back on.

    Of a deployment, what came after it; of a gap, where it begins.
    """
    first, last = line.stored_ns
    if spot.kind == "gap":
        return spot.since_ns
    short = spot.kind == "deployment" and last - first < 60 * _MINUTE_NS
    seen = spot.since_ns + (_MINUTE_NS if short else 5 * _MINUTE_NS)
    return min(seen, last if spot.until_ns is None else spot.until_ns)


def told_at(line: Line, spots: Sequence[Spot], share: float) -> str:
    """What is told of a spot: when, the numbers of its step, and the marks there; empty for nothing."""
    if line.empty:
        return ""
    at = line.moment_at(share)
    lines = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1e9))]
    rows = line.steps.filter((pl.col("start_ns") <= at) & (at < pl.col("end_ns")))
    for row in rows.iter_rows(named=True):
        name = "everything" if row["service"] is None else display_name(row["service"])
        calls = row["calls"] or 0
        said = f"{rate(row['rate_per_s'] or 0.0)}   {share_words(row)} errors   p95 {duration(row['p95_ns'])}"
        lines.append(f"{name}   {said}" if calls else f"{name}   no calls")
    near = [spot for spot in spots if spot.begin - _NEAR <= share <= spot.end + _NEAR]
    return "\n".join([*lines, *(spot.text for spot in near[-4:])])


def share_words(row: dict[str, Any]) -> str:
    """The share of errors in words."""
    return share(row["errors"] or 0, row["calls"] or 0)


def clock_words(at_ns: int, now_ns: int | None = None) -> str:
    """A moment for people: date and time, and how long ago it is if that is asked."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ns / 1e9))
    if now_ns is None or now_ns < at_ns:
        return when
    seconds = (now_ns - at_ns) / 1e9
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{when} · {seconds / size:.0f} {unit} ago"
    return f"{when} · {seconds:.0f} s ago"


def ticks_of(line: Line, most: int) -> list[tuple[float, str]]:
    """Where round times are, at most ``most`` of them, and what is written there."""
    if line.empty or most < 1:
        return []
    length = line.until_ns - line.since_ns
    units = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800, 2592000)
    unit = next((u for u in units if length / (u * 1e9) <= most), units[-1]) * _SECOND_NS
    offset = time.localtime(line.since_ns / 1e9).tm_gmtoff * _SECOND_NS
    begin = -(-(line.since_ns + offset) // unit) * unit - offset
    form = "%H:%M:%S" if unit < _MINUTE_NS else "%H:%M" if unit < 86_400 * _SECOND_NS else "%m-%d"
    moments = range(begin, line.until_ns, unit)[: 4 * most]
    return [(line.share_of(at), time.strftime(form, time.localtime(at / 1e9))) for at in moments]


def _curve(line: Line, rows: pl.DataFrame, column: str, top: float) -> Curve:
    middle = (rows["start_ns"].to_numpy() + rows["end_ns"].to_numpy()) / 2.0
    values = rows[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    length = max(line.until_ns - line.since_ns, 1)
    return Curve((middle - line.since_ns) / length, values / max(top, 1e-12))


def _written(column: str, top: float) -> str:
    if column == "rate_per_s":
        return rate(top)
    return share(top, 1.0) if column == "error_rate" else duration(top)


def _clock(at_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_ns / 1e9))
