"""Who is at fault? Labelled faults, our answer beside what others would say.

    python benches/root_cause/run.py [--data ../shared/data] [--set online-boutique] [--method diagnose …]

The demo's shop with faults put in (shop_cases.py) needs no data: it is the set ``shop``.

``TRACESCAPE_BENCH_DATA`` says where the data is, ``TRACESCAPE_BENCH_PEERS`` where RCAEval is (see peers.py).
Windows and baselines are frozen before a method sees a span (cases.py), labels are used for scoring alone
(scoring.py). AC@k: the true service is among the first k; Avg@5: the mean of AC@1 … AC@5, with the interval
of 95 % of samples of cases. ``diagnose`` is everything that we suspect, in order; ``diagnose, named`` only
what is named as a cause; ``diagnose, no time`` is asked without the window, where a case is all there was
(the shop). Quiet: in how many quiet windows nobody is named; the others always name somebody.
Seconds are the median of a case, without reading the file. How it stands after each case goes to stderr; a
case of the shop takes three to six seconds of CPU time, nearly all of it for making its spans.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pyarrow as pa
from cases import Case
from datasets import CaseSpans, LabelledSet, load
from ours import diagnosed, finds_its_time, searched
from peers import peers
from scoring import accuracy, average, interval, rank_of
from shop_cases import shop

import naive

Method = Callable[[pa.Table, pa.Table], naive.Answer]
Ours = Callable[[Case, pa.Table, pa.Table, pa.Table | None], tuple[naive.Answer, naive.Answer]]

OURS = "diagnose"
NAIVE: dict[str, Method] = {
    "duration-z": naive.duration_z,
    "edge duration-z": naive.edge_duration_z,
    "self-time excess": naive.self_time,
    "error share": naive.error_share,
    "BARO": naive.baro,
    "n-sigma": naive.n_sigma,
}


@dataclass
class Result:
    """What a method reached on one set: a rank (None: missed) for each case."""

    method: str
    cases: list[Case] = field(default_factory=list)
    ranks: list[int | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    quiet: list[bool] = field(default_factory=list)

    def add(self, case: Case, answer: naive.Answer, seconds: float, *, tell: bool) -> None:
        """Score one answer."""
        rank = rank_of(case.truth, answer)
        self.cases.append(case)
        self.ranks.append(rank)
        self.seconds.append(seconds)
        if tell:
            first = sorted(answer.items(), key=lambda pair: -pair[1])[:5]
            said = ", ".join(f"{service} {score:.3g}" for service, score in first)
            truth = ", ".join(sorted(case.truth))
            print(
                f"  {self.method} | {case.name} | {case.fault} of {truth} | rank {rank} | {said}", flush=True
            )

    def of(self, keep: Callable[[Case], bool]) -> list[int | None]:
        """The ranks of those cases."""
        return [rank for case, rank in zip(self.cases, self.ranks, strict=True) if keep(case)]


def main() -> int:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = os.environ.get("TRACESCAPE_BENCH_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--set", dest="sets", action="append", help="only sets whose name has this")
    parser.add_argument("--method", action="append", help="only methods whose name has this")
    parser.add_argument("--no-quiet", dest="quiet", action="store_false", help="leave quiet windows out")
    parser.add_argument("--cases", action="store_true", help="say for each case what was answered")
    parser.add_argument("--shop-cases", type=int, default=8, help="so many faults of each kind in the shop")
    parser.add_argument("--shop-quiet", type=int, default=40, help="so many of its quiet windows")
    parser.add_argument("--shop-seed", type=int, default=0, help="where its seeds begin")
    options = parser.parse_args()
    wanted = options.method or [""]
    others = {**NAIVE, **peers()}
    others = {name: ask for name, ask in others.items() if any(part in name for part in wanted)}
    ours = any(part in OURS for part in wanted)
    for labelled in _sets(options):
        scored = Scored(labelled, others, ours=ours, tell=options.cases)
        scored.ask(quiet=options.quiet and ours)
        show(labelled, scored)
    return 0


def _sets(options: argparse.Namespace) -> Iterator[LabelledSet]:
    wanted: list[str] = options.sets or [""]
    if any(part in "shop" for part in wanted):
        yield shop(options.shop_cases, options.shop_quiet, options.shop_seed)
    folder: Path = options.data / "rca"
    if not folder.is_dir():
        print(f"root cause: the public sets are not measured, for there is no {folder}; see --data")
        return
    yield from (each for each in load(folder) if any(part in each.name for part in wanted))


class Scored:
    """What each method answers about each case of a set; a case's spans are made once, for all of them.

    Where a case is all that there was in its time, ours is also asked without saying when it was.
    """

    def __init__(
        self, labelled: LabelledSet, others: Mapping[str, Method], *, ours: bool, tell: bool
    ) -> None:
        self._labelled = labelled
        self._others = others
        self._tell = tell
        self._ours: dict[str, Ours] = {OURS: diagnosed} if ours else {}
        every = [*labelled.cases, *labelled.quiet]
        if ours and every and all(map(finds_its_time, every)):
            self._ours[f"{OURS}, no time"] = searched
        names = [name for ours in self._ours for name in (ours, _named(ours))]
        self.results = {name: Result(name) for name in (*names, *others)}
        self.rows: int = 0

    def ask(self, *, quiet: bool) -> None:
        """Ask everybody about every case, and us about the quiet windows."""
        cases = [*self._labelled.cases, *(self._labelled.quiet if quiet else [])]
        begin = time.process_time()
        for number, spans in enumerate(self._labelled.asked(cases), 1):
            said = self._fault(spans) if spans.case.truth else self._quiet(spans)
            self.rows += spans.window.num_rows
            now = time.process_time()
            taken, begin = now - begin, now
            line = (
                f"{self._labelled.name} {number}/{len(cases)}, {spans.case.name}: {said} ({taken:.1f} s CPU)"
            )
            print(line, file=sys.stderr, flush=True)

    def _fault(self, spans: CaseSpans) -> str:
        for name, ask in self._ours.items():
            begin = time.perf_counter()
            answers = ask(*spans)
            seconds = time.perf_counter() - begin
            for each, answer in zip((name, _named(name)), answers, strict=True):
                self.results[each].add(spans.case, answer, seconds, tell=self._tell)
        for name, method in self._others.items():
            begin = time.perf_counter()
            answer = method(spans.window, spans.baseline)
            self.results[name].add(spans.case, answer, time.perf_counter() - begin, tell=self._tell)
        ranks = (f"{name} {result.ranks[-1] or '–'}" for name, result in self.results.items())
        return "ranked by " + "; ".join(ranks)

    def _quiet(self, spans: CaseSpans) -> str:
        said = []
        for name, ask in self._ours.items():
            _, causes = ask(*spans)
            self.results[_named(name)].quiet.append(not causes)
            said.append(f"{name} names {', '.join(causes) or 'nobody'}")
            if self._tell and causes:
                print(f"  {name} | {spans.case.name}: {', '.join(causes)}", flush=True)
        return "; ".join(said)


def _named(ours: str) -> str:
    return f"{ours}, named"


def show(labelled: LabelledSet, scored: Scored) -> None:
    """The table of a set: all faults, then AC@1 and Avg@5 by type of fault."""
    faults = sorted({case.fault for case in labelled.cases})
    print(f"\n{labelled.name}: {len(labelled.cases)} cases, {scored.rows:,} spans in windows", flush=True)
    for skipped in labelled.skipped:
        print(f"  not scored, no span in its window: {skipped}")
    marks = "".join(f"{fault[:14]:>15}" for fault in faults)
    print(f"  {'':<24} AC@1  AC@2  AC@3  AC@4  AC@5  Avg@5 [95 %]        quiet      s/case{marks}")
    for result in scored.results.values():
        reached = "  ".join(f"{accuracy(result.ranks, k):4.2f}" for k in range(1, 6))
        low, high = interval(result.ranks)
        silent = f"{sum(result.quiet)}/{len(result.quiet)}" if result.quiet else "–"
        seconds = sorted(result.seconds)[len(result.seconds) // 2]
        by_type = [result.of(lambda case, f=fault: case.fault == f) for fault in faults]
        by_fault = "".join(f"{accuracy(ranks, 1):>9.2f} {average(ranks):.3f}" for ranks in by_type)
        print(
            f"  {result.method:<24} {reached}  {average(result.ranks):.3f} [{low:.3f}, {high:.3f}] "
            f"{silent:>8} {seconds:>9.2f} {by_fault}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
