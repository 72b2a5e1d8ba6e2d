from __future__ import annotations

import pyarrow as pa

from tracescape_analytics.span_forest import dictionary_codes, trace_numbers


def test_trace_numbers() -> None:
    a, b = b"a" * 16, b"b" * 16
    chunked = pa.chunked_array([[b, a], [b]], type=pa.binary())
    assert trace_numbers(chunked)[0].tolist() == [0, 1, 0]
    assert trace_numbers(chunked.slice(1))[0].tolist() == [0, 1]
    assert trace_numbers(chunked.slice(3))[1] == 0
    fixed = pa.chunked_array([[a, b, a]], type=pa.binary(16))
    assert trace_numbers(fixed.slice(1))[0].tolist() == [0, 1]


def test_trace_ids_of_another_length_are_told_apart_too() -> None:
    codes, count = trace_numbers(pa.chunked_array([[b"short", b"a" * 16, b"short"]], type=pa.binary()))
    assert (codes.tolist(), count) == ([0, 1, 0], 2)


def test_dictionary_codes() -> None:
    plain = pa.chunked_array([["b", None], ["a", "b"]])
    first = pa.array(["b", None]).dictionary_encode()
    second = pa.array(["a", "b"]).dictionary_encode()
    for column in (plain, pa.chunked_array([first, second])):  # a dictionary a chunk
        codes, names = dictionary_codes(column)
        assert [names[code] if code >= 0 else None for code in codes] == ["b", None, "a", "b"]
    assert dictionary_codes(pa.chunked_array([], type=pa.string()))[0].tolist() == []
