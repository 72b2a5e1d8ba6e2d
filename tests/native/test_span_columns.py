"""Columns of many requests: kernels and a row at a time agree."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest

from naive.span_columns import Columns
from support.decoders import scanned
from support.otlp import request, span
from support.wild_otlp import wild_request
from tracescape_native import otlp_traces as scan
from tracescape_native.otlp_attributes import STRING
from tracescape_native.span_columns import NUMBERS, TEXTS, WORDS, SpanColumns, gather


def both(messages: list[bytes], masks: list[np.ndarray] | None = None) -> tuple[SpanColumns, Columns]:
    requests = [scanned(message) for message in messages]
    if masks is not None:
        requests = [each.keep(mask) for each, mask in zip(requests, masks, strict=True)]
    spans = sum(map(len, requests))
    nbytes = sum(int(each.scanned.numbers[each.rows, scan.ATTRIBUTES + 1].sum()) for each in requests)
    text_places, wide_places = places([each.columns for each in requests])
    fast, slow = SpanColumns(spans, nbytes, text_places, wide_places), Columns()
    codes = [fast.codes_of(np.frombuffer(each.data, np.uint8), each.scanned) for each in requests]
    for number, each in enumerate(requests):
        resources = np.arange(len(each.senders), dtype=np.int32) + number
        scopes = np.arange(len(each.scopes), dtype=np.int32) + 2 * number
        data, found, rows = each.data, each.scanned, each.rows.tolist()
        fast.add(found, each.rows, codes[number], resources, scopes)
        slow.add(data, found, rows, resources.tolist(), scopes.tolist(), text_places, wide_places)
    return fast, slow


def places(columns: list[tuple[scan.Column, ...]]) -> tuple[list[int], list[int]]:
    longest = max(columns, key=len, default=())
    placed = list(zip(longest, scan.places_of(longest), strict=True))
    texts = [place for (_, kind), place in placed if kind == STRING]
    return [*TEXTS, *texts], [place for (_, kind), place in placed if kind != STRING]


def texts_of(columns: SpanColumns, index: int) -> list[bytes | None]:
    offsets, data = columns.dictionary(index)
    words = [data[a:b].tobytes() for a, b in pairwise(offsets)]
    assert len(set(words)) == len(words), "a text stands twice in its dictionary"
    if not words:
        return [None] * len(columns.codes[index])
    return [None if code < 0 else words[code] for code in columns.codes[index].tolist()]


def assert_same(fast: SpanColumns, slow: Columns) -> None:
    assert fast.trace_ids.tobytes() == b"".join(slow.trace_ids)
    for index, column in enumerate(WORDS):
        assert fast.words[index].tolist() == slow.words[column]
    for index, column in enumerate(NUMBERS):
        assert fast.numbers[index].tolist() == slow.numbers[column]
    assert list(zip(*fast.groups.tolist(), strict=True)) == slow.groups
    for index, texts in enumerate(slow.texts.values()):
        assert texts_of(fast, index) == texts
    for index, values in enumerate(slow.wide.values()):
        found = fast.wide[index].tolist()
        assert [None if value == scan.MISSING else value for value in found] == values
    attributes = fast.attributes.tobytes()
    offsets = fast.offsets.tolist()
    assert [attributes[a:b] for a, b in pairwise(offsets)] == slow.attributes


def test_no_requests_at_all() -> None:
    assert_same(*both([]))


def test_one_span() -> None:
    assert_same(*both([request(span("only")).SerializeToString()]))


def test_more_rows_than_a_block_of_the_kernel() -> None:
    spans = [span(f"s{i % 70}", attributes={"server.port": i, "db.system": f"db {i}"}) for i in range(200)]
    assert_same(*both([request(*spans).SerializeToString()] * 3))


@pytest.mark.parametrize("seed", range(5))
def test_requests_of_all_kinds(seed: int) -> None:
    random = Random(seed)
    assert_same(*both([wild_request(random, 0.0) for _ in range(20)]))


@pytest.mark.parametrize("chance", [0.0, 0.1, 0.5, 0.9])
def test_rows_that_are_picked(chance: float) -> None:
    random = Random(7)
    messages = [wild_request(random, 0.0) for _ in range(20)]
    generator = np.random.default_rng(7)
    masks = [generator.random(len(scanned(message))) < chance for message in messages]
    assert_same(*both(messages, masks))


def test_dictionaries_that_grow_many_times() -> None:
    messages = [
        request(*(span(f"{'long ' * 40}{batch} {i}") for i in range(400))).SerializeToString()
        for batch in range(6)
    ]
    assert_same(*both(messages))


def test_attributes_beyond_what_offsets_can_say_are_refused() -> None:
    with pytest.raises(OverflowError, match="too many"):
        SpanColumns(1, 2**31, (), ())


def test_gather_skips_what_is_not_there() -> None:
    out = np.zeros(4, np.uint8)
    gather(np.frombuffer(b"abcdef", np.uint8), np.array([4, 0, 1]), np.array([2, -1, 2]), out)
    assert out.tobytes() == b"efbc"
