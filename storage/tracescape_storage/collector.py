"""A collector's store, read over HTTP."""

from __future__ import annotations

import io
import json
import os
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx
import pyarrow as pa

from tracescape_storage.errors import ERROR_KEY, QueryError, StoreError
from tracescape_storage.sql_reader import SqlReader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

DEFAULT_HTTP_PORT: Final = 4318
_TIMEOUT: Final = httpx.Timeout(75.0, connect=3.0)
_WRITE: Final = "Write HOST:PORT or http://HOST:PORT."
_MAX_TOKEN: Final = 4_096
_BUSY_S: Final = 15.0
_READ_BYTES: Final = 1 << 20
_NOTHING: Final = pa.record_batch([], names=[])


class UnreachableError(StoreError):
    """No collector answers at the address."""


class DeniedError(StoreError):
    """The collector wants an API key, and not the one it was given."""


class BusyError(StoreError):
    """The collector has as many questions as it takes. Asking again after ``retry_after_s`` is right."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CollectorReader(SqlReader):
    """The `Reader` protocol over a collector's ``/query``.

    Args:
        address: ``host``, ``host:port`` or an ``http(s)://`` URL; the port defaults to 4318.
        token: the API key; None takes that of ``TRACESCAPE_TOKEN`` in the environment, if any.
        ca: the CA (PEM) that vouches for an ``https`` collector; None takes ``TRACESCAPE_CA``, else the
            system's. A collector that wants a certificate of its clients gets that of
            ``TRACESCAPE_CLIENT_CERT`` and ``TRACESCAPE_CLIENT_KEY``.

    Raises:
        StoreError: the address is no address, or a file of TLS cannot be used. The first question raises
            `UnreachableError` when nothing answers there and `DeniedError` when the key is wrong.
    """

    live = True

    def __init__(
        self, address: str, *, token: str | None = None, ca: str | os.PathLike[str] | None = None
    ) -> None:
        self.location = base_url(address)
        token = token or os.environ.get("TRACESCAPE_TOKEN")
        headers = {} if not token else {"Authorization": f"Bearer {_checked_token(token)}"}
        secure = self.location.startswith("https://")
        verify = _trust(ca or os.environ.get("TRACESCAPE_CA") or None) if secure else True
        self._client = httpx.Client(base_url=self.location, timeout=_TIMEOUT, headers=headers, verify=verify)

    def sql(self, query: str) -> pa.Table:
        """See `Reader.sql`. A collector that is busy is asked again for some seconds."""
        answer = self._answer(query)
        return pa.Table.from_batches(list(answer.batches()), answer.schema)

    def stream(self, query: str) -> pa.RecordBatchReader:
        """See `Reader.stream`."""
        answer = self._answer(query)
        batches = _closing(answer)
        next(batches)  # from here on dropping it closes the connection, even if nothing of it was taken
        return pa.RecordBatchReader.from_batches(answer.schema, batches)

    def keep_positions(self, stands: Mapping[str, Sequence[float]], *, anew: bool = False) -> bool:
        """See `Reader.keep_positions`. False of a collector that keeps none: it is older than that."""
        try:
            answer = self._client.post("/positions", json={"positions": dict(stands), "anew": anew})
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"No collector answers at {self.location} ({_reason(self.location, error)})."
                " Start one with: tracescape serve"
            ) from error
        if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED}:
            return False
        if not answer.is_success:
            raise _refusal(self.location, answer)
        return True

    def _answer(self, query: str) -> _Answer:
        give_up = time.monotonic() + _BUSY_S
        while True:
            try:
                return self._asked_twice(query)
            except BusyError as busy:
                if time.monotonic() + busy.retry_after_s > give_up:
                    raise
                time.sleep(busy.retry_after_s)

    def _asked_twice(self, query: str) -> _Answer:
        try:
            try:
                return self._ask(query)
            except (httpx.ReadError, httpx.WriteError):
                # A kept connection may have been closed since it was used last; questions can be repeated.
                return self._ask(query)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"No collector answers at {self.location} ({_reason(self.location, error)})."
                " Start one with: tracescape serve"
            ) from error

    def close(self) -> None:
        """See `Reader.close`."""
        self._client.close()

    def _ask(self, query: str) -> _Answer:
        request = self._client.build_request("POST", "/query", json={"sql": query})
        response = self._client.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                response.read()
                raise _refusal(self.location, response)
            return _Answer(self.location, response)
        except BaseException:
            response.close()
            raise


class _Answer:
    """The rows of an answer while they arrive. Raises `StoreError` if it breaks off."""

    def __init__(self, location: str, response: httpx.Response) -> None:
        self._location = location
        self._response = response
        self._rows = 0
        try:
            self._stream = pa.ipc.open_stream(io.BufferedReader(_Body(response), _READ_BYTES))
        except (pa.ArrowInvalid, OSError, httpx.HTTPError) as error:
            raise self._broken() from error
        self.schema: pa.Schema = self._stream.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Once. Raises `QueryError` if the collector says that it failed on the way."""
        try:
            while True:
                batch, metadata = self._stream.read_next_batch_with_custom_metadata()
                if metadata is not None and ERROR_KEY in metadata:
                    raise QueryError(metadata[ERROR_KEY].decode("utf-8", "replace"))
                self._rows += batch.num_rows
                yield batch
        except StopIteration:
            return
        except (pa.ArrowInvalid, OSError, httpx.HTTPError) as error:
            raise self._broken() from error
        finally:
            self.close()

    def close(self) -> None:
        """End the answer, and with it the query. Idempotent."""
        self._response.close()

    def _broken(self) -> StoreError:
        return StoreError(
            f"The answer of {self._location} broke off after {self._rows:,} rows: the collector ended, or the"
            " connection to it. Ask again."
        )


