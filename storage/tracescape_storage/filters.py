"""Conditions on spans, as Python objects: what a search, a tail and a frame of spans are asked with.

>>> (field("http.route") == "/cart") & (field("duration") > "200ms") & ~field("event.exception.type").exists()

A field has values: none, one, or several (a span has several events). A comparison is true when some value
makes it true; so it is false where the field has none, ``!=`` too. ``~`` turns exactly that around. Values
keep their types: ``"42"`` is never 42; 42 and 42.0 are the same number; true is no number. ``!=`` is true for
any value but the one named, of whatever type; the other comparisons only for values of its type.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from tracescape_storage.durations import parse_duration

Value: TypeAlias = str | bool | int | float
Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "contains", "matches", "exists"]
Owner: TypeAlias = Literal["", "any", "span", "resource", "scope", "event"]

KINDS: Final = ("unset", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")

#: The fields that are no attributes, and what kind of value they have.
FIELDS: Final[dict[str, str]] = {
    "service": "text",
    "operation": "text",
    "kind": "kind",
    "status": "status",
    "status_message": "text",
    "duration": "duration",
    "duration_ns": "integer",
    "start_ns": "integer",
    "end_ns": "integer",
    "trace_id": "id of 32 hex digits",
    "span_id": "id of 16 hex digits",
    "parent_span_id": "id of 16 hex digits",
    "scope.name": "text",
    "scope.version": "text",
    "event.name": "text",
}

_WORDS: Final = {"kind": KINDS, "status": STATUSES}
_EQUALITY: Final = ("=", "!=", "exists")
_ORDER: Final = ("=", "!=", "<", "<=", ">", ">=", "exists")
#: The operators that make sense for each kind of value; all for text, which attributes may be too.
_OPERATORS: Final[dict[str, tuple[str, ...]]] = {
    "kind": _EQUALITY,
    "status": _EQUALITY,
    "duration": _ORDER,
    "integer": _ORDER,
    "id of 32 hex digits": _EQUALITY,
    "id of 16 hex digits": _EQUALITY,
}
_PLAIN_KEY: Final = re.compile(r"[^\W\d][\w\-/:@$]*(?:\.[\w\-/:@$]+)+")
_SIMPLE_KEY: Final = re.compile(r"[^\W\d][\w\-/:@$]*(?:\.[\w\-/:@$]+)*")

_NO_TEXTS: Final = pa.array([""])

MAX_CONDITIONS: Final = 100
MAX_DEPTH: Final = 50
MAX_KEY: Final = 1_024
MAX_TEXT: Final = 4_096
MAX_PATTERN: Final = 1_000


class FilterError(ValueError):
    """A filter that cannot be asked. The message says what is wrong and what could be written."""


class Filter:
    """A condition on spans: a comparison, or several joined with ``&`` and ``|`` and turned with ``~``."""

    def __and__(self, other: Filter) -> AllOf:
        return AllOf((*_parts(AllOf, self), *_parts(AllOf, _filter(other))))

    def __or__(self, other: Filter) -> AnyOf:
        return AnyOf((*_parts(AnyOf, self), *_parts(AnyOf, _filter(other))))

    def __invert__(self) -> Not:
        return Not(self)

    def __bool__(self) -> bool:
        raise TypeError("a filter is neither true nor false: join filters with & and |, and turn one with ~")


@dataclass(frozen=True, eq=False)
class Field:
    """Something of a span that has values. Comparing it makes a `Filter`.

    Attributes:
        owner: whose attribute it is; ``any`` means the span's or its resource's, ``""`` a field of `FIELDS`.
        key: the attribute's key, or the field's name.
    """

    owner: Owner
    key: str

    # Comparing a field asks nothing of it: it makes a filter, so `object`'s types and hash do not fit.
    def __eq__(self, value: Value) -> Comparison:  # type: ignore[override]
        return compare(self, "=", value)

    def __ne__(self, value: Value) -> Comparison:  # type: ignore[override]
        return compare(self, "!=", value)

    def __lt__(self, value: Value) -> Comparison:
        return compare(self, "<", value)

    def __le__(self, value: Value) -> Comparison:
        return compare(self, "<=", value)

    def __gt__(self, value: Value) -> Comparison:
        return compare(self, ">", value)

    def __ge__(self, value: Value) -> Comparison:
        return compare(self, ">=", value)

    __hash__ = None  # type: ignore[assignment]

    def exists(self) -> Comparison:
        """Where the field has any value."""
        return compare(self, "exists", True)

    def contains(self, text: str) -> Comparison:
        """Where it is a text with ``text`` in it, upper and lower case as written."""
        return compare(self, "contains", text)

    def matches(self, pattern: str) -> Comparison:
        """Where it is a text in which the regular expression (RE2) finds something."""
        return compare(self, "matches", pattern)

    def __str__(self) -> str:
        if not self.owner:
            return self.key
        taken = f"{self.owner}.{self.key}" in FIELDS
        if self.owner == "any":
            plain = _PLAIN_KEY.fullmatch(self.key) and not _owner_of(self.key)[0]
            return self.key if plain and self.key not in FIELDS else quoted(self.key)
        key = self.key if _SIMPLE_KEY.fullmatch(self.key) and not taken else quoted(self.key)
        return f"{self.owner}.{key}"


@dataclass(frozen=True)
class Comparison(Filter):
    """One field, one operator, one value. `field` and the operators make it; it is always a valid one.

    ``value`` of ``kind`` and ``status`` is the word, of ``duration`` it is nanoseconds, of ids hex text, of
    ``exists`` it is true.
    """

    owner: Owner
    key: str
    operator: Operator
    value: Value

    @property
    def field(self) -> Field:
        """What is compared."""
        return Field(self.owner, self.key)

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and True are equal to Python, but not the same condition.
        return isinstance(other, Comparison) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return self.owner, self.key, self.operator, type(self.value), repr(self.value)

    def __str__(self) -> str:
        name = str(self.field)
        if self.operator == "exists":
            return f"{name} exists"
        if not self.owner and self.key == "duration":
            return f"{name} {self.operator} {self.value}ns"
        value = quoted(self.value) if isinstance(self.value, str) else json.dumps(self.value)
        return f"{name} {self.operator} {value}"


@dataclass(frozen=True)
class AllOf(Filter):
    """True where every part is; without parts, everywhere."""

    parts: tuple[Filter, ...]

    def __str__(self) -> str:
        return " and ".join(_grouped(part, (AnyOf, AllOf)) for part in self.parts)


#: The filter that is true of every span.
EVERYTHING: Final = AllOf(())


@dataclass(frozen=True)
class AnyOf(Filter):
    """True where some part is; without parts, nowhere."""

    parts: tuple[Filter, ...]

    def __str__(self) -> str:
        return " or ".join(_grouped(part, (AnyOf,)) for part in self.parts)


@dataclass(frozen=True)
class Not(Filter):
    """True where ``part`` is not."""

    part: Filter

    def __str__(self) -> str:
        return "not " + _grouped(self.part, (AnyOf, AllOf))


def field(name: str) -> Field:
    """The field called ``name``: one of `FIELDS`, or an attribute by its key.

    ``span.KEY``, ``resource.KEY``, ``scope.KEY`` and ``event.KEY`` say whose attribute it is; ``KEY`` alone
    is the span's or its resource's. ``Field("event", "name")`` is the attribute where a field has that name.

    Raises:
        FilterError: a word without a dot that is no field; attributes called so are ``span.WORD``.
    """
    _text_name(name)
    if name in FIELDS:
        return Field("", name)
    owner, key = _owner_of(name)
    if owner:
        return Field(owner, _checked_key(key))
    if "." not in name:
        close = near(name, FIELDS)
        meant = f"did you mean {close[0]}? " if close else f"fields are {', '.join(FIELDS)}. "
        raise FilterError(
            f"there is no field {name[:80]!r}; {meant}An attribute of that name: span.{name[:80]}"
        )
    return Field("any", _checked_key(name))


def attribute(name: str) -> Field:
    """As `field`, but every name is an attribute's key; ``span.``, ``resource.`` … say whose."""
    owner, key = _owner_of(_text_name(name))
    return Field(owner, _checked_key(key)) if owner else Field("any", _checked_key(name))


