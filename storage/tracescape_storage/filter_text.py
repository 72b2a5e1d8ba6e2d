"""The text form of a filter: ``http.route = "/cart" and duration > 200ms and not event.name exists``.

::

    filter     = and {"or" and}
    and        = unary {"and" unary}
    unary      = "not" unary | "(" filter ")" | name "exists" | name operator value
    operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | "contains" | "matches"
    name       = WORD | TEXT | ("span." | "resource." | "scope." | "event.") TEXT
    value      = TEXT | NUMBER | DURATION | "true" | "false" | WORD of a kind or a status

A TEXT stands in double or single quotes, with the escapes of JSON. ``str`` of a filter is its text form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from tracescape_storage.filters import (
    MAX_DEPTH,
    MAX_TEXT,
    AllOf,
    AnyOf,
    Field,
    Filter,
    FilterError,
    Not,
    Operator,
    Value,
    attribute,
    check_size,
    compare,
    field,
    quoted,
)

MAX_FILTER: Final = 16_384

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<duration>(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h|d))+(?![\w.]))
    | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]))
    | (?P<word>[^\W\d][\w\-/:@$.]*)
    | (?P<sign>!=|<=|>=|==|=~|=|<|>|\(|\)|&&|\|\|)
    | (?P<end>$)
    | (?P<wrong>\S+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ALIASES: Final = {"==": "=", "=~": "matches", "&&": "and", "||": "or"}
_OPERATORS: Final[dict[str, Operator]] = {
    "=": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "contains": "contains",
    "matches": "matches",
}
_KEYWORDS: Final = frozenset({"and", "or", "not", "exists", "contains", "matches"})


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """What it is in the grammar: a sign or a keyword in lower case, else the empty text."""
        if self.kind == "sign":
            return _ALIASES.get(self.text, self.text)
        lower = self.text.lower()
        return lower if self.kind == "word" and lower in _KEYWORDS else ""


def parse_filter(text: str) -> Filter:
    """The filter that ``text`` says; an empty text is a filter that is true everywhere.

    Raises:
        FilterError: it is none. The message has the place, what stands there and what could.
    """
    if len(text) > MAX_FILTER:
        raise FilterError(f"a filter of {len(text):,} characters; {MAX_FILTER:,} are the limit")
    parser = _Parser(text)
    if parser.token.kind == "end":
        return AllOf(())
    found = parser.either(0)
    if parser.token.kind != "end":
        raise parser.wrong("expected 'and', 'or' or the end")
    check_size(found)
    return found


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.token = self._next(0)

    def either(self, depth: int) -> Filter:
        parts = [self._both(depth)]
        while self.token.word == "or":
            self._advance()
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _both(self, depth: int) -> Filter:
        parts = [self._unary(depth)]
        while self.token.word == "and":
            self._advance()
            parts.append(self._unary(depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _unary(self, depth: int) -> Filter:
        if depth >= MAX_DEPTH:
            raise self.wrong(f"nested more than {MAX_DEPTH} levels deep")
        if self.token.word == "not":
            self._advance()
            return Not(self._unary(depth + 1))
        if self.token.word == "(":
            opened = self._advance()
            inner = self.either(depth + 1)
            if self.token.word != ")":
                raise self.wrong(f"expected ')' for the '(' at column {opened.start + 1}")
            self._advance()
            return inner
        return self._comparison()

    def _comparison(self) -> Filter:
        first = self.token
        name = self._name()
        if self.token.word == "exists":
            self._advance()
            return self._made(first, name, "exists", True)
        operator = _OPERATORS.get(self.token.word)
        if operator is None:
            raise self.wrong(f"expected {', '.join(_OPERATORS)} or exists after {name}")
        self._advance()
        at = self.token
        return self._made(at, name, operator, self._value(name))

    def _made(self, at: _Token, name: Field, operator: Operator, value: Value) -> Filter:
        try:
            return compare(name, operator, value)
        except FilterError as error:
            raise self.wrong(str(error), at) from None

    def _name(self) -> Field:
        token = self.token
        if token.word or token.kind not in ("word", "text"):
            raise self.wrong("expected a field or an attribute's key")
        self._advance()
        if token.kind == "text":
            return Field("any", self._checked(attribute, "span." + self._unquoted(token), token).key)
        follower = self.token
        if token.text.endswith(".") and follower.kind == "text" and follower.start == token.end:
            if token.text not in ("span.", "resource.", "scope.", "event."):
                raise self.wrong("only span, resource, scope and event have attributes", token)
            self._advance()
            return self._checked(attribute, token.text + self._unquoted(follower), token)
        if token.text.endswith("."):
            raise self.wrong("a key ends in a dot only in quotes", token)
        return self._checked(field, token.text, token)

    def _checked(self, made: Callable[[str], Field], name: str, at: _Token) -> Field:
        try:
            return made(name)
        except FilterError as error:
            raise self.wrong(str(error), at) from None

    def _value(self, name: Field) -> Value:
        token = self._advance()
        if token.kind == "text":
            return self._unquoted(token)
        if token.kind == "number":
            return self._number(name, token)
        if token.kind == "duration":
            if not name.owner and name.key == "duration":
                return token.text
            raise self.wrong(f"only the field duration takes a duration, and {name} is not it", token)
        lower = token.text.lower()
        if token.kind == "word" and lower in ("true", "false"):
            return lower == "true"
        if token.kind == "word" and not name.owner and name.key in ("kind", "status"):
            return token.text
        if token.kind == "word" and not token.word:
            raise self.wrong(f'a text stands in quotes: "{token.text}"', token)
        raise self.wrong("expected a text in quotes, a number, a duration, true or false", token)

    def _number(self, name: Field, token: _Token) -> Value:
        if not name.owner and name.key == "duration":
            raise self.wrong(f"a duration has a unit: {token.text}ms, {token.text}s", token)
        if len(token.text) > 400:
            raise self.wrong("a number of so many digits", token)
        if re.fullmatch(r"-?[0-9]+", token.text):
            return int(token.text)
        return float(token.text)

    def _unquoted(self, token: _Token) -> str:
        if len(token.text) > 6 * MAX_TEXT:
            raise self.wrong(f"a text of more than {MAX_TEXT:,} characters", token)
        text = token.text
        if text[0] == "'":
            inner = re.sub(r"\\.|\"", lambda found: _in_double_quotes(found[0]), text[1:-1], flags=re.DOTALL)
            text = f'"{inner}"'
        try:
            return str(json.loads(text, strict=False))
        except ValueError:
            raise self.wrong("a backslash is written \\\\, and the other escapes as in JSON", token) from None

    def _advance(self) -> _Token:
        token = self.token
        self.token = self._next(token.end)
        return token

    def _next(self, position: int) -> _Token:
        match = _TOKEN.match(self._text, position)
        assert match is not None, "the last alternative takes anything"
        kind = str(match.lastgroup)
        token = _Token(kind, match[kind], match.start(kind), match.end())
        if kind == "wrong":
            reason = (
                "a quote that does not end"
                if token.text[0] in "\"'"
                else "this is nothing of a filter; texts stand in quotes"
            )
            raise self.wrong(reason, token)
        return token

    def wrong(self, reason: str, at: _Token | None = None) -> FilterError:
        """The error for ``reason`` at a token, the next one by default."""
        token = at or self.token
        if token.kind == "end":
            where = "at its end"
        else:
            shown = token.text if len(token.text) <= 40 else token.text[:39] + "…"
            where = (
                f"at column {token.start + 1}, {quoted(shown)[1:-1] if not shown.isprintable() else shown}"
            )
        return FilterError(f"the filter is wrong {where}: {reason}")


def _in_double_quotes(part: str) -> str:
    """A character or an escape between single quotes, as it is written between double ones."""
    if part == '"':
        return '\\"'
    return "'" if part == "\\'" else part
