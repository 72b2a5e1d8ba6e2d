"""The opening pictures of twelve incidents, to be shown to eyes that know nothing of them.

    python benches/ten_seconds.py FOLDER [--data ../shared/data] [--seed 1]

Nine faults of the shop, one of each kind at a place drawn by the seed, and three of a public day. Of each
there are two pictures in ``FOLDER/shown``, under numbers that tell nothing: ``3d-N.png`` is what ``explore``
opens with, ``flat-N.svg`` the flat map of the same topology. ``FOLDER/answers.json`` has what was injected.
Whoever looks may see one picture, for ten seconds, and names the culprit; nothing here judges that.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent / "root_cause"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import polars as pl
from incident import replayed

import tracescape as ts
from support.shop_store import quick_store
from tracescape.shop import KINDS, Fault, ShopConfig
from tracescape.view import scene_of
from tracescape.watching import Watch
from tracescape_render import screenshot

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_790_000_000 * SECOND_NS
BEFORE_S, LASTS_S = 480, 120
PUBLIC = "online-boutique-2022-08-22"
SIZE = (1600, 900)


class Incident(NamedTuple):
    """A store, when something was wrong in it, and what."""

    store: Path
    window: tuple[int, int]
    injected: str
    culprits: list[str]


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    default = Path(os.environ.get("TRACESCAPE_BENCH_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shown = options.folder / "shown"
    shown.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(options.seed)
    numbers = iter((random.permutation(12) + 1).tolist())
    answers = {}
    with tempfile.TemporaryDirectory() as scratch:
        for incident in [*_of_the_shop(Path(scratch), random), *_public(Path(scratch), options.data, random)]:
            number = next(numbers)
            _draw(incident, shown, number)
            answers[number] = {"injected": incident.injected, "culprits": incident.culprits}
            print(number, incident.injected, flush=True)
    (options.folder / "answers.json").write_text(json.dumps(dict(sorted(answers.items())), indent=1))


def _of_the_shop(scratch: Path, random: np.random.Generator) -> Iterator[Incident]:
    for number, (name, kind) in enumerate(KINDS.items()):
        fault = Fault(name, str(random.choice(kind.places)), BEFORE_S, BEFORE_S + LASTS_S)
        store = scratch / f"shop-{number}.db"
        config = ShopConfig(rate_per_s=5.0, seed=int(random.integers(1 << 30)), replicated=True)
        end = BEGIN_NS + (BEFORE_S + LASTS_S) * SECOND_NS
        (truth,) = quick_store(store, replace(config, faults=(fault,)), BEGIN_NS, end)
        yield Incident(store, (BEGIN_NS + BEFORE_S * SECOND_NS, end), str(fault), list(truth.nodes))


def _public(scratch: Path, data: Path, random: np.random.Generator) -> Iterator[Incident]:
    faults = json.loads((data / "rca" / f"{PUBLIC}.faults.json").read_text())
    spans = pl.read_parquet(data / "rca" / f"{PUBLIC}.parquet")
    for number in random.choice(len(faults), 3, replace=False):
        fault = faults[number]
        folder = scratch / f"public-{number}"
        folder.mkdir()
        store = replayed(spans, fault["start_ns"], fault["end_ns"], folder)
        window = fault["start_ns"], fault["end_ns"]
        yield Incident(store, window, f"{fault['fault']}@{fault['service']}", [fault["service"]])


def _draw(incident: Incident, shown: Path, number: int) -> None:
    """As ``tracescape explore --since … --until …`` shows it, and flat."""
    with ts.open(incident.store) as store:
        topology = store.topology(*incident.window)
        watch = Watch(store, given=True)
        causes = watch.causes(topology)
        scene = scene_of(watch.completed(topology), "store", causes=causes)
        screenshot(scene, shown / f"3d-{number}.png", size=SIZE)
        ts.plot(topology).save(shown / f"flat-{number}.svg")


if __name__ == "__main__":
    main()
