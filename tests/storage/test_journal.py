"""The journal: what was appended is there after any end of the process, whatever else is in the file."""

import errno
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracescape_storage import journal as module
from tracescape_storage.errors import StoreError, StoreFullError
from tracescape_storage.journal import Journal, Record, digest_of, holds_more

SEED = 7


def record(number: int, size: int = 40, rows: list[int] | None = None) -> Record:
    payload = f"request {number} ".encode() * (size // 10)
    prints = np.array([[number, 1], [number, 2]], np.int64)
    return Record(1 + number % 3, payload, digest_of(payload), prints, rows and np.array(rows, np.int64))


def numbers(journal: Journal, after: int = -1) -> list[int]:
    return [found.sequence for found in journal.records(after)]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "t.db.journal"


def opened(folder: Path, settled: int = -1, **options: Any) -> Journal:
    return Journal(folder, settled=settled, seed=options.pop("seed", SEED), **options)


def filled(folder: Path, *records: Record, **options: Any) -> None:
    """A journal whose records were appended one by one."""
    journal = opened(folder, **options)
    for each in records:
        journal.append([each])
    journal.close()


def test_what_was_appended_comes_back_in_order_after_a_restart(folder: Path) -> None:
    journal = opened(folder)
    appended = journal.append([record(1), record(2, rows=[0, 3])]) + journal.append([record(3, size=100_000)])
    assert [each.sequence for each in appended] == [0, 1, 2]
    journal.close()
    again = opened(folder)
    for expected, found in zip(appended, again.records(), strict=True):
        assert (found.kind, found.payload, found.digest) == expected[:3]
        assert found.fingerprints.tolist() == expected.fingerprints.tolist()
        assert (found.sequence, found.arrived_ns) == (expected.sequence, expected.arrived_ns)
    assert [None if each.rows is None else each.rows.tolist() for each in again.records()] == [
        None,
        [0, 3],
        None,
    ]
    assert again.append([record(4)])[0].sequence == 3, "numbers go on"
    again.close()


def test_more_records_than_one_system_call_takes(folder: Path) -> None:
    journal = opened(folder)
    journal.append([record(number) for number in range(3_000)])
    journal.close()
    again = opened(folder)
    assert numbers(again) == list(range(3_000))
    again.close()


def test_a_record_of_no_items_and_one_without_bytes(folder: Path) -> None:
    empty = Record(2, b"", digest_of(b""), np.empty((0, 2), np.int64), np.empty(0, np.int64))
    filled(folder, empty, record(1))
    journal = opened(folder)
    first, second = journal.records()
    assert (first.payload, first.fingerprints.shape, first.rows is not None) == (b"", (0, 2), True)
    assert second.rows is None
    journal.close()


def test_a_write_that_takes_little_at_a_time_is_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "writev", lambda file, parts: os.write(file, bytes(parts[0][:3])))
    filled(folder, record(1), record(2))
    journal = opened(folder)
    assert numbers(journal) == [0, 1]
    journal.close()


def test_a_group_costs_one_synchronisation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(os, "fdatasync", lambda file: calls.append(file))
    journal = opened(folder)
    journal.append([record(number) for number in range(50)])
    assert len(calls) == 1
    journal.close()


def test_a_full_segment_is_followed_by_another(folder: Path) -> None:
    filled(folder, *map(record, range(10)), segment_bytes=300)
    assert len(segments(folder)) > 3
    journal = opened(folder)
    assert numbers(journal) == list(range(10))
    assert numbers(journal, after=6) == [7, 8, 9]
    journal.close()


