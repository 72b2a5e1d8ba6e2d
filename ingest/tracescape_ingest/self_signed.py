"""A certificate of one's own making, for whoever has none: kept, and used again as long as it holds."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tracescape_ingest.address import parse_address
from tracescape_ingest.tls import Tls, TlsError

if TYPE_CHECKING:
    from cryptography import x509

#: Browsers refuse what is valid for longer than this, also where a person vouches for it.
_VALID = datetime.timedelta(days=397)
#: With less than this left, another one is made.
_LEFT = datetime.timedelta(days=14)
_ANYWHERE = frozenset({"0.0.0.0", "::", "*"})
_WITHOUT = (
    "--tls-self-signed needs the package cryptography: pip install 'tracescape[certificate]'; or make one "
    "with openssl, as docs/receiving.md says, and name it with --tls-cert and --tls-key"
)


class SelfSigned(NamedTuple):
    """The files, what they are for, and by what a person knows them again."""

    tls: Tls
    names: tuple[str, ...]
    fingerprint: str
    """SHA-256, as browsers show it: pairs of hex digits with colons between them."""
    until: datetime.datetime
    made: bool
    """Whether it is new: whoever trusted the last one has to look again."""


def own_names(address: str, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Names and addresses under which ``address`` (HOST:PORT) is reached, without repetition.

    Loopback always; where it listens on every address, also this machine's name and its known addresses.
    """
    host = parse_address(address)[0]
    found = ["localhost", "127.0.0.1", "::1"]
    if host in _ANYWHERE or host == "":
        name = socket.gethostname()
        found += [name, *([] if "." in name else [f"{name}.local"]), *_addresses(name)]
    else:
        found.append(host)
    return tuple(dict.fromkeys(_plain(name) for name in (*found, *more)))


def self_signed(folder: Path, names: Iterable[str]) -> SelfSigned:
    """The certificate in ``folder``, made where there is none, or it does not hold for ``names`` for long.

    The folder is its owner's alone, and so is the key. Raises `TlsError` without the package that makes it,
    or where a name can stand in no certificate.
    """
    try:
        from cryptography import x509
    except ImportError as error:
        raise TlsError(_WITHOUT) from error
    wanted = tuple(names)
    cert, key = folder / "cert.pem", folder / "key.pem"
    kept = _kept(cert, key, wanted)
    if kept is None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(cert, key, wanted)
    held = x509.load_pem_x509_certificate(cert.read_bytes())
    tls = Tls.checked(cert, key)
    if tls is None:  # both files were named
        raise TlsError(f"{cert} cannot be used")
    return SelfSigned(tls, wanted, _fingerprint(held), held.not_valid_after_utc, kept is None)


def _kept(cert: Path, key: Path, names: tuple[str, ...]) -> Tls | None:
    """The files that are there, if they hold for all of ``names`` and for some time."""
    from cryptography import x509

    try:
        tls = Tls.checked(cert, key)
        held = x509.load_pem_x509_certificate(cert.read_bytes())
        known = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    left = held.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    private = key.stat().st_mode & 0o077 == 0
    return tls if private and left > _LEFT and set(_general(names)) <= set(known) else None


def _make(cert: Path, key: Path, names: tuple[str, ...]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tracescape, self-signed")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
        # It vouches for itself and for nobody else.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(own, hashes.SHA256())
    )
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, private, 0o600)
    _write(cert, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _general(names: Iterable[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(_host(name)))
    return found


def _host(name: str) -> str:
    """A host's name as it stands in a certificate. Raises `TlsError`."""
    try:
        plain = name.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    if not plain or any(not (letter.isalnum() or letter in "-._") for letter in plain):
        raise TlsError(f"{name!r} is neither a host's name nor an address")
    return plain


def _write(file: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by others in between."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(content)
    part.replace(file)


def _fingerprint(held: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import serialization

    return hashlib.sha256(held.public_bytes(serialization.Encoding.DER)).digest().hex(":").upper()


def _addresses(name: str) -> list[str]:
    """Addresses of this machine: those of its name, and the one that it would send from. Nothing is sent."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        found += [str(each[4][0]) for each in socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)]
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))
            found.append(str(probe.getsockname()[0]))
    return [each for each in found if "%" not in each]


def _plain(name: str) -> str:
    return name.strip().strip("[]").lower()
