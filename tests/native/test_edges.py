from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from naive import edges as naive
from naive.forest import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, UNSET, Span, twin
from naive.spans import arrays, call_spans, nested_spans, tangled_spans
from support.sizes import sized
from tracescape_native.edges import CROSSED, DELIVERED, NONE, PAIRED, PEER, Calls, find_calls
from tracescape_native.forest import build_forest

RELATIONS = {"paired": PAIRED, "crossed": CROSSED, "delivered": DELIVERED}

#: Spans of the deep and the wide; fewer where Python itself runs the kernels.
MANY = sized(100_000)


def found_in(spans: list[Span]) -> Calls:
    forest = build_forest(arrays(spans))
    names = np.array([spans[row].content for row in forest.rows], np.int64)
    return find_calls(forest, forest.resource, names)


@given(st.one_of(call_spans(), nested_spans(), tangled_spans()))
def test_agrees_with_the_naive_twin(spans: list[Span]) -> None:
    found = found_in(spans)
    nodes, _ = twin(spans)
    position = {node: i for i, node in enumerate(nodes)}
    expected = naive.calls(nodes)
    caller = [position[expected[node][0]] if node in expected else -1 for node in nodes]
    relation = [RELATIONS[expected[node][1]] if node in expected else NONE for node in nodes]
    assert found.caller.tolist() == caller
    assert found.relation.tolist() == relation
    silent = naive.unanswered(nodes)
    assert found.unanswered.tolist() == [int(node in silent) for node in nodes]


def chain(*steps: tuple[int, int]) -> Calls:
    spans = [Span(0, i + 1, i, i, 100 - i, kind, service) for i, (kind, service) in enumerate(steps)]
    return found_in(spans)


def test_a_server_is_paired_with_its_client() -> None:
    found = chain((SERVER, 0), (CLIENT, 0), (SERVER, 1))
    assert found.caller.tolist() == [-1, -1, 1]
    assert found.relation.tolist() == [NONE, NONE, PAIRED]


def test_a_service_may_call_itself() -> None:
    assert chain((CLIENT, 0), (SERVER, 0)).relation.tolist() == [NONE, PAIRED]


def test_internal_spans_on_either_side_are_walked_through() -> None:
    found = chain((CLIENT, 0), (INTERNAL, 0), (INTERNAL, 1), (SERVER, 1))
    assert found.caller.tolist() == [-1, -1, -1, 0]


def test_only_the_pair_is_a_call_however_many_internal_spans_lie_between() -> None:
    found = chain((CLIENT, 0), (INTERNAL, 1), (INTERNAL, 1), (SERVER, 1))
    assert found.caller.tolist() == [-1, -1, -1, 0]


def test_a_third_service_in_between_is_not_skipped() -> None:
    found = chain((CLIENT, 0), (INTERNAL, 1), (SERVER, 2))
    assert found.caller.tolist() == [-1, 0, 1]
    assert found.relation.tolist() == [NONE, CROSSED, CROSSED]


def test_without_kinds_another_service_is_enough() -> None:
    found = chain((UNSET, 0), (UNSET, 0), (UNSET, 1), (UNSET, 1))
    assert found.caller.tolist() == [-1, -1, 1, -1]


def test_a_server_below_a_server_of_another_service() -> None:
    assert chain((SERVER, 0), (SERVER, 1)).relation.tolist() == [NONE, CROSSED]


def test_a_consumer_is_paired_with_its_producer() -> None:
    assert chain((PRODUCER, 0), (CONSUMER, 1)).relation.tolist() == [NONE, DELIVERED]


def test_a_client_without_an_answer() -> None:
    assert chain((SERVER, 0), (CLIENT, 0)).unanswered.tolist() == [0, 1]


def test_of_nested_clients_the_lower_one_speaks() -> None:
    assert chain((CLIENT, 0), (CLIENT, 0)).unanswered.tolist() == [0, 1]
    assert chain((CLIENT, 0), (CLIENT, 0), (SERVER, 1)).unanswered.tolist() == [0, 0, 0]


def test_but_a_call_to_a_database_is_named_at_the_top() -> None:
    database = Span(0, 1, 0, 0, 9, CLIENT, 0, content=1)
    assert found_in([database, Span(0, 2, 1, 1, 8, CLIENT, 0)]).unanswered.tolist() == [1, 0]


def test_a_call_to_a_database_speaks_for_all_below_it_unless_it_is_answered() -> None:
    below = [Span(0, 2, 1, 1, 8, CLIENT, 0), Span(0, 3, 2, 2, 7, CLIENT, 0)]
    database = Span(0, 1, 0, 0, 9, CLIENT, 0, content=1)
    assert found_in([database, *below]).unanswered.tolist() == [1, 0, 0]
    answer = Span(0, 4, 1, 8, 9, SERVER, 1)
    assert found_in([database, *below, answer]).unanswered.tolist() == [0, 0, 1, 0]


def test_a_peer_that_only_the_upper_client_names_is_called_by_that_one() -> None:
    """As an SDK that knows whom it calls does, over an HTTP library that says nothing of it."""
    named = Span(0, 1, 0, 0, 9, CLIENT, 0, content=PEER)
    silent = [Span(0, 2, 1, 1, 8, CLIENT, 0), Span(0, 3, 2, 2, 7, CLIENT, 0)]
    assert found_in([named, *silent]).unanswered.tolist() == [1, 0, 0]


def test_but_not_if_the_lower_one_names_it_too_or_is_answered() -> None:
    named, silent = Span(0, 1, 0, 0, 9, CLIENT, 0, content=PEER), Span(0, 2, 1, 1, 8, CLIENT, 0)
    assert found_in([named, silent, Span(0, 3, 2, 2, 7, CLIENT, 0, content=PEER)]).unanswered.tolist() == [
        0,
        0,
        1,
    ]
    assert found_in([named, silent, Span(0, 3, 2, 2, 7, SERVER, 1)]).unanswered.tolist() == [0, 0, 0]


def test_empty() -> None:
    assert found_in([]).caller.tolist() == []


def test_deep_and_wide() -> None:
    n = MANY
    deep = [Span(0, 1, 0, 0, n, CLIENT, 0)]
    deep += [Span(0, i + 1, i, i, n, INTERNAL, 0) for i in range(1, n - 1)]
    deep += [Span(0, n, n - 1, n, n, SERVER, 1)]
    assert found_in(deep).caller[-1] == 0
    wide = [Span(0, 1, 0, 0, n, CLIENT, 0)] + [Span(0, i, 1, i, n, SERVER, 1) for i in range(2, n)]
    assert (found_in(wide).caller[1:] == 0).all()
