"""What the shop does: a function a request, from the browser's edge down to the databases.

Each request has chance of its own, from the shop's seed and its number: what happens to one changes no other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.trace import Link, Span, SpanContext, SpanKind

from tracescape.shop.faults import Fault
from tracescape.shop.places import MAIL_HOST, ORDERS, PAYMENTS_HOST
from tracescape.shop.simulation import MS, Branch, CallError, Service, Step, answered, consume
from tracescape.shop.trouble import Trouble

INVENTORY_TIMEOUT_MS: Final = 1_500.0
_BATCH_OF_ORDERS: Final = 5
_SHARDS: Final = 4


@dataclass
class Town:
    """Everything a request may need: the services by name, chance, and the state between requests.

    ``unread`` are the orders that email has yet to take, ``waiting_orders`` those of fulfilment.
    """

    services: dict[str, Service]
    seed: int
    error_rate: float = 0.002
    unread: list[Span] = field(default_factory=list)
    waiting_orders: list[SpanContext] = field(default_factory=list)
    requests: int = 0
    chance: random.Random = field(default_factory=random.Random)
    trouble: Trouble = field(default_factory=Trouble)

    def begin(self, faults: Iterable[Fault]) -> None:
        """The next request, which meets these faults."""
        self.requests += 1
        self.chance = random.Random(f"{self.seed}/{self.requests}")
        self.trouble = Trouble(faults, random.Random(f"{self.seed}/{self.requests}/trouble"))

    def __getitem__(self, name: str) -> Service:
        return self.services[name]

    def hiccup(self, what: str) -> None:
        """The rare failure that every system has."""
        if self.chance.random() < self.error_rate:
            raise CallError("internal", f"{what}: unexpected state", 500)


def visit(town: Town, start: int) -> None:
    """One request of a visitor, of a kind drawn by weight."""
    kinds: dict[Callable[[Town, Branch], None], float] = {
        _home: 34,
        _product: 24,
        _search: 16,
        _cart: 12,
        _checkout: 14,
    }
    kind = town.chance.choices(list(kinds), list(kinds.values()))[0]
    edge = Branch(town["web"].instance(town.trouble), start, town.chance, town.trouble)
    method, route = _ROUTES[kind]
    user = f"user-{town.chance.randrange(500)}"
    attributes = {"http.request.method": method, "http.route": route, "url.path": route, "user.id": user}
    try:
        with (
            edge.span(f"{method} {route}", SpanKind.SERVER, attributes) as span,
            answered(span, attributes),
        ):
            edge.handle(lambda branch: _serve(town, branch, kind))
    except CallError:
        return  # the visitor sees an error page; the spans have it


def _serve(town: Town, edge: Branch, kind: Callable[[Town, Branch], None]) -> None:
    edge.work(1.5)
    kind(town, edge)
    edge.work(2.0)


def _home(town: Town, edge: Branch) -> None:
    def gateway(branch: Branch) -> None:
        branch.parallel(
            lambda side: side.http(town["catalog"], "GET", "/products", _catalog_list(town)),
            lambda side: side.http(town["recommendations"], "GET", "/recommendations", _recommend(town)),
        )

    _through_gateway(town, edge, "GET", "/api/home", gateway)


def _product(town: Town, edge: Branch) -> None:
    def gateway(branch: Branch) -> None:
        branch.http(town["catalog"], "GET", "/products/{id}", _catalog_item(town))
        branch.parallel(
            lambda side: side.grpc(town["pricing"], "shop.Pricing/Quote", _price(town)),
            lambda side: side.http(town["recommendations"], "GET", "/similar/{id}", _recommend(town)),
        )

    _through_gateway(town, edge, "GET", "/api/products/{id}", gateway)


def _search(town: Town, edge: Branch) -> None:
    def search(branch: Branch) -> None:
        with branch.span("parse query"):
            branch.work(0.6)
        branch.parallel(*(_shard(number) for number in range(_SHARDS)))
        with branch.span("rank"):
            branch.work(4.0)

    _through_gateway(
        town, edge, "GET", "/api/search", lambda branch: branch.http(town["search"], "GET", "/search", search)
    )


def _cart(town: Town, edge: Branch) -> None:
    def gateway(branch: Branch) -> None:
        _authenticate(town, branch)
        branch.http(town["cart"], "GET", "/cart/{user}", _read_cart(town))

    _through_gateway(town, edge, "GET", "/api/cart", gateway)


def _checkout(town: Town, edge: Branch) -> None:
    def gateway(branch: Branch) -> None:
        _authenticate(town, branch)
        branch.http(town["checkout"], "POST", "/orders", _place_order(town))

    _through_gateway(town, edge, "POST", "/api/checkout", gateway)


_ROUTES: Final[dict[Callable[[Town, Branch], None], tuple[str, str]]] = {
    _home: ("GET", "/"),
    _product: ("GET", "/product/{id}"),
    _search: ("GET", "/search"),
    _cart: ("GET", "/cart"),
    _checkout: ("POST", "/checkout"),
}


def _through_gateway(town: Town, edge: Branch, method: str, route: str, handler: Step) -> None:
    def gateway(branch: Branch) -> None:
        branch.work(0.8)
        handler(branch)
        branch.work(0.5)

    edge.http(town["gateway"], method, route, gateway)


def _authenticate(town: Town, branch: Branch) -> None:
    def auth(side: Branch) -> None:
        with side.span("verify token"):
            side.work(1.2)
        if side.chance.random() < 0.2:
            _read_session(side)
        town.hiccup("auth")

    branch.grpc(town["auth"], "shop.Auth/Verify", auth)


def _read_session(branch: Branch) -> None:
    if branch.cached("sessions", "sessions-redis", "GET session", 0.5, usually_missed=0.04):
        return
    with branch.span("rebuild session"):
        branch.work(5.0)
    branch.query("redis", "sessions", "sessions-redis", "SET session", 0.6)


def _catalog_list(town: Town) -> Step:
    def catalog(branch: Branch) -> None:
        if not branch.cached("catalog", "catalog-redis", "GET products", 0.6, usually_missed=0.15):
            branch.query("postgresql", "catalog", "catalog-db", "SELECT products", 14.0)
            branch.query("redis", "catalog", "catalog-redis", "SET products", 0.7)
        branch.work(2.0)
        town.hiccup("catalog")

    return catalog


def _catalog_item(town: Town) -> Step:
    def catalog(branch: Branch) -> None:
        branch.query("postgresql", "catalog", "catalog-db", "SELECT product", 3.5)
        branch.work(0.8)
        town.hiccup("catalog")

    return catalog


def _recommend(town: Town) -> Step:
    def recommendations(branch: Branch) -> None:
        with branch.span("load model features"):
            _load_features(branch)
        with branch.span("infer"):
            branch.work(9.0, 0.4)
        branch.http(town["catalog"], "GET", "/products/{id}", _catalog_item(town))

    return recommendations


def _load_features(branch: Branch) -> None:
    if branch.cached("features", "features-redis", "MGET features", 0.9, usually_missed=0.03):
        return
    with branch.span("compute features"):
        branch.work(18.0, 0.4)
    branch.query("redis", "features", "features-redis", "MSET features", 1.1)


def _price(town: Town) -> Step:
    def pricing(branch: Branch) -> None:
        with branch.span("apply rules"):
            branch.work(2.2)
        town.hiccup("pricing")

    return pricing


def _shard(number: int) -> Step:
    def ask(branch: Branch) -> None:
        branch.query("opensearch", "products", "search-index", f"SEARCH shard-{number}", 11.0, 0.5)

    return ask


def _read_cart(town: Town) -> Step:
    def cart(branch: Branch) -> None:
        branch.query("redis", "carts", "cart-redis", "HGETALL cart", 0.6)
        branch.work(0.9)
        town.hiccup("cart")

    return cart


def _place_order(town: Town) -> Step:
    def checkout(branch: Branch) -> None:
        branch.http(town["cart"], "GET", "/cart/{user}", _read_cart(town))
        branch.parallel(
            lambda side: side.grpc(town["pricing"], "shop.Pricing/Quote", _price(town)),
            lambda side: side.grpc(town["shipping"], "shop.Shipping/Quote", _quote_shipping(town)),
        )
        branch.http(
            town["inventory"], "POST", "/reservations", _reserve(town), timeout_ms=INVENTORY_TIMEOUT_MS
        )
        branch.grpc(town["payment"], "shop.Payment/Charge", _charge(town))
        with branch.span("store order"):
            branch.query("postgresql", "orders", "orders-db", "INSERT order", 4.0)
        _announce(town, branch)

    return checkout


def _quote_shipping(town: Town) -> Step:
    def shipping(branch: Branch) -> None:
        branch.work(3.0)
        town.hiccup("shipping")

    return shipping


def _reserve(town: Town) -> Step:
    def inventory(branch: Branch) -> None:
        branch.work(1.0)
        branch.query("postgresql", "inventory", "inventory-db", "SELECT stock", 6.0)
        branch.query("postgresql", "inventory", "inventory-db", "UPDATE stock", 9.0)

    return inventory


def _charge(town: Town) -> Step:
    def payment(branch: Branch) -> None:
        with branch.span("score fraud"):
            branch.work(3.5)
        declined = branch.chance.random() < town.error_rate
        failure = CallError("502", "the payment provider is not available", 502) if declined else None
        branch.external(PAYMENTS_HOST, "POST", "/v1/charges", 42.0, failure)

    return payment


def _announce(town: Town, branch: Branch) -> None:
    """Publish the order: email takes it below the producer, fulfilment in batches that link to producers.

    A consumer that is lost takes nothing; when it is back, it takes what has waited with the next order.
    Which order completes a batch depends on others, so that batches draw no chance of their requests.
    """
    producer, there = branch.publish(ORDERS)
    delay = round(30 * MS * town.chance.lognormvariate(0.0, 0.5))
    town.unread.append(producer)
    if not town.trouble.lost("email"):
        for late, order in enumerate(reversed(town.unread)):
            at, chance = there + delay * (1 + late), town.trouble.chance if late else town.chance
            consume(town["email"], ORDERS, at, chance, town.trouble, _confirm, parent=order)
        town.unread.clear()
    town.waiting_orders.append(producer.get_span_context())
    while len(town.waiting_orders) >= _BATCH_OF_ORDERS and not town.trouble.lost("fulfilment"):
        links = [Link(context) for context in town.waiting_orders[:_BATCH_OF_ORDERS]]
        del town.waiting_orders[:_BATCH_OF_ORDERS]
        at = there + 2 * delay
        consume(town["fulfilment"], ORDERS, at, town.trouble.chance, town.trouble, _fulfil, links=links)


def _confirm(branch: Branch) -> None:
    branch.work(6.0)
    branch.external(MAIL_HOST, "POST", "/send", 25.0)


def _fulfil(branch: Branch) -> None:
    with branch.span("plan picking"):
        branch.work(8.0)
    branch.query("postgresql", "fulfilment", "fulfilment-db", "INSERT pick_list", 7.0)
