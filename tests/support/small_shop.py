"""A shop of a few services as a table of spans, with faults that somebody put in: the truth is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from memory_reader import MemoryReader, span, span_table

MS = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


@dataclass(frozen=True)
class Faults:
    """What is wrong in a window. Times are ms; shares are of requests.

    ``slow_work`` of a service, ``slow_way`` to a service, ``fails`` and ``absent`` a service (it sends no
    spans), ``skips``: web no longer calls that service, ``retries`` calls to a service happen so often.
    """

    slow_work: dict[str, float]
    slow_way: dict[str, float]
    fails: dict[str, float]
    absent: frozenset[str]
    skips: dict[str, float]
    retries: dict[str, int]


HEALTHY = Faults({}, {}, {}, frozenset(), {}, {})


def faulty(**changes: object) -> Faults:
    return replace(HEALTHY, **changes)  # type: ignore[arg-type]  # the names are those of the fields


@dataclass
class Call:
    """A node of a request: a service, its operation, its own time in ms and whom it calls in turn."""

    service: str
    operation: str
    work: float
    calls: Sequence[Call] = ()
    database: str | None = None


BUY = Call(
    "web",
    "GET /buy",
    4.0,
    [
        Call("cart", "GET /cart", 3.0, [Call("cart", "SELECT items", 0.0, database="carts")]),
        Call("catalog", "GET /product", 2.0, [Call("catalog", "SELECT product", 0.0, database="products")]),
        Call("pay", "POST /charge", 5.0, [Call("bank", "POST /transfer", 8.0)]),
    ],
)
LOOK = Call(
    "web",
    "GET /look",
    3.0,
    [
        Call("catalog", "GET /product", 2.0, [Call("catalog", "SELECT product", 0.0, database="products")]),
        Call("ads", "GET /ads", 2.0, [Call("catalog", "GET /product", 2.0)]),
    ],
)


class _Request:
    # One trace; `now` is the clock of the only line of execution.
    def __init__(self, trace: str, start: int, chance: random.Random, faults: Faults, kinds: bool) -> None:
        self.trace, self.now, self.chance, self.faults, self.kinds = trace, start, chance, faults, kinds
        self.rows: list[dict[str, object]] = []

    def pass_time(self, ms: float) -> None:
        self.now += round(ms * MS * self.chance.lognormvariate(0.0, 0.2))

    def run(self, call: Call, parent: str | None) -> bool:
        """Whether it failed."""
        if self.chance.random() < self.faults.skips.get(call.service, 0.0) and parent is not None:
            return False
        failed = False
        for _ in range(self.faults.retries.get(call.service, 1)):
            failed = self._client(call, parent) if parent is not None else self._server(call, None)
        return failed

    def _client(self, call: Call, parent: str) -> bool:
        name, start = self._name(), self.now
        caller = next(str(row["service"]) for row in self.rows if row["_name"] == parent)
        place = len(self.rows)
        self.rows.append({"_name": name})
        self.pass_time(0.3 + self.faults.slow_way.get(call.database or call.service, 0.0))
        failed = False
        if call.database:
            self.pass_time(4.0)
        elif call.service in self.faults.absent:
            self.pass_time(2.0)
        else:
            failed = self._server(call, name)
        self.pass_time(0.3)
        more = {"db_system": "postgresql", "db_namespace": call.database} if call.database else {}
        operation = call.operation if call.database else f"call {call.service}"
        address = {} if call.database else {"server_address": call.service}
        row = self._row(name, parent, caller, operation, start, "client", failed, **more, **address)
        self.rows[place] = row
        return failed

    def _server(self, call: Call, parent: str | None) -> bool:
        name, start, place = self._name(), self.now, len(self.rows)
        self.rows.append({"_name": name, "service": call.service})
        self.pass_time(call.work + self.faults.slow_work.get(call.service, 0.0))
        failed = self.chance.random() < self.faults.fails.get(call.service, 0.0)
        for each in call.calls:
            if not failed:
                failed = self.run(each, name)
        self.pass_time(0.5)
        self.rows[place] = self._row(name, parent, call.service, call.operation, start, "server", failed)
        return failed

    def _name(self) -> str:
        return f"s{len(self.rows)}"

    def _row(
        self,
        name: str,
        parent: str | None,
        service: str,
        operation: str,
        start: int,
        kind: str,
        failed: bool,
        **more: object,
    ) -> dict[str, object]:
        made = span(
            name,
            parent,
            trace=self.trace,
            service=service,
            operation=operation,
            start=start,
            end=self.now,
            kind=kind if self.kinds else "unset",
            status="error" if failed else "unset",
            **more,
        )
        return {**made, "_name": name}


def small_shop(
    *,
    minutes: int = 14,
    fault_minutes: int = 2,
    faults: Faults = HEALTHY,
    per_minute: int = 20,
    seed: int = 1,
    kinds: bool = True,
    change: Callable[[dict[str, object]], dict[str, object]] | None = None,
) -> MemoryReader:
    """``minutes`` of requests from time 0 on, the last of them with faults."""
    chance = random.Random(seed)
    rows: list[dict[str, object]] = []
    for number in range(minutes * per_minute):
        start = round((number + chance.random()) * MINUTE / per_minute)
        wrong = start >= (minutes - fault_minutes) * MINUTE
        request = _Request(f"t{number:06}", start, chance, faults if wrong else HEALTHY, kinds)
        request.run(BUY if chance.random() < 0.5 else LOOK, None)
        rows += request.rows
    for row in rows:
        del row["_name"]
    return MemoryReader(span_table([change(row) if change else row for row in rows]))
