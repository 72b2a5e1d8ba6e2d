"""What the chosen numbers are worth: scores under other choices, and with the choice made by other cases.

    python benches/root_cause/choices.py [--data ../shared/data]

For each combination of the numbers that rank suspects (`root_cause.choices`), Avg@5 of all cases. Then, for
each service (each type of fault): the combination that is best on all cases of other services (types), scored
on its own cases. The mean over cases is what counts if the numbers had been fitted. Every set is planted and
measured once, so this is quicker than run.py; the answers are the same but for spans that cross a window.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cases import Case
from datasets import Labelled, load
from scoring import FOUND_WITHIN, accuracy, average, proved_first, rank_of

from tracescape_analytics.root_cause.blame import suspects
from tracescape_analytics.root_cause.choices import DEFAULT, Choices
from tracescape_analytics.root_cause.diagnosis import blocks_of
from tracescape_analytics.root_cause.evidence import evidence
from tracescape_analytics.root_cause.measures import measured
from tracescape_analytics.span_forest import plant

CHOICES = [
    Choices(standard_errors=errors, missing=missing)
    for errors, missing in itertools.product((1.0, 1.5, 2.0, 2.5, 3.0, 4.0), (0.0, 0.5, 1.0))
]


def main() -> int:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = os.environ.get("TRACESCAPE_BENCH_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    folder = parser.parse_args().data / "rca"
    if not folder.is_dir():
        print(f"choices: not measured, for there is no {folder}; see --data")
        return 0
    for labelled in load(folder):
        show(labelled, ranked(labelled))
    return 0


def ranked(labelled: Labelled) -> list[list[int | None]]:
    """The rank of each case, for each of `CHOICES`."""
    measures = measured(plant(labelled.spans.drop_columns(["trace_start_ns"])))
    names = measures.owners.nodes.frame()["name"].to_list()
    forest = measures.trees.forest
    starts = forest.start[forest.main_root]
    ranks: list[list[int | None]] = [[] for _ in CHOICES]
    for case in labelled.cases:
        block = blocks_of(starts, case.window, case.baseline)
        for choices, found in zip(CHOICES, ranks, strict=True):
            answer = suspects(evidence(measures, block, choices), choices)
            found.append(
                rank_of(
                    case.truth, proved_first((names[each.node], each.score, each.named) for each in answer)
                )
            )
    return ranks


def show(labelled: Labelled, ranks: list[list[int | None]]) -> None:
    """All combinations, then what others would have chosen."""
    print(f"\n{labelled.name}: {len(labelled.cases)} cases", flush=True)
    for choices, found in zip(CHOICES, ranks, strict=True):
        mark = " (default)" if choices == DEFAULT else ""
        print(
            f"  standard errors {choices.standard_errors:3.1f}, missing {choices.missing:3.1f}: "
            f"AC@1 {accuracy(found, 1):.3f}  Avg@5 {average(found):.3f}{mark}"
        )
    for name, of in (
        ("service", lambda case: sorted(case.truth)[0]),
        ("fault type", lambda case: case.fault),
    ):
        chosen = left_out(labelled.cases, ranks, of)
        print(
            f"  leave one {name} out: AC@1 {accuracy(chosen, 1):.3f}  Avg@5 {average(chosen):.3f}", flush=True
        )


def left_out(cases: list[Case], ranks: list[list[int | None]], of: Callable[[Case], str]) -> list[int | None]:
    """The rank of each case under the combination that is best on the cases of other groups."""
    groups = [of(case) for case in cases]
    best = {
        group: max(
            range(len(ranks)),
            key=lambda choice, group=group: sum(  # type: ignore[misc]  # mypy knows no lambda with a default
                _gain(rank) for rank, other in zip(ranks[choice], groups, strict=True) if other != group
            ),
        )
        for group in set(groups)
    }
    return [ranks[best[group]][i] for i, group in enumerate(groups)]


def _gain(rank: int | None) -> float:
    return 0.0 if rank is None else max(FOUND_WITHIN + 1 - rank, 0) / FOUND_WITHIN


if __name__ == "__main__":
    sys.exit(main())
