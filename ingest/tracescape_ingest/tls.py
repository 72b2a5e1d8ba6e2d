"""Certificates for both ports, checked before either listens, read again when their files change."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import grpc

_log = logging.getLogger(__name__)
_Made = TypeVar("_Made")


class TlsError(ValueError):
    """The files cannot be used; the message names the file and the reason."""


class Tls(NamedTuple):
    """PEM files: a certificate with its chain, its key, and the CA of clients where they must show one.

    Made by `checked`.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    @classmethod
    def checked(cls, cert: Path | None, key: Path | None, client_ca: Path | None = None) -> Tls | None:
        """The files that were named, or None when none was. Raises `TlsError`."""
        if cert is None and key is None and client_ca is None:
            return None
        if cert is None or key is None:
            raise TlsError("TLS needs both --tls-cert and --tls-key; --tls-client-ca comes on top of them")
        for file in (cert, key, client_ca):
            if file is not None:
                _read(file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A key with a passphrase would otherwise be asked for on the terminal.
            context.load_cert_chain(cert, key, password=_no_passphrase)
        except ssl.SSLError as error:
            raise TlsError(_reason(cert, key, error)) from error
        try:
            if client_ca is not None:
                context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            raise TlsError(f"{client_ca} holds no CA certificate in PEM form") from error
        return cls(cert, key, client_ca)

    def grpc_credentials(self) -> Any:
        """For a gRPC server; with a ``client_ca`` a client must show a certificate of it.

        Files that have changed count from the next connection on, if they can be used.
        """
        current = _Renewed(self, self._grpc_configuration)
        return grpc.dynamic_ssl_server_credentials(
            current.get(), current.get, require_client_authentication=self.client_ca is not None
        )

    def uvicorn_options(self) -> dict[str, Any]:
        """For an HTTP server, with the same meaning."""
        current = _Renewed(self, self._context)
        first = current.get()

        def renew(connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
            connection.context = current.get()

        first.sni_callback = renew  # it is called whether or not the client names the server
        return {"ssl_context_factory": lambda *_: first}

    def _grpc_configuration(self) -> Any:
        ca = None if self.client_ca is None else _read(self.client_ca)
        return grpc.ssl_server_certificate_configuration(
            [(_read(self.key), _read(self.cert))], root_certificates=ca
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key, password=_no_passphrase)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class _Renewed(Generic[_Made]):
    """What is made of the files, made anew when they are others and can be used; for any thread."""

    def __init__(self, tls: Tls, make: Callable[[], _Made]) -> None:
        self._tls = tls
        self._make = make
        self._lock = threading.Lock()
        self._stamp = _stamp(tls)
        self._made = make()

    def get(self) -> _Made:
        """Of the files as they are now, or were when they could be used last."""
        with self._lock:
            stamp = _stamp(self._tls)
            if stamp != self._stamp:
                self._stamp = stamp  # whatever comes of it: what is wrong is said once
                try:
                    Tls.checked(*self._tls)
                    self._made = self._make()
                    _log.info("%s has changed and was read again", self._tls.cert)
                except (OSError, ValueError) as error:
                    _log.warning(
                        "the certificates stay as they were, the new files cannot be used: %s", error
                    )
            return self._made


def _stamp(tls: Tls) -> list[tuple[int, int, int] | None]:
    stamps: list[tuple[int, int, int] | None] = []
    for file in tls:
        try:
            stat = None if file is None else file.stat()
        except OSError:
            stat = None
        stamps.append(None if stat is None else (stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return stamps


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise TlsError(f"{file} cannot be read: {error.strerror}") from error


def _no_passphrase() -> str:
    return ""


def _reason(cert: Path, key: Path, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key in {key} is not that of the certificate in {cert}"
    if b"ENCRYPTED" in _read(key):
        return f"the key in {key} has a passphrase; write it without one: openssl pkey -in {key} -out FILE"
    if b"-----BEGIN CERTIFICATE-----" not in _read(cert):
        return f"{cert} holds no certificate in PEM form"
    if b"PRIVATE KEY-----" not in _read(key):
        return f"{key} holds no private key in PEM form"
    return f"{cert} and {key} cannot be used: {error.reason or error}"
