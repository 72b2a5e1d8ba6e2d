"""Which call is shown of many: the slowest, of equals the one in the greatest trace."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracescape_analytics.counts import Exemplars, greatest

CALL = st.tuples(
    st.integers(0, 3),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([bytes(16), bytes(15) + b"\1", b"\xff" + bytes(15), b"\x7f" * 16]),
)


@given(st.lists(CALL, max_size=40))
def test_of_each_group_the_slowest_is_kept_and_of_those_that_failed(
    calls: list[tuple[int, bool, int, bytes]],
) -> None:
    columns = list(zip(*calls, strict=True)) or [(), (), (), ()]
    ids = np.frombuffer(b"".join(columns[3]), np.uint8).reshape(-1, 16)
    kept = greatest(
        Exemplars(
            np.array(columns[0], np.int64),
            np.array(columns[1], np.bool_),
            np.array(columns[2], np.int64),
            ids,
        )
    )
    expected = {(group, failed): (duration, trace) for group, failed, duration, trace in sorted(calls)}
    found = zip(*(column.tolist() for column in kept[:3]), map(bytes, kept.trace_id), strict=True)
    assert [((group, failed), (ns, trace)) for group, failed, ns, trace in found] == sorted(expected.items())
