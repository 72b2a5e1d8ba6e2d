"""How sure a shift is: calibrated where nothing moved, and not fooled by earlier incidents."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tracescape_analytics.root_cause.shifts import log_shifts, normal_score, share_shifts


def sample(keys: int, blocks: int, per_block: int, seed: int, between: float = 0.0) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    key, block = (part.ravel() for part in np.mgrid[0:keys, -1:blocks])
    level = chance.normal(0, between, len(key)) if between else np.zeros(len(key))
    repeated = np.repeat(np.arange(len(key)), per_block)
    return pl.DataFrame(
        {
            "key": key[repeated],
            "block": block[repeated],
            "value": level[repeated] + chance.normal(10, 1, len(repeated)),
        }
    )


@pytest.mark.parametrize("between", [0.0, 0.5])
def test_scores_of_what_did_not_move_are_normal(between: float) -> None:
    z = log_shifts(sample(600, 12, 10, 1, between), ["key"], "value")["z"].to_numpy()
    assert abs(z.mean()) < 0.15
    assert 0.75 < z.std() < 1.25
    assert (np.abs(z) > 3.5).mean() < 0.01


def test_a_shift_is_found_and_measured() -> None:
    rows = sample(50, 12, 10, 2)
    moved = (pl.col("key") == 7) & (pl.col("block") < 0)
    rows = rows.with_columns(value=pl.col("value") + pl.when(moved).then(3.0).otherwise(0.0))
    found = log_shifts(rows, ["key"], "value").sort("z", descending=True).row(0, named=True)
    assert found["key"] == 7
    assert found["shift"] == pytest.approx(3, abs=0.8)
    assert (found["traces"], found["base_traces"]) == (10, 120)


def test_an_earlier_incident_hides_nothing() -> None:
    rows = sample(50, 12, 10, 3)
    before = (pl.col("key") == 7) & pl.col("block").is_between(2, 4)
    now = (pl.col("key") == 7) & (pl.col("block") < 0)
    rows = rows.with_columns(value=pl.col("value") + pl.when(before | now).then(5.0).otherwise(0.0))
    found = log_shifts(rows, ["key"], "value").filter(pl.col("key") == 7).row(0, named=True)
    assert found["before"] == pytest.approx(10, abs=0.8)
    assert found["z"] > 3.5


def test_what_never_varied_is_sure_to_have_moved() -> None:
    rows = sample(3, 12, 10, 4).with_columns(value=pl.lit(1.0))
    moved = (pl.col("key") == 1) & (pl.col("block") < 0)
    rows = rows.with_columns(value=pl.when(moved).then(2.0).otherwise("value"))
    z = dict(log_shifts(rows, ["key"], "value").select("key", "z").iter_rows())
    assert z[1] > 4
    assert (z[0], z[2]) == (0, 0)


def shares(now: int, then: int, traces: int = 20, blocks: int = 10) -> float:
    # Of `traces` in the window `now` have it, of as many in each block `then`.
    totals = pl.DataFrame({"of": 0, "block": np.repeat(np.arange(-1, blocks), traces)})
    having = [now] + [then] * blocks
    cells = pl.DataFrame({"of": 0, "key": 1, "block": np.repeat(np.arange(-1, blocks), having), "share": 1.0})
    found = share_shifts(cells, totals, ["of", "key"], ["of"])
    return float(found["z"][0])


def test_shares_that_stay_have_no_score() -> None:
    assert shares(10, 10) == pytest.approx(0, abs=1e-6)
    assert shares(20, 20) == pytest.approx(0, abs=1e-6)


def test_shares_that_move_have_the_sign_of_the_move() -> None:
    assert shares(18, 4) > 4
    assert shares(2, 16) < -4
    assert shares(4, 0) > 3, "what never happened before"
    assert 0 < shares(1, 0, blocks=3) < 2.5, "once is no proof"


def test_normal_scores_have_the_tails_of_t() -> None:
    # Student's t: 2.2281 leaves 2.5 % above it with 10 degrees of freedom, as 1.96 does of the normal.
    frame = pl.DataFrame({"t": [2.2281, -2.2281, 0.0], "freedom": [10.0] * 3})
    found = frame.select(z=normal_score(pl.col("t"), pl.col("freedom")))["z"].to_list()
    assert found == pytest.approx([1.96, -1.96, 0.0], abs=0.01)
