"""Accepted requests on disk, in the order of their acceptance, until the store has them.

An acknowledgement waits for this log and not for the store: appending is one write and one ``fdatasync`` for
all that waits, while a columnar store wants many thousands of rows at once. What the store has taken is
remembered there by its sequence number (`DuckDBStore.append`), in the same transaction, so a restart knows
exactly what to take from here.

Settled segments are kept for a while: their records' fingerprints are the memory by which a request that is
sent again after a restart is recognised.

A folder of segment files ``<first sequence>.log``, each a head (a magic, and which store it belongs to) and
records back to back. A record is a header, fingerprints of its items (int64 pairs), the numbers of the items
that are meant (int64, absent for all), and the request as it came. Sequence numbers have no gaps. So a record
that cannot be read was never acknowledged if the numbers go on without it, which is what a write leaves that
was cut off; if they do not, the log is damaged: that is said, the segment is kept aside, and what follows in
it is found by its checksums, which are seeded with a secret of the store.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import xxhash

from tracescape_storage.errors import StoreError, StoreFullError, no_space_left

_log = logging.getLogger(__name__)

Words = np.ndarray[Any, np.dtype[np.int64]]

_MAGIC: Final = b"TRSCJL02"
_HEAD: Final = struct.Struct("<8s8s")  # magic, and a hash of the store's seed
_HEADER: Final = struct.Struct(
    "<4sBxxxIIIIqq16s"
)  # mark, kind, bytes of payload, fingerprints and rows, spare, sequence, time, digest
_CHECK_BYTES: Final = 8
_MARK: Final = b"rec\n"
_SEARCH_BYTES: Final = 1 << 20
_PARTS: Final = 512  # IOV_MAX is 1024
DEFAULT_SEGMENT_BYTES: Final = 64 << 20
_LEAST_SEGMENT_BYTES: Final = 1 << 20
#: How much of what is settled stays, at most.
DEFAULT_KEPT_BYTES: Final = 256 << 20
DEFAULT_KEPT_S: Final = 15 * 60.0
#: Refuse while a refusal is still clean: the store needs room for what was accepted and for a checkpoint.
DEFAULT_RESERVE_BYTES: Final = 64 << 20


class Record(NamedTuple):
    """One accepted request: what it is (a small number of the caller's), and fingerprints of its items.

    ``digest`` is XXH3-128 of the payload. ``rows`` are the numbers of the items that are meant, in order;
    None for all. ``sequence`` and ``arrived_ns`` are given by the journal.
    """

    kind: int
    payload: bytes
    digest: bytes
    fingerprints: Words
    rows: Words | None = None
    sequence: int = -1
    arrived_ns: int = 0


class Known(NamedTuple):
    """What a record is recognised by when it is sent again."""

    kind: int
    digest: bytes
    fingerprints: Words


def digest_of(payload: bytes) -> bytes:
    """The 128-bit hash by which a whole request is known."""
    return xxhash.xxh3_128_digest(payload)


class Journal:
    """The log of one store. One thread appends; any may do the rest.

    Args:
        folder: made when it does not exist. One process has it at a time.
        settled: the last sequence number that the store has wholly.
        partly: whether the store has a part of the next one.
        seed: the store's secret; a journal with another one is that of another store.
        segment_bytes: a larger segment gets no more records; they go whole, so of few ``kept_bytes`` each is
            a quarter at most.
        kept_bytes: how much of what is settled stays, at most.
        kept_s: how long it stays.
        reserve_bytes: free disk below which `append` refuses.

    Attributes:
        last: the last sequence number that is on disk, -1 for none.

    Raises:
        StoreError: the folder cannot be used, or it belongs to another store.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settled: int,
        partly: bool = False,
        seed: int = 0,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        kept_bytes: int = DEFAULT_KEPT_BYTES,
        kept_s: float = DEFAULT_KEPT_S,
        reserve_bytes: int = DEFAULT_RESERVE_BYTES,
    ) -> None:
        self._folder = folder
        self._seed = seed
        self._segment_bytes = min(segment_bytes, max(kept_bytes // 4, _LEAST_SEGMENT_BYTES))
        self._kept_bytes = kept_bytes
        self._kept_s = kept_s
        self._reserve_bytes = reserve_bytes
        self._settled = settled
        self._damaged: set[Path] = set()
        self._removing = threading.Lock()
        self._file = -1
        self._path = folder
        self._size = 0
        self._synced = 0  # how much of the open segment is on disk for certain
        self._lock_file = _locked(folder)
        try:
            _check_owner(folder, seed)
            self.last = max(settled, _last_sequence(folder, seed))
            # A number that the store has a part of must never name another record.
            self._next = max(self.last, settled + partly) + 1
            self._clear_the_way()
        except OSError as error:
            self.close()
            raise StoreError(f"{folder} cannot be used: {error.strerror}.") from error
        except BaseException:
            self.close()
            raise

    def append(self, records: Sequence[Record], *, room: int = 0) -> list[Record]:
        """Write ``records`` and wait until they are on disk; returns them with their sequence numbers.

        ``room`` bytes of disk stay free beside the reserve: what the store will need for what is not settled.

        Raises:
            StoreFullError: too little disk; nothing of it is kept.
            StoreError: the write failed; nothing of it is kept.
        """
        now = time.time_ns()
        numbered = [
            record._replace(sequence=self._next + index, arrived_ns=now)
            for index, record in enumerate(records)
        ]
        parts = [part for record in numbered for part in self._encoded(record)]
        try:
            self._check_room(room)
            if self._file < 0 or self._size >= self._segment_bytes:
                self._begin_segment()
            self._size += _write_all(self._file, parts)
            os.fdatasync(self._file)
        except OSError as error:
            self._take_back()
            if no_space_left(error):
                raise StoreFullError(_full(self._folder, str(error.strerror))) from error
            raise StoreError(f"Writing to {self._folder} failed: {error.strerror}") from error
        except BaseException:
            self._take_back()
            raise
        self._synced = self._size
        self._next += len(numbered)
        self.last = self._next - 1
        return numbered

    def known(self) -> Iterator[Known]:
        """What all that is there is recognised by, in order; says what is damaged.

        What is not settled counts only if its payload is whole: what was never acknowledged must not pass for
        something that was.
        """
        before = -1
        torn: list[Path] = []
        for path, found in _scan(self._folder, self._seed):
            if isinstance(found, _Torn):
                torn.append(path)
                continue
            if found.sequence > self._settled and not _is_whole(path, found):
                torn.append(path)
                continue
            self._say_what_is_missing(before, found.sequence, torn)
            before, torn = found.sequence, []
            yield Known(found.kind, found.digest, found.fingerprints)
        if torn:
            _log.warning(
                "the end of %s is cut off: nothing of it was acknowledged unless the disk lost it", torn[-1]
            )

    def records(self, after: int = -1) -> Iterator[Record]:
        """What is there beyond the number ``after``, in order."""
        for path, found in _scan(self._folder, self._seed, after):
            if isinstance(found, _Torn) or found.sequence <= after:
                continue
            payload = _payload(path, found)
            if digest_of(payload) == found.digest:
                yield Record(
                    found.kind,
                    payload,
                    found.digest,
                    found.fingerprints,
                    found.rows,
                    found.sequence,
                    found.arrived_ns,
                )

    def set_aside(self, sequence: int) -> Path:
        """Keep the payload of a record as a file of its own, whatever becomes of its segment.

        Raises:
            StoreError: it could not be written.
        """
        path = self._folder / f"{sequence:020d}.otlp"
        try:
            for record in self.records(sequence - 1):
                if record.sequence == sequence:
                    with path.open("wb") as file:
                        file.write(record.payload)
                        file.flush()
                        os.fsync(file.fileno())
                    _sync_folder(self._folder)
                break
        except OSError as error:
            raise StoreError(f"Writing {path} failed: {error.strerror}") from error
        return path

    def forget(self, settled: int) -> None:
        """The store has everything up to ``settled``: remove segments that nobody needs any more."""
        with self._removing:
            self._settled = max(self._settled, settled)
            self._remove(self._kept_bytes, self._kept_s)

    def make_room(self) -> None:
        """Remove everything that is settled, however young: there is no room for memories."""
        with self._removing:
            self._remove(0, 0.0)

    def close(self) -> None:
        """Release the files. Idempotent."""
        self._end_segment()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1

    def _encoded(self, record: Record) -> tuple[bytes, bytes, bytes, bytes]:
        fingerprints = record.fingerprints.tobytes()
        rows = b"" if record.rows is None else record.rows.tobytes()
        header = _HEADER.pack(
            _MARK,
            record.kind,
            len(record.payload),
            len(fingerprints),
            len(rows),
            int(record.rows is not None),
            record.sequence,
            record.arrived_ns,
            record.digest,
        )
        return header + _check(header, fingerprints, rows, self._seed), fingerprints, rows, record.payload

    def _begin_segment(self) -> None:
        self._end_segment()
        self._clear_the_way()
        self._path = self._folder / f"{self._next:020d}.log"
        self._size = self._synced = 0
        self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._size = _write_all(self._file, [_HEAD.pack(_MAGIC, _owner(self._seed))])
        os.fsync(self._file)
        _sync_folder(self._folder)
        self._synced = self._size

    def _end_segment(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take_back(self) -> None:
        """After a failed write: nothing of it may be found later.

        The file gets no more records: after an ``fdatasync`` that failed nobody knows what is on disk. Where
        even shortening fails, the next segment's number says that what is behind does not count.
        """
        if self._file < 0:
            return
        try:
            os.ftruncate(self._file, self._synced)
            if self._synced <= _HEAD.size:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.error("%s could not be shortened: %s", self._path, error.strerror)
        finally:
            self._end_segment()

    def _check_room(self, room: int) -> None:
        wanted = self._reserve_bytes + room
        free = shutil.disk_usage(self._folder).free
        if free < wanted:
            self.make_room()
            free = shutil.disk_usage(self._folder).free
        if free < wanted:
            reserve = wanted >> 20
            raise StoreFullError(
                _full(self._folder, f"{free >> 20} MiB free, {reserve} MiB are kept in reserve.")
            )

    def _remove(self, kept_bytes: int, kept_s: float) -> None:
        segments = _segments(self._folder)
        oldest = time.time() - kept_s
        stats = [path.stat() for path in segments[:-1]]
        excess = sum(stat.st_size for stat in stats) - kept_bytes
        for path, following, stat in zip(segments, segments[1:], stats, strict=False):
            if _first(following) > self._settled + 1:
                return
            if excess <= 0 and stat.st_mtime > oldest:
                return
            if path in self._damaged:
                path.replace(path.with_suffix(".damaged"))
            else:
                path.unlink()
            excess -= stat.st_size

    def _clear_the_way(self) -> None:
        """The next segment needs a name that no file has: of one that was begun and holds nothing."""
        segments = _segments(self._folder)
        if segments:
            self._next = max(self._next, _first(segments[-1]))
        path = self._folder / f"{self._next:020d}.log"
        if not path.exists():
            return
        if path.stat().st_size <= _HEAD.size:
            path.unlink()
            return
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        _log.warning("%s holds no whole record; it is kept as %s", path, aside.name)

    def _say_what_is_missing(self, before: int, sequence: int, torn: list[Path]) -> None:
        first = max(before, self._settled) + 1
        if sequence <= first:
            return
        self._damaged.update(torn)
        _log.error(
            "%d accepted requests (numbers %d to %d) are not in %s%s",
            sequence - first,
            first,
            sequence - 1,
            self._folder,
            f": {torn[0]} is damaged and will be kept" if torn else "; is this the store that belongs to it?",
        )


def holds_more(folder: Path, *, settled: int, seed: int) -> bool:
    """Whether a journal holds records beyond ``settled``. Changes nothing and needs no lock.

    Raises:
        StoreError: it belongs to another store.
    """
    try:
        _check_owner(folder, seed)
        return _last_sequence(folder, seed) > settled
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror}.") from error


class _Header(NamedTuple):
    kind: int
    sequence: int
    arrived_ns: int
    digest: bytes
    fingerprints: Words
    rows: Words | None
    payload_bytes: int
    at: int  # where the payload begins

    @property
    def end(self) -> int:
        return self.at + self.payload_bytes


class _Torn(NamedTuple):
    """Bytes of a segment that are no record."""

    begin: int
    end: int


def _locked(folder: Path) -> int:
    """The folder, made if need be, as an open file that one process holds at a time."""
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(folder.parent)
        file = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made: {error.strerror}. Name another store file.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise StoreError(f"Another collector holds {folder}. End it, or name another store file.") from error
    except OSError:
        pass  # a file system without locks; the store's own file is locked as well
    return file


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _owner(seed: int) -> bytes:
    return xxhash.xxh64_digest(b"the store of this journal", seed)


def _check_owner(folder: Path, seed: int) -> None:
    for path in _segments(folder):
        with path.open("rb") as file:
            head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            continue
        magic, owner = _HEAD.unpack(head)
        if magic[:6] == _MAGIC[:6] and magic != _MAGIC:
            raise StoreError(f"{path} was written by another release. Open the store with that one first.")
        if magic == _MAGIC and owner != _owner(seed):
            store = folder.with_suffix("").name
            raise StoreError(
                f"{folder} belongs to another store than {store} beside it. Put back the {store} that it was"
                f" written with; or move {folder.name} away, with what was accepted and is not stored yet."
            )


def _segments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.log") if path.stem.isdigit())


def _first(path: Path) -> int:
    return int(path.stem)


def _last_sequence(folder: Path, seed: int) -> int:
    for path in reversed(_segments(folder)):
        found = [header.sequence for header in _headers(path, seed) if isinstance(header, _Header)]
        if found:
            return max(found)
    return -1


def _scan(folder: Path, seed: int, after: int = -1) -> Iterator[tuple[Path, _Header | _Torn]]:
    """Records and what is none, in order, of all segments that hold something beyond ``after``.

    What a segment holds beyond the beginning of the next was refused: the write failed late.
    """
    segments = _segments(folder)
    before = -1
    for index, path in enumerate(segments):
        end = _first(segments[index + 1]) if index + 1 < len(segments) else None
        if end is not None and end <= after + 1:
            continue
        for found in _headers(path, seed):
            if isinstance(found, _Header):
                if found.sequence <= before or (end is not None and found.sequence >= end):
                    continue
                before = found.sequence
            yield path, found


def _headers(path: Path, seed: int) -> Iterator[_Header | _Torn]:
    """The records of a segment, and the bytes between them that are none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return  # everything in it was settled meanwhile
    with file:
        size = os.fstat(file.fileno()).st_size
        head = os.pread(file.fileno(), _HEAD.size, 0)
        at = _HEAD.size if head == _HEAD.pack(_MAGIC, _owner(seed)) else 0
        while at < size:
            header = _header(file.fileno(), at, size, seed)
            if header is not None:
                yield header
                at = header.end
                continue
            following = _next_record(file.fileno(), at + 1, size, seed)
            yield _Torn(at, following)
            at = following


def _header(file: int, at: int, size: int, seed: int) -> _Header | None:
    """The record at a place of a file, if there is one and it is not cut off."""
    raw = os.pread(file, _HEADER.size + _CHECK_BYTES, at)
    if len(raw) < _HEADER.size + _CHECK_BYTES or not raw.startswith(_MARK):
        return None
    header, check = raw[: _HEADER.size], raw[_HEADER.size :]
    _, kind, payload, prints, rows, some, sequence, arrived, digest = _HEADER.unpack(header)
    begin = at + len(raw)
    if begin + prints + rows + payload > size:
        return None
    data = os.pread(file, prints + rows, begin)
    if _check(header, data[:prints], data[prints:], seed) != check:
        return None
    return _Header(
        kind,
        sequence,
        arrived,
        digest,
        np.frombuffer(data[:prints], np.int64).reshape(-1, 2),
        np.frombuffer(data[prints:], np.int64) if some else None,
        payload,
        begin + prints + rows,
    )


def _next_record(file: int, at: int, size: int, seed: int) -> int:
    """Where the first record at or behind ``at`` begins; the end of the file if there is none."""
    while at < size:
        chunk = os.pread(file, _SEARCH_BYTES, at)
        found = chunk.find(_MARK)
        while found >= 0:
            if _header(file, at + found, size, seed) is not None:
                return at + found
            found = chunk.find(_MARK, found + 1)
        at += max(len(chunk) - len(_MARK) + 1, 1)
    return size


def _payload(path: Path, header: _Header) -> bytes:
    try:
        with path.open("rb") as file:
            return os.pread(file.fileno(), header.payload_bytes, header.at)
    except FileNotFoundError:
        return b""


def _is_whole(path: Path, header: _Header) -> bool:
    return digest_of(_payload(path, header)) == header.digest


def _check(header: bytes, fingerprints: bytes, rows: bytes, seed: int) -> bytes:
    return xxhash.xxh64_digest(header + fingerprints + rows, seed)


def _write_all(file: int, parts: Sequence[bytes]) -> int:
    total = 0
    for begin in range(0, len(parts), _PARTS):
        rest = [memoryview(part) for part in parts[begin : begin + _PARTS] if part]
        while rest:
            written = os.writev(file, rest)
            total += written
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = rest[0][written:]
    return total


def _full(folder: Path, detail: str) -> str:
    return f"The disk of {folder} is full: {detail} Free some space; clients that retry lose nothing."
