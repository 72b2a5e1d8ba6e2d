"""Attribute values as JSON text, and back, without losing their type.

A store keeps attributes as JSON text, which DuckDB can query. JSON has no bytes and no NaN, so those two
travel as one-key objects: ``{"$bytes": "<base64>"}`` and ``{"$double": "NaN"}``. A real map whose key
begins with ``$`` gets that ``$`` doubled. Integers stay integers of 64 bits; a double always carries a point
or an exponent, so 1.0 does not come back as 1.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

AttributeValue: TypeAlias = (
    str | bool | int | float | bytes | Sequence["AttributeValue"] | Mapping[str, "AttributeValue"] | None
)

_BYTES = "$bytes"
_DOUBLE = "$double"
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_EMPTY = "{}"


def encode_attributes(attributes: Mapping[str, AttributeValue]) -> str:
    """JSON text of ``attributes``; ``{}`` when there are none."""
    if not attributes:
        return _EMPTY
    return _json(_escape_map(attributes))


def decode_attributes(text: str | None) -> dict[str, AttributeValue]:
    """The attributes behind ``text``: the inverse of `encode_attributes`.

    Text that is no JSON object, as a foreign tool may have written it, raises ``ValueError``.
    """
    if not text or text == _EMPTY:
        return {}
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"attributes are not a JSON object: {text[:80]!r}")
    return {_unescape_key(key): _unescape(item) for key, item in value.items()}


def encode_value(value: AttributeValue) -> str:
    """JSON text of one value, such as a log's body, by the rules of attributes; ``null`` for an empty one."""
    return _json(_escape(value))


def decode_value(text: str) -> AttributeValue:
    """The value behind ``text``: the inverse of `encode_value`. Raises ``ValueError`` for what is no JSON."""
    return _unescape(json.loads(text))


def _json(value: object) -> str:
    text: str = _ENCODER.encode(value)
    return text


def _escape_map(attributes: Mapping[str, AttributeValue]) -> dict[str, object]:
    return {("$" + key if key.startswith("$") else key): _escape(value) for key, value in attributes.items()}


def _escape(value: AttributeValue) -> object:
    if isinstance(value, str | int):
        return value
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return {_DOUBLE: "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, Mapping):
        return _escape_map(value)
    if isinstance(value, Sequence):
        return [_escape(item) for item in value]
    return value


def _unescape_key(key: str) -> str:
    return key[1:] if key.startswith("$$") else key


def _unescape(value: object) -> AttributeValue:
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, item),) = value.items()
            if key == _BYTES and isinstance(item, str):
                try:
                    return base64.b64decode(item, validate=True)
                except binascii.Error as error:
                    raise ValueError(f"attribute bytes are not base64: {item[:80]!r}") from error
            if key == _DOUBLE and isinstance(item, str):
                return float(item)
        return {_unescape_key(key): _unescape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unescape(item) for item in value]
    assert value is None or isinstance(value, str | bool | int | float)
    return value
