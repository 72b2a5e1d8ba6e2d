"""How often a scene shows a suspect who is not proved, and what that is worth.

    python benches/root_cause/suspects.py [--data ../shared/data] [--set SET] [--shop-cases 4]

Where a diagnosis names nobody, the world may show the first suspect (`tracescape_render.verdict.leading`). Of
the faults in which nobody is named: in how many a suspect is shown, and in how many of these it is the one at
fault. Of the quiet windows: in how many somebody is named, and in how many a suspect is shown.

Windows are compared with all of the quiet time, as in run.py, and where days are whole with the six lengths
just before them too, as a view does; earlier faults are in those.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pyarrow as pa
from cases import Case
from datasets import Labelled, LabelledSet, load
from shop_cases import shop

from tracescape_analytics.root_cause import Diagnosis, diagnose_of
from tracescape_analytics.root_cause.diagnosis import BASELINE_LENGTHS
from tracescape_render.verdict import leading


def main() -> int:
    """Print a line a set and a baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = os.environ.get("TRACESCAPE_BENCH_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--set", default="", help="only sets whose name has this")
    parser.add_argument("--shop-cases", type=int, default=4, help="so many faults of each kind in the shop")
    parser.add_argument("--shop-quiet", type=int, default=40, help="so many of its quiet windows")
    options = parser.parse_args()
    if options.set in "shop":
        _show(shop(options.shop_cases, options.shop_quiet, 0), just_before=False)
    if (options.data / "rca").is_dir():
        for labelled in load(options.data / "rca"):
            if options.set in labelled.name:
                _show(labelled, just_before=False)
                if "tracerca" not in labelled.name:  # its normal time is of other days
                    _show(labelled, just_before=True)
    return 0


def _show(labelled: LabelledSet, *, just_before: bool) -> None:
    named, told, right = [0, 0], [0, 0], 0
    count = [0, 0]
    for case, found in _answers(labelled, just_before=just_before):
        quiet = not case.truth
        count[quiet] += 1
        rows = leading(found)
        if len(found.causes):
            named[quiet] += 1
        elif len(rows):
            told[quiet] += 1
            right += rows["service"][0] in case.truth
            print(f"  {case.name}: {rows['sentence'][0]} (p = {rows['p_value'][0]:.1g})", flush=True)
    against = "the time just before" if just_before else "all quiet time"
    print(
        f"{labelled.name}, against {against}: of {count[0]} faults {named[0]} are named, in {told[0]} of the "
        f"others a suspect is shown, the right one in {right}; of {count[1]} quiet windows somebody is named "
        f"in {named[1]}, a suspect shown in {told[1]}",
        flush=True,
    )


def _answers(labelled: LabelledSet, *, just_before: bool) -> Iterator[tuple[Case, Diagnosis]]:
    for case, window, quiet, links in labelled.asked([*labelled.cases, *labelled.quiet]):
        baseline, before = case.baseline, quiet
        if just_before and isinstance(labelled, Labelled):
            since, until = case.window
            baseline = ((since - BASELINE_LENGTHS * (until - since), since),)
            before = labelled.cut(baseline)
        if before.num_rows:
            spans = pa.concat_tables([before, window])
            yield (
                case,
                diagnose_of(spans, links=links, window=case.window, baseline=baseline),
            )


if __name__ == "__main__":
    sys.exit(main())
