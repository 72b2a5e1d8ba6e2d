"""What the data holds about each case that is missed, and about each quiet window in which somebody is named.

    python benches/root_cause/missing.py [--data ../shared/data] [--set train-ticket-2023]

Case by case: what moved most at the service at fault, or on the way to it, and whether that is significant;
its calls a trace, and how many of its requests are unusual (less than a tenth of the baseline's have their
shape, the set of what happens in them), baseline and window; and what moved most of whom we suspect first.
Then, for how many the service at fault shows nothing, and what a perfect ranking could reach.

For each quiet window in which somebody is named: the measure that speaks most for it, in this window and in
all quiet windows in which nobody is named. These are plain means and shares (as odds) of windows, without any
model. A change is visible if the window lies further from their middle than twice the furthest of them.

Every set is planted and measured once, as in choices.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import polars as pl
from cases import Case, Interval
from datasets import Labelled, load
from scoring import average, plain, proved_first, rank_of

from tracescape_analytics.root_cause.blame import Suspect, suspects
from tracescape_analytics.root_cause.diagnosis import blocks_of
from tracescape_analytics.root_cause.evidence import evidence
from tracescape_analytics.root_cause.measures import Measures, measured
from tracescape_analytics.span_forest import IntArray, plant
from tracescape_analytics.words import readable_duration

_MINUTE = 60e9
#: A request is unusual if fewer of the baseline have its shape.
_UNUSUAL = 0.1
#: A window lies outside if it is so many times as far from the middle as the furthest other.
_OUTSIDE = 2.0
#: No smaller change is called visible, in log2: 15 %.
_VISIBLE = 0.2

Row = dict[str, Any]


def main() -> int:
    """Print the tables of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = os.environ.get("TRACESCAPE_BENCH_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--set", dest="sets", action="append", help="only sets whose name has this")
    options = parser.parse_args()
    folder = options.data / "rca"
    if not folder.is_dir():
        print(f"missing: nothing to look at, for there is no {folder}; see --data")
        return 0
    for labelled in load(folder):
        if any(part in labelled.name for part in options.sets or [""]):
            looked = Looked(labelled)
            looked.at_cases()
            looked.at_quiet()
    return 0


@dataclass(frozen=True)
class Asked:
    """A case with its answer."""

    case: Case
    block: IntArray
    rows: pl.DataFrame
    answer: list[Suspect]


