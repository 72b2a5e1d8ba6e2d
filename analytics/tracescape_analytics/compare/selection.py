"""Which spans are compared: any search, a window, the slowest few, or what was picked on a heat map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tracescape_analytics.windows import checked
from tracescape_storage.filters import (
    EVERYTHING,
    AllOf,
    Comparison,
    Field,
    Filter,
    Owner,
    check_size,
    comparisons,
)
from tracescape_storage.reader import Reader
from tracescape_storage.search import window_conditions

#: What a failure is described with, by the semantic conventions; events are there for exceptions.
_FAILURE: Final = frozenset(
    {
        *("status_message", "span.error.type", "event.name"),
        *("span.http.response.status_code", "span.http.status_code", "span.rpc.grpc.status_code"),
        *(f"event.exception.{key}" for key in ("type", "message", "stacktrace", "escaped")),
    }
)
#: Two names of one thing.
_SERVICE: Final = frozenset({"service", "resource.service.name"})


class Cell(NamedTuple):
    """A cell of a heat map: spans that start in [start_ns, end_ns) and last [low_ns, high_ns)."""

    start_ns: int
    end_ns: int
    low_ns: int
    high_ns: int


@dataclass(frozen=True)
class Selection:
    """Spans that meet every condition given.

    Attributes:
        where: a condition on spans.
        since_ns, until_ns: the window by span start; None leaves a side open.
        slowest: of these, the slowest share: 0.01 is the slowest hundredth, and what is as slow.
        cells: of these, what lies in one of the cells; empty for all.
    """

    where: Filter = EVERYTHING
    since_ns: int | None = None
    until_ns: int | None = None
    slowest: float | None = None
    cells: tuple[Cell, ...] = ()

    def __post_init__(self) -> None:
        checked(self.since_ns, self.until_ns)
        check_size(self.where)
        if self.slowest is not None and not 0 < self.slowest < 1:
            raise ValueError(f"slowest={self.slowest} is no share: 0.01 is the slowest hundredth")

    @property
    def narrows(self) -> bool:
        """Whether it takes some of the spans of its window only."""
        return bool(self.where != EVERYTHING or self.slowest is not None or self.cells)

    def rest(self) -> Selection:
        """What it is compared with unless told: its window, within the service, operation and kind it names.

        Slow requests of one service are compared with the others of this service; one service, chosen by
        nothing else, with all others.
        """
        named = () if self.is_work else tuple(part for part in self._parts if _names_work(part))
        return replace(self, where=named[0] if len(named) == 1 else AllOf(named), slowest=None, cells=())

    @property
    def is_work(self) -> bool:
        """Whether it is all that a service, operation or kind did in its window."""
        return self.slowest is None and not self.cells and all(map(_names_work, self._parts))

    @property
    def _parts(self) -> tuple[Filter, ...]:
        return self.where.parts if isinstance(self.where, AllOf) else (self.where,)

    def asked(self) -> frozenset[str]:
        """What it chooses by, as `filters.Field` writes it: that this differs says nothing."""
        found = set()
        for comparison in comparisons(self.where):
            owners: tuple[Owner, ...] = (
                ("span", "resource") if comparison.owner == "any" else (comparison.owner,)
            )
            found |= {str(Field(owner, comparison.key)) for owner in owners}
        if self.slowest is not None or self.cells or "duration" in found:
            found.add("duration_ns")
        if found & _SERVICE:
            found |= _SERVICE
        return frozenset(found)

    def restated(self) -> frozenset[str]:
        """What says again, in other words, what it chooses by: attributes that describe a failure."""
        return _FAILURE if "status" in self.asked() else frozenset()

    def sql(self, reader: Reader) -> str:
        """The condition on ``spans``. Asks ``reader`` how slow the slowest are."""
        conditions = window_conditions(self.since_ns, self.until_ns)
        if self.where != EVERYTHING:
            conditions.append(reader.condition(self.where))
        if self.cells:
            conditions.append("(" + " OR ".join(map(_cell_sql, self.cells)) + ")")
        if self.slowest is not None:
            all_of_it = " AND ".join(conditions) or "true"
            found = reader.sql(
                f"SELECT -quantile_disc(-duration_ns, {self.slowest!r}) AS least FROM spans WHERE {all_of_it}"
            )
            least = found["least"][0].as_py()
            conditions.append("false" if least is None else f"duration_ns >= {least}")
        return " AND ".join(conditions) or "true"


def _names_work(part: Filter) -> bool:
    return (
        isinstance(part, Comparison)
        and not part.owner
        and (part.key, part.operator) in {(key, "=") for key in ("service", "operation", "kind")}
    )


def _cell_sql(cell: Cell) -> str:
    return (
        f"(start_ns >= {int(cell.start_ns)} AND start_ns < {int(cell.end_ns)}"
        f" AND duration_ns >= {int(cell.low_ns)} AND duration_ns < {int(cell.high_ns)})"
    )
