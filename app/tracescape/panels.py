"""What a window's panels ask of a store: one service's figures, names to search, a trace."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from tracescape.past import Past
from tracescape.stepping_in import inside
from tracescape_analytics.replay import Replay, load_replay
from tracescape_analytics.timeline import timeline
from tracescape_analytics.trace_ids import parse_trace_id
from tracescape_render.charts.chart import Chart
from tracescape_render.inside.asked import InsideAnswer, InsideWish
from tracescape_render.snapshot import (
    Details,
    Exemplar,
    Figures,
    Index,
    LineWish,
    MomentWish,
    RideWish,
    Snapshot,
)
from tracescape_render.strip import Line
from tracescape_storage.conditions import literal
from tracescape_storage.errors import StoreError

if TYPE_CHECKING:
    from tracescape.store import Store, Topology

_STEPS: Final = 40
_LEAST_STEP_NS: Final = 1_000_000_000
_EXEMPLARS: Final = 4
_NAMES: Final = 20_000


class StorePanels:
    """Answers in the window of the topology that was shown last; implements `Questions` of the renderer."""

    def __init__(self, store: Store, past: Past | None = None) -> None:
        self._store = store
        self.past = past or Past(store)
        self._lock = threading.Lock()
        self._topology: Topology | None = None
        self._other: Topology | None = None
        self._new_places = False
        self._read: tuple[InsideWish, InsideAnswer] | None = None
        self._before: tuple[tuple[int, int], pl.DataFrame] | None = None

    def shows(self, topology: Topology, other: Topology | None = None) -> None:
        """This is what is shown from now on, compared with ``other`` if that is given."""
        with self._lock:
            self._topology, self._other = topology, other

    def lay_out(self) -> None:
        """Whoever makes the next snapshot gives everybody a new place."""
        with self._lock:
            self._new_places = True

    def takes_new_places(self) -> bool:
        """Whether that was asked for since the last call."""
        with self._lock:
            asked, self._new_places = self._new_places, False
        return asked

    def details(self, service: str) -> Details:
        """Figures now and before, why, over time, operations, versions, traces."""
        topology = self._shown()
        if topology is None or not topology.spans:
            return Details(service)
        since, until = topology.since_ns, topology.until_ns
        node = topology.nodes.filter(pl.col("service") == service)
        sends = node.height > 0 and node["kind"][0] == "service" and node["calls"][0] > 0
        health = self._store.health(since, until).filter(
            (pl.col("what") == "service") & (pl.col("service") == service)
        )
        return Details(
            service,
            now=_figures(node, until - since),
            before=self._figures_before(service, topology),
            reason=str(health["reason"][0] or "") if health.height else "",
            **({"steps": self._steps(service, since, until)} if sends else {}),
            operations=self._operations(since, until, service) if sends else Index().operations,
            versions=self._versions(since, until, service).get(service, ()),
            traces=self._exemplars(service, node, since, until, sends=sends),
        )

    def index(self) -> Index:
        """All operations of the window, and which versions of what sent it."""
        topology = self._shown()
        if topology is None or not topology.spans:
            return Index()
        since, until = topology.since_ns, topology.until_ns
        return Index(self._operations(since, until, None), self._versions(since, until, None))

    def trace(self, trace_id: str) -> Chart:
        """The waterfall."""
        return self._store.trace(trace_id).plot()

    def inside(self, wish: InsideWish) -> InsideAnswer:
        """Walls of spans."""
        read, self._read = self._read, None
        return read[1] if read is not None and read[0] == wish else inside(self._store, wish)

    def has_read(self, wish: InsideWish, answer: InsideAnswer) -> None:
        """Whoever asks for this next is not kept waiting: it was just read."""
        self._read = wish, answer

    def replay(self, wish: RideWish) -> Replay:
        """A request; without an id the failed or else slowest one of the window that is shown."""
        trace_id = wish.trace_id or self._worst_trace(wish.service)
        return load_replay(self._store.reader, parse_trace_id(self._store.reader, trace_id))

    def line(self, wish: LineWish) -> Line:
        """The timeline."""
        return self.past.line(wish)

    def moment(self, wish: MomentWish) -> Snapshot:
        """The world as it was; who asks about it is answered about it."""
        topology, snapshot = self.past.moment(wish)
        about = StorePanels(self._store, self.past)
        about.shows(topology, self.past.other(wish))
        return dataclasses.replace(snapshot, questions=about)

    def _shown(self) -> Topology | None:
        with self._lock:
            return self._topology

    def _worst_trace(self, service: str | None) -> str:
        topology = self._shown()
        whose = f" of {service}" if service else ""
        if topology is None or not topology.spans:
            raise LookupError(f"nothing{whose} is stored of the time that is shown")
        since, until = topology.since_ns, topology.until_ns
        node = topology.nodes.filter(pl.col("service").eq_missing(pl.lit(service, pl.String)))
        if node.height and node["kind"][0] != "service":  # it sends no spans: its callers know
            found = [node[f"{why}_trace"][0] for why in ("failed", "slowest")]
            if any(found):
                return str(next(filter(None, found)))
        for status in ("error", None):
            page = self._store.search(
                service=service, status=status, since=since, until=until, order="slowest", limit=1
            )
            if len(page):
                return str(page.rows["trace_id"][0])
        raise LookupError(f"no request{whose} is stored of the time that is shown")

    def _figures_before(self, service: str, topology: Topology) -> Figures | None:
        if self._other is not None:
            length = self._other.until_ns - self._other.since_ns
            return _figures(self._other.nodes.filter(pl.col("service") == service), length)
        if topology.baseline is None:
            return None
        if self._before is None or self._before[0] != topology.baseline:
            self._before = topology.baseline, self._store.topology(*topology.baseline).nodes
        begin, end = topology.baseline
        return _figures(self._before[1].filter(pl.col("service") == service), end - begin)

    def _steps(self, service: str, since: int, until: int) -> pl.DataFrame:
        step = max((until - since) // _STEPS, _LEAST_STEP_NS)
        # All steps in one pass over the window: `red` would go through it once a step.
        rows = timeline(self._store.reader, since_ns=since, until_ns=until, step_ns=step, service=service)
        return rows.filter(service=service).select(
            pl.max_horizontal("start_ns", pl.lit(since)),
            *(pl.col(name).cast(pl.Float64) for name in ("rate_per_s", "error_rate", "p50_ns", "p95_ns")),
        )

    def _operations(self, since: int, until: int, service: str | None) -> pl.DataFrame:
        rows = self._store.red(service, since, until, by="operation")
        return (
            rows.select("service", "operation", "calls", "errors", pl.col("p95_ns").cast(pl.Float64))
            .sort("calls", descending=True)
            .head(_NAMES)
        )

    def _versions(self, since: int, until: int, service: str | None) -> dict[str, tuple[str, ...]]:
        of_service = "" if service is None else f" AND service = {literal(service)}"
        found = self._store.sql(
            "SELECT r.service AS service, r.version AS version, sum(s.spans) AS spans FROM"
            " (SELECT resource_id, count(*) AS spans FROM spans WHERE"
            f" start_ns >= {since} AND start_ns < {until}{of_service} GROUP BY resource_id) s"
            " JOIN resources r USING (resource_id) WHERE r.version IS NOT NULL"
            f" GROUP BY ALL ORDER BY spans DESC LIMIT {_NAMES}"
        )
        versions: dict[str, tuple[str, ...]] = {}
        for row in found.iter_rows(named=True):
            versions[row["service"]] = (*versions.get(row["service"], ()), row["version"])
        return versions

    def _exemplars(
        self, service: str, node: pl.DataFrame, since: int, until: int, *, sends: bool
    ) -> tuple[Exemplar, ...]:
        """The slowest and the failed; of what sends no spans, those that its callers know."""
        found: dict[str, Exemplar] = {}
        if sends:
            for why, status in (("failed", "error"), ("slowest", None)):
                try:
                    page = self._store.search(
                        service=service,
                        status=status,
                        since=since,
                        until=until,
                        order="slowest",
                        limit=_EXEMPLARS,
                    )
                except StoreError:  # pruned since
                    continue
                for row in page:
                    name = f"{row['root_service']} {row['root_operation']}"
                    found.setdefault(
                        row["trace_id"], Exemplar(why, row["trace_id"], name, row["duration_ns"])
                    )
        elif node.height:
            for why in ("failed", "slowest"):
                trace_id = node[f"{why}_trace"][0]
                if trace_id:
                    found.setdefault(trace_id, Exemplar(why, trace_id, trace_id, None))
        return tuple(found.values())


def _figures(node: pl.DataFrame, length_ns: int) -> Figures | None:
    if not node.height:
        return None
    row: dict[str, Any] = node.row(0, named=True)
    calls = row["calls"]
    if not calls:
        return Figures(0.0)
    return Figures(
        calls / max(length_ns / 1e9, 1e-9), row["errors"] / calls, row["p50_ns"], row["p95_ns"], row["p99_ns"]
    )