def test_a_record_that_was_cut_off_anywhere_is_not_there_and_those_before_are(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(folder, record(1), record(2))
    (segment,) = segments(folder)
    whole = segment.read_bytes()
    filled(folder, record(3))
    last = segments(folder)[-1].read_bytes()[16:]
    segments(folder)[-1].unlink()
    for length in range(len(last)):
        segment.write_bytes(whole + last[:length])
        journal = opened(folder)
        assert len(list(journal.known())) == 2
        assert numbers(journal) == [0, 1]
        assert journal.append([record(4)])[0].sequence == 2
        journal.close()
        again = opened(folder)
        caplog.clear()
        assert len(list(again.known())) == 3
        assert not caplog.records, "what was never acknowledged is no loss"
        assert numbers(again) == [0, 1, 2]
        again.close()
        segments(folder)[-1].unlink()


def test_a_segment_that_was_just_begun_is_in_nobodys_way(folder: Path) -> None:
    for junk in (b"", b"TRSC", b"whatever was in the page, longer than a head"):
        folder.mkdir(exist_ok=True)
        (folder / f"{0:020d}.log").write_bytes(junk)
        journal = opened(folder)
        assert journal.append([record(1)])[0].sequence == 0
        assert numbers(journal) == [0]
        journal.close()
        for path in folder.iterdir():
            path.unlink()


@pytest.mark.parametrize("victim", [0, 1])
def test_a_flipped_byte_costs_one_record_is_said_and_its_segment_kept(
    folder: Path, victim: int, caplog: pytest.LogCaptureFixture
) -> None:
    filled(folder, record(1), record(2), record(3))
    (segment,) = segments(folder)
    whole = bytearray(segment.read_bytes())
    size = (len(whole) - 16) // 3
    for at in range(16 + victim * size, 16 + (victim + 1) * size):
        damaged = bytearray(whole)
        damaged[at] ^= 0x40
        segment.write_bytes(damaged)
        journal = opened(folder)
        caplog.clear()
        assert len(list(journal.known())) == 2
        assert numbers(journal) == [each for each in (0, 1, 2) if each != victim]
        assert f"1 accepted requests (numbers {victim} to {victim})" in caplog.text
        assert journal.append([record(4)])[0].sequence == 3
        journal.make_room()
        assert segment.exists(), "nothing of it is settled"
        journal.forget(3)
        journal.make_room()
        aside = segment.with_suffix(".damaged")
        assert aside.read_bytes() == damaged
        journal.close()
        for path in folder.iterdir():
            path.unlink()


def test_damage_in_what_is_settled_is_no_loss(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(folder, record(1), record(2))
    (segment,) = segments(folder)
    damaged = bytearray(segment.read_bytes())
    damaged[30] ^= 1
    segment.write_bytes(damaged)
    journal = opened(folder, settled=0)
    assert len(list(journal.known())) == 1
    assert numbers(journal, after=0) == [1]
    assert not caplog.records
    journal.close()


def test_what_never_was_acknowledged_is_not_remembered(folder: Path) -> None:
    """Its client will send it again, and must not be told that it was stored."""
    filled(folder, record(1), record(2))
    (segment,) = segments(folder)
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1  # the payload of the last record: its header and its fingerprints are whole
    segment.write_bytes(data)
    journal = opened(folder)
    assert [each.digest for each in journal.known()] == [record(1).digest]
    journal.close()


def test_a_payload_that_looks_like_a_record_is_none(folder: Path) -> None:
    """Somebody may send the bytes of a record; when the one around it is damaged, they must not count."""
    filled(folder, record(5), record(6))
    forged = segments(folder)[0].read_bytes()[16:]
    segments(folder)[0].unlink()
    other = folder.with_name("other")
    filled(other, Record(1, forged, digest_of(forged), np.empty((0, 2), np.int64)), record(9), seed=99)
    (segment,) = segments(other)
    data = bytearray(segment.read_bytes())
    data[20] ^= 1
    segment.write_bytes(data)
    journal = opened(other, seed=99)
    assert [each.payload for each in journal.records()] == [record(9).payload]
    journal.close()


def failing(monkeypatch: pytest.MonkeyPatch, name: str, number: int, calls: Iterator[bool]) -> None:
    real = getattr(os, name)

    def call(*arguments: Any) -> Any:
        if next(calls, False):
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("open", [True]),
        ("writev", [True]),
        ("writev", [False, True]),
        ("fsync", [True]),
        ("fsync", [False, True]),
        ("fdatasync", [True]),
    ],
)
def test_a_write_that_fails_anywhere_leaves_nothing_and_the_next_one_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, fails: list[bool], begun: bool, number: int
) -> None:
    journal = opened(folder, segment_bytes=1 if name in {"open", "fsync"} else 1 << 20)
    before = journal.append([record(0)]) if begun else []
    with monkeypatch.context() as patch:
        failing(patch, name, number, iter(fails))
        if begun and name == "writev" and fails[0] is False:
            pytest.skip("a segment that is open has no head to write")
        with pytest.raises(StoreError) as caught:
            journal.append([record(1), record(2)])
        assert isinstance(caught.value, StoreFullError) == (number != errno.EIO)
    assert numbers(journal) == [each.sequence for each in before]
    (good,) = journal.append([record(3)])
    assert good.sequence == len(before)
    journal.close()
    again = opened(folder)
    assert [each.payload for each in again.records()] == [each.payload for each in [*before, record(3)]]
    again.close()


