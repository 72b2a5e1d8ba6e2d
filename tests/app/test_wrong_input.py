"""What is given wrongly is said in one sentence, by the methods of a store and by the commands alike."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import tracescape as ts
from support import everything
from tracescape import cli
from tracescape.collector import Collector
from tracescape.store import Store
from tracescape_ingest.decode import decode_traces
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.unopened import LockedStoreError

LONG = "x" * 1_000_000
HALF = "\ud800"
TURNED = "\u202egnorw"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("wrong") / "t.db"
    store = DuckDBStore(file)
    for message in everything.traces():
        store.append(decode_traces(message.SerializeToString()).tables)
    store.close()
    return file


@pytest.fixture(scope="module", params=["file", "collector"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    if request.param == "file":
        with ts.open(path) as opened:
            yield opened
        return
    with Collector(path.with_name("live.db"), grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        for message in everything.traces():
            url, headers = f"{collector.http_url}/v1/traces", {"content-type": "application/x-protobuf"}
            httpx.post(url, content=message.SerializeToString(), headers=headers).raise_for_status()
        with ts.connect(collector.http_url) as connected:
            yield connected


TEXTS = [
    ("trace", "trace_id", "trace_id is a text"),
    ("sql", "query", "query is a text"),
    ("search", "service", "service is a text"),
    ("search", "after", "after is a text"),
    ("search", "order", "order is a text"),
    ("logs", "contains", "contains is a text"),
    ("logs", "trace_id", "trace_id is a text"),
    ("metrics", "name", "name is a text"),
    ("red", "by", "by is a text"),
    ("services", "environment", "environment is a text"),
    ("critical_path", "service", "service is a text"),
    ("select", "operation", "operation is a text"),
]


@pytest.mark.parametrize(
    "value", [5, 1.5, math.nan, True, b"x", [], {}, object()], ids=lambda value: repr(value)[:7]
)
@pytest.mark.parametrize(("method", "name", "words"), TEXTS)
def test_what_is_no_text(store: Store, method: str, name: str, words: str, value: object) -> None:
    refused(lambda: getattr(store, method)(**{name: value}), words)


#: Of each, a value, and what is said.
CASES: list[tuple[str, dict[str, object], str]] = [
    ("trace", {"trace_id": None}, "trace_id is a text, not None"),
    ("trace", {"trace_id": "zz"}, "'zz' is no trace id: that is 32 hexadecimal digits"),
    ("trace", {"trace_id": TURNED}, r"'\\u202egnorw' is no trace id"),
    ("trace", {"trace_id": LONG}, "1,000,000 characters; 4,096 are the limit"),
    ("trace", {"trace_id": HALF}, "half of a surrogate pair"),
    ("sql", {"query": None}, "query is a text, not None"),
    ("sql", {"query": ""}, "The query is empty. Write one SELECT"),
    ("sql", {"query": " \n"}, "The query is empty. Write one SELECT"),
    ("sql", {"query": LONG}, "longer than (256|512) KiB"),
    ("sql", {"query": HALF}, "half of a surrogate pair"),
    ("sql", {"query": "select * from spans_vv"}, 'Did you mean "spans_v"'),
    ("search", {"limit": "10"}, "limit is a whole number, not '10'"),
    ("search", {"limit": -1}, "limit is -1; a page has 1 to 1,000 traces"),
    ("search", {"limit": None}, "limit is a whole number"),
    ("search", {"limit": 1.5}, "limit is a whole number"),
    ("search", {"limit": True}, "limit is a whole number"),
    ("search", {"limit": 10**30}, "limit is a whole number of 64 bits"),
    ("search", {"order": "x"}, "there is no order 'x'; it is newest or slowest"),
    ("search", {"order": LONG}, "4,096 are the limit"),
    ("search", {"after": "zz"}, "'zz' is no place in a search"),
    ("search", {"kind": "zz"}, "there is no kind 'zz'; it is one of unset, internal"),
    ("search", {"service": "crt"}, "Did you mean 'cart'"),
    ("search", {"service": TURNED}, r"'\\u202egnorw'"),
    ("search", {"min_duration": "5"}, "'5' is no duration; write 200ms"),
    ("search", {"min_duration": math.nan}, "min_duration is a duration, such as '200ms'"),
    ("search", {"attributes": "user.id"}, "attributes is a dict of attributes"),
    ("search", {"attributes": {"a.b": None}}, "None is no value to compare with"),
    ("search", {"attributes": {5: 1}}, "a field is called by its name"),
    ("search", {"since": "yesterday"}, "'yesterday' is no time; write 15m"),
    ("search", {"since": math.nan}, "nan is no time"),
    ("search", {"where": 5}, "5 is no filter"),
    ("search", {"where": "operation matches '['"}, "is no regular expression .missing"),
    ("search", {"where": "operation matches '(?=x)'"}, "is no regular expression"),
    ("search", {"where": "event.name matches '('"}, "is no regular expression"),
    ("search", {"where": "service = "}, "wrong at its end: expected a text in quotes"),
    ("search", {"where": f"service = {TURNED}"}, r"at column 11, \\u202egnorw: this is nothing of a filter"),
    ("search", {"where": LONG}, "a filter of 1,000,000 characters; 16,384 are the limit"),
    ("spans", {"columns": "service"}, r"columns are a list of names: columns=\['service'\]"),
    ("spans", {"columns": 5}, "columns are a list of names, not 5"),
    ("spans", {"columns": [5]}, "columns are a list of names, and 5 is none"),
    ("spans", {"columns": []}, "0 columns are asked for"),
    ("spans", {"columns": ["http.rout"]}, "did you mean http.route"),
    ("spans", {"columns": ["resource.host.nme"]}, "did you mean resource.host.name"),
    ("spans", {"columns": [HALF]}, "surrogate"),
    ("spans", {"limit": math.inf}, "limit is a whole number"),
    ("spans", {"limit": -1}, "limit is -1"),
    ("spans", {"form": "pandas"}, "there is no form 'pandas'; it is frame, lazy or arrow"),
    ("logs", {"columns": ["bdy"]}, "did you mean body"),
    ("logs", {"trace_id": "zz"}, "'zz' is no trace id"),
    ("metrics", {"name": LONG}, "4,096 are the limit"),
    ("red", {"by": "zz"}, "by='zz' is neither of service, operation"),
    ("red", {"step": math.nan}, "step is a duration"),
    ("red", {"step": "zz"}, "'zz' is no duration"),
    ("latency", {"step": 1.5}, "step is a duration"),
    ("services", {"thresholds": 5}, "thresholds is of ts.Thresholds"),
    ("services", {"environment": "zz"}, "No span of an environment 'zz'"),
    ("topology", {"since": 1, "baseline": "zz"}, "'zz' is no time"),
    ("topology", {"baseline": 1}, "a baseline needs a later since"),
    ("topology", {"since": 2, "until": 1}, "the window is empty"),
    ("critical_path", {"tolerance": "x"}, "tolerance is a number, not 'x'"),
    ("critical_path", {"tolerance": math.nan}, "tolerance is a number, not nan"),
    ("critical_path", {"slowest": 2}, "slowest=2 is not a share"),
    ("select", {"slowest": "1"}, "slowest is a number"),
    ("tail", {"poll_s": math.nan}, "poll_s is a number, not nan|closed file"),
    ("tail", {"where": "zz"}, "there is no field 'zz'"),
    ("backup", {"path": None}, "path is a text or a Path, not None"),
    ("backup", {"path": ""}, "path is a text or a Path, not empty"),
    ("backup", {"path": LONG}, "File name too long"),
    ("backup", {"path": "/"}, "exists already"),
]


@pytest.mark.parametrize(("method", "given", "words"), CASES, ids=[f"{m} {str(g)[:40]}" for m, g, _ in CASES])
def test_a_wrong_value(store: Store, method: str, given: dict[str, object], words: str) -> None:
    refused(lambda: getattr(store, method)(**given), words)


def test_a_wrong_value_of_an_answer_or_a_filter(store: Store) -> None:
    trace = store.trace(everything.CART.hex())
    refused(lambda: trace.span(None), "span_id is a text, not None")  # type: ignore[arg-type]
    refused(lambda: trace.span("zz"), "has no span 'zz'; see .spans")
    refused(lambda: trace.critical_path(math.nan), "tolerance is a number")
    refused(lambda: trace.to_otlp_json(indent=1.5), "indent is a whole number")  # type: ignore[arg-type]
    refused(lambda: ts.field(None), "a field is called by its name, a text such as")  # type: ignore[arg-type]
    refused(lambda: ts.field("servce"), "did you mean service")
    refused(lambda: ts.field("a.b").matches("["), "is no regular expression")
    refused(lambda: ts.Thresholds(apdex_ns="x"), "thresholds are numbers, and 'x' is none")  # type: ignore[arg-type]
    refused(lambda: ts.Thresholds(failing_p95=math.nan), "thresholds are numbers")


def test_what_is_right_still_goes(store: Store) -> None:
    np = pytest.importorskip("numpy")
    assert len(store.search(limit=np.int64(1))) == 1
    assert store.critical_path(tolerance=np.float64(0.01)).height
    assert store.spans(columns=("service", "service"), limit=1).columns == ["service"]
    with pytest.raises(TypeError, match="unexpected keyword argument 'nosuch'"):
        store.search(nosuch=1)  # type: ignore[call-arg]


def refused(ask: Callable[[], object], words: str) -> None:
    with pytest.raises((ValueError, ts.StoreError), match=words) as caught:
        ask()
    said = str(caught.value)
    assert "\n" not in said and len(said) < 1_000
    assert said.isprintable()


def truncated(path: Path, target: Path) -> None:
    target.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_to_its_header(path: Path, target: Path) -> None:
    target.write_bytes(path.read_bytes()[:5_000])


def changed(path: Path, target: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(12_288, min(len(data), 300_000), 997):
        data[place] ^= 0xFF
    target.write_bytes(data)


def sqlite(_path: Path, target: Path) -> None:
    connection = sqlite3.connect(target)
    connection.execute("create table t(a)")
    connection.commit()
    connection.close()


FILES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "truncated": (truncated, r"is cut off: [\d,]+ bytes are missing. Open a backup"),
    "cut": (cut_to_its_header, "is cut off or damaged .*Open a backup"),
    "changed": (changed, "is cut off or damaged .*Open a backup"),
    "sqlite": (sqlite, "is a SQLite database, not a Tracescape store. Name another file"),
    "text": (lambda _, target: target.write_text("hello\n" * 999), "is not a Tracescape store. Name another"),
    "empty": (lambda _, target: target.touch(), "is empty, not a Tracescape store. Remove it"),
    "folder": (lambda _, target: target.mkdir(), "is a folder. Name the store file in it"),
    "nothing": (lambda _path, _target: None, "There is no store at .* Make one with: tracescape serve"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_store(
    kind: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = FILES[kind]
    target = tmp_path / "wrong.db"
    make(path, target)
    refused(lambda: ts.open(target), words)
    said = told(monkeypatch, capsys, "query", "select 1", "--store", str(target))
    assert said.startswith("tracescape: ") and said.count("\n") == 1
    if kind != "nothing":
        with pytest.raises(ts.StoreError, match=words.split(":")[0].split(" .*")[0]):
            DuckDBStore(target).close()


def test_a_damaged_file_that_is_written_is_named(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "cut.db"
    truncated(path, target)
    with pytest.raises(ts.StoreError, match="is cut off or damaged"):
        DuckDBStore(target)
    path.rename(target)
    DuckDBStore(target).close()  # and nothing is held of it
    target.rename(path)


def test_a_file_that_may_not_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException(f'IO Error: Cannot open file "{path}": Permission denied')

    def unreadable(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(duckdb, "connect", refuse)
    monkeypatch.setattr(Path, "open", unreadable)
    refused(lambda: ts.open(path), r"cannot be read .Permission denied.. Let this user read it")


def test_a_held_file_is_not_called_damaged(path: Path) -> None:
    held = DuckDBStore(path)
    with pytest.raises(LockedStoreError, match="This process already holds"):
        ts.open(path)
    held.close()


ADDRESSES = [
    *("http://", "", "x\ny", "localhost:99999", "localhost:abc", "ftp://x", "[::1", "a b", "\u202e:1"),
    *("a\0b", "127.0.0.1:-1", LONG, None, 5),
]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda value: repr(value)[:20])
def test_what_is_no_address(address: object) -> None:
    refused(
        lambda: ts.connect(address),  # type: ignore[arg-type]
        "is no address of a collector.*Write HOST:PORT or http://HOST:PORT",
    )


@pytest.mark.parametrize("token", ["x\ny", "é", 5, b"x", LONG, "\0", " "], ids=lambda value: repr(value)[:20])
def test_what_is_no_key(token: object) -> None:
    refused(lambda: ts.connect("127.0.0.1:1", token=token), "The token is no API key")  # type: ignore[arg-type]


def test_secrets_in_an_address_are_not_left_out_silently() -> None:
    with pytest.raises(ts.StoreError, match="give its key as token=") as caught:
        ts.connect("http://me:secret@127.0.0.1:1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("ca", ["/nowhere.pem", "a\0", 5])
def test_what_is_no_authority(ca: object) -> None:
    refused(lambda: ts.connect("https://127.0.0.1:1", ca=ca), "cannot be used for TLS")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, 5, b"t.db", "", "a\0b", LONG], ids=lambda value: repr(value)[:20])
def test_what_is_no_path(wrong: object) -> None:
    refused(lambda: ts.open(wrong), "path is a text or a Path|File name too long")  # type: ignore[arg-type]


COMMANDS: list[tuple[list[str], str]] = [
    (["query", ""], "The query is empty"),
    (["query", "select 1", "--parquet", "/no/where.parquet"], "/no/where.parquet"),
    (["query", "select 1", "--json", "--csv"], "exclude each other"),
    (["search", "operation matches '['"], "is no regular expression"),
    (["search", "--limit", "-1"], "limit is -1"),
    (["search", "--since", "nonsense"], "'nonsense' is no time"),
    (["search", "--service", TURNED], r"'\u202egnorw'"),
    (["tail"], "is a closed file"),
    (["export", "zz"], "'zz' is no trace id"),
    (["export", everything.CART.hex(), "-o", "/no/where.json"], "/no/where.json: No such file"),
    (["export"], "name it with --output"),
    (["export", "-o", "/no/x.db"], "the folder /no does not exist"),
    (["health", "--apdex", "x"], "'x' is no duration"),
    (["compare", "--slowest", "7"], "slowest=7.0 is no share"),
    (["diagnose", "--since", "x"], "'x' is no time"),
]


@pytest.mark.parametrize(("words", "expected"), COMMANDS, ids=[" ".join(words)[:40] for words, _ in COMMANDS])
def test_a_command_says_it_in_a_line(
    words: list[str],
    expected: str,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = told(monkeypatch, capsys, *words, "--store", str(path))
    assert expected in said
    assert said.startswith("tracescape: ") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["query", "select 1", "--store", ""], "No store is named"),
        (["query", "select 1", "--store", "x" * 5_000], "File name too long"),
        (["doctor", "http://"], "is no address of a collector"),
        (["replay", "."], "is a folder"),
        (["serve", "--db", "x.db", "--max-gib", "1e300"], "is more than any disk has"),
        (["serve", "--db", "."], "is a folder"),
    ],
)
def test_a_command_without_a_store_says_it_in_a_line(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    said = told(monkeypatch, capsys, *words)
    assert expected in said
    assert said.startswith("tracescape: ") and said.count("\n") == 1


def test_names_of_strangers_do_not_reach_the_terminal_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from support.otlp import request, span

    store = DuckDBStore(tmp_path / "t.db")
    store.append(decode_traces(request(span("x"), service="\x1b[31mred").SerializeToString()).tables)
    store.close()
    said = told(monkeypatch, capsys, "search", "--service", "blue", "--store", str(tmp_path / "t.db"))
    assert "\x1b" not in said and r"\x1b[31mred" in said


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command that fails says."""
    monkeypatch.setattr("sys.argv", ["tracescape", *words])
    code = cli.run()
    captured = capsys.readouterr()
    assert code == 1, captured
    assert captured.out == ""
    return captured.err