class Looked:
    """A set, measured once, with what is said about its cases."""

    def __init__(self, labelled: Labelled) -> None:
        self.set = labelled
        self.measures: Measures = measured(plant(labelled.spans.drop_columns(["trace_start_ns"])))
        self.names = self.measures.owners.nodes.frame()["name"].to_list()
        forest = self.measures.trees.forest
        self.starts = forest.start[forest.main_root]
        self.shapes = _shapes(self.measures)

    def at_cases(self) -> None:
        """The table of cases that are not first, and the sums."""
        print(f"\n{self.set.name}: cases whose service is not first", flush=True)
        ranks: list[int | None] = []
        best: list[int | None] = []
        hinted: list[int | None] = []
        silent = outranked = 0
        for asked in self._asked(self.set.cases):
            listed = proved_first((self.names[each.node], each.score, each.named) for each in asked.answer)
            rank = rank_of(asked.case.truth, listed)
            ranks.append(rank)
            shows = self._of(asked, asked.case.truth)
            speaks = any(row["significant"] and row["sure"] > 0 for row in shows)
            best.append(1 if rank == 1 or speaks else None)
            hinted.append(1 if rank is not None else None)
            if rank != 1:
                silent, outranked = silent + (not speaks), outranked + speaks
                self._tell(asked, rank, shows, speaks)
        missed = silent + outranked
        print(
            f"  {len(ranks) - missed} of {len(ranks)} are first. Of the {missed} others, {silent} show "
            f"nothing significant\n  at the service at fault, {outranked} are outranked."
        )
        reached = [average(every) for every in (ranks, best, hinted)]
        print(
            "  Avg@5 is {:.3f}; it were {:.3f} if all were first of whom something significant speaks,\n"
            "  {:.3f} if all of whom anything at all does".format(*reached),
            flush=True,
        )

    def at_quiet(self) -> None:
        """The table of quiet windows in which somebody is named."""
        every = list(self._asked(self.set.quiet))
        loud = [asked for asked in every if any(each.named for each in asked.answer)]
        calm = [asked.case.window for asked in every if not any(each.named for each in asked.answer)]
        print(f"\n{self.set.name}: {len(loud)} of {len(every)} quiet windows in which somebody is named")
        visible = 0
        for asked in loud:
            seen = [self._beside(asked, each, calm) for each in asked.answer if each.named]
            visible += any(seen)
        print(f"  in {visible} of {len(loud)}, what is named is a change that is visible without a model")

    def _asked(self, cases: Sequence[Case]) -> Iterator[Asked]:
        for case in cases:
            block = blocks_of(self.starts, case.window, case.baseline)
            rows = evidence(self.measures, block)
            yield Asked(case, block, rows, suspects(rows))

    def _of(self, asked: Asked, services: frozenset[str]) -> list[Row]:
        # The rows of these services, and those of calls to them: what is certain first.
        wanted = {plain(service) for service in services}
        nodes = [number for number, name in enumerate(self.names) if plain(name) in wanted]
        rows = asked.rows.filter(pl.col("node").is_in(nodes) | pl.col("callee").is_in(nodes))
        return list(rows.sort("sure", pl.col("z").abs(), descending=True).iter_rows(named=True))

    def _tell(self, asked: Asked, rank: int | None, shows: list[Row], speaks: bool) -> None:
        truth = ", ".join(sorted(asked.case.truth))
        print(f"  {asked.case.name}: rank {rank}, {'outranked' if speaks else 'nothing significant'}")
        calls, shapes = self._requests(asked)
        strongest = self._said(shows[0]) if shows else "no span"
        print(f"      {truth}: {strongest}; {calls}; {shapes}")
        if asked.answer and asked.answer[0].rows:
            first = asked.answer[0]
            print(f"      first is {self.names[first.node]}: {self._said(first.rows[0])}", flush=True)

    def _requests(self, asked: Asked) -> tuple[str, str]:
        wanted = {plain(service) for service in asked.case.truth}
        nodes = [number for number, name in enumerate(self.names) if plain(name) in wanted]
        shapes = self.shapes.filter(pl.col("node").is_in(nodes))
        side = asked.block[shapes["trace"].to_numpy()]
        shapes = shapes.with_columns(now=pl.Series(side == -1)).filter(pl.Series(side >= -1))
        keys = ["node", "operation", "shape"]
        usual = shapes.filter(~pl.col("now")).group_by(keys).agg(seen=pl.len())
        share = pl.col("seen") / pl.col("seen").sum().over("node", "operation")
        usual = usual.with_columns(usual=share >= _UNUSUAL).drop("seen")
        shapes = shapes.join(usual, on=keys, how="left").with_columns(pl.col("usual").fill_null(False))
        odd, calls = [], []
        for now in (False, True):
            part = shapes.filter(pl.col("now") == now)
            traces = int((asked.block == -1).sum() if now else (asked.block >= 0).sum())
            calls.append(f"{part['entries'].sum() / max(traces, 1):.2f}")
            odd.append(f"{(~part['usual']).sum()} of {len(part)}")
        return f"calls a trace {calls[0]} → {calls[1]}", f"unusual requests {odd[0]} → {odd[1]}"

    def _said(self, row: Row) -> str:
        node, operation = self.names[row["node"]], self.measures.trees.operations[row["operation"]]
        what = self.names[row["callee"]] if row["callee"] >= 0 else ""
        if row["item"] >= 0:
            what = self.measures.trees.operations[row["item"]]
        place = f"{node} {operation}{f' → {what}' if what else ''}"
        return (
            f"{row['measure']} of {place} {_shown(row['measure'], row['before'])} → "
            f"{_shown(row['measure'], row['after'])} in {row['traces']} traces (z {row['z']:.1f}"
            f"{', significant' if row['significant'] else ''})"
        )

    def _beside(self, asked: Asked, suspect: Suspect, calm: Sequence[Interval]) -> bool:
        row = suspect.rows[0]
        here = self._value(row, asked.case.window)
        others = [value for window in calm if (value := self._value(row, window)) is not None]
        assert here is not None
        low, high, middle = min(others), max(others), float(np.median(others))
        visible = abs(here - middle) > max(_OUTSIDE * max(high - middle, middle - low), _VISIBLE)
        share = row["measure"] not in ("time", "calls")
        low_text, high_text, here_text = (
            _shown(row["measure"], 1 / (1 + 2**-value) if share else value) for value in (low, high, here)
        )
        since = asked.case.window[0]
        print(f"  {asked.case.name}: {self.names[suspect.node]}. {self._said(row)}")
        print(
            f"      here {here_text}, in {len(others)} windows in which nobody is named {low_text} to "
            f"{high_text}: {'visible' if visible else 'not outside'}; {self._neighbours(since)}",
            flush=True,
        )
        return visible

    def _value(self, row: Row, window: Interval) -> float | None:
        # The mean of a measure in a window, of shares log2 of the odds; None where there is no request.
        node, operation = pl.col("node") == row["node"], pl.col("operation") == row["operation"]
        inside = (self.starts >= window[0]) & (self.starts < window[1])

        def within(frame: pl.DataFrame) -> pl.DataFrame:
            chosen = frame.filter(node & operation)
            return chosen.filter(pl.Series(inside[chosen["trace"].to_numpy()], dtype=pl.Boolean))

        callee = pl.col("callee") == row["callee"]
        if row["measure"] in ("time", "errors"):
            times = within(self.measures.times).filter(callee)
            if row["measure"] == "time":
                return _mean(times, "own")
            return _odds(float(times["failed"].sum()), len(times))
        called = row["callee"] >= 0
        item = pl.col("item") == (row["callee"] if called else row["item"])
        steps = within(self.measures.steps).filter((pl.col("called") == int(called)) & item)
        if row["measure"] == "calls":
            return _mean(steps, "times")
        visits = within(self.measures.visits)
        return _odds(float(steps["share"].sum()), len(visits))

    def _neighbours(self, since: int) -> str:
        ends = [(since - case.window[1], case) for case in self.set.cases if case.window[1] <= since]
        begins = [(case.window[0] - since, case) for case in self.set.cases if case.window[0] >= since]
        said = []
        if ends:
            ago, case = min(ends, key=lambda pair: pair[0])
            said.append(f"{ago / _MINUTE:.0f} min after {case.fault} of {', '.join(case.truth)}")
        if begins:
            ahead, case = min(begins, key=lambda pair: pair[0])
            said.append(f"{ahead / _MINUTE:.0f} min before {case.fault} of {', '.join(case.truth)}")
        return ", ".join(said)


def _shapes(measures: Measures) -> pl.DataFrame:
    # A row a trace, service and operation at which requests enter it: the set of what happens below.
    keys = ["trace", "node", "operation"]
    happens = measures.steps.select(*keys, code=pl.col("item") * 2 + pl.col("called"))
    sets = happens.group_by(keys).agg(shape=pl.col("code").unique().sort())
    sets = sets.with_columns(pl.col("shape").cast(pl.List(pl.String)).list.join(" "))
    return measures.visits.join(sets, on=keys, how="left").with_columns(pl.col("shape").fill_null(""))


def _mean(frame: pl.DataFrame, column: str) -> float | None:
    return float(frame[column].to_numpy().mean()) if len(frame) else None


def _odds(having: float, of: int) -> float | None:
    # With half a request more on both sides, so that none and all have odds.
    return float(np.log2((having + 0.5) / (of - having + 0.5))) if of else None


def _shown(measure: str, value: float) -> str:
    if measure == "time":
        return readable_duration(round(2**value))
    return f"{2**value:.2g} times" if measure == "calls" else f"{value:.1%}"


if __name__ == "__main__":
    sys.exit(main())
