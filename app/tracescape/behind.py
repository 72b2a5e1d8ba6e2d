"""What a collector puts what it takes into, and asks: one small protocol, whatever kind of store that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from starlette.routing import Route

from tracescape_ingest.intake import Door
from tracescape_storage.limits import QueryLimits
from tracescape_storage.query_guard import Asking
from tracescape_storage.reader import Reader


class Lane(Protocol):
    """What stands behind one tenant."""

    @property
    def intake(self) -> Door:
        """Where what it sends goes."""
        ...

    @property
    def location(self) -> str:
        """Where that is kept, for whoever runs the collector; without secrets."""
        ...

    def reader(self) -> Reader:
        """A reader that sees everything that was acknowledged before this call."""
        ...

    def asked(self, asking: Asking | None) -> Reader:
        """A reader of now for people elsewhere, whose queries belong to ``asking``; see `catch_up`."""
        ...

    def catch_up(self) -> None:
        """Wait until readers see what was acknowledged, or nearly; see `Pipeline.catch_up`."""
        ...


L = TypeVar("L", bound=Lane, covariant=True)


class Behind(Protocol[L]):
    """The stores of all tenants, and what they need while a collector runs."""

    @property
    def lanes(self) -> Mapping[str, L]:
        """By tenant; at least one."""
        ...

    def routes(self, queries: QueryLimits) -> list[Route]:
        """What it adds to the collector's HTTP application: questions in SQL, where services stand.

        Requests have ``state.tenant``. What it cannot do it says there in a sentence.
        """
        ...

    def unready(self) -> str:
        """Why nothing that is sent now would be stored, in words for strangers; ``""`` where it would be."""
        ...

    def announce(self, url: str) -> Callable[[], None]:
        """The collector answers at ``url``, until what is returned is called.

        Whoever looks for these stores may be led there.
        """
        ...

    def close(self) -> None:
        """Store what was accepted, and let go. Idempotent."""
        ...
