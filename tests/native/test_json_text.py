"""Text inside kernels is checked and written as Python does it."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracescape_native.json_text import (
    BAD_TEXT,
    SLACK,
    copy_text,
    is_utf8,
    same_text,
    write_any_text,
    write_base64,
    write_text,
)

_texts = st.text(max_size=80) | st.text('ab"\\\n\x00\x1f\x7fé€😀', max_size=100) | st.text("x/", max_size=70)
_bytes = st.binary(max_size=60) | _texts.map(str.encode)


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


@pytest.mark.parametrize("write", [write_text, write_any_text])
@pytest.mark.parametrize("behind", [0, 5, 64])
@given(text=_texts)
def test_text_is_written_as_json_dumps_writes_it(write: object, behind: int, text: str) -> None:
    data = b"##" + text.encode() + b"\xff" * behind
    out = np.zeros(6 * len(data) + SLACK, np.uint8)
    end = int(write(array(data), 2, len(data) - behind, len(data), out, 3))  # type: ignore[operator]
    assert out[3:end].tobytes().decode() == json.dumps(text, ensure_ascii=False)[1:-1]


def is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@given(_bytes)
def test_bytes_that_are_no_utf8_are_refused_everywhere(data: bytes) -> None:
    out = np.zeros(6 * len(data) + SLACK, np.uint8)
    right = is_text(data)
    assert is_utf8(array(data), 0, len(data)) == right
    assert (write_text(array(data), 0, len(data), len(data), out, 0) != BAD_TEXT) == right
    assert (copy_text(array(data), 0, len(data), out, 0) != BAD_TEXT) == right


def test_every_lead_byte_with_every_second_byte() -> None:
    for tail in (b"", b"\x80", b"\x80\x80", b"\x80\x80\x80"):
        for lead in range(256):
            for second in (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF):
                data = bytes([lead, second]) + tail
                assert is_utf8(array(data), 0, len(data)) == is_text(data), data


@given(st.binary(max_size=60))
def test_base64(data: bytes) -> None:
    out = np.zeros(2 * len(data) + 8, np.uint8)
    end = int(write_base64(array(b"#" + data), 1, 1 + len(data), out, 2))
    assert out[2:end].tobytes() == base64.b64encode(data)


@given(st.binary(max_size=80), st.binary(max_size=80), st.integers(0, 80))
def test_equality(one: bytes, other: bytes, length: int) -> None:
    length = min(length, len(one), len(other))
    expected = one[:length] == other[:length]
    assert same_text(array(one + b"#"), 0, array(b"##" + other), 2, length) == expected
    assert same_text(array(one), 0, array(b"#" + one), 1, len(one))
