"""What methods are given, looked at by its name before they run: a sentence instead of a traceback."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from tracescape_analytics.health import Thresholds

T = TypeVar("T")

_MAX_TEXT: Final = 4_096
_PATH: Final = "a text or a Path"
_DURATION: Final = "a duration, such as '200ms', or whole nanoseconds"


def checks_arguments(kind: type[T]) -> type[T]:
    """A class whose public methods look at their arguments first. ``ValueError`` says what one should be."""
    for name in {name for base in kind.__mro__[:-1] for name in vars(base) if not name.startswith("_")}:
        method = inspect.getattr_static(kind, name)
        if inspect.isfunction(method) and len(inspect.signature(method).parameters) > 1:
            setattr(kind, name, _checking(method))
    return kind


def text(name: str, value: object) -> str:
    """``value``, if it is a text that can be asked for. Raises ``ValueError``."""
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    if len(value) > _MAX_TEXT:
        raise ValueError(f"{name} is a text of {len(value):,} characters; {_MAX_TEXT:,} are the limit")
    return encodable(name, value)


def encodable(name: str, value: object) -> str:
    """As `text`, of any length."""
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is no text: half of a surrogate pair stands alone in it") from None
    return value


def number(name: str, value: object) -> None:
    """Raises ``ValueError`` unless ``value`` is a finite number."""
    # What compares and adds like a number is one, NumPy's too; a text that looks like one is none.
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise _wrong(name, "a number", value)
    try:
        finite = math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        finite = False
    if not finite:
        raise _wrong(name, "a number", value)


def whole(name: str, value: object) -> int:
    """``value``, if it is a whole number of 64 bits. Raises ``ValueError``."""
    try:
        found = operator.index(value)  # type: ignore[arg-type]  # what has no index is an error
    except TypeError:
        raise _wrong(name, "a whole number", value) from None
    if isinstance(value, bool) or not -(2**63) <= found < 2**63:
        raise _wrong(name, "a whole number of 64 bits", value)
    return found


def path(name: str, value: object) -> str | os.PathLike[str]:
    """``value``, if a file may be called so. Raises ``ValueError``."""
    if not isinstance(value, str | os.PathLike):
        raise _wrong(name, _PATH, value)
    if not os.fspath(value) or "\0" in os.fspath(value):
        raise _wrong(name, f"{_PATH}, not empty and without a NUL", value)
    encodable(name, os.fspath(value))
    return value


def _duration(name: str, value: object) -> object:
    return text(name, value) if isinstance(value, str) else whole_or(name, value, _DURATION)


def whole_or(name: str, value: object, expected: str) -> int:
    """As `whole`, where more than that would do."""
    try:
        return whole(name, value)
    except ValueError:
        raise _wrong(name, expected, value) from None


def _of(kind: type, expected: str) -> Callable[[str, object], object]:
    def check(name: str, value: object) -> object:
        if not isinstance(value, kind):
            raise _wrong(name, expected, value)
        return value

    return check


_TEXTS: Final = (
    *("service", "operation", "kind", "status", "environment", "contains", "name", "trace_id", "after"),
    *("order", "by", "form", "score", "span_id", "theme", "title"),
)
_CHECKS: Final[dict[str, Callable[[str, object], object]]] = {
    **dict.fromkeys(_TEXTS, text),
    **dict.fromkeys(("min_duration", "max_duration", "step"), _duration),
    **dict.fromkeys(("tolerance", "slowest", "poll_s"), number),
    "query": encodable,
    **dict.fromkeys(("limit", "indent", "rank"), whole),
    "path": path,
    "thresholds": _of(Thresholds, "of ts.Thresholds, such as ts.Thresholds(calls=100)"),
    "attributes": _of(Mapping, "a dict of attributes, such as {'user.id': '42'}"),
}


def _checking(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)
    checks = {name: _CHECKS[name] for name in signature.parameters if name in _CHECKS}
    optional = {name for name in checks if signature.parameters[name].default is None}

    @functools.wraps(method)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return method(*args, **kwargs)  # which says it better
        for name, check in checks.items():
            if name in given and not (given[name] is None and name in optional):
                check(name, given[name])
        return method(*args, **kwargs)

    return checked if checks else method


def _wrong(name: str, expected: str, value: object) -> ValueError:
    return ValueError(f"{name} is {expected}, not {value!r:.80}")
