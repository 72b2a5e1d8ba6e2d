"""Two paths side by side, as a colleague would write them down."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracescape_analytics.root_cause.exemplars import _merged
from tracescape_analytics.root_cause.paths import SHOWN_STEPS, path_lines

MS = 1_000_000


def steps(*times: tuple[int, int]) -> list[dict[str, Any]]:
    return [
        {
            "service": f"s{number}",
            "operation": "GET",
            "target": None,
            "typical_ns": typical * MS,
            "bad_ns": bad * MS,
        }
        for number, (typical, bad) in enumerate(times)
    ]


def test_a_short_path_is_shown_whole_and_its_largest_change_is_marked() -> None:
    assert path_lines(steps((1, 2), (3, 40), (5, 0))) == [
        "         1 ms →     2 ms  s0 (GET)",
        "         3 ms →    40 ms  s1 (GET)  ◀",
        "         5 ms →        –  s2 (GET)",
        "         9 ms →    42 ms  in all",
    ]


def test_of_a_long_path_what_differs_most_is_shown_and_the_rest_counted() -> None:
    lines = path_lines(steps(*[(1, 2)] * 10, (1, 50), *[(1, 1)] * 5))
    assert len(lines) == SHOWN_STEPS + 2 + 1
    assert lines[7] == "         3 ms →     6 ms  … 3 steps more"
    assert lines[8] == "         1 ms →    50 ms  s10 (GET)  ◀"
    assert lines[9] == "         5 ms →     5 ms  … 5 steps more"
    assert lines[10] == "        16 ms →    75 ms  in all"


def test_one_step_is_not_hidden_behind_a_line_that_says_one_step() -> None:
    assert not any("…" in line for line in path_lines(steps(*[(1, 1)] * (SHOWN_STEPS + 1))))


def test_no_path_is_no_line() -> None:
    assert path_lines([]) == []


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), min_size=1, max_size=40))
def test_nothing_is_left_out_of_the_count(times: list[tuple[int, int]]) -> None:
    lines = path_lines(steps(*times))
    hidden = [int(line.split("… ")[1].split()[0]) for line in lines if "…" in line]
    assert len(lines) - 1 - len(hidden) + sum(hidden) == len(times)


ORDER = st.lists(st.tuples(st.integers(0, 9), st.just(0), st.just(-1)), unique=True)


@given(ORDER, ORDER)
def test_steps_of_both_are_there_once_and_in_the_order_of_the_bad_one(
    bad: list[tuple[int, int, int]], typical: list[tuple[int, int, int]]
) -> None:
    merged = _merged(list(bad), typical)
    assert len(merged) == len(set(merged)) == len({*bad, *typical})
    assert [step for step in merged if step in bad] == bad
    for before, step in pairwise(typical):
        if step not in bad:
            assert merged.index(step) == merged.index(before) + 1, "right behind what it follows"