def compare(field: Field, operator: Operator, value: Value) -> Comparison:
    """The comparison, checked. Raises `FilterError` for a value or an operator that the field has not."""
    kind = "attribute" if field.owner else FIELDS.get(field.key, "")
    _checked_key(field.key)
    if not kind:
        raise FilterError(f"there is no field {field.key[:80]!r}; fields are {', '.join(FIELDS)}")
    allowed = _OPERATORS.get(kind)
    if allowed is not None and operator not in allowed:
        raise FilterError(f"{field} is a {kind}; it takes {', '.join(allowed)}, not {operator}")
    if operator != "exists":
        value = _attribute_value(operator, value) if kind == "attribute" else _value(field, kind, value)
        value = _text(field, operator, value) if operator in ("contains", "matches") else value
    return Comparison(field.owner, field.key, operator, value)


def comparisons(condition: Filter) -> Iterator[Comparison]:
    """Every comparison in ``condition``."""
    for comparison, _ in _walk(condition, 0, False):
        yield comparison


def required_values(condition: Filter, key: str) -> list[str]:
    """What the field ``key`` of `FIELDS` is asked to equal, outside of any ``~``."""
    return [
        str(found.value)
        for found, turned in _walk(condition, 0, False)
        if not turned and not found.owner and found.key == key and found.operator == "="
    ]


def check_size(condition: Filter) -> None:
    """Raises `FilterError` for more than `MAX_CONDITIONS` comparisons or `MAX_DEPTH` levels."""
    for number, _ in enumerate(comparisons(condition), 1):
        if number > MAX_CONDITIONS:
            raise FilterError(f"the filter has more than {MAX_CONDITIONS} conditions")


