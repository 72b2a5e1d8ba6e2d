"""Where things are in the shop: services and their hosts, who calls whom, what they keep their data in."""

from __future__ import annotations

from typing import Final, NamedTuple

ORDERS: Final = "orders"
PAYMENTS_HOST: Final = "api.payments.example"
MAIL_HOST: Final = "smtp.mail.example"

#: Service: (version, port).
SERVICES: Final[dict[str, tuple[str, int]]] = {
    "web": ("5.2.0", 443),
    "gateway": ("2.9.1", 8080),
    "auth": ("1.4.0", 9090),
    "catalog": ("3.1.4", 8080),
    "search": ("2.0.7", 8080),
    "recommendations": ("0.9.3", 8080),
    "pricing": ("1.1.0", 9090),
    "cart": ("4.0.2", 8080),
    "checkout": ("6.3.0", 8080),
    "payment": ("2.2.2", 9090),
    "inventory": ("3.7.1", 8080),
    "shipping": ("1.8.5", 9090),
    "email": ("1.0.9", 8080),
    "fulfilment": ("2.4.0", 8080),
}

#: Caller and callee, of the calls that wait for an answer.
CALLS: Final = (
    ("web", "gateway"),
    ("gateway", "auth"),
    ("gateway", "catalog"),
    ("gateway", "search"),
    ("gateway", "recommendations"),
    ("gateway", "pricing"),
    ("gateway", "cart"),
    ("gateway", "checkout"),
    ("recommendations", "catalog"),
    ("checkout", "cart"),
    ("checkout", "pricing"),
    ("checkout", "shipping"),
    ("checkout", "inventory"),
    ("checkout", "payment"),
)

#: Who takes messages from the queue of orders.
CONSUMERS: Final = ("email", "fulfilment")


class Dependency(NamedTuple):
    """What a service calls that sends no spans: the ``node`` of a topology that it is, and its only user."""

    node: str
    user: str


#: By ``server.address``.
DEPENDENCIES: Final[dict[str, Dependency]] = {
    "inventory-db": Dependency("postgresql inventory@inventory-db", "inventory"),
    "catalog-db": Dependency("postgresql catalog@catalog-db", "catalog"),
    "catalog-redis": Dependency("redis catalog@catalog-redis", "catalog"),
    "sessions-redis": Dependency("redis sessions@sessions-redis", "auth"),
    "features-redis": Dependency("redis features@features-redis", "recommendations"),
    "search-index": Dependency("opensearch products@search-index", "search"),
    "cart-redis": Dependency("redis carts@cart-redis", "cart"),
    "orders-db": Dependency("postgresql orders@orders-db", "checkout"),
    "fulfilment-db": Dependency("postgresql fulfilment@fulfilment-db", "fulfilment"),
    PAYMENTS_HOST: Dependency(f"{PAYMENTS_HOST}:443", "payment"),
    MAIL_HOST: Dependency(f"{MAIL_HOST}:443", "email"),
}

#: Of these, what may be asked in vain: then the service works, or asks its database.
CACHES: Final = ("catalog-redis", "features-redis", "sessions-redis")

#: Services whose queries an object-relational mapper writes, one a row if it is used badly.
MAPPED: Final = ("catalog", "inventory", "cart", "checkout", "recommendations", "fulfilment")

_FEW_HOSTS: Final = 3


def hosts_of(service: str, *, replicated: bool) -> tuple[str, ...]:
    """Where the instances of a service run: one on one of few hosts; replicated, two on each of two hosts.

    Then there are as many hosts as services, and no two hosts have the same pair of services.
    """
    number = sorted(SERVICES).index(service)
    if not replicated:
        return (f"node-{number % _FEW_HOSTS + 1}",)
    first, second = (f"node-{(number + step) % len(SERVICES) + 1}" for step in (0, 5))
    return first, first, second, second


#: Host: the services that have instances there in a replicated shop.
HOSTS: Final[dict[str, tuple[str, ...]]] = {
    f"node-{number}": tuple(name for name in SERVICES if f"node-{number}" in hosts_of(name, replicated=True))
    for number in range(1, len(SERVICES) + 1)
}


def next_version(service: str) -> str:
    """The version after the one that runs: 2.2.2 is followed by 2.3.0."""
    major, minor, _ = SERVICES[service][0].split(".")
    return f"{major}.{int(minor) + 1}.0"
