"""Certificates made for one test run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trustme

from tracescape_ingest.tls import Tls


class Certificates(NamedTuple):
    """Files of a CA, of a server on loopback and of a client, in PEM form."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path

    def tls(self, *, mutual: bool = False) -> Tls:
        """What a collector is started with."""
        checked = Tls.checked(self.cert, self.key, self.ca if mutual else None)
        assert checked is not None
        return checked


def make_certificates(folder: Path) -> Certificates:
    """One CA that vouches for server and client."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    client = authority.issue_cert("client.example")
    files = Certificates(*(folder / f"{name}.pem" for name in Certificates._fields))
    authority.cert_pem.write_to_path(files.ca)
    server.private_key_pem.write_to_path(files.key)
    client.private_key_pem.write_to_path(files.client_key)
    for certificate, file in ((server, files.cert), (client, files.client_cert)):
        file.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    return files
