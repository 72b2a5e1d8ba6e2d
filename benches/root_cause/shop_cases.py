"""The demo's shop as a labelled set: every kind of fault at many places, and quiet times, made on the spot.

Each case is a run of the shop of its own, with a seed of its own: eight minutes in which nothing is wrong,
its baseline, and two minutes with one fault, its window. Runs lie an hour apart. Quiet windows are made
alike, without a fault. All services are replicated, so that what a fault needs tells nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).parents[2] / "tests"))

import numpy as np
import pyarrow as pa
from cases import Case
from datasets import CaseSpans

from support.shop_rows import shop_rows
from tracescape.shop import KINDS, Fault, ShopConfig
from tracescape.shop.faults import truth_of

SECOND_NS: Final = 1_000_000_000
HOUR_NS: Final = 3600 * SECOND_NS
BASE_NS: Final = 500_000 * HOUR_NS
BEFORE_S: Final = 480.0
LASTS_S: Final = 120.0
RATE_PER_S: Final = 5.0
#: Coprime to the number of places of every kind: places come in turn, but not beside each other.
_STRIDE: Final = 5


def shop_faults(cases: int) -> list[Fault]:
    """So many faults of each kind, at its places in turn."""
    return [
        Fault(name, kind.places[(number * _STRIDE) % len(kind.places)], BEFORE_S, BEFORE_S + LASTS_S)
        for name, kind in KINDS.items()
        for number in range(cases)
    ]


@dataclass(frozen=True)
class MadeShop:
    """See `datasets.LabelledSet`; spans are made when they are asked for: one case is in memory at a time."""

    runs: dict[Case, ShopConfig]
    name: str = "shop"

    @property
    def cases(self) -> list[Case]:
        """Those with a fault."""
        return [case for case in self.runs if case.truth]

    @property
    def quiet(self) -> list[Case]:
        """Those without."""
        return [case for case in self.runs if not case.truth]

    @property
    def skipped(self) -> list[str]:
        """None: every case has spans."""
        return []

    def asked(self, cases: Sequence[Case]) -> Iterator[CaseSpans]:
        """See `datasets.LabelledSet.asked`."""
        for case in cases:
            (begin, since), until = case.baseline[0], case.window[1]
            spans, links = spans_of(self.runs[case], begin)
            starts = spans["trace_start_ns"].to_numpy()
            edges = [int(edge) for edge in np.searchsorted(starts, (begin, since, until))]
            spans = spans.drop_columns(["trace_start_ns"])
            window, baseline = spans.slice(edges[1], edges[2] - edges[1]), spans.slice(edges[0], edges[1])
            yield CaseSpans(case, window, baseline, links)


def shop(cases: int, quiet: int, seed: int = 0) -> MadeShop:
    """The labelled set: ``cases`` of each kind, and ``quiet`` windows without any."""
    faults: list[Fault | None] = [*shop_faults(cases), *[None] * quiet]
    runs = {}
    for number, fault in enumerate(faults):
        begin = BASE_NS + number * HOUR_NS
        since = begin + round(BEFORE_S * 1e9)
        window, baseline = (since, since + round(LASTS_S * 1e9)), ((begin, since),)
        case = Case(f"quiet {number}", window, baseline)
        if fault is not None:
            truth = truth_of(fault, begin).nodes
            case = Case(f"{fault} {number}", window, baseline, truth, fault.kind)
        runs[case] = config(fault, seed + number)
    return MadeShop(runs)


def config(fault: Fault | None, seed: int) -> ShopConfig:
    """The shop of one case."""
    faults = () if fault is None else (fault,)
    return ShopConfig(rate_per_s=RATE_PER_S, faults=faults, seed=seed, replicated=True)


def spans_of(config: ShopConfig, begin_ns: int) -> tuple[pa.Table, pa.Table]:
    """What analyses read of a run of the shop: spans, with ``trace_start_ns`` by which they are ordered, and
    the links between them."""
    rows = shop_rows(config, begin_ns, begin_ns + round((BEFORE_S + LASTS_S) * 1e9))
    spans = rows.spans()
    starts = spans.group_by("trace_id").aggregate([("start_ns", "min")])
    starts = starts.rename_columns({"start_ns_min": "trace_start_ns"})
    spans = spans.join(starts, "trace_id")
    order = [(name, "ascending") for name in ("trace_start_ns", "trace_id", "start_ns")]
    return spans.sort_by(order), rows.links()
