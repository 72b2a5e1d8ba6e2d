"""What has been seen lately: kernels and sets agree."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from naive.recent import Pair
from naive.recent import judge as naive_judge
from tracescape_native.recent import NEW, SAME_IDENTITY, SEEN, enter, judge, with_slots

#: Few values, so that equal identities with other contents are common; both ends and zero are among them.
_words = st.sampled_from([0, 1, 2, 3, -1, 2**63 - 1, -(2**63)])
_pairs = st.lists(st.tuples(_words, _words).filter(any), max_size=20)


def array(pairs: list[Pair]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def table(pairs: list[Pair], slots: int = 64) -> np.ndarray:
    made = np.zeros(2 * slots, np.int64)
    enter(made, array(pairs))
    return made


@given(_pairs, _pairs, st.lists(_pairs, max_size=4))
def test_verdicts_over_several_rounds_are_those_of_sets(
    newer: list[Pair], older: list[Pair], rounds: list[list[Pair]]
) -> None:
    tables, pending = (table(newer), table(older)), np.zeros(2 * 256, np.int64)
    twin: set[Pair] = set()
    for pairs in rounds:
        verdicts, new = judge(array(pairs), *tables, pending)
        expected = naive_judge(pairs, {*newer, *older}, twin)
        assert verdicts.tolist() == expected
        assert new == sum(verdict != SEEN for verdict in expected)


@given(_pairs)
def test_a_larger_table_remembers_the_same(pairs: list[Pair]) -> None:
    larger = with_slots(table(pairs), 512)
    empty = np.zeros(2 * 64, np.int64)
    verdicts, _ = judge(array(pairs), larger, empty, np.zeros(2 * 64, np.int64))
    assert set(verdicts.tolist()) <= {SEEN}


def test_the_three_verdicts() -> None:
    pending, empty = np.zeros(2 * 64, np.int64), table([])
    verdicts, new = judge(array([(1, 1), (1, 1), (1, 2), (2, 1)]), table([(2, 1)]), empty, pending)
    assert (verdicts.tolist(), new) == ([NEW, SEEN, SAME_IDENTITY, SEEN], 2)


def test_nothing_is_judged_as_nothing() -> None:
    verdicts, new = judge(array([]), table([]), table([]), table([]))
    assert (len(verdicts), new) == (0, 0)
