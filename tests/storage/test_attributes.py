"""Attribute values keep their types on the way through JSON text and through a store."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.otlp import batch, span
from tracescape_storage.attributes import (
    AttributeValue,
    decode_attributes,
    decode_value,
    encode_attributes,
    encode_value,
)
from tracescape_storage.duckdb_file import DuckDBStore

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    _TEXT,
    st.binary(max_size=9),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


def same(left: object, right: object) -> bool:
    """Equal, and of the same types all the way down: 1 is not 1.0 and not True."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@given(st.dictionaries(_TEXT, _VALUES, max_size=5))
def test_every_value_comes_back_with_its_type(attributes: dict[str, object]) -> None:
    assert same(decode_attributes(encode_attributes(attributes)), attributes)  # type: ignore[arg-type]


@given(_VALUES)
def test_a_single_value_comes_back_with_its_type(value: object) -> None:
    assert same(decode_value(encode_value(value)), value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("a", '"a"'),
        (1.0, "1.0"),
        (b"xx", '{"$bytes":"eHg="}'),
        ({"$bytes": 1}, '{"$$bytes":1}'),
    ],
)
def test_a_single_value_is_written_as_an_attributes_value_is(value: AttributeValue, text: str) -> None:
    assert encode_value(value) == text
    assert encode_attributes({"k": value}) == f'{{"k":{text}}}'


@pytest.mark.parametrize("text", ["", "hello", "{", '{"$bytes":"not base64"}'])
def test_text_that_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_value(text)


def test_not_a_number_comes_back() -> None:
    back = decode_attributes(encode_attributes({"x": math.nan, "y": math.inf, "z": -math.inf}))
    assert math.isnan(back["x"])  # type: ignore[arg-type]
    assert (back["y"], back["z"]) == (math.inf, -math.inf)


def test_a_map_that_looks_like_our_own_marks_stays_a_map() -> None:
    hostile = {"$bytes": {"$bytes": "eHg=", "$double": "NaN", "$$": 1}}
    assert decode_attributes(encode_attributes(hostile)) == hostile  # type: ignore[arg-type]


def test_text_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="not a JSON object"):
        decode_attributes("[1]")


def test_types_survive_the_store(tmp_path: Path) -> None:
    attributes: dict[str, object] = {
        "": "empty key",
        "nul\0": "nul\0",
        "A": -(2**63),
        "a": 2**63 - 1,
        "one": 1.0,
        "minus zero": -0.0,
        "bytes": b"\xff\0",
        "list": [1, 1.0, "1", [True, None]],
        "map": {"$bytes": "not bytes", "b": {}},
        "quote'\"": "é😀",
    }
    store = DuckDBStore(tmp_path / "t.db")
    store.append(batch(span(attributes=attributes)))
    text = store.reader().spans(["attributes"])["attributes"][0].as_py()
    store.close()
    assert same(decode_attributes(text), attributes)
