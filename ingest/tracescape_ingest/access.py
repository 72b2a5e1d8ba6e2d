"""Who may send and ask: API keys, and the tenant that each of them opens.

The file is TOML, a table ``[tenants]`` with a list of keys a tenant. A key is written as it is sent, or, so
that the file tells nobody, as ``sha256:`` and the 64 hexadecimal digits of its SHA-256::

    [tenants]
    shop = ["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
    bank = ["3KpWQ-one-key", "3KpWQ-the-next-key"]

One unsalted SHA-256 is enough for keys that a machine made; `MIN_KEY_LENGTH` keeps words out of the file.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
import tomllib
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Final, Protocol

from tracescape_ingest.intake import Outcome, Signal

DEFAULT_TENANT: Final = "default"
MIN_KEY_LENGTH: Final = 16
#: Lower case, since some file systems fold case; no dots and slashes, since it becomes part of a file's name.
_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_KEY: Final = re.compile(r"[\x21-\x7e]+")
_HASHED: Final = re.compile(r"sha256:([0-9a-fA-F]{64})")

#: The SHA-256 of each key, and its tenant.
Keys = Mapping[bytes, str]


class KeysError(ValueError):
    """The file of keys cannot be used; the message says why and what to do."""


class UnauthenticatedError(Exception):
    """The request carries no key that this collector knows. Sending it again does not help."""


class Takes(Protocol):
    """What a receiver hands requests to; see `Intake`."""

    @property
    def is_pressed(self) -> bool:
        """See `Intake.is_pressed`."""
        ...

    def submit(self, signal: Signal, data: bytes) -> Future[Outcome]:
        """See `Intake.submit`."""
        ...

    def refused(self, signal: Signal) -> None:
        """See `Intake.refused`."""
        ...


class Access:
    """Which intake a request's headers open.

    Args:
        intakes: a tenant's name and where its requests go.
        keys: who is let in as whom; None lets everybody in as the only tenant.
    """

    def __init__(self, intakes: Mapping[str, Takes], keys: Keys | None = None) -> None:
        if keys is None and len(intakes) != 1:
            raise ValueError("without keys there is one tenant")
        self._intakes = intakes
        self._keys = keys
        self._only = next(iter(intakes))

    @classmethod
    def free(cls, intake: Takes) -> Access:
        """Everybody may, and there is one tenant."""
        return cls({DEFAULT_TENANT: intake})

    def intake_of(self, headers: Mapping[str, str]) -> Takes:
        """Where a request with these headers (names in lower case) goes. Raises `UnauthenticatedError`."""
        return self._intakes[self.tenant_of(headers)]

    def tenant_of(self, headers: Mapping[str, str]) -> str:
        """Whose request it is. Raises `UnauthenticatedError`."""
        if self._keys is None:
            return self._only
        key = _key_in(headers)
        if key is None:
            raise UnauthenticatedError(
                "an API key is needed: send authorization: Bearer KEY, or x-api-key: KEY"
            )
        given, tenant = _digest(key), None
        for known, owner in self._keys.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(known, given):
                tenant = owner
        if tenant is None:
            raise UnauthenticatedError("this API key is not known here")
        return tenant


def read_keys(path: Path) -> dict[bytes, str]:
    """The keys in a file. Raises `KeysError`."""
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise KeysError(f"{path} is open to every user of this machine. Close it with: chmod 600 {path}")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeysError(f"the API keys in {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeysError(f"{path} is not valid TOML: {error}") from error
    tenants = document.get("tenants")
    if not isinstance(tenants, dict) or not tenants or len(document) > 1:
        raise KeysError(f'{path} needs one table of keys: [tenants] with lines such as  shop = ["KEY"]')
    keys: dict[bytes, str] = {}
    for tenant, listed in tenants.items():
        for digest in _digests(path, tenant, listed):
            if digest in keys:
                raise KeysError(f"{path}: a key of {tenant} stands there twice")
            keys[digest] = tenant
    return keys


def store_of(db: Path, tenant: str) -> Path:
    """The store file of a tenant beside the one that was named: ``traces.db``, ``traces.shop.db``."""
    if not _TENANT.fullmatch(tenant):
        raise KeysError(f"{tenant[:80]!r} is no tenant's name: write a-z, 0-9, - and _, at most 63")
    return db.with_name(f"{db.stem}.{tenant}{db.suffix}")


def _digests(path: Path, tenant: str, listed: object) -> list[bytes]:
    if not _TENANT.fullmatch(tenant):
        raise KeysError(f"{path}: {tenant[:80]!r} is no tenant's name: write a-z, 0-9, - and _, at most 63")
    if not isinstance(listed, list) or not listed or not all(isinstance(key, str) for key in listed):
        raise KeysError(f'{path}: {tenant} needs a list of keys, such as ["KEY"]')
    return [_stored(path, tenant, key) for key in listed]


def _stored(path: Path, tenant: str, key: str) -> bytes:
    if hashed := _HASHED.fullmatch(key):
        return bytes.fromhex(hashed[1])
    if len(key) < MIN_KEY_LENGTH or not _KEY.fullmatch(key) or key.startswith("sha256:"):
        raise KeysError(
            f"{path}: a key of {tenant} is none: at least {MIN_KEY_LENGTH} visible ASCII characters,"
            " or sha256: and 64 hexadecimal digits"
        )
    return _digest(key)


def _key_in(headers: Mapping[str, str]) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key") or None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
