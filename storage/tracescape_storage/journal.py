"""Accepted requests on disk, in the order of their acceptance, until the store has them.

An acknowledgement waits for this log and not for the store: appending is one write and one ``fdatasync`` for
all that waits, while a columnar store wants many thousands of rows at once. What the store has taken is
remembered there by its sequence number (`DuckDBStore.append`), in the same transaction, so a restart knows
exactly what to take from here.

Settled segments are kept for a while: their records' fingerprints are the memory by which a request that is
sent again after a restart is recognised.

A folder of segment files ``<first sequence>.log``, each a magic and records back to back. A record is a
header, the request as it came, and fingerprints of its items (int64 pairs). A record that is cut off or fails
its checksum ends its segment: it was never acknowledged if it is the last one, and is an error if not.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import xxhash

from tracescape_storage.errors import StoreError, StoreFullError, no_space_left

Pairs = np.ndarray[Any, np.dtype[np.int64]]

_MAGIC: Final = b"TRSCJL01"
_HEADER: Final = struct.Struct(
    "<4sBxxxIIqq16s"
)  # mark, kind, payload and fingerprint bytes, sequence, time, hash
_MARK: Final = b"rec\n"
DEFAULT_SEGMENT_BYTES: Final = 64 << 20
#: How much of what is settled stays, at most.
DEFAULT_KEPT_BYTES: Final = 256 << 20
DEFAULT_KEPT_S: Final = 15 * 60.0
#: Refuse while a refusal is still clean: the store needs room for what was accepted and for a checkpoint.
DEFAULT_RESERVE_BYTES: Final = 64 << 20


class Record(NamedTuple):
    """One accepted request: what it is (a small number of the caller's), and fingerprints of its items.

    ``digest`` is XXH3-128 of the payload. ``sequence`` and ``arrived_ns`` are given by the journal.
    """

    kind: int
    payload: bytes
    digest: bytes
    fingerprints: Pairs
    sequence: int = -1
    arrived_ns: int = 0


def digest_of(payload: bytes) -> bytes:
    """The 128-bit hash by which a whole request is known."""
    return xxhash.xxh3_128_digest(payload)


class Journal:
    """The log of one store; one thread appends, any may `forget`.

    Args:
        folder: made when it does not exist.
        settled: the last sequence number that the store has wholly.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settled: int,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        kept_bytes: int = DEFAULT_KEPT_BYTES,
        kept_s: float = DEFAULT_KEPT_S,
        reserve_bytes: int = DEFAULT_RESERVE_BYTES,
    ) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._kept_bytes = kept_bytes
        self._kept_s = kept_s
        self._reserve_bytes = reserve_bytes
        self._file = -1
        self._size = 0
        self._synced = 0  # how much of the open segment is on disk for certain
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{folder} cannot be made: {error.strerror}. Name another store file."
            ) from error
        self._next = max(settled, self._last_sequence()) + 1

    def append(self, records: Sequence[Record]) -> list[Record]:
        """Write ``records`` and wait until they are on disk; returns them with their sequence numbers.

        Raises:
            StoreFullError: too little disk; nothing of it is kept.
            StoreError: the write failed; nothing of it is kept.
        """
        self._check_room()
        now = time.time_ns()
        numbered = [
            record._replace(sequence=self._next + index, arrived_ns=now)
            for index, record in enumerate(records)
        ]
        parts = [part for record in numbered for part in _encoded(record)]
        try:
            if self._file < 0 or self._size >= self._segment_bytes:
                self._begin_segment()
            self._size += _write_all(self._file, parts)
            os.fdatasync(self._file)
        except OSError as error:
            self._take_back()
            if no_space_left(error):
                raise StoreFullError(_full(self._folder, str(error.strerror))) from error
            raise StoreError(f"Writing to {self._folder} failed: {error.strerror}") from error
        self._synced = self._size
        self._next += len(numbered)
        return numbered

    def records(self) -> Iterator[Record]:
        """Everything that is there, in order: what the store may have already, and what it has not."""
        for path in self._segments():
            yield from _records(path)

    def set_aside(self, sequence: int) -> Path:
        """Keep the payload of a record as a file of its own, whatever becomes of its segment."""
        path = self._folder / f"{sequence:020d}.otlp"
        for record in self.records():
            if record.sequence == sequence:
                path.write_bytes(record.payload)
        return path

    def forget(self, settled: int) -> None:
        """The store has everything up to ``settled``: remove segments that nobody needs any more."""
        segments = self._segments()
        firsts = [_first(path) for path in segments]
        sizes = [path.stat().st_size for path in segments]
        oldest = time.time() - self._kept_s
        excess = sum(sizes) - self._kept_bytes
        for index, path in enumerate(segments[:-1]):
            if firsts[index + 1] > settled + 1:
                return
            if excess <= 0 and path.stat().st_mtime > oldest:
                return
            path.unlink()
            excess -= sizes[index]

    def close(self) -> None:
        """Release the file. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _begin_segment(self) -> None:
        self.close()
        path = self._folder / f"{self._next:020d}.log"
        self._synced = 0
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._size = self._synced = os.write(self._file, _MAGIC)
        os.fsync(self._file)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _take_back(self) -> None:
        """After a failed write: nothing of it may be found later."""
        if self._file < 0:
            return
        try:
            os.ftruncate(self._file, self._synced)
            os.lseek(self._file, self._synced, os.SEEK_SET)
            self._size = self._synced
        except OSError:
            self._synced = 0  # the next append begins another segment; what is torn here fails its checksum
        if self._synced <= len(_MAGIC):
            self.close()
            (self._folder / f"{self._next:020d}.log").unlink(missing_ok=True)

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._reserve_bytes:
            reserve = self._reserve_bytes >> 20
            raise StoreFullError(
                _full(self._folder, f"{free >> 20} MiB free, {reserve} MiB are kept in reserve.")
            )

    def _segments(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*.log") if path.stem.isdigit())

    def _last_sequence(self) -> int:
        last = -1
        for path in self._segments()[-1:]:
            last = _first(path) - 1
            for header in _headers(path):
                last = header.sequence
        return last


class _Header(NamedTuple):
    kind: int
    payload_bytes: int
    fingerprint_bytes: int
    sequence: int
    arrived_ns: int
    digest: bytes
    at: int  # where the payload begins


def _encoded(record: Record) -> tuple[bytes, bytes, bytes]:
    fingerprints = record.fingerprints.tobytes()
    header = _HEADER.pack(
        _MARK,
        record.kind,
        len(record.payload),
        len(fingerprints),
        record.sequence,
        record.arrived_ns,
        record.digest,
    )
    check = xxhash.xxh64_digest(header + fingerprints)
    return header + check, fingerprints, record.payload


def _write_all(file: int, parts: list[bytes]) -> int:
    total = 0
    for begin in range(0, len(parts), 512):  # IOV_MAX is 1024
        rest = [memoryview(part) for part in parts[begin : begin + 512] if part]
        while rest:
            written = os.writev(file, rest)
            total += written
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = rest[0][written:]
    return total


def _first(path: Path) -> int:
    return int(path.stem)


def _headers(path: Path) -> Iterator[_Header]:
    """The headers of a segment up to its end, or to a record that is cut off."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return
        while True:
            raw = file.read(_HEADER.size)
            check = file.read(8)
            if len(raw) < _HEADER.size or len(check) < 8:
                return
            mark, kind, payload, fingerprints, sequence, arrived, digest = _HEADER.unpack(raw)
            data = file.read(fingerprints) if fingerprints <= size else b""
            at = file.tell()
            whole = at + payload <= size and len(data) == fingerprints
            if mark != _MARK or not whole or xxhash.xxh64_digest(raw + data) != check:
                return
            yield _Header(kind, payload, fingerprints, sequence, arrived, digest, at)
            file.seek(at + payload)


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for header in _headers(path):
            file.seek(header.at - header.fingerprint_bytes)
            fingerprints = np.frombuffer(file.read(header.fingerprint_bytes), np.int64).reshape(-1, 2)
            payload = file.read(header.payload_bytes)
            if digest_of(payload) != header.digest:
                return
            yield Record(
                header.kind, payload, header.digest, fingerprints, header.sequence, header.arrived_ns
            )


def _full(folder: Path, detail: str) -> str:
    return f"The disk of {folder} is full: {detail} Free some space; clients that retry lose nothing."
