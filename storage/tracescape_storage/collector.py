"""A collector's store, read over HTTP."""

from __future__ import annotations

import json
import os
import ssl
from typing import Final
from urllib.parse import urlsplit

import httpx
import pyarrow as pa

from tracescape_storage.errors import QueryError, StoreError
from tracescape_storage.sql_reader import SqlReader

DEFAULT_HTTP_PORT: Final = 4318
_TIMEOUT: Final = httpx.Timeout(75.0, connect=3.0)


class UnreachableError(StoreError):
    """No collector answers at the address."""


class DeniedError(StoreError):
    """The collector wants an API key, and not the one it was given."""


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
        headers = {} if not token else {"Authorization": f"Bearer {token}"}
        secure = self.location.startswith("https://")
        verify = _trust(ca or os.environ.get("TRACESCAPE_CA") or None) if secure else True
        self._client = httpx.Client(base_url=self.location, timeout=_TIMEOUT, headers=headers, verify=verify)

    def sql(self, query: str) -> pa.Table:
        """See `Reader.sql`."""
        try:
            try:
                response = self._ask(query)
            except (httpx.ReadError, httpx.WriteError):
                # A kept connection may have been closed since it was used last; questions can be repeated.
                response = self._ask(query)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"No collector answers at {self.location} ({_reason(self.location, error)})."
                " Start one with: tracescape serve"
            ) from error
        if response.status_code != httpx.codes.OK:
            raise _refusal(self.location, response)
        try:
            return pa.ipc.open_stream(response.content).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(f"The answer of {self.location} broke off. Ask again.") from error

    def close(self) -> None:
        """See `Reader.close`."""
        self._client.close()

    def _ask(self, query: str) -> httpx.Response:
        return self._client.post("/query", json={"sql": query})


def base_url(address: str) -> str:
    """``http://host:port`` for what a person types. Raises `StoreError` when it cannot be an address."""
    url = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_HTTP_PORT
    except ValueError as error:
        raise StoreError(f"{address!r} is no address: {error}. Write HOST:PORT.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise StoreError(f"{address!r} is no address of a collector. Write HOST:PORT or http://HOST:PORT.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _trust(ca: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Whom to believe, and the certificate to show. ``SSL_CERT_FILE`` is heard where ``ca`` is None."""
    cert = os.environ.get("TRACESCAPE_CLIENT_CERT")
    try:
        context = ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context()
        if cert:
            context.load_cert_chain(cert, os.environ.get("TRACESCAPE_CLIENT_KEY"))
    except OSError as error:  # of which ssl.SSLError is one
        files = " and ".join(str(file) for file in (ca, cert) if file)
        raise StoreError(f"{files} cannot be used for TLS: {error.strerror or error}") from error
    return context


def _refusal(location: str, response: httpx.Response) -> StoreError:
    try:
        message = response.json()["error"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return StoreError(
            f"What answers at {location} is no Tracescape collector (HTTP {response.status_code})."
            " Is that its --http address?"
        )
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return DeniedError(f"{location} refuses: {message}. Set TRACESCAPE_TOKEN to the key.")
    return QueryError(str(message))


def _reason(location: str, error: httpx.HTTPError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not trusted; name its CA in TRACESCAPE_CA"
    if isinstance(error, httpx.ConnectError):
        return "nothing listens there"
    ended = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)
    if ended and location.startswith("https://"):
        return "it ended the connection; if it wants a certificate, name one in TRACESCAPE_CLIENT_CERT"
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
