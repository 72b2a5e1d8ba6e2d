"""A certificate of one's own making: what it is for, who may read its key, and when another one is made."""

import datetime
import hashlib
import ipaddress
import ssl
import stat
import sys
from pathlib import Path

import pytest
from cryptography import x509

from tracescape_ingest import self_signed as module
from tracescape_ingest.self_signed import own_names, self_signed
from tracescape_ingest.tls import TlsError

NAMES = ("localhost", "127.0.0.1", "::1", "collector.local", "192.0.2.7")


def test_it_holds_for_each_name_and_address(tmp_path: Path) -> None:
    made = self_signed(tmp_path / "tls", NAMES)
    held = x509.load_pem_x509_certificate(made.tls.cert.read_bytes())
    known = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert known.get_values_for_type(x509.DNSName) == ["localhost", "collector.local"]
    assert [str(each) for each in known.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "::1",
        "192.0.2.7",
    ]
    constraints = held.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca  # whoever trusts it trusts this collector alone
    assert datetime.timedelta(days=390) < made.until - datetime.datetime.now(datetime.UTC)
    assert held.not_valid_after_utc - held.not_valid_before_utc < datetime.timedelta(days=398)


def test_its_key_is_its_owners_alone(tmp_path: Path) -> None:
    made = self_signed(tmp_path / "tls", NAMES)
    assert stat.S_IMODE(made.tls.key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    assert sorted(file.name for file in (tmp_path / "tls").iterdir()) == ["cert.pem", "key.pem"]


def test_the_fingerprint_is_what_a_browser_shows(tmp_path: Path) -> None:
    made = self_signed(tmp_path / "tls", NAMES)
    shown = ssl.PEM_cert_to_DER_cert(made.tls.cert.read_text())
    plain = hashlib.sha256(shown).hexdigest()
    assert made.fingerprint.replace(":", "").lower() == plain
    assert len(made.fingerprint.split(":")) == 32


def test_what_is_trusted_once_is_kept(tmp_path: Path) -> None:
    first = self_signed(tmp_path / "tls", NAMES)
    again = self_signed(tmp_path / "tls", NAMES[:2])
    assert (first.made, again.made) == (True, False)
    assert again.fingerprint == first.fingerprint


def test_for_another_name_another_one_is_made(tmp_path: Path) -> None:
    first = self_signed(tmp_path / "tls", NAMES)
    other = self_signed(tmp_path / "tls", (*NAMES, "198.51.100.4"))
    assert other.made
    assert other.fingerprint != first.fingerprint


def test_before_it_runs_out_another_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VALID", datetime.timedelta(days=13))
    self_signed(tmp_path / "tls", NAMES)
    monkeypatch.undo()
    assert self_signed(tmp_path / "tls", NAMES).made


@pytest.mark.parametrize("broken", ["cert.pem", "key.pem"])
def test_files_that_cannot_be_used_are_made_anew(tmp_path: Path, broken: str) -> None:
    self_signed(tmp_path / "tls", NAMES)
    (tmp_path / "tls" / broken).write_text("nothing")
    assert self_signed(tmp_path / "tls", NAMES).made


def test_a_key_that_others_could_read_is_not_used_again(tmp_path: Path) -> None:
    made = self_signed(tmp_path / "tls", NAMES)
    made.tls.key.chmod(0o644)
    again = self_signed(tmp_path / "tls", NAMES)
    assert again.made
    assert stat.S_IMODE(again.tls.key.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["two words", "a/b", "*", "", "x" * 300, "ü\x00"])
def test_a_name_that_is_none_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(TlsError, match="neither a host's name nor an address"):
        self_signed(tmp_path / "tls", [name])


def test_without_the_package_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(TlsError, match=r"pip install 'tracescape\[certificate\]'"):
        self_signed(tmp_path / "tls", NAMES)


def test_a_collector_on_loopback_has_loopbacks_names_and_nothing_else() -> None:
    assert own_names("127.0.0.1:4318") == ("localhost", "127.0.0.1", "::1")


def test_a_collector_on_every_address_has_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.socket, "gethostname", lambda: "Lab")
    monkeypatch.setattr(module, "_addresses", lambda name: ["192.0.2.7", "127.0.0.1"])
    assert own_names("0.0.0.0:4318", ["World.example"]) == (
        "localhost",
        "127.0.0.1",
        "::1",
        "lab",
        "lab.local",
        "192.0.2.7",
        "world.example",
    )


def test_addresses_of_this_machine_are_addresses() -> None:
    for each in module._addresses("localhost"):
        ipaddress.ip_address(each)