def near(wanted: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """The names most like ``wanted``, best first."""
    return difflib.get_close_matches(wanted.lower(), list(names), n=limit)


def quoted(text: str) -> str:
    """``text`` between double quotes as a filter has it: what cannot be seen is escaped."""
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in shown)


def _walk(condition: Filter, depth: int, turned: bool) -> Iterator[tuple[Comparison, bool]]:
    if depth > MAX_DEPTH:
        raise FilterError(f"the filter is nested more than {MAX_DEPTH} levels deep")
    if isinstance(condition, Comparison):
        yield condition, turned
    elif isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from _walk(part, depth + 1, turned)
    elif isinstance(condition, Not):
        yield from _walk(condition.part, depth + 1, not turned)
    else:
        raise FilterError(f"{condition!r} is no filter: compare a field, as in field('service') == 'cart'")


def _parts(kind: type[AllOf] | type[AnyOf], condition: Filter) -> tuple[Filter, ...]:
    return condition.parts if isinstance(condition, kind) else (condition,)


def _filter(value: Filter) -> Filter:
    if not isinstance(value, Filter):
        raise TypeError(f"& and | join filters, and {value!r:.80} is none; put comparisons in parentheses")
    return value


def _grouped(part: Filter, kinds: tuple[type, ...]) -> str:
    return f"({part})" if isinstance(part, kinds) else str(part)


def _owner_of(name: str) -> tuple[Owner, str]:
    for owner in ("span", "resource", "scope", "event"):
        if name.startswith(owner + "."):
            return owner, name[len(owner) + 1 :]
    return "", name


def _text_name(name: object) -> str:
    if not isinstance(name, str):
        raise FilterError(f"a field is called by its name, a text such as 'http.route', not {name!r:.80}")
    return name


def _checked_key(key: str) -> str:
    if len(key) > MAX_KEY:
        raise FilterError(f"an attribute key of {len(key):,} characters; {MAX_KEY:,} are the limit")
    return _encodable(key)


def _attribute_value(operator: Operator, value: Value) -> Value:
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, bool):
        if operator not in ("=", "!="):
            raise FilterError(f"true and false are equal or not; {operator} does not order them")
        return value
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise FilterError(f"{value!r:.80} is no value to compare with; those are texts, numbers, true and false")


def _value(field: Field, kind: str, value: Value) -> Value:
    """The value as `Comparison` keeps it, for a field that is no attribute."""
    if kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return _whole(value)
    if kind == "duration" and not isinstance(value, bool):
        return _duration(value)
    if not isinstance(value, str):
        raise FilterError(f"{field} is compared with {_example(kind)}, not with {value!r:.80}")
    if kind in _WORDS:
        return _word(kind, value)
    if kind.startswith("id"):
        return _id(field, value, 32 if "32" in kind else 16)
    if kind == "integer":
        raise FilterError(f"{field} is compared with {_example(kind)}, not with {value[:80]!r}")
    return _encodable(value)


def _whole(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise FilterError("whole numbers have 64 bits; this one is beyond them")
    return value


def _duration(value: Value) -> int:
    if isinstance(value, int) and value >= 0:
        return _whole(value)
    if not isinstance(value, str):
        raise FilterError(f"duration is compared with a text such as '200ms' or whole ns, not {value!r:.80}")
    try:
        return parse_duration(value)
    except ValueError as error:
        raise FilterError(str(error)) from None


def _word(kind: str, value: str) -> str:
    word = value.lower()
    if word not in _WORDS[kind]:
        raise FilterError(f"there is no {kind} {value[:80]!r}; it is one of {', '.join(_WORDS[kind])}")
    return word


def _id(field: Field, value: str, digits: int) -> str:
    text = value.strip().lower().replace("-", "")
    if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", text):
        raise FilterError(f"{value[:80]!r} is no {field}: that is {digits} hexadecimal digits")
    return text


def _text(field: Field, operator: Operator, value: Value) -> str:
    if not isinstance(value, str):
        raise FilterError(f"{field} {operator} wants a text, not {value!r:.80}")
    if operator == "matches" and len(value) > MAX_PATTERN:
        raise FilterError(f"a pattern of {len(value):,} characters; {MAX_PATTERN:,} are the limit")
    if operator == "matches":
        _check_pattern(value)
    return value


def _check_pattern(pattern: str) -> None:
    try:
        pc.match_substring_regex(_NO_TEXTS, pattern)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ").removesuffix(".")
        raise FilterError(
            f"{quoted(pattern[:80])} is no regular expression ({reason}). The syntax is RE2's; in the words"
            " of the text itself, write contains."
        ) from None


def _example(kind: str) -> str:
    return {"integer": "a whole number of nanoseconds", "duration": "a duration such as '200ms'"}.get(
        kind, "a text"
    )


def _encodable(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise FilterError(f"a text of {len(text):,} characters; {MAX_TEXT:,} are the limit")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FilterError(f"{text[:80]!r} is no text: half of a surrogate pair stands alone in it") from None
    return text
