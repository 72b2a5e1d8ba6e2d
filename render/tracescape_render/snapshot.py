"""What a window shows and what it may ask: documented data, and the one protocol behind the panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import polars as pl

from tracescape_render.charts.chart import Chart
from tracescape_render.scene import Scene
from tracescape_render.strip import Line

if TYPE_CHECKING:
    from tracescape_analytics.replay import Replay
    from tracescape_render.inside.asked import InsideAnswer, InsideWish

STEP_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "rate_per_s": pl.Float64,
    "error_rate": pl.Float64,
    "p50_ns": pl.Float64,
    "p95_ns": pl.Float64,
}
OPERATION_SCHEMA: Final = {
    "service": pl.String,
    "operation": pl.String,
    "calls": pl.Int64,
    "errors": pl.Int64,
    "p95_ns": pl.Float64,
}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything at one moment.

    Attributes:
        scene: the world.
        nodes, edges: the frames of the topology that it was made from, as docs/columns.md has them.
        seconds: the length of the window, for rates; 0 for unknown.
        origin: where it comes from, for people: a file or a collector's address.
        live: whether more may come, also while this is a past moment.
        newest_ns: start of the newest span that is stored, epoch ns; None for none.
        sentence: the diagnosis of the first cause, one or two sentences; empty without one.
        pair: the ids of the typical and of the bad trace that it shows; empty for none.
        at_ns: the past moment that this is, epoch ns; None for what is newest. ``width_ns``: how much of the
            time before it is seen. ``reasoned``: whether causes were asked for.
        against_ns: the other moment that it is compared with; ``both``: the two in one world, see `contrast`;
            None where there is no other, or where it is the same.
        command: the beginning of the command line that shows the same; None for the window's own.
        questions: who answers about what is seen; None for the window's own.
    """

    scene: Scene
    nodes: pl.DataFrame
    edges: pl.DataFrame
    seconds: float = 0.0
    origin: str = ""
    live: bool = False
    newest_ns: int | None = None
    sentence: str = ""
    pair: tuple[str, str] = ("", "")
    at_ns: int | None = None
    width_ns: int = 0
    reasoned: bool = True
    against_ns: int | None = None
    both: Scene | None = None
    command: Sequence[str] | None = None
    questions: Questions | None = None


class LineWish(NamedTuple):
    """A timeline that is asked for: also the lines of ``service``; without ``range_ns`` all that is stored.

    With ``marks`` those are looked for instead, which may take seconds.
    """

    service: str | None
    range_ns: tuple[int, int] | None
    marks: bool


class MomentWish(NamedTuple):
    """A moment that is asked for, epoch ns; with ``causes`` what broke then, which may take seconds.

    With ``against_ns`` also how it differs from that moment.
    """

    at_ns: int
    causes: bool
    against_ns: int | None = None


class RideWish(NamedTuple):
    """A request that is asked for: a trace, or with an empty id the worst of what is shown.

    That is a failed one before the slowest, of ``service`` if there is one.
    """

    trace_id: str
    service: str | None


class Figures(NamedTuple):
    """Rate, errors and durations (ns) of a stretch of time; None for unknown."""

    rate_per_s: float | None = None
    error_rate: float | None = None
    p50_ns: float | None = None
    p95_ns: float | None = None
    p99_ns: float | None = None


class Exemplar(NamedTuple):
    """A trace worth opening, and why: ``slowest`` or ``failed``."""

    why: str
    trace_id: str
    name: str
    duration_ns: float | None


@dataclass(frozen=True, eq=False)
class Details:
    """What a panel tells of one service.

    Attributes:
        now, before: its figures in the window and in the time that it is compared with, None for none.
        reason: why its state is what it is; empty where nothing is wrong.
        steps: a row a step of the window, columns of `STEP_SCHEMA`; empty for what sends no spans.
        operations: columns of `OPERATION_SCHEMA`, the most called first.
        versions: those seen in the window, the most seen first.
        traces: exemplars, the slowest and the failed ones.
    """

    service: str
    now: Figures | None = None
    before: Figures | None = None
    reason: str = ""
    steps: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=STEP_SCHEMA))
    operations: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OPERATION_SCHEMA))
    versions: tuple[str, ...] = ()
    traces: tuple[Exemplar, ...] = ()


@dataclass(frozen=True, eq=False)
class Index:
    """What can be looked for: ``operations`` (columns of `OPERATION_SCHEMA`) and versions by service."""

    operations: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OPERATION_SCHEMA))
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Questions(Protocol):
    """What a window asks, on a thread of its own, never on the one that draws. Answers may take long.

    Whatever is raised is shown in the place where the answer would stand; the window stays.
    """

    def details(self, service: str) -> Details:
        """Of one service, in the window that was shown last."""
        ...

    def index(self) -> Index:
        """Names, for the search box and the tooltips."""
        ...

    def trace(self, trace_id: str) -> Chart:
        """The waterfall of a trace."""
        ...

    def inside(self, wish: InsideWish) -> InsideAnswer:
        """A trace to step inside of, or two of them beside each other."""
        ...

    def replay(self, wish: RideWish) -> Replay:
        """A request, as it is stored now."""
        ...

    def lay_out(self) -> None:
        """Everybody shall have a new place in the next snapshot. Returns at once."""
        ...

    def line(self, wish: LineWish) -> Line:
        """The timeline."""
        ...

    def moment(self, wish: MomentWish) -> Snapshot:
        """The world as it was: ``at_ns`` is set, and everybody stands where they stand now."""
        ...


class NoQuestions:
    """For a window over something that nobody can be asked about: a scene alone."""

    def details(self, service: str) -> Details:
        """Nothing but the name."""
        return Details(service)

    def index(self) -> Index:
        """Nothing."""
        return Index()

    def trace(self, trace_id: str) -> Chart:
        """No trace is known."""
        raise LookupError(f"trace {trace_id} cannot be opened from here")

    def inside(self, wish: InsideWish) -> InsideAnswer:
        """No trace is known."""
        raise LookupError(f"trace {wish.trace_id} cannot be opened from here")

    def replay(self, wish: RideWish) -> Replay:
        """No request is known."""
        raise LookupError("no request can be ridden here")

    def lay_out(self) -> None:
        """Nobody moves."""

    def line(self, wish: LineWish) -> Line:
        """No time is stored."""
        return Line()

    def moment(self, wish: MomentWish) -> Snapshot:
        """There is no past."""
        raise LookupError("there is no past here")
