"""Small topologies as the frames that scenes are made from."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

Edge = tuple[str, str]


def nodes(*rows: tuple[str, str, int, str]) -> pl.DataFrame:
    """(service, kind, calls, state) a row; a twentieth of a failing body's calls are errors."""
    return pl.DataFrame(
        {
            "service": [row[0] for row in rows],
            "kind": [row[1] for row in rows],
            "calls": [row[2] for row in rows],
            "errors": [row[2] // 20 if row[3] == "failing" else 0 for row in rows],
            "p50_ns": [2_000_000 for _ in rows],
            "p95_ns": [9_000_000 for _ in rows],
            "p99_ns": [None for _ in rows],
            "state": [row[3] for row in rows],
        },
        schema_overrides={"p99_ns": pl.Int64},
    )


def edges(*pairs: Edge, calls: int = 100, state: str = "healthy") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "source": [pair[0] for pair in pairs],
            "target": [pair[1] for pair in pairs],
            "connection": ["http" for _ in pairs],
            "calls": [calls for _ in pairs],
            "errors": [0 for _ in pairs],
            "client_p95_ns": [1 for _ in pairs],
            "server_p95_ns": [1 for _ in pairs],
            "state": [state for _ in pairs],
        },
        schema={
            "source": pl.String,
            "target": pl.String,
            "connection": pl.String,
            "calls": pl.Int64,
            "errors": pl.Int64,
            "client_p95_ns": pl.Int64,
            "server_p95_ns": pl.Int64,
            "state": pl.String,
        },
    )


SHOP_NODES = nodes(
    ("user", "entry", 900, "healthy"),
    ("web", "service", 900, "degraded"),
    ("cart", "service", 300, "healthy"),
    ("checkout", "service", 90, "failing"),
    ("orders", "queue", 80, "healthy"),
    ("email", "service", 5, "idle"),
    ("postgresql", "database", 400, "healthy"),
    ("bank.example", "external", 80, "healthy"),
    ("reviews", "service", 0, "absent"),
)
SHOP_EDGES = edges(
    ("user", "web"),
    ("web", "cart"),
    ("web", "checkout"),
    ("web", "reviews"),
    ("checkout", "orders"),
    ("orders", "email"),
    ("checkout", "bank.example"),
    ("cart", "postgresql"),
)


def crowd(count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``count`` services in groups of eight that talk among themselves and once with the next group."""
    names = [f"service-with-a-name-{i}" for i in range(count)]
    inside = [(names[i - i % 8], names[i]) for i in range(count) if i % 8]
    between = [(names[i], names[i + 8]) for i in range(0, count - 8, 8)]
    return nodes(*((name, "service", 100, "healthy") for name in names)), edges(*inside, *between)


def ring(count: int, sick: Iterable[int] = ()) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``s0``, ``s1``, …, in groups of eight; the first of each calls the others often and the next group's
    first now and then. The ``sick`` fail.
    """
    failing = set(sick)
    rows = [(f"s{i}", "service", 100 + i, "failing" if i in failing else "healthy") for i in range(count)]
    inside = [(f"s{i - i % 8}", f"s{i}") for i in range(count) if i % 8]
    between = [(f"s{i}", f"s{(i + 8) % count}") for i in range(0, count, 8)]
    return nodes(*rows), pl.concat([edges(*inside, calls=1_000), edges(*between, calls=10)])
