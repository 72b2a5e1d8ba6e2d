"""Who is at fault? Labelled faults, our answer beside what others would say.

    python benches/root_cause/run.py [--data ../shared/data] [--set online-boutique] [--method diagnose …]

The demo's shop with faults put in (shop_cases.py) needs no data: it is the set ``shop``.

``TRACESCAPE_BENCH_DATA`` says where the data is, ``TRACESCAPE_BENCH_PEERS`` where RCAEval is (see peers.py).
Windows and baselines are frozen before a method sees a span (cases.py), labels are used for scoring alone
(scoring.py). AC@k: the true service is among the first k; Avg@5: the mean of AC@1 … AC@5, with the interval
of 95 % of samples of cases. ``diagnose`` is everything that we suspect, in order; ``diagnose, named`` only
what is named as a cause; ``diagnose, no time`` is asked without the window, where a case is all there was
(the shop). Quiet: in how many quiet windows nobody is named; the others always name somebody.
Seconds are the median of a case, without reading the file.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pyarrow as pa
from cases import Case
from datasets import Labelled, load
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
    cases: list[Case]
    ranks: list[int | None]
    seconds: list[float]
    quiet: list[bool] = field(default_factory=list)

    def add(self, case: Case, answer: naive.Answer, seconds: float, *, tell: bool) -> None:
        """Score one answer."""
        rank = rank_of(case.truth, answer)
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
    for labelled in _sets(options):
        results = []
        if any(part in OURS for part in wanted):
            results += measured_ours(labelled, quiet=options.quiet, tell=options.cases)
        results += [measured(labelled, name, ask, tell=options.cases) for name, ask in others.items()]
        show(labelled, results)
    return 0


def _sets(options: argparse.Namespace) -> Iterator[Labelled]:
    wanted: list[str] = options.sets or [""]
    if any(part in "shop" for part in wanted):
        yield shop(options.shop_cases, options.shop_quiet, options.shop_seed)
    folder: Path = options.data / "rca"
    if not folder.is_dir():
        print(f"root cause: the public sets are not measured, for there is no {folder}; see --data")
        return
    yield from (each for each in load(folder) if any(part in each.name for part in wanted))


def measured(labelled: Labelled, name: str, ask: Method, *, tell: bool) -> Result:
    """Ask a method about every case of a set."""
    result = Result(name, labelled.cases, [], [])
    for case, window, baseline in labelled.asked(labelled.cases):
        begin = time.perf_counter()
        answer = ask(window, baseline)
        result.add(case, answer, time.perf_counter() - begin, tell=tell)
    return result


def measured_ours(labelled: Labelled, *, quiet: bool, tell: bool) -> list[Result]:
    """The same for our answers, and how often somebody is named in quiet windows.

    Where a case is all that there was in its time, it is also asked without saying when it was.
    """
    every = [*labelled.cases, *labelled.quiet]
    results = _asked_ours(labelled, OURS, diagnosed, quiet=quiet, tell=tell)
    if every and all(map(finds_its_time, every)):
        results += _asked_ours(labelled, f"{OURS}, no time", searched, quiet=quiet, tell=tell)
    return results


def _asked_ours(labelled: Labelled, name: str, ask: Ours, *, quiet: bool, tell: bool) -> list[Result]:
    suspected, named = (Result(title, labelled.cases, [], []) for title in (name, f"{name}, named"))
    for case, window, baseline in labelled.asked(labelled.cases):
        begin = time.perf_counter()
        answers = ask(case, window, baseline, labelled.links)
        seconds = time.perf_counter() - begin
        for result, answer in zip((suspected, named), answers, strict=True):
            result.add(case, answer, seconds, tell=tell)
    for case, window, baseline in labelled.asked(labelled.quiet if quiet else []):
        _, causes = ask(case, window, baseline, labelled.links)
        named.quiet.append(not causes)
        if tell and causes:
            print(f"  {name} | {case.name}: {', '.join(causes)}", flush=True)
    return [suspected, named]


def show(labelled: Labelled, results: Sequence[Result]) -> None:
    """The table of a set: all faults, then AC@1 and Avg@5 by type of fault."""
    faults = sorted({case.fault for case in labelled.cases})
    print(f"\n{labelled.name}: {len(labelled.cases)} cases, {labelled.spans.num_rows:,} spans", flush=True)
    for skipped in labelled.skipped:
        print(f"  not scored, no span in its window: {skipped}")
    marks = "".join(f"{fault[:14]:>15}" for fault in faults)
    print(f"  {'':<24} AC@1  AC@2  AC@3  AC@4  AC@5  Avg@5 [95 %]        quiet      s/case{marks}")
    for result in results:
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