def _closing(answer: _Answer) -> Iterator[pa.RecordBatch]:
    """Nothing, and then the rows of ``answer``."""
    try:
        yield _NOTHING
        yield from answer.batches()
    finally:
        answer.close()


class _Body(io.RawIOBase):
    """The body of a response as a file that Arrow reads while it arrives."""

    def __init__(self, response: httpx.Response) -> None:
        self._pieces = response.iter_bytes()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def base_url(address: str) -> str:
    """``http://host:port`` for what a person types. Raises `StoreError` when it cannot be an address."""
    if not isinstance(address, str):
        raise StoreError(f"{address!r:.80} is no address of a collector. {_WRITE}")
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_HTTP_PORT
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        base = f"{parts.scheme}://{host}:{port}"
        httpx.URL(base)
    except (ValueError, httpx.InvalidURL) as error:
        raise StoreError(f"{address[:80]!r} is no address of a collector: {error}. {_WRITE}") from error
    # A new line and the like are left out by what takes URLs apart.
    readable = address.isprintable() and " " not in address
    if parts.scheme not in {"http", "https"} or not parts.hostname or not readable:
        raise StoreError(f"{address[:80]!r} is no address of a collector. {_WRITE}")
    if parts.username or parts.password:
        raise StoreError(f"A collector at {base} knows no passwords: give its key as token=.")
    return base


def _checked_token(token: object) -> str:
    key = token.strip() if isinstance(token, str) else ""
    if key and key.isascii() and key.isprintable() and len(key) <= _MAX_TOKEN:
        return key
    raise StoreError(
        f"The token is no API key: that is one line of at most {_MAX_TOKEN:,} letters, digits and signs"
        " (ASCII). Give it as the collector's file of keys has it."
    )


def _trust(ca: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Whom to believe, and the certificate to show. ``SSL_CERT_FILE`` is heard where ``ca`` is None."""
    cert = os.environ.get("TRACESCAPE_CLIENT_CERT")
    try:
        context = ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context()
        if cert:
            context.load_cert_chain(cert, os.environ.get("TRACESCAPE_CLIENT_KEY"))
    except (OSError, TypeError, ValueError) as error:  # ssl.SSLError is an OSError
        files = " and ".join(str(file) for file in (ca, cert) if file)
        reason = getattr(error, "strerror", None) or error
        raise StoreError(
            f"{files[:200] if files.isprintable() else repr(files)} cannot be used for TLS: {reason}."
        ) from error
    return context


def _refusal(location: str, response: httpx.Response) -> StoreError:
    try:
        message = response.json()["error"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return StoreError(
            f"What answers at {location} is no Tracescape collector (HTTP {response.status_code})."
            " Is that its --http address?"
        )
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return BusyError(f"{location} is busy: {message}", _seconds(response.headers.get("retry-after")))
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return DeniedError(f"{location} refuses: {message}. Set TRACESCAPE_TOKEN to the key.")
    return QueryError(str(message))


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else 1.0


def _reason(location: str, error: httpx.HTTPError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not trusted; name its CA in TRACESCAPE_CA"
    if isinstance(error, httpx.ConnectError):
        return "nothing listens there"
    ended = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)
    if ended and location.startswith("https://"):
        return (
            "it ended the connection; questions go to 4318, gRPC is on 4317; if it wants a certificate,"
            " name one in TRACESCAPE_CLIENT_CERT"
        )
    if isinstance(error, httpx.RemoteProtocolError):
        return (
            "what listens there does not speak HTTP; gRPC is on 4317, questions go to 4318,"
            " to a collector with TLS as https://HOST:4318"
        )
    if isinstance(error, httpx.ReadError | httpx.WriteError):
        return "the connection broke off"
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    return type(error).__name__
