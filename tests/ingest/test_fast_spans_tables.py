"""Many scanned requests as one set of tables: the same as each alone, one after the other."""

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from support.decoders import assert_tables_equal, plain, scanned
from support.decoders import reference as decoded_reference
from support.otlp import key_values, request, span
from support.wild_otlp import wild_request
from tracescape_ingest.accepting import TableRequest
from tracescape_ingest.fast_spans import ScannedRequest
from tracescape_ingest.span_tables import span_tables


def reference(data: bytes) -> TableRequest:
    decoded = decoded_reference(data)
    return TableRequest(decoded.tables, np.arange(decoded.items), decoded.owners)


def assert_tables_of(requests: list[ScannedRequest], expected: list[TableRequest]) -> None:
    joined = {
        name: pa.concat_tables([each.tables[name] for each in expected], promote_options="default")
        for name in ("spans", "events", "links", "resources", "scopes")
    }
    assert_tables_equal(plain(span_tables(requests)), joined)


def plain_requests(count: int, seed: int) -> list[bytes]:
    random = Random(seed)
    return [wild_request(random, 0.0) for _ in range(count)]


def numbered(spans: int, first: int = 0) -> bytes:
    messages = []
    for number in range(first, first + spans):
        message = span(
            f"operation {number}", attributes={"server.address": f"host {number}", "server.port": number}
        )
        message.events.add(name=f"event {number}").attributes.extend(key_values({"n": number}))
        message.links.add(trace_id=b"l" * 16, span_id=number.to_bytes(8, "big")[:7] + b"\1")
        messages.append(message)
    return request(*messages, service=f"service {first}").SerializeToString()


def test_no_requests_and_empty_requests_give_empty_tables() -> None:
    for requests in ([], [scanned(request().SerializeToString())] * 2):
        tables = plain(span_tables(requests))
        assert [tables[name].num_rows for name in ("spans", "events", "links")] == [0, 0, 0]


def test_requests_follow_each_other() -> None:
    data = plain_requests(60, 1)
    assert_tables_of([scanned(each) for each in data], [reference(each) for each in data])


def test_dictionaries_grow_past_their_first_room() -> None:
    data = [numbered(700, 700 * place) for place in range(8)] * 2
    assert_tables_of([scanned(each) for each in data], [reference(each) for each in data])


def test_long_text_outgrows_the_first_room_for_text() -> None:
    data = [request(span(f"{place} " * 30_000)).SerializeToString() for place in range(5)]
    assert_tables_of([scanned(each) for each in data], [reference(each) for each in data])


@pytest.mark.parametrize("seed", range(4))
def test_events_and_links_stay_with_the_spans_that_are_kept(seed: int) -> None:
    random = np.random.default_rng(seed)
    fast, slow = [], []
    for data in [*plain_requests(30, 100 + seed), numbered(40)]:
        one, other = scanned(data), reference(data)
        for chance in (0.7, 0.8):  # what is kept of what was kept
            mask = random.random(len(one)) < chance
            one, other = one.keep(mask), other.keep(mask)
        fast.append(one)
        slow.append(other)
    assert_tables_of(fast, slow)


@pytest.mark.parametrize("row", [0, 1, 7, 19, 20])
def test_a_request_that_is_split_is_whole_again_side_by_side(row: int) -> None:
    data = numbered(20)
    one, other = scanned(data), reference(data)
    before = np.arange(20) < row
    assert_tables_of([one.keep(before), one.keep(~before)], [other])
    assert len(one.keep(before)) == row


def test_nothing_is_kept() -> None:
    one = scanned(numbered(5)).keep(np.zeros(5, bool))
    two = scanned(numbered(3))
    tables = plain(span_tables([one, two, one]))
    assert [tables[name].num_rows for name in ("spans", "events", "links")] == [3, 3, 3]


def test_the_same_resource_in_many_requests_is_one_row() -> None:
    tables = span_tables([scanned(numbered(3)), scanned(numbered(3))])
    assert tables["resources"].num_rows == tables["scopes"].num_rows == 1


def test_the_memory_of_a_request_is_counted() -> None:
    assert scanned(numbered(50)).nbytes > scanned(numbered(5)).nbytes > 0
