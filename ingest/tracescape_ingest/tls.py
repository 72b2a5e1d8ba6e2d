"""Certificates for both ports, checked before either listens."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, NamedTuple

import grpc


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
        """For a gRPC server; with a ``client_ca`` a client must show a certificate of it."""
        ca = None if self.client_ca is None else _read(self.client_ca)
        pair = (_read(self.key), _read(self.cert))
        return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)

    def uvicorn_options(self) -> dict[str, Any]:
        """For an HTTP server, with the same meaning."""
        options: dict[str, Any] = {"ssl_certfile": self.cert, "ssl_keyfile": self.key}
        if self.client_ca is not None:
            options |= {"ssl_ca_certs": self.client_ca, "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return options


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