def test_a_failed_write_that_cannot_be_taken_back_does_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(folder)
    journal.append([record(1)])
    with monkeypatch.context() as patch:
        failing(patch, "fdatasync", errno.EIO, iter([True]))
        failing(patch, "ftruncate", errno.EIO, iter([True]))
        with pytest.raises(StoreError):
            journal.append([record(2)])
    journal.append([record(3)])
    journal.close()
    again = opened(folder)
    assert [each.payload for each in again.records()] == [record(1).payload, record(3).payload]
    again.close()


def test_what_could_not_even_be_removed_is_in_nobodys_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(folder)
    with monkeypatch.context() as patch:
        failing(patch, "fsync", errno.EIO, iter([True]))
        failing(patch, "unlink", errno.EIO, iter([True]))
        failing(patch, "ftruncate", errno.EIO, iter([True]))
        with pytest.raises(StoreError):
            journal.append([record(1)])
    assert len(segments(folder)) == 1
    assert journal.append([record(2)])[0].sequence == 0
    assert [each.payload for each in journal.records()] == [record(2).payload]
    journal.close()


def test_numbers_go_on_behind_segments_that_cannot_be_read(folder: Path) -> None:
    filled(folder, *map(record, range(3)), segment_bytes=1)
    for path in segments(folder)[1:]:
        path.write_bytes(bytes(path.stat().st_size))
    journal = opened(folder)
    appended = [journal.append([record(number)])[0].sequence for number in (7, 8, 9)]
    journal.close()
    again = opened(folder)
    assert numbers(again) == [0, *appended]
    assert len(list(folder.glob("*.damaged"))) == 1
    again.close()


