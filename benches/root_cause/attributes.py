"""Which version, which host? Whether ``store.compare`` names the attribute that tells, in the shop.

    python benches/root_cause/attributes.py [--cases 8]

Faults of a version and of a host, at many places, as stores of their own. What is asked is what somebody in
an incident asks: ``store.diagnose`` names a service and an operation; of these spans in the window, those
that failed, or else the slowest third, are compared with the others. Right is the answer whose first
attribute, and its value that is most frequent among them, are those of the fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import polars as pl
from shop_cases import BASE_NS, BEFORE_S, LASTS_S, config, shop_faults

import tracescape as ts
from support.shop_store import quick_store

KINDS = ("bad-version", "bad-host")
#: What the slowest are chosen by.
_CHOSEN_BY = "duration_ns"


def main() -> int:
    """Print a line a case, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=8, help="so many of each kind")
    cases: int = parser.parse_args().cases
    for kind in KINDS:
        right = [_asked(number, kind, cases) for number in range(cases)]
        print(f"{kind}: the attribute that tells stands first in {sum(right)} of {cases}", flush=True)
    return 0


def _asked(number: int, kind: str, cases: int) -> bool:
    fault = [each for each in shop_faults(cases) if each.kind == kind][number]
    end = BASE_NS + round((BEFORE_S + LASTS_S) * 1e9)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shop.db"
        (truth,) = quick_store(file, config(fault, 1_000 + number), BASE_NS, end)
        begin = time.process_time()
        with ts.open(file) as store:
            suspect = store.diagnose(
                since=truth.since_ns, until=end, baseline=(BASE_NS, truth.since_ns)
            ).suspects
            found = _first(store, suspect.row(0, named=True), truth.since_ns, end) if len(suspect) else None
        seconds = time.process_time() - begin
    print(f"  {fault}: {truth.attribute} expected, {found} found, {seconds:.1f} s of CPU", flush=True)
    return found == truth.attribute


def _first(store: ts.Store, suspect: dict[str, str], since: int, until: int) -> tuple[str, str] | None:
    service, operation = suspect["service"], suspect["operation"]
    failed = store.select(service=service, operation=operation, since=since, until=until, status="error")
    slow = store.select(service=service, operation=operation, since=since, until=until, slowest=1 / 3)
    try:
        compared = store.compare(failed if suspect["kind"] == "errors" else slow)
    except ts.StoreError:
        return None  # none of these failed, or all did: there is nobody to compare them with
    names = compared.attributes.filter(pl.col("attribute") != _CHOSEN_BY)
    if not len(names):
        return None
    key = names["attribute"][0]
    values = compared.values.filter(pl.col("attribute") == key).sort("selection_share", descending=True)
    return key.removeprefix("resource."), str(values["value"][0])


if __name__ == "__main__":
    sys.exit(main())
