"""The compiled decoder against the reference: whatever the bytes, both say the same or only one speaks."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.decoders import COLUMNS, SEED, assert_same, compiled, fast_spans, is_canonical, rows
from support.otlp import key_values, request, span
from support.sizes import sized
from support.wild_otlp import mutated, run, varint, wild_request
from tracescape_ingest.fast_spans import FastSpans
from tracescape_ingest.span_tables import span_tables
from tracescape_native.memory import INTERPRETED

_CORPUS = Path(__file__).parent.parent / "data" / "otlp_corpus"

_texts = st.text(max_size=40) | st.text('ab"\\\n\x00\x1fé€😀', max_size=70) | st.text("x", max_size=140)
_scalars = (
    _texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=40)
    | st.none()
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=6,
)
_keys = st.sampled_from(["http.method", "http.request.method", "server.port", "db.name", *COLUMNS])
_attributes = st.dictionaries(_texts | _keys, _values, max_size=8)
_ids = st.binary(min_size=8, max_size=8).filter(any)


@st.composite
def _spans(draw: st.DrawFn):
    start = draw(st.integers(0, 2**62))
    message = span(
        draw(_texts),
        trace_id=draw(_ids) * 2,
        span_id=draw(_ids),
        parent=draw(st.just(b"") | _ids),
        start=start,
        end=start + draw(st.integers(0, 2**40)),
        kind=draw(st.integers(0, 5)),
        attributes=draw(_attributes),
    )
    message.trace_state, message.status.message = draw(_texts), draw(_texts)
    message.status.code = draw(st.integers(0, 2))
    message.flags = draw(st.integers(0, 2**32 - 1))
    message.dropped_attributes_count = draw(st.integers(0, 2**32 - 1))
    for attributes in draw(st.lists(_attributes, max_size=2)):
        event = message.events.add(time_unix_nano=draw(st.integers(0, 2**64 - 1)), name=draw(_texts))
        event.attributes.extend(key_values(attributes))
    for attributes in draw(st.lists(_attributes, max_size=2)):
        link = message.links.add(trace_id=draw(_ids) * 2, span_id=draw(_ids), trace_state=draw(_texts))
        link.attributes.extend(key_values(attributes))
    return message


@settings(deadline=None, max_examples=sized(100, 30))
@given(st.lists(st.tuples(st.lists(_spans(), max_size=4), _texts), max_size=3))
def test_what_an_encoder_writes_takes_the_fast_path_and_arrives_whole(groups) -> None:
    message = ExportTraceServiceRequest()
    for spans, service in groups:
        message.MergeFrom(request(*spans, service=service))
    data = message.SerializeToString()
    assert is_canonical(data)
    assert assert_same(data)


@settings(deadline=None, max_examples=sized(300, 100))
@given(st.randoms(use_true_random=False), st.sampled_from([0.0, 0.01, 0.05, 0.2]))
def test_odd_messages_are_the_same_to_both_or_left_to_the_reference(random: Random, oddness: float) -> None:
    assert_same(wild_request(random, oddness))


def test_thousands_of_odd_messages_are_the_same_to_both() -> None:
    random = Random(4317)
    taken = sum(assert_same(wild_request(random, oddness)) for oddness in (0.0, 0.003, 0.02, 0.1) * 250)
    assert taken > 400, "hardly anything was compared"


def test_thousands_of_mutants_of_real_messages_are_the_same_to_both() -> None:
    random = Random(4318)
    originals = [wild_request(random, 0.0) for _ in range(20)]
    mutants = [mutated(random, random.choice(originals)) for _ in range(3000)]
    assert sum(map(assert_same, mutants)) > 300, "hardly anything was compared"


def test_what_the_fast_path_knows_of_one_request_does_not_leak_into_the_next() -> None:
    many = [
        request(span(f"operation {i}", attributes={f"key {i}.{k}": f"value {i}.{k}" for k in range(60)}))
        for i in range(30)
    ]
    for message in many + many:
        assert assert_same(message.SerializeToString())


def test_what_it_knows_of_senders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracescape_ingest.fast_spans._MAX_KNOWN", 4)
    fast = FastSpans(SEED)
    for number in range(30):
        assert fast.scan(request(span(), service=f"service {number}").SerializeToString()) is not None
        assert len(fast._senders) <= 4


def test_a_column_that_the_store_has_by_now_is_filled_from_the_next_request_on() -> None:
    stored: list[dict[str, str]] = [{}]
    fast = FastSpans(SEED, lambda: stored[0])
    data = request(span(attributes={"custom": "x"})).SerializeToString()
    seen = []
    for columns in ({}, {"custom": "VARCHAR"}):
        stored[0] = columns
        found = fast.scan(data)
        assert found is not None
        seen.append([key for key, _ in found[0].columns])
    assert seen == [[], ["custom"]]


def test_a_key_that_two_threads_miss_at_once_gets_one_column() -> None:
    fast = FastSpans(SEED)
    before = fast._scanning
    status = fast._wanted - [key for key, _ in before.wanted].index("server.port")
    for _ in range(2):
        assert [key for key, _ in fast._more_columns(before, status).columns] == ["server.port"]


def test_more_keys_than_the_key_table_holds_in_one_request() -> None:
    spans = [span(attributes={f"key {i}.{k}": k for k in range(100)}) for i in range(60)]
    assert assert_same(request(*spans).SerializeToString())


def test_more_different_names_than_any_table_has_room_for() -> None:
    spans = [span(f"operation {i}", attributes={"server.address": f"host {i}"}) for i in range(6000)]
    assert assert_same(request(*spans).SerializeToString())


def test_the_numbers_of_messages_begin_again_after_billions_of_them() -> None:
    """A collector runs for months; a text must still be noted once."""
    data = request(*(span("the same") for _ in range(50))).SerializeToString()
    scanner = FastSpans(SEED)._scanning.scanner
    table = scanner._scratch.table
    for number in (0, 2**31 - 3):
        table[0] = number
        for _ in range(5):
            assert len(scanner.scan(np.frombuffer(data, np.uint8)).texts) == 1


def test_many_resources_scopes_events_and_links() -> None:
    message = ExportTraceServiceRequest()
    for number in range(300):
        full = span(f"s{number}")
        for place in range(number % 7):
            full.events.add(time_unix_nano=place, name=f"e{place}")
            full.links.add(trace_id=b"l" * 16, span_id=bytes([1 + place]) * 8)
        message.MergeFrom(request(full, service=f"service {number % 90}"))
    assert assert_same(message.SerializeToString())


def test_attributes_fill_a_span_up_to_the_bound_of_the_fast_path() -> None:
    for count in (255, 256, 257, 300):
        data = request(span(attributes={f"k{i}": i for i in range(count)})).SerializeToString()
        assert assert_same(data) == (count <= 256)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 20_000])
@pytest.mark.parametrize("filler", ["x", "é", "€", "😀", '"', "\\", "\x01", "\n"])
def test_text_of_any_length_in_every_place(length: int, filler: str) -> None:
    text = (filler * length)[:length]
    message = span(text, attributes={text or "k": text, "server.address": text, "nested": {text: [text]}})
    message.trace_state, message.status.message = text, text
    message.events.add(name=text)
    link = message.links.add(trace_id=b"l" * 16, span_id=b"m" * 8, trace_state=text)
    link.attributes.extend(key_values({"last": text}))
    taken = assert_same(request(message, service=text).SerializeToString())
    assert taken or len(text.encode()) > 1024  # a key that long is left to the reference


def test_lengths_and_numbers_that_are_not_written_shortest_mean_the_same() -> None:
    plain = span("a", attributes={"k": 5}).SerializeToString()
    padded = varint(10) + varint(16, 3) + plain[2:]
    for content in (plain, padded):
        data = run(1, run(2, run(2, content)))
        assert assert_same(data)


def test_numbers_are_typed_as_they_were_sent() -> None:
    result = compiled(request(span(attributes={"i": 1, "d": 1.0, "b": True, "z": -0.0})).SerializeToString())
    assert result is not None
    (row,) = rows(result.tables["spans"])
    assert row["attributes"] == {
        "i": 1, "d": ("double", 1.0.hex()), "b": ("bool", True), "z": ("double", (-0.0).hex()),
    }  # fmt: skip


def test_values_at_their_very_limits() -> None:
    """No duration, a zero with a sign in a column, an event beyond 2262."""
    corner = span("corner", start=5, end=5, attributes={"ratio": -0.0})
    corner.events.add(time_unix_nano=2**63)
    assert assert_same(request(corner).SerializeToString())


def test_bad_ids_and_times_are_counted_without_leaving_the_fast_path() -> None:
    bad = [span(trace_id=b"x" * length) for length in (1, 1, 2)] + [span(start=2, end=1)]
    found = fast_spans().scan(request(span("good"), *bad, span("also")).SerializeToString())
    assert found is not None
    content, reasons = found
    assert len(content) == 2
    assert reasons == {
        "the trace id has 1 bytes, not 16": 2,
        "the trace id has 2 bytes, not 16": 1,
        "the span ends before it starts": 1,
    }


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_once_compiled_nothing_is_compiled_again() -> None:
    """Neither by a message of another size nor by what is kept of it: nobody waits for a compiler later."""
    from tracescape_native import otlp_traces, span_columns, wire

    fast_spans().compile()
    kernels = [
        kernel
        for module in (otlp_traces, span_columns, wire)
        for kernel in vars(module).values()
        if hasattr(kernel, "signatures")
    ]
    before = [len(kernel.signatures) for kernel in kernels]
    for count in (1, 40, 2000):
        spans = [span(f"operation {i}", attributes={"server.port": i, "n": [i, 0.5]}) for i in range(count)]
        data = request(*spans).SerializeToString()
        assert compiled(data) is not None
        found = fast_spans().scan(data)
        assert found is not None
        for mask in (np.arange(count) % 3 == 0, np.arange(count) > 5, np.zeros(count, bool)):
            span_tables([found[0].keep(mask), found[0]])
    assert [len(kernel.signatures) for kernel in kernels] == before


def test_what_a_fuzzer_found_interesting_is_still_the_same_to_both() -> None:
    """Small messages that each take a way of their own through the scan, and mutants of them.

    A fuzzer that follows coverage (atheris) found them in the kernels without the JIT.
    """
    random = Random(4319)
    saved = [path.read_bytes() for path in sorted(_CORPUS.glob("*.bin"))]
    assert len(saved) > 50
    for message in saved:
        assert_same(message)
        for _ in range(20):
            assert_same(mutated(random, message))