def test_a_disk_that_fills_in_the_middle_of_a_record(folder: Path) -> None:
    """A file size limit stands in for a full disk."""
    code = """
import pathlib, resource, signal, sys
from storage.test_journal import opened, record
from tracescape_storage.errors import StoreFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = opened(pathlib.Path(sys.argv[1]))
acknowledged = refused = 0
for limit in range(8, 400, 7):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        acknowledged += len(journal.append([record(1), record(2)]))
    except StoreFullError:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
acknowledged += len(journal.append([record(3)]))
print(acknowledged, refused)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])}
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    acknowledged, refused = map(int, result.stdout.split())
    assert refused > 10
    journal = opened(folder)
    assert numbers(journal) == list(range(acknowledged))
    journal.close()


def test_below_the_reserve_nothing_is_written_and_memories_go_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [1 << 30]
    usage = type("Usage", (), {"free": property(lambda self: free[0])})()
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    journal = opened(folder, segment_bytes=1)
    for number in range(4):
        journal.append([record(number)])
    journal.forget(2)
    assert len(segments(folder)) == 4, "young and few"
    free[0] = 1 << 20
    with pytest.raises(StoreFullError, match="1 MiB free, 64 MiB are kept in reserve"):
        journal.append([record(9)])
    assert numbers(journal) == [3], "what is settled made room, what is not stays"
    free[0] = 1 << 30
    assert journal.append([record(9)])[0].sequence == 4
    journal.close()


def test_only_what_is_settled_is_forgotten_by_size(folder: Path) -> None:
    journal = opened(folder, segment_bytes=1, kept_bytes=0)
    for number in range(6):
        journal.append([record(number)])
    for settled, left in ((-1, 0), (0, 1), (3, 4), (2, 4)):
        journal.forget(settled)
        assert numbers(journal) == list(range(left, 6))
    journal.forget(5)
    assert numbers(journal) == [5], "the open segment stays"
    assert journal.append([record(6)])[0].sequence == 6
    journal.close()


def test_a_partly_settled_segment_stays(folder: Path) -> None:
    journal = opened(folder, segment_bytes=300, kept_bytes=0)
    for number in range(7):
        journal.append([record(number)])
    first_of_second = int(segments(folder)[1].stem)
    journal.forget(first_of_second - 2)
    assert numbers(journal)[0] == 0
    journal.forget(first_of_second - 1)
    assert numbers(journal)[0] == first_of_second
    journal.close()


def test_what_is_settled_is_forgotten_by_age(folder: Path) -> None:
    journal = opened(folder, segment_bytes=1, kept_s=60)
    for number in range(3):
        journal.append([record(number)])
    journal.forget(2)
    assert len(segments(folder)) == 3
    old = time.time() - 61
    os.utime(segments(folder)[0], (old, old))
    journal.forget(2)
    assert numbers(journal) == [1, 2]
    journal.close()


def test_a_clock_that_goes_back_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(folder, segment_bytes=1)
    journal.append([record(0)])
    monkeypatch.setattr(time, "time", lambda: 1_000.0)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000_000)
    journal.append([record(1)])
    journal.forget(0)
    assert numbers(journal) == [0, 1]
    journal.close()
    again = opened(folder, settled=0)
    assert numbers(again, after=0) == [1]
    again.close()


def test_numbers_go_on_from_the_store_when_the_journal_was_lost(folder: Path) -> None:
    journal = opened(folder, settled=41)
    assert journal.append([record(1)])[0].sequence == 42
    journal.close()


def test_a_number_that_the_store_has_a_part_of_never_names_another_record(folder: Path) -> None:
    journal = opened(folder, settled=41, partly=True)
    assert journal.append([record(1)])[0].sequence == 43
    journal.close()
    again = opened(folder, settled=41, partly=True)
    assert again.append([record(2)])[0].sequence == 44
    again.close()


def test_the_journal_of_another_store_is_refused_and_left_as_it_is(folder: Path) -> None:
    filled(folder, record(1))
    before = segments(folder)[0].read_bytes()
    with pytest.raises(StoreError, match=r"belongs to another store than t\.db beside it\. Put back"):
        opened(folder, seed=SEED + 1)
    assert segments(folder)[0].read_bytes() == before
    opened(folder).close()


def test_one_at_a_time(folder: Path) -> None:
    journal = opened(folder)
    with pytest.raises(StoreError, match="Another collector holds"):
        opened(folder)
    journal.close()
    journal.close()
    opened(folder).close()


def test_a_segment_of_another_release_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / f"{0:020d}.log").write_bytes(b"TRSCJL99" + bytes(8))
    with pytest.raises(StoreError, match="another release"):
        opened(folder)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made: .* Name another store file"):
        opened(tmp_path / "file" / "t.db.journal")


def test_a_request_that_is_set_aside_is_a_file_of_its_own(folder: Path) -> None:
    journal = opened(folder, segment_bytes=1, kept_bytes=0)
    for number in range(3):
        journal.append([record(number)])
    path = journal.set_aside(1)
    journal.forget(2)
    assert path.read_bytes() == record(1).payload
    journal.close()


def test_a_request_that_cannot_be_set_aside_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(folder)
    journal.append([record(1)])
    failing(monkeypatch, "fsync", errno.ENOSPC, iter([True]))
    with pytest.raises(StoreError, match="No space left"):
        journal.set_aside(0)
    journal.close()


def test_whether_it_holds_more_is_told_without_touching_it(folder: Path) -> None:
    assert not holds_more(folder, settled=-1, seed=SEED)
    journal = opened(folder)
    journal.append([record(1), record(2)])
    assert holds_more(folder, settled=0, seed=SEED)
    assert not holds_more(folder, settled=1, seed=SEED)
    journal.close()
    with pytest.raises(StoreError, match="another store"):
        holds_more(folder, settled=1, seed=8)


def test_a_gap_before_the_first_record_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As when a store file from a backup meets a journal that went on."""
    filled(folder, *map(record, range(5)), segment_bytes=1)
    for path in segments(folder)[:3]:
        path.unlink()
    with caplog.at_level(logging.ERROR):
        journal = opened(folder, settled=0)
        list(journal.known())
    assert "2 accepted requests (numbers 1 to 2) are not in" in caplog.text
    journal.close()
