"""What people import: open a store, ask it, get Polars frames. A thin façade without logic of its own."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

import tracescape_analytics.absence
import tracescape_analytics.call_paths
import tracescape_analytics.checkup
import tracescape_analytics.critical_path
import tracescape_analytics.latency
import tracescape_analytics.red
import tracescape_analytics.root_cause
import tracescape_analytics.search
import tracescape_analytics.services
import tracescape_analytics.tail
import tracescape_analytics.topology
import tracescape_analytics.topology_difference
import tracescape_analytics.trace
from tracescape.answers import (
    Diagnosis,
    Found,
    Frame,
    Trace,
    dressed_diagnosis,
    dressed_page,
    dressed_trace,
    topology_html,
)
from tracescape.arguments import checks_arguments
from tracescape.arguments import path as checked_path
from tracescape.closing import Closing
from tracescape.comparing import Comparing, Latencies, latencies
from tracescape.difference import TopologyDifference
from tracescape.patience import patiently
from tracescape.progress import counting
from tracescape.rows import RowFrames
from tracescape.time_travel import TimeTravel
from tracescape.times import When, Window, format_time, parse_duration, parse_when
from tracescape_analytics.asking import Where, filter_of
from tracescape_analytics.health import DEFAULT, Thresholds
from tracescape_analytics.lately_by_count import lately_of
from tracescape_analytics.trace_ids import parse_trace_id
from tracescape_storage.backup import copy_store
from tracescape_storage.clickhouse.address import is_clickhouse
from tracescape_storage.collector import CollectorReader
from tracescape_storage.discovery import collector_of
from tracescape_storage.duckdb_file import (
    DuckDBReader,
    DuckDBStore,
    open_reader,
    unsettled,
)
from tracescape_storage.errors import StoreError
from tracescape_storage.filters import Value
from tracescape_storage.lake import Written, export_parquet
from tracescape_storage.reader import Extent, Reader
from tracescape_storage.search import Order, Question
from tracescape_storage.unopened import LockedStoreError

if TYPE_CHECKING:
    from tracescape_render.charts import Chart
    from tracescape_render.scene import Scene

_log = logging.getLogger(__name__)


def open(path: str | os.PathLike[str]) -> Store:
    """Open a store file. While a collector holds it, this connects to that collector instead.

    What a collector accepted before it was killed is stored first.

    Raises:
        StoreError: there is no such file, it is no store, or a process that answers nothing holds it.
    """
    file = Path(checked_path("path", path)).expanduser()
    try:
        return Store(_opened(file))
    except LockedStoreError as locked:
        url = collector_of(file.absolute())
        if url is None:
            raise
        try:
            return connect(url)
        except StoreError as error:
            raise StoreError(f"{locked} ({error})") from error


def _opened(file: Path) -> DuckDBReader:
    reader = open_reader(file)
    try:
        if not unsettled(reader, file):
            return reader
        reader.close()
        _settle(file)
        return open_reader(file)
    except LockedStoreError:
        raise
    except StoreError as error:
        reader.close()
        _log.warning("%s lacks what its collector accepted last, before it was killed: %s", file, error)
        return open_reader(file)


def _settle(file: Path) -> None:
    from tracescape_ingest.intake import Intake

    store = DuckDBStore(file)
    try:
        intake = Intake(store, compiled=False)
        settled = intake.settle(timeout_s=None)
        intake.close()
    finally:
        store.close()
    if not settled:
        raise StoreError("it could not be stored. The log says why.")


def connect(address: str, *, token: str | None = None, ca: str | os.PathLike[str] | None = None) -> Store:
    """Connect to a collector at ``host:port`` (its ``--http`` address) or a URL, or to ClickHouse.

    Args:
        address: where it answers; ``https://…`` for one with TLS. ``clickhouse://user:password@host:port/database``
            (``clickhouses://`` with TLS) reads what an OpenTelemetry Collector wrote there: docs/scaling.md.
        token: the API key, where it wants one; else that of ``TRACESCAPE_TOKEN`` in the environment.
        ca: the CA that vouches for its certificate (PEM); else ``TRACESCAPE_CA``, else those of the system.

    Raises:
        StoreError: the address is none, no collector answers there, or it does not know the key.
    """
    if is_clickhouse(address):
        return Store(_clickhouse(address, token, ca))
    reader = CollectorReader(address, token=token, ca=ca)
    try:
        reader.extent()
    except StoreError:
        reader.close()
        raise
    return Store(reader)


def _clickhouse(address: str, token: str | None, ca: str | os.PathLike[str] | None) -> Reader:
    if token is not None or ca is not None:
        raise StoreError("ClickHouse takes a name and a password in its address, no token= and no ca=.")
    from tracescape_storage.clickhouse.reader import ClickHouseReader

    return ClickHouseReader(address)


@checks_arguments
class Store(RowFrames, Comparing, TimeTravel, Closing):
    """Spans, and the questions about them. Made by `open` and `connect`; a context manager.

    Times are ``"15m"`` (back from now; on a closed file back from its last span), ISO text, datetimes (naive
    ones are local) or epoch nanoseconds. Windows are [since, until) by the start of a span; without either,
    everything is asked.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lately = lately_of(reader)

    @property
    def location(self) -> str:
        """The file or the collector behind this store."""
        return self._reader.location

    @property
    def live(self) -> bool:
        """Whether a collector may be adding spans."""
        return self._reader.live

    @property
    def reader(self) -> Reader:
        """The storage protocol underneath, for those who want Arrow tables."""
        return self._reader

    def window(self, since: When, until: When) -> Window:
        """The window that times mean here, in epoch nanoseconds; None leaves a side open."""
        return self._windows(since, until, None)[0]

    def extent(self) -> Extent:
        """How many spans there are, and their first and last start."""
        return self._reader.extent()

    @patiently("measuring services")
    def services(
        self,
        since: When = None,
        until: When = None,
        baseline: When = None,
        thresholds: Thresholds = DEFAULT,
        environment: str | None = None,
    ) -> pl.DataFrame:
        """One row a service: calls, errors, rate, latency quantiles in ns, state.

        ``baseline`` is where the time to compare with begins; it ends at ``since``. Without it, the window of
        the same length just before ``since`` and the day before are used, what of them the store holds; see
        `health`.
        """
        window, before = self._windows(since, until, baseline)
        found = tracescape_analytics.services.services(
            self._reader,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            baseline=before,
            thresholds=thresholds,
            environment=environment,
        )
        return Frame(found)

    @patiently("finding out how everything is")
    def health(
        self,
        since: When = None,
        until: When = None,
        baseline: When = None,
        thresholds: Thresholds = DEFAULT,
        environment: str | None = None,
    ) -> pl.DataFrame:
        """How every service and every edge is, the worst first: rates, quantiles, Apdex, state and why.

        Each is compared with its own past: with the same length of time just before ``since``, and with the
        24 hours before as far as a collector has counted them; one of both has to be exceeded. ``baseline``
        names another time instead, which ends at ``since``. All numbers are in `tracescape.Thresholds`.
        ``environment`` keeps what was sent from one ``deployment.environment.name``.

        ``what`` is ``service`` (with ``service``) or ``edge`` (with ``source, target, connection``);
        ``state`` is healthy, degraded, failing, idle or absent; ``reason`` says why, ``against`` which time.
        """
        window, before = self._windows(since, until, baseline)
        found = tracescape_analytics.checkup.health(
            self._reader,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            baseline=before,
            thresholds=thresholds,
            environment=environment,
        )
        return Frame(found)

    @patiently("finding out who calls whom")
    def topology(
        self,
        since: When = None,
        until: When = None,
        baseline: When | tuple[When, When] = None,
        thresholds: Thresholds = DEFAULT,
        environment: str | None = None,
    ) -> Topology:
        """Who calls whom, how often, how slow, how broken. See `health` for what can be given.

        ``baseline`` may be a pair of the begin and the end of any other time as well.
        """
        window, before = self._compared(since, until, baseline)
        found = tracescape_analytics.topology.topology(
            self._reader,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            baseline=before,
            thresholds=thresholds,
            environment=environment,
            lately=self._lately,
        )
        values = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        values.update(nodes=Frame(found.nodes), edges=Frame(found.edges), location=self.location)
        return Topology(**values)

    @patiently("following chains of calls")
    def call_paths(
        self,
        since: When = None,
        until: When = None,
        by: str = "operation",
        environment: str | None = None,
    ) -> pl.DataFrame:
        """Chains of calls, root → … → leaf: how often, how slow, how broken; reads the spans of the window.

        ``by="service"`` does not tell the operations of a service apart.
        """
        window, _ = self._windows(since, until, None)
        found = tracescape_analytics.call_paths.call_paths(
            self._reader,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            by=by,
            environment=environment,
        )
        return Frame(found)

    @patiently("looking for what is missing")
    def absence(
        self,
        since: When = "5m",
        until: When = None,
        baseline: When = None,
        thresholds: Thresholds = DEFAULT,
        environment: str | None = None,
    ) -> pl.DataFrame:
        """Services, edges and call paths that were there steadily and are not in the window.

        ``baseline`` is where the time to compare with begins; it ends at ``since``. Without it, that time is
        as long as the window, or ten minutes. Reads the spans of both. Without rows, nothing is missing.

        ``what`` is service, edge or path; ``expected`` calls were to be seen here, ``p_value`` is how likely
        none is by chance, ``implied`` says that it lacks only because something else does.
        """
        window, before = self._windows(since, until, baseline)
        found = tracescape_analytics.absence.absence(
            self._reader,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            baseline=before,
            thresholds=thresholds,
            environment=environment,
        )
        return Frame(found)

    @patiently("measuring rates, errors and durations")
    def red(
        self,
        service: str | None = None,
        since: When = None,
        until: When = None,
        by: str = "service",
        step: str | int | None = None,
        environment: str | None = None,
    ) -> pl.DataFrame:
        """Rate, errors and duration of what was served, by ``service`` or by ``operation`` (of each service).

        A row each, or with ``step`` ("1m", or ns) a row for each step that had calls: ``calls, errors,
        error_rate, rate_per_s, p50_ns, p95_ns, p99_ns`` and the trace ids of the slowest and of the slowest
        failed call. ``service`` keeps one service.
        """
        window, _ = self._windows(since, until, None)
        found = tracescape_analytics.red.red(
            self._reader,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            service=service,
            by=by,
            step_ns=parse_duration(step) if isinstance(step, str) else step,
            environment=environment,
        )
        return Frame(found)

    @patiently("searching")
    def search(
        self,
        where: Where = None,
        *,
        service: str | None = None,
        operation: str | None = None,
        kind: str | None = None,
        status: str | None = None,
        min_duration: str | int | None = None,
        max_duration: str | int | None = None,
        attributes: Mapping[str, Value] | None = None,
        since: When = None,
        until: When = None,
        order: Order = "newest",
        limit: int = 20,
        after: str | None = None,
        spans: bool = False,
    ) -> Found:
        """The traces that have a matching span, or with ``spans=True`` the matching spans, a page at a time.

        ``where`` is a filter as text (``'http.route = "/cart" and not event.name exists'``) or made with
        `tracescape.field`; it is joined with everything else that is given. See docs/searching.md.
        Traces stand in the order of their matching spans. ``after`` takes `Found.after` of the page before.

        Raises:
            ValueError: the filter, a value, the limit or ``after`` is wrong; the message says where.
            StoreError: nothing matches, and the store has no such service or operation; the near ones are
                listed.
        """
        condition = filter_of(
            where,
            service=service,
            operation=operation,
            kind=kind,
            status=status,
            min_duration=min_duration,
            max_duration=max_duration,
            attributes=attributes,
        )
        window, _ = self._windows(since, until, None)
        question = Question(condition, window.since_ns, window.until_ns, order, limit, after)
        return dressed_page(tracescape_analytics.search.search(self._reader, question, spans=spans))

    def tail(
        self, where: Where = None, *, traces: bool = False, poll_s: float = 0.5
    ) -> Iterator[dict[str, Any]]:
        """Matching spans as they arrive from now on, or with ``traces`` the traces that get one, each once.

        An endless iterator over rows as `search` has them, dictionaries; late spans come when they arrive.

        Raises:
            StoreError: this is a closed file; or, from the iterator, the collector went away.
            ValueError: the filter is wrong.
        """
        if traces:
            return tracescape_analytics.tail.TraceTail(self._reader, filter_of(where), poll_s=poll_s)
        return tracescape_analytics.tail.SpanTail(self._reader, filter_of(where), poll_s=poll_s)

    @patiently("reading the trace")
    def trace(self, trace_id: str) -> Trace:
        """One trace by its id (32 hex digits, any case, dashes allowed).

        Raises:
            ValueError: this cannot be a trace id; for the beginning of one, those that begin so are named.
            UnknownTraceError: the store holds no such trace.
        """
        wanted = parse_trace_id(self._reader, trace_id)
        return dressed_trace(tracescape_analytics.trace.load_trace(self._reader, wanted))

    @patiently("adding up critical time")
    def critical_path(
        self,
        service: str | None = None,
        since: When = None,
        until: When = None,
        by: str = "operation",
        tolerance: float = 0.01,
        step: str | int | None = None,
        slowest: float | None = None,
        environment: str | None = None,
    ) -> pl.DataFrame:
        """What requests waited for: critical time over all traces; `tracescape.plot` draws it.

        ``by`` is ``operation``, ``service``, ``edge`` (whose work, and who had called for it) or ``path``
        (the call path: a flame graph). ``service`` keeps the traces that begin there. The shares add up to 1.
        ``step="5m"`` gives rows for each bucket of time (``start_ns``), ``slowest=0.01`` rows for the slowest
        hundredth of the traces and for the rest (``cohort``); shares add up to 1 in each.

        ``critical_ns`` is the sum over all traces, ``mean_ns_per_trace`` that divided by all of them,
        ``traces`` and ``spans`` how many had it on their path, ``exemplar`` the trace with the most.
        """
        window, _ = self._windows(since, until, None)
        found = tracescape_analytics.critical_path.critical_path(
            self._reader,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            service=service,
            by=by,
            tolerance=tolerance,
            step_ns=parse_duration(step) if isinstance(step, str) else step,
            slowest=slowest,
            environment=environment,
        )
        return Frame(found)

    @patiently("measuring durations")
    def latency(
        self,
        where: Where = None,
        *,
        service: str | None = None,
        operation: str | None = None,
        kind: str | None = None,
        since: When = None,
        until: When = None,
        step: str | int | None = None,
    ) -> Latencies:
        """How many spans were how slow when, and how many failed; `tracescape.plot` makes a heat map of it.

        Spans are chosen as by `search`. ``step`` is the length of a bucket of time, ``"30s"`` or ns; without
        it one is chosen that fits the window. `Latencies.pick` picks cells to compare. See docs/columns.md.
        """
        window, _ = self._windows(since, until, None)
        condition = filter_of(where, service=service, operation=operation, kind=kind)
        found = tracescape_analytics.latency.latency(
            self._reader,
            condition,
            since_ns=window.since_ns,
            until_ns=window.until_ns,
            step_ns=parse_duration(step) if isinstance(step, str) else step,
        )
        return latencies(found, condition, window)

    @patiently("looking for causes")
    def diagnose(
        self, since: When = None, until: When = None, baseline: When | tuple[When, When] = None
    ) -> Diagnosis:
        """What broke: ranked causes with a sentence, numbers and traces to open; ``print`` it.

        ``baseline`` is the time to compare with: where it begins (it ends at ``since``), or a pair of its
        begin and end. Without it, it is the six lengths of the window before it. Without ``since``, the
        stretch of time that stands out is looked for. See docs/root_cause.md.

        Raises:
            ValueError: there is nothing to compare, or the baseline overlaps the window.
        """
        window, before = self._compared(since, until, baseline)
        found = tracescape_analytics.root_cause.diagnose(
            self._reader, since_ns=window.since_ns, until_ns=window.until_ns, baseline=before
        )
        return dressed_diagnosis(found)

    @patiently("asking")
    def sql(self, query: str) -> pl.DataFrame:
        """The answer of one ``SELECT`` over ``spans_v`` (for people), ``spans``, ``events``, ``links``, ….

        Raises:
            QueryError: it is something else than one SELECT, or it failed.
        """
        frame = pl.from_arrow(self._reader.sql(query))
        assert isinstance(frame, pl.DataFrame)
        return Frame(frame)

    def backup(self, path: str | os.PathLike[str]) -> int:
        """Copy everything that has arrived into a new store file; how many rows. A live store goes on.

        Raises:
            StoreError: the file exists already, or reading or writing failed; then no half copy stays.
        """
        with counting("copying") as update:
            return copy_store(self._reader, Path(path).expanduser(), update)

    def export_parquet(
        self, path: str | os.PathLike[str], *, since: When = None, until: When = None
    ) -> Written:
        """Write everything, or what a window touches, as Parquet: a file an hour (docs/lake.md).

        A folder that an earlier export of this store wrote gets what has come since.

        Raises:
            StoreError: the folder has other things in it, the disk is full, or reading or writing failed.
        """
        window = self.window(since, until)
        with counting("exporting") as update:
            return export_parquet(
                self._reader,
                Path(checked_path("path", path)).expanduser(),
                since_ns=window.since_ns,
                until_ns=window.until_ns,
                progress=update,
            )

    def close(self) -> None:
        """Let the file or the connection go. Idempotent."""
        self._reader.close()

    def __repr__(self) -> str:
        extent = self.extent()
        if not extent.spans:
            return f"<Store {self.location}: no spans yet>"
        first, last = format_time(extent.first_start_ns), format_time(extent.last_start_ns)
        return f"<Store {self.location}: {extent.spans:,} spans from {first} to {last}>"

    def _compared(
        self, since: When, until: When, baseline: When | tuple[When, When]
    ) -> tuple[Window, tuple[int, int] | None]:
        """As `_windows`; the baseline may be a pair of its ends."""
        window, before = self._windows(since, until, None if isinstance(baseline, tuple) else baseline)
        if isinstance(baseline, tuple):
            pair = self._windows(*baseline, None)[0] if len(baseline) == 2 else Window(None, None)
            if pair.since_ns is None or pair.until_ns is None:
                raise ValueError("a baseline that is a pair needs both of its ends")
            before = (pair.since_ns, pair.until_ns)
        return window, before

    def _windows(self, since: When, until: When, baseline: When) -> tuple[Window, tuple[int, int] | None]:
        """The window and the baseline in epoch nanoseconds."""
        if since is None and until is None and baseline is None:
            return Window(None, None), None
        reference = time.time_ns() if self.live else self.extent().last_start_ns + 1
        window = Window(parse_when(since, reference_ns=reference), parse_when(until, reference_ns=reference))
        since_ns, until_ns = window
        if since_ns is not None and until_ns is not None and since_ns >= until_ns:
            raise ValueError(f"the window is empty: since {since!r} is not before until {until!r}")
        begin = parse_when(baseline, reference_ns=reference)
        if begin is None:
            return window, None
        if since_ns is None or begin >= since_ns:
            raise ValueError("a baseline needs a later since: it is the time from baseline to since")
        return window, (begin, since_ns)


@dataclasses.dataclass(frozen=True, repr=False)
class Topology(tracescape_analytics.topology.Topology):
    """`nodes` and `edges` as Polars frames, and how to see them."""

    location: str = ""

    def compare(self, other: tracescape_analytics.topology.Topology) -> TopologyDifference:
        """What grew, shrank, appeared and vanished from this one to ``other``; ``print`` it, ``show`` it.

        ``nodes`` and ``edges`` of the answer have traffic, errors and latency of both: docs/columns.md.
        """
        found = tracescape_analytics.topology_difference.difference(self, other)
        return TopologyDifference(
            Frame(found.nodes), Frame(found.edges), found.before, found.after, self.location
        )

    def scene(self, diagnosis: Diagnosis | None = None) -> Scene:
        """The 3D scene of this topology, as arrays; the first cause of ``diagnosis`` carries a beacon."""
        from tracescape.view import scene_of
        from tracescape_render.verdict import leading

        return scene_of(self, self.location, causes=None if diagnosis is None else leading(diagnosis))

    def show(self, diagnosis: Diagnosis | None = None) -> None:
        """Show the scene: inline in a notebook, else in a window that stays until it is closed.

        Raises:
            RenderError: no notebook and no display, or missing system libraries; it names what to do.
        """
        from tracescape.view import show
        from tracescape_render.verdict import leading

        show(self, None if diagnosis is None else leading(diagnosis))

    def plot(self, *, title: str | None = None) -> Chart:
        """Circles and arrows from left to right: shown in a notebook, kept with ``.save("x.svg")``."""
        from tracescape_render.charts import topology_chart

        if title is None:
            return topology_chart(self.nodes, self.edges)
        return topology_chart(self.nodes, self.edges, title=title)

    def screenshot(
        self,
        path: str | os.PathLike[str],
        size: tuple[int, int] = (1600, 900),
        *,
        diagnosis: Diagnosis | None = None,
        theme: str = "dark",
    ) -> Path:
        """Write a picture of the scene to ``path`` (PNG); needs no display.

        ``theme`` is dark, light or colour-blind; ``diagnosis`` as for `scene`.
        """
        from tracescape_render import palette, screenshot

        return Path(screenshot(self.scene(diagnosis), Path(path), size, palette.theme(theme)))

    def glb(
        self, path: str | os.PathLike[str], *, diagnosis: Diagnosis | None = None, theme: str = "dark"
    ) -> Path:
        """Write the scene to ``path`` as a GLB file (glTF 2.0), for Blender, viewers and engines.

        A node a body, with its name, and its state, calls and errors in ``extras``. ``theme`` and
        ``diagnosis`` as for `screenshot`.
        """
        from tracescape_render.palette import theme as theme_named
        from tracescape_render.web.glb import glb

        written = Path(path)
        written.write_bytes(glb(self.scene(diagnosis), theme_named(theme)))
        return written

    def _repr_html_(self) -> str:
        return topology_html(self)
