"""Where a page ended, as an opaque text that anybody may hold, lose or change."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any, Final, NamedTuple

_VERSION: Final = 1
_MAX_CURSOR: Final = 512
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_LIMIT: Final = 2**63


class Place(NamedTuple):
    """The last row of a page: what arrived by ``pinned`` counts, ``key`` and ``ties`` are its place in it.

    The first of ``ties`` is a trace id in hex, any others are integers.
    """

    pinned: int
    key: int
    ties: tuple[Any, ...]


class Cursor(NamedTuple):
    """The window of the first page, and where the last one ended."""

    since_ns: int | None
    until_ns: int | None
    place: Place


def write_cursor(identity: tuple[Any, ...], since_ns: int | None, until_ns: int | None, place: Place) -> str:
    """The text. ``identity`` is what must be asked again with it."""
    content = [_VERSION, _digest(identity), since_ns, until_ns, place.pinned, place.key, *place.ties]
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def read_cursor(text: str, identity: tuple[Any, ...], *, ties: int) -> Cursor:
    """The inverse of `write_cursor`. Raises ``ValueError`` for any other text and for another question's."""
    content = _decoded(text)
    sound = isinstance(content, list) and len(content) == 6 + ties and content[0] == _VERSION
    if sound and content[1] != _digest(identity):
        raise ValueError("after= is of another search: filter and order must be those of the page before")
    if not sound or not _sound(content):
        raise ValueError(f"{text[:40]!r} is no place in a search; after= takes what the page before gave")
    _, _, since_ns, until_ns, pinned, key, *rest = content
    return Cursor(since_ns, until_ns, Place(pinned, key, tuple(rest)))


def _decoded(text: str) -> Any:
    if len(text) > _MAX_CURSOR:
        return None
    try:
        return json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None


def _sound(content: list[Any]) -> bool:
    window, (pinned, key), (trace, *numbers) = content[2:4], content[4:6], content[6:]
    return (
        all(bound is None or _is_integer(bound) for bound in window)
        and all(_is_integer(number) for number in (pinned, key, *numbers))
        and isinstance(trace, str)
        and _TRACE_ID.fullmatch(trace) is not None
    )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LIMIT <= value < _LIMIT


def _digest(identity: tuple[Any, ...]) -> str:
    return hashlib.blake2b(repr(identity).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
