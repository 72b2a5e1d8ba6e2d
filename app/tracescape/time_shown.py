"""Which time a view shows, from the options of a command line, and back as the words of a link."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tracescape.moment import WIDTH, Moment
from tracescape.times import parse_duration
from tracescape_analytics.trace import unknown_trace
from tracescape_analytics.trace_ids import parse_trace_id

if TYPE_CHECKING:
    from tracescape.store import Store, Topology

_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class TimeShown:
    """The window from ``since`` to ``until``, or the world ``at`` a moment, or that of a ``trace``.

    All as people write them; None: not said. Without ``at`` the moment of a trace is its last end. A moment
    may be compared with another one, ``against``.
    Raises ``ValueError`` where both a window and a moment are given, or a width or another moment without
    one.
    """

    since: str | None = None
    until: str | None = None
    at: str | None = None
    width: str | None = None
    trace: str | None = None
    against: str | None = None

    def __post_init__(self) -> None:
        window, moment = self.since or self.until, self.at or self.trace
        if window and moment:
            raise ValueError("--since and --until name a window, --at and --trace a moment: give one of both")
        if self.width and not moment:
            raise ValueError("--width is how long a moment looks back: name one with --at or --trace")
        if self.against and not moment:
            raise ValueError("--against is the other one of two moments: name the first with --at")

    @property
    def given(self) -> bool:
        """Whether any time was."""
        return any((self.since, self.until, self.at, self.trace))

    def settled(self, store: Store, ends_ns: int | None = None) -> TimeShown:
        """The same, with its moment and its trace told exactly, so that whoever asks again reads no trace.

        ``ends_ns`` is when the trace ends, where somebody has read it. Raises as `moment` does.
        """
        if self.at is None and self.trace is None:
            return self
        told = self
        if self.trace is not None:
            ends = _end_of(store, self.trace) if ends_ns is None else ends_ns + 1
            told = dataclasses.replace(self, at=self.at or written_moment(ends), trace=None)
        moment = told.moment(store)
        assert moment is not None
        return dataclasses.replace(self, at=written_moment(moment.until_ns), trace=self.trace_id(store))

    def moment(self, store: Store) -> Moment | None:
        """The moment that is shown; None for a window, or where nothing was said.

        Raises:
            ValueError: the moment, the width or the trace id is none.
            UnknownTraceError: the store holds no such trace (any more).
        """
        if self.at is None and self.trace is None:
            return None
        if self.at is None and self.trace is not None:
            return store.at(_end_of(store, self.trace), self.width or WIDTH)
        return store.at(self.at, self.width or WIDTH)

    def other_ns(self, store: Store) -> int | None:
        """The moment that it is compared with, epoch ns; None for none. `ValueError` if it is no moment."""
        return None if self.against is None else store.at(self.against, self.width or WIDTH).until_ns

    def topology(self, store: Store) -> Topology:
        """What is seen then; `ValueError` and `UnknownTraceError` as `moment`."""
        moment = self.moment(store)
        return store.topology(self.since, self.until) if moment is None else moment.topology()

    def trace_id(self, store: Store) -> str | None:
        """The whole id of the trace in hex; None for none. Raises as `moment` does."""
        return None if self.trace is None else parse_trace_id(store.reader, self.trace).hex()

    def words(self, store: Store) -> list[str]:
        """The options that show the same time again, also tomorrow where a moment is meant."""
        moment = self.moment(store)
        if moment is None:
            return [f"--{name}={value}" for name in ("since", "until") if (value := getattr(self, name))]
        trace_id = self.trace_id(store)
        width = moment.until_ns - moment.since_ns
        return moment_words(moment.until_ns, width, trace_id, against_ns=self.other_ns(store))


def moment_words(
    until_ns: int, width_ns: int, trace_id: str | None = None, *, against_ns: int | None = None
) -> list[str]:
    """The options of ``tracescape explore`` that show a moment, another one beside it, and a trace in it."""
    words = [f"--at={written_moment(until_ns)}"]
    if against_ns is not None:
        words.append(f"--against={written_moment(against_ns)}")
    if width_ns != parse_duration(WIDTH):
        words.append(f"--width={width_ns}ns")
    return words if trace_id is None else [*words, f"--trace={trace_id}"]


def written_moment(at_ns: int) -> str:
    """What `tracescape.times.parse_when` reads as exactly this moment, the same in every time zone."""
    if at_ns % _SECOND_NS:
        return f"{at_ns:016d}"
    return datetime.fromtimestamp(at_ns // _SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _end_of(store: Store, trace_id: str) -> int:
    key = parse_trace_id(store.reader, trace_id)
    spans = store.reader.spans(["start_ns", "duration_ns"], trace_ids=[key])
    if not spans.num_rows:
        raise unknown_trace(store.reader, key)
    return int((spans["start_ns"].to_numpy() + spans["duration_ns"].to_numpy()).max()) + 1
