"""ClickHouse behind a collector that keeps nothing itself: a database a tenant, shared with others."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from typing import Final, NamedTuple, Unpack

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracescape.collector import Serving
from tracescape.readiness import Probe
from tracescape.settings import Given, Settings
from tracescape_ingest.access import DEFAULT_TENANT, Keys
from tracescape_ingest.direct_intake import DirectIntake
from tracescape_ingest.intake import Signal
from tracescape_ingest.self_observation import SelfObservation
from tracescape_storage.clickhouse.address import Address, parse_address
from tracescape_storage.clickhouse.connection import Limits, client_of, said
from tracescape_storage.clickhouse.reader import ClickHouseReader
from tracescape_storage.clickhouse.writer import Writer
from tracescape_storage.errors import StoreError
from tracescape_storage.limits import QueryLimits
from tracescape_storage.query_guard import Asking

_log = logging.getLogger(__name__)

#: A load balancer waits no longer either.
_PROBE_S: Final = 2
_PLACE: Final = re.compile(r"\bclickhouse\w*://\S+")
_AT_PLACE: Final = re.compile(rf" at {_PLACE.pattern}")
_UNKEPT: Final = {
    Signal.METRICS: "this collector keeps its data in ClickHouse and has no table for metrics there; send"
    " them to a collector with a store file (serve --db), or to the OpenTelemetry Collector"
}


class _SharedReader(ClickHouseReader):
    """One for all who ask a collector: closing it is the collector's business."""

    def close(self) -> None:
        """Nothing: others may still ask."""

    def end(self) -> None:
        """Let the connection go. Idempotent."""
        super().close()


class WarehouseLane(NamedTuple):
    """A tenant's database; see `tracescape.behind.Lane`."""

    location: str
    intake: DirectIntake
    shared: ClickHouseReader

    def reader(self) -> ClickHouseReader:
        """See `Lane.reader`."""
        return self.shared

    def asked(self, asking: Asking | None) -> ClickHouseReader:
        """See `Lane.asked`. A question that is called off runs on until its time is over."""
        return self.shared

    def catch_up(self) -> None:
        """See `Lane.catch_up`: what was acknowledged is there."""


class Warehouse:
    """The databases of all tenants; see `tracescape.behind.Behind`.

    Without keys it is the one that is named; with keys each tenant's stands beside it, ``NAME_TENANT``.

    Args:
        address: of the database.
        keys: the tenants.
        observe_s: how often the collector reports about itself into each; 0 = never.
        queries: what a question may take.
        ready: called from another thread when the compiled decoder serves.

    Raises:
        StoreError: nothing answers, it lets nobody in, or its tables are others.
    """

    def __init__(
        self,
        address: Address,
        keys: Keys | None,
        *,
        observe_s: float,
        queries: QueryLimits,
        ready: Callable[[], None],
    ) -> None:
        with contextlib.ExitStack() as undo:
            self.lanes: dict[str, WarehouseLane] = {}
            for number, (tenant, each) in enumerate(databases(address, keys).items()):
                self.lanes[tenant] = _lane(each, undo, observe_s, queries, None if number else ready)
            self._address = address
            self._probe = _probe(address, undo)
            self._undo = undo.pop_all()

    def routes(self, queries: QueryLimits) -> list[Route]:
        """See `Behind.routes`: there are sentences where the files of another collector have answers."""

        def asked(request: Request) -> Response:
            location = self.lanes[request.state.tenant].location
            return JSONResponse(
                {"error": f"This collector keeps its spans in ClickHouse. Ask there: {location}"}, 400
            )

        def placed(request: Request) -> Response:
            return JSONResponse({"error": "ClickHouse keeps no places of services."}, 400)

        return [
            Route("/query", asked, methods=["POST"]),
            Route("/positions", placed, methods=["POST"]),
        ]

    def unready(self) -> str:
        """See `Behind.unready`: the server does not answer, or is stuck for every tenant.

        That of one tenant is no reason: the others would lose what can be stored.
        """
        stuck = [lane.intake.stuck for lane in self.lanes.values()]
        reason = stuck[0] if all(stuck) else self._probe.reason() if self._probe else ""
        return _for_strangers(reason, self._address)

    def announce(self, url: str) -> Callable[[], None]:
        """See `Behind.announce`: there is no file to leave the address beside."""
        return lambda: None

    def close(self) -> None:
        """See `Behind.close`."""
        self._undo.close()


class WarehouseCollector(Serving[WarehouseLane]):
    """A running collector before ClickHouse, which keeps nothing itself: there may be many of them.

    Args:
        address: ``clickhouse://…``; with keys each tenant has a database beside the one that is named.
        given: see `Settings`.

    Raises:
        StoreError: it is no address, nothing answers, it lets nobody in, or its tables are others.
        PortInUseError: an address is taken. Nothing stays open after either.
        KeysError: the file of keys cannot be used.
    """

    def __init__(
        self,
        address: str,
        **given: Unpack[Given],
    ) -> None:
        settings = Settings(**given)
        keys = settings.keys()
        behind = Warehouse(
            parse_address(address),
            keys,
            observe_s=settings.observe_s,
            queries=settings.queries,
            ready=settings.ready,
        )
        super().__init__(behind, settings, keys)

    @property
    def asked_by(self) -> str:
        """See `Serving.asked_by`."""
        first = next(iter(self.lanes.values())).location
        held = "the page; once this has ended: " if "+chdb" in first else ""  # one process a folder
        return f"{held}tracescape explore {first}"


def _probe(address: Address, undo: contextlib.ExitStack) -> Probe | None:
    """What asks the server whether it is there; None for a folder, which is in this process."""
    if address.path:
        return None
    client = client_of(address, writing=True, timeout_s=_PROBE_S)
    undo.callback(client.close)

    def ask() -> str:
        try:
            client.command("SELECT 1")
        except Exception as error:  # what the driver and urllib3 raise has no common root
            return str(said(error, address))
        return ""

    return Probe(ask, within_s=_PROBE_S)


def _for_strangers(reason: str, address: Address) -> str:
    """A reason without where the server is and who asks it: whoever asks for it has shown no key."""
    nameless = _PLACE.sub("ClickHouse", _AT_PLACE.sub("", reason))
    return nameless.replace(repr(address.user), "this collector")


def databases(address: Address, keys: Keys | None) -> dict[str, Address]:
    """The database of each tenant. Raises `StoreError` where two tenants would share one."""
    if keys is None:
        return {DEFAULT_TENANT: address}
    found: dict[str, Address] = {}
    owner: dict[str, str] = {}
    for tenant in sorted(set(keys.values())):
        name = f"{address.database}_{tenant.replace('-', '_')}"
        if name in owner:
            raise StoreError(
                f"The tenants {owner[name]} and {tenant} would share the database {name}. Rename one of them."
            )
        owner[name] = tenant
        found[tenant] = address._replace(database=name)
    return found


def _lane(
    address: Address,
    undo: contextlib.ExitStack,
    observe_s: float,
    queries: QueryLimits,
    ready: Callable[[], None] | None,
) -> WarehouseLane:
    writer = Writer(address)
    undo.callback(writer.close)
    for warning in writer.warnings:
        _log.warning("%s", warning)
    reader = _SharedReader(address, Limits(time_s=queries.time_s, rows=queries.rows))
    undo.callback(reader.end)
    intake = DirectIntake(writer, unkept=_UNKEPT, ready=ready)
    undo.callback(intake.close)
    if observe_s:
        undo.callback(SelfObservation(intake, interval_s=observe_s).close)
    return WarehouseLane(address.location, intake, reader)
