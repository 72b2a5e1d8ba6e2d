"""Every fault that the shop can have is diagnosed from its spans: who did it stands first, and is named."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import pyarrow as pa
import pytest

from support.shop_rows import shop_rows
from tracescape.shop import KINDS, Fault, ShopConfig, Truth, truth_of
from tracescape_analytics.root_cause import Diagnosis, diagnose_of, search_of

SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
#: First all is well, then each fault lasts a while, with some time between them.
QUIET_S, LASTS_S, BETWEEN_S = 180.0, 40.0, 12.0
QUIET_UNTIL = BEGIN + 180 * SECOND
BASELINE = (BEGIN, BEGIN + 140 * SECOND)
#: At the place of a demo, the one that nobody told the time of first, the one with a backlog last.
ORDER = sorted(KINDS, key=lambda kind: (kind != "cold-cache", kind == "lost-consumer"))


def fault(number: int) -> Fault:
    since = QUIET_S + number * (LASTS_S + BETWEEN_S)
    return Fault(ORDER[number], since_s=since, until_s=since + LASTS_S)


class Run(NamedTuple):
    """A run of the shop: its tables, and what is true of each kind of fault."""

    spans: pa.Table
    links: pa.Table
    truths: dict[str, Truth]


@cache
def shop() -> Run:
    faults = tuple(map(fault, range(len(ORDER))))
    config = ShopConfig(rate_per_s=5.0, faults=faults, seed=11, replicated=True)
    rows = shop_rows(config, BEGIN, BEGIN + round((faults[-1].until_s + BETWEEN_S) * SECOND))
    return Run(rows.spans(), rows.links(), {each.kind: truth_of(each, BEGIN) for each in faults})


def asked(window: tuple[int, int]) -> Diagnosis:
    run = shop()
    return diagnose_of(run.spans, links=run.links, window=window, baseline=[BASELINE])


def during(kind: str) -> tuple[int, int]:
    truth = shop().truths[kind]
    assert truth.until_ns is not None
    return truth.since_ns, truth.until_ns


@pytest.mark.parametrize("kind", ORDER)
def test_who_is_at_fault_stands_first_and_is_named(kind: str) -> None:
    found = asked(during(kind))
    assert found.causes["rank"].to_list()[:1] == [1]
    assert found.causes["service"][0] in shop().truths[kind].nodes, found


def test_in_quiet_time_nobody_is_named() -> None:
    assert asked((BASELINE[1], QUIET_UNTIL)).causes.is_empty()
    run = shop()
    assert search_of(run.spans, links=run.links, within=(BEGIN, QUIET_UNTIL)).causes.is_empty()


def test_the_time_of_a_cold_cache_is_found() -> None:
    run, (since, until) = shop(), during("cold-cache")
    found = search_of(run.spans, links=run.links, within=(BEGIN, until))
    assert found.found
    assert found.window == pytest.approx((since, until), abs=8 * SECOND)
    assert found.causes["service"].to_list() == ["catalog"]


def test_a_consumer_that_is_gone_is_not_its_senders_fault() -> None:
    found = asked(during("lost-consumer"))
    assert found.causes["service"].to_list() == ["email"]
    assert found.causes["kind"].to_list() == ["messages not taken"]
    assert found.causes["sentence"][0].startswith(
        "email does not take the messages of checkout (send orders): "
    )


def test_slow_instances_are_told_from_the_others() -> None:
    some = asked(during("bad-host")).causes
    assert set(some["service"]) <= shop().truths["bad-host"].nodes
    assert all("in 2 of its 4 instances." in sentence for sentence in some["sentence"])
    assert "instances" not in asked(during("cpu")).causes["sentence"][0]
