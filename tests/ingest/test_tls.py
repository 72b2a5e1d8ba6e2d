"""Certificate files that cannot be used are one sentence, before anything listens."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from support.certificates import Certificates, make_certificates
from tracescape_ingest.tls import Tls, TlsError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def test_none_named_is_none_and_good_ones_are_taken(files: Certificates) -> None:
    assert Tls.checked(None, None) is None
    assert Tls.checked(files.cert, files.key, files.ca) == (files.cert, files.key, files.ca)


def test_half_of_it_is_said(files: Certificates) -> None:
    for arguments in ((files.cert, None, None), (None, files.key, None), (None, None, files.ca)):
        with pytest.raises(TlsError, match="needs both --tls-cert and --tls-key"):
            Tls.checked(*arguments)


def test_what_is_wrong_with_the_files_is_said(files: Certificates, tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    locked = tmp_path / "locked.pem"
    key = load_pem_private_key(files.key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    )
    cases: list[tuple[Path, Path, Path | None, str]] = [
        (tmp_path / "no.pem", files.key, None, r"no\.pem cannot be read: No such file"),
        (files.cert, tmp_path, None, "cannot be read: Is a directory"),
        (files.cert, files.key, tmp_path / "no.pem", r"no\.pem cannot be read: No such file"),
        (
            files.cert,
            files.client_key,
            None,
            r"client_key\.pem is not that of the certificate in .*cert\.pem",
        ),
        (text, files.key, None, r"text\.pem holds no certificate in PEM form"),
        (files.cert, text, None, r"text\.pem holds no private key in PEM form"),
        (files.cert, locked, None, r"locked\.pem has a passphrase"),
        (files.cert, files.key, text, r"text\.pem holds no CA certificate"),
    ]
    for cert, key_file, ca, reason in cases:
        with pytest.raises(TlsError, match=reason):
            Tls.checked(cert, key_file, ca)
