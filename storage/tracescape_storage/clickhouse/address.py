"""``clickhouse://user:password@host:port/database``: what a person types, taken apart."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from tracescape_storage.errors import StoreError

HTTP_PORT: Final = 8123
HTTPS_PORT: Final = 8443
#: Schemes of a server, of one with TLS, and of a folder that chdb reads in this process.
_SERVER, _SECURE, _EMBEDDED = "clickhouse", "clickhouses", "clickhouse+chdb"
_SCHEMES: Final = (_SERVER, _SECURE, _EMBEDDED)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_WRITE: Final = "Write clickhouse://USER:PASSWORD@HOST:PORT/DATABASE."


class Address(NamedTuple):
    """Where the tables are, and as whom to ask. ``password`` is in no text that is shown: see `location`.

    ``path`` is the folder of an embedded database, and ``""`` for a server. ``traces`` and ``logs`` are the
    names of the tables.
    """

    host: str
    port: int
    user: str
    password: str
    database: str
    secure: bool
    path: str
    traces: str = "otel_traces"
    logs: str = "otel_logs"

    @property
    def location(self) -> str:
        """The address without its password."""
        if self.path:
            return f"{_EMBEDDED}://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = "" if self.user == "default" else f"{self.user}@"
        return f"{_SECURE if self.secure else _SERVER}://{user}{host}:{self.port}/{self.database}"

    def __repr__(self) -> str:
        return f"Address({self.location!r})"


def is_clickhouse(text: object) -> bool:
    """Whether this is meant as such an address."""
    return isinstance(text, str) and text.partition("://")[0].lower() in _SCHEMES and "://" in text


def parse_address(text: str) -> Address:
    """Take ``text`` apart. Raises `StoreError`, which never repeats a password."""
    if not text.isprintable() or " " in text:
        raise StoreError(f"The address of ClickHouse has spaces or signs that cannot be seen in it. {_WRITE}")
    try:
        parts = urlsplit(text)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise StoreError(
            f"The address of ClickHouse cannot be read: {_shown(error, text)}. {_WRITE}"
        ) from None
    unknown = sorted(set(options) - {"database", "traces", "logs"})
    if unknown or parts.fragment:
        raise StoreError(
            f"The address of ClickHouse takes database, traces and logs after '?', and no {unknown or '#'}."
            " A password with '#', '?', '/' or '@' in it is written with %23, %3F, %2F, %40."
        )
    names = {"traces": "otel_traces", "logs": "otel_logs", **options}
    if parts.scheme == _EMBEDDED:
        return _embedded(unquote(parts.path), parts.netloc, names)
    database = options.get("database") or unquote(parts.path).strip("/") or "default"
    secure = parts.scheme == _SECURE
    if not parts.hostname:
        raise StoreError(f"The address of ClickHouse names no host. {_WRITE}")
    return Address(
        parts.hostname,
        port or (HTTPS_PORT if secure else HTTP_PORT),
        unquote(parts.username or "default"),
        unquote(parts.password or ""),
        _name(database, "database"),
        secure,
        "",
        _name(names["traces"], "table"),
        _name(names["logs"], "table"),
    )


def _embedded(path: str, host: str, names: dict[str, str]) -> Address:
    if host or not path.strip("/"):
        raise StoreError(f"Write the whole path of the folder: {_EMBEDDED}:///PATH.")
    database = _name(names.get("database", "default"), "database")
    tables = _name(names["traces"], "table"), _name(names["logs"], "table")
    return Address("", 0, "default", "", database, False, path, *tables)


def _name(name: str, what: str) -> str:
    if _NAME.fullmatch(name):
        return name
    raise StoreError(f"{name[:80]!r} is no name of a {what}: those are letters, digits and '_'. {_WRITE}")


def _shown(error: ValueError, text: str) -> str:
    # What went wrong may quote what was typed, the password included.
    words = str(error)
    return "it is no URL" if any(part and part in words for part in re.split(r"[:/@?]+", text)) else words
