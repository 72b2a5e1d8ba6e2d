"""What can be made to go wrong in the shop, and what the right answer then is.

A fault has a kind and a place; requests that start while it lasts meet it (`trouble.py` says what happens to
them). What is true of it, `truth_of` tells: a diagnosis is scored against that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, NamedTuple

from tracescape.shop.places import (
    CACHES,
    CALLS,
    CONSUMERS,
    DEPENDENCIES,
    HOSTS,
    MAPPED,
    SERVICES,
    next_version,
)

_EDGES: Final = tuple("/".join(call) for call in CALLS)


def _from(first: str, names: Iterable[str]) -> tuple[str, ...]:
    return (first, *(name for name in names if name != first))


class Kind(NamedTuple):
    """A kind of fault in a few words, and where it can be, the place of a demo first."""

    summary: str
    places: tuple[str, ...]


KINDS: Final[dict[str, Kind]] = {
    "slow-dependency": Kind(
        "a database or an external service answers slowly", _from("inventory-db", DEPENDENCIES)
    ),
    "cpu": Kind("a service's own work takes long", _from("pricing", SERVICES)),
    "bad-version": Kind("a new version of a service, on half of it, fails often", _from("payment", SERVICES)),
    "bad-host": Kind("everything on one host works slowly", _from("node-5", HOSTS)),
    "lost-consumer": Kind("nobody takes the messages", _from("email", CONSUMERS)),
    "retry-storm": Kind(
        "a caller repeats calls to a service that cannot cope", _from("checkout/pricing", _EDGES)
    ),
    "cold-cache": Kind("a cache has lost what it held", _from("catalog-redis", CACHES)),
    "n-plus-one": Kind("a service asks its database once a row", _from("catalog", MAPPED)),
    "slow-edge": Kind("the network between two services is slow", _from("gateway/search", _EDGES)),
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong for the requests that start in [since_s, until_s), from the first request on.

    ``where`` is a service, a host, an address of ``DEPENDENCIES`` or a call as caller/callee, by ``kind``;
    empty for the place of a demo.

    Raises:
        ValueError: there is no such kind or place, or it ends before it begins; the message lists them.
    """

    kind: str
    where: str = ""
    since_s: float = 0.0
    until_s: float = math.inf

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault {self.kind!r}{_near(self.kind, KINDS)}: {', '.join(KINDS)}")
        places = KINDS[self.kind].places
        if not self.where:
            object.__setattr__(self, "where", places[0])
        elif self.where not in places:
            near = _near(self.where, places)
            raise ValueError(f"{self.kind} cannot be at {self.where!r}{near}: {', '.join(places)}")
        if not self.since_s < self.until_s:
            raise ValueError(f"a fault from second {self.since_s:g} to {self.until_s:g} never is")

    def __str__(self) -> str:
        """As ``parsed`` reads it."""
        return f"{self.kind}@{self.where}"

    def lasts(self, second: float) -> bool:
        """Whether a request that starts then meets it."""
        return self.since_s <= second < self.until_s


def parsed(text: str, since_s: float = 0.0, until_s: float = math.inf) -> Fault:
    """A fault from ``kind`` or ``kind@where``."""
    kind, _, where = text.partition("@")
    return Fault(kind.strip(), where.strip(), since_s, until_s)


@dataclass(frozen=True)
class Truth:
    """What is true of a fault, in the words of answers.

    ``nodes`` are the nodes of a topology that are at fault: either end for an edge, each service with
    instances there for a host; naming one of them is right. ``edge`` is (caller, callee) where the fault is
    between two. ``attribute`` is the key and value that tells what is bad from what is not, where one does.
    """

    fault: Fault
    nodes: frozenset[str]
    since_ns: int
    until_ns: int | None
    edge: tuple[str, str] | None = None
    attribute: tuple[str, str] | None = None


def truth_of(fault: Fault, begin_ns: int) -> Truth:
    """The truth of a fault in a shop whose first request started at ``begin_ns``."""
    since = begin_ns + round(fault.since_s * 1e9)
    until = None if math.isinf(fault.until_s) else begin_ns + round(fault.until_s * 1e9)
    edge: tuple[str, str] | None = None
    attribute: tuple[str, str] | None = None
    nodes = {fault.where}
    if fault.kind == "slow-dependency":
        nodes = {DEPENDENCIES[fault.where].node}
    elif fault.kind == "cold-cache":
        nodes = {DEPENDENCIES[fault.where].user}
    elif fault.kind == "bad-version":
        attribute = ("service.version", next_version(fault.where))
    elif fault.kind == "bad-host":
        nodes, attribute = set(HOSTS[fault.where]), ("host.name", fault.where)
    elif fault.kind in ("retry-storm", "slow-edge"):
        caller, _, callee = fault.where.partition("/")
        nodes, edge = {caller, callee}, (caller, callee)
    return Truth(fault, frozenset(nodes), since, until, edge, attribute)


def _near(name: str, names: Iterable[str]) -> str:
    found = get_close_matches(name, list(names), 1, 0.5)
    return f" (is it {found[0]}?)" if found else "; there are"
