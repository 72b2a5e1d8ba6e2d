"""What is different about some spans: counts as the reference has them, statistics as textbooks have them."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from naive import compare as naive
from naive.search import Event, Scope, SearchedSpan
from support.documented import documented
from support.searchable import ColumnedReader, columned_reader
from tracescape_analytics.compare import Cell, Comparison, Selection, compare, effects, tables
from tracescape_analytics.compare.counting import Counts, bucket_bounds
from tracescape_analytics.compare.numbers import _kolmogorov, binned, numbers_of, shift
from tracescape_analytics.compare.ranking import SCORES, Distribution
from tracescape_analytics.errors import UnknownServiceError
from tracescape_storage.errors import StoreError
from tracescape_storage.filters import Field, field

COLUMNS = {"http.route": "VARCHAR", "app.items": "BIGINT", "app.ratio": "DOUBLE", "app.ok": "BOOLEAN"}
VALUES: list[object] = ["42", "", "it's", "a\nb", 42, 0, -7, 42.5, -0.5, True, False, b"42", ["x"], {"x": 1}]

attributes = st.dictionaries(
    st.sampled_from([*COLUMNS, "x", "$odd", 'a"b']), st.sampled_from(VALUES), max_size=4
)
scopes = st.builds(Scope, st.sampled_from(["", "lib"]), st.sampled_from([None, "1.0"]), attributes)
events = st.lists(st.builds(Event, st.sampled_from(["exception", "retry"]), attributes), max_size=1)
spans = st.lists(
    st.builds(
        SearchedSpan,
        trace=st.just(b"t" * 16),
        number=st.just(0),
        start=st.integers(0, 9),
        duration=st.integers(0, 1000),
        service=st.sampled_from(["app", "web"]),
        operation=st.sampled_from(["work", "GET /"]),
        kind=st.integers(0, 5),
        status=st.integers(0, 2),
        status_message=st.sampled_from([None, "no"]),
        attributes=attributes,
        resource=attributes,
        scope=scopes,
        events=events,
    ),
    min_size=2,
    max_size=12,
)


def numbered(made: Sequence[SearchedSpan]) -> list[SearchedSpan]:
    for number, span in enumerate(made, 1):
        span.number = number
    return list(made)


@contextmanager
def store(made: Sequence[SearchedSpan], columned: Sequence[bool] = (True,)) -> Iterator[ColumnedReader]:
    reader = columned_reader(COLUMNS)
    with closing(reader):
        reader.add(numbered(made), columned=columned)
        yield reader


def requests(count: int, *, slow: bool = False, status: int = 0, **attributes: object) -> list[SearchedSpan]:
    return [
        SearchedSpan(
            bytes([i % 250, status, int(slow)]) + bytes(13),
            0,
            start=i,
            duration=(5_000_000 if slow else 1_000_000) + i,
            status=status,
            attributes=dict(attributes),
        )
        for i in range(count)
    ]


def top(found: Comparison) -> tuple[str, str | None]:
    row = found.values.row(0, named=True)
    return row["attribute"], row["value"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spans, st.lists(st.booleans(), min_size=1, max_size=3), st.integers(1, 8))
def test_every_attribute_has_the_counts_of_the_reference(
    made: list[SearchedSpan], columned: list[bool], edge: int
) -> None:
    made = numbered(made)
    selection = [span for span in made if span.start < edge]
    baseline = [span for span in made if span.start >= edge]
    with store(made, columned) as reader:
        if not selection or not baseline:
            with pytest.raises((StoreError, ValueError)):
                compare(reader, Selection(until_ns=edge), Selection(since_ns=edge))
            return
        found = compare(reader, Selection(until_ns=edge), Selection(since_ns=edge))
    wanted = naive.value_counts(selection, baseline)
    rows = found.values.filter(pl.col("attribute") != "duration_ns")
    told: dict[str, dict[str | None, tuple[int, int]]] = {}
    for row in rows.iter_rows(named=True):
        name = row["attribute"].replace('\\"', '"').replace('"a"b"', 'a"b').replace('"$odd"', "$odd")
        values = told.setdefault(name, {})
        before = values.get(row["value"], (0, 0))  # one text may be of two types
        values[row["value"]] = (before[0] + row["selection"], before[1] + row["baseline"])
    assert told == wanted


def test_the_attribute_that_goes_with_the_errors_is_named_first() -> None:
    made = requests(300, version="1") + requests(200, version="2") + requests(100, version="2", status=2)
    for number, span in enumerate(made):
        span.attributes["user"] = f"user-{number % 40}"
    with store(made) as reader:
        found = compare(reader, Selection(field("status") == "error"))
    assert (found.selected, found.compared) == (100, 500)
    assert top(found) == ("span.version", "1")
    best = found.values.filter(pl.col("difference") > 0).row(0, named=True)
    assert (best["attribute"], best["value"], best["significant"]) == ("span.version", "2", True)
    assert best["lift"] == pytest.approx(1.0 / 0.4)
    assert best["difference"] == pytest.approx(0.6)
    assert best["difference_low"] < best["difference"] < best["difference_high"]
    exemplar = found.values.filter(pl.col("value") == "2")["exemplar"][0]
    assert bytes.fromhex(exemplar)[1] == 2, "a failed trace"
    assert not found.values.filter(pl.col("attribute") == "span.user")["significant"].any()
    assert "100 % have span.version = 2, of the others 40 %, 2.5 times as often" in str(found)


def test_how_spans_failed_stands_after_which_ones_did() -> None:
    failed = requests(100, status=2, version="2", **{"error.type": "timeout"})
    for span in failed:
        span.status_message, span.events = "timed out", [Event("exception", {"exception.type": "E"})]
    with store(requests(300, version="1") + requests(100, version="2") + failed) as reader:
        by_status = compare(reader, Selection(field("status") == "error")).attributes["attribute"].to_list()
        by_version = compare(reader, Selection(Field("span", "version") == "2")).attributes["attribute"]
    assert by_status[0] == "span.version"
    assert set(by_status[-4:]) == {"event.exception.type", "event.name", "span.error.type", "status_message"}
    assert by_version[0] != "service", "elsewhere they are attributes like any other"


def test_unset_is_a_value() -> None:
    made = requests(80, status=2) + requests(300, tenant="a")
    with store(made) as reader:
        found = compare(reader, Selection(field("status") == "error"))
    row = found.values.filter(attribute="span.tenant", selection=80).row(0, named=True)
    assert (row["value"], row["baseline"], row["significant"]) == (None, 0, True)
    assert "100 % have no span.tenant, of the others 0 %" in str(found)


def test_two_values_together_tell_what_neither_does_alone() -> None:
    made = []
    for version in "12":
        for region in ("eu", "us"):
            broken = (version, region) == ("2", "eu")
            made += requests(200, version=version, region=region)
            made += requests(150 if broken else 2, status=2, version=version, region=region)
    with store(made) as reader:
        pair = compare(reader, Selection(field("status") == "error")).pairs.row(0, named=True)
    assert {pair["value"], pair["other_value"]} == {"2", "eu"}
    assert (pair["selection"], pair["baseline"]) == (150, 200)


def test_values_that_always_go_together_are_no_pair() -> None:
    made = requests(100, status=2, version="2", region="eu") + requests(300, version="1", region="us")
    with store(made) as reader:
        assert compare(reader, Selection(field("status") == "error")).pairs.is_empty()


def test_the_slowest_are_compared_with_the_others_of_their_service() -> None:
    made = requests(990, cache="hit") + requests(10, slow=True, cache="miss")
    made += [SearchedSpan(b"o" * 16, 0, service="other", duration=1, attributes={"cache": "miss"})] * 500
    with store(made) as reader:
        found = compare(reader, Selection(field("service") == "app", slowest=0.01))
    assert (found.selected, found.compared) == (10, 990), "a hundredth"
    assert found.attributes["attribute"][0] == "span.cache"
    assert "duration_ns" not in found.attributes["attribute"], "they were chosen by it"


def test_a_cloud_of_a_heat_map_is_a_selection() -> None:
    made = requests(200, host="a") + requests(50, slow=True, host="b")
    with store(made) as reader:
        found = compare(reader, Selection(cells=(Cell(0, 10_000, 4_000_000, 6_000_000),)))
    assert (found.selected, found.compared) == (50, 200)
    assert top(found)[0] == "span.host"


def test_a_window_is_compared_with_the_one_before() -> None:
    made = requests(100, version="1") + requests(100, version="2")
    for number, span in enumerate(made):
        span.start = number
    with store(made) as reader:
        found = compare(reader, Selection(since_ns=100, until_ns=200))
    assert (found.selected, found.compared) == (100, 100)
    assert top(found)[0] == "span.version"


def test_what_arrives_while_it_counts_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    made = requests(40, version="1") + requests(20, status=2, version="2")
    with store(made) as reader:
        asked = reader.sql

        def asked_while_more_arrives(query: str) -> pa.Table:
            answer = asked(query)
            with monkeypatch.context() as quiet:
                quiet.setattr(reader, "sql", asked)
                reader.add(numbered(requests(30, status=2, version="3") + requests(30, version="3")))
            return answer

        monkeypatch.setattr(reader, "sql", asked_while_more_arrives)
        found = compare(reader, Selection(field("status") == "error"))
    for name, rows in found.values.group_by("attribute"):
        assert (rows["selection"].sum(), rows["baseline"].sum()) == (found.selected, found.compared), name


def test_a_duration_is_told_with_its_unit() -> None:
    with store(requests(100) + requests(50, slow=True, status=2)) as reader:
        note = str(compare(reader, Selection(field("status") == "error")))
    assert "100 % have duration = 4.99 ms … 5.1 ms, of the others 0 %" in note


def test_quiet_data_name_nothing() -> None:
    random = np.random.default_rng(3)
    loud = 0
    for _ in range(20):
        made = requests(300)
        for span in made:
            span.status = 2 * int(random.random() < 0.3)
            span.attributes = {f"k{i}": str(random.integers(0, 2 + 9 * i)) for i in range(6)}
            span.attributes["n"] = float(random.lognormal())
        with store(made) as reader:
            loud += "stands out" not in str(compare(reader, Selection(field("status") == "error")))
    assert loud <= 1


def test_what_nobody_can_compare_is_said() -> None:
    with store(requests(5)) as reader:
        with pytest.raises(ValueError, match="everything that is stored.*name a baseline"):
            compare(reader, Selection())
        with pytest.raises(UnknownServiceError, match="app"):
            compare(reader, Selection(field("service") == "ap"))
        with pytest.raises(StoreError, match=r"The baseline has no spans"):
            compare(reader, Selection(field("status") == "unset"))
        with pytest.raises(ValueError, match="divergence, sentry, grafana"):
            compare(reader, Selection(field("status") == "error"), score="magic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="slowest hundredth"):
        Selection(slowest=1.0)
    with pytest.raises(ValueError, match="ends"):
        Selection(since_ns=5, until_ns=1)


def test_beyond_the_values_that_are_told_apart_the_rest_still_counts() -> None:
    made = requests(600)
    for number, span in enumerate(made):
        span.status = 2 * (number % 2)
        span.attributes["id"] = f"id-{number}"
    with store(made) as reader:
        found = compare(reader, Selection(field("status") == "error"))
    row = found.attributes.filter(attribute="span.id").row(0, named=True)
    assert (row["distinct_values"], row["selection_set"], row["baseline_set"]) == (600, 1.0, 1.0)
    assert len(found.values.filter(attribute="span.id")) == 200
    assert not found.values.filter(attribute="span.id")["significant"].any()


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_few_counts_are_tested_exactly(size_a: int, size_b: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, min(size_a, 6))), data.draw(st.integers(0, min(size_b, 3)))
    found = effects._fisher(a, a + b, size_a, size_a + size_b)
    assert found == pytest.approx(naive.fisher(a, size_a, b, size_b), rel=1e-6)


def test_p_values_and_intervals_of_textbooks() -> None:
    def p(a: int, size_a: int, b: int, size_b: int) -> float:
        return float(effects.independence_p(np.array([a]), size_a, np.array([b]), size_b)[0])

    assert p(3, 4, 1, 4) == pytest.approx(0.485714, abs=1e-6), "the lady tasting tea, two-sided"
    assert p(50, 100, 30, 100) == pytest.approx(0.003747, abs=1e-6)
    low, high = effects.difference_interval(np.array([56]), 70, np.array([48]), 80)
    assert (low[0], high[0]) == pytest.approx((0.0524, 0.3339), abs=1e-4), "Newcombe 1998, table II (a)"
    for value, freedom in ((3.841459, 1), (5.991465, 2), (11.070498, 5), (18.307038, 10), (233.994269, 200)):
        assert effects.chi_squared_tail(value, freedom) == pytest.approx(0.05, abs=1e-7)


counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6)


@given(counts)
def test_divergence_is_the_definition_less_chance_and_never_below_nothing(
    pairs: list[tuple[int, int]],
) -> None:
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    found = effects.divergence(a, b)
    if not a.sum() or not b.sum():
        assert found == 0
        return
    chance = (((a + b) > 0).sum() - 1) / (8 * math.log(2)) * (1 / a.sum() + 1 / b.sum())
    assert found == pytest.approx(min(max(naive.divergence(a.tolist(), b.tolist()) - chance, 0), 1))
    low, high = effects.divergence_interval(a, b)
    assert 0 <= low <= found <= high <= 1


def test_divergence_of_chance_is_nothing_on_average() -> None:
    random = np.random.default_rng(5)
    shares = random.dirichlet(np.ones(30))
    raw = [
        naive.divergence(random.multinomial(300, shares).tolist(), random.multinomial(400, shares).tolist())
        for _ in range(200)
    ]
    chance = 29 / (8 * math.log(2)) * (1 / 300 + 1 / 400)
    assert np.mean(raw) == pytest.approx(chance, rel=0.1)


samples = st.lists(st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-9), min_size=1, max_size=30)


@settings(max_examples=15, deadline=None)
@given(samples, samples)
def test_numbers_are_where_the_reference_has_them(a: list[float], b: list[float]) -> None:
    made = requests(len(a) + len(b))
    for span, number, side in zip(made, a + b, [2] * len(a) + [0] * len(b), strict=True):
        span.attributes, span.status = {"app.ratio": float(number)}, side
    with store(made) as reader:
        found = compare(reader, Selection(field("status") == "error")).numbers
    row = found.filter(attribute="span.app.ratio").row(0, named=True)
    ks, wasserstein = naive.ks_and_wasserstein(a, b)
    assert row["ks"] <= ks + 1e-9, "between buckets less may be seen"
    # Every number may be moved by half a bucket.
    room = 0.012 * (sum(map(abs, a)) / len(a) + sum(map(abs, b)) / len(b)) + 1e-9
    assert row["wasserstein"] == pytest.approx(wasserstein, abs=room)
    assert row["selection_p50"] == pytest.approx(sorted(a)[(len(a) - 1) // 2], rel=0.023)


@given(st.floats(1e-300, 1e300))
def test_a_bucket_is_as_wide_as_promised(number: float) -> None:
    bucket = 1100 * 32 + math.floor(math.log2(number) * 32)
    low, high = bucket_bounds(bucket)
    assert low * (1 - 1e-9) <= number <= high * (1 + 1e-9)
    assert high / low == pytest.approx(2 ** (1 / 32))
    assert bucket_bounds(-bucket) == (-high, -low)


def test_ranges_hold_everything_once() -> None:
    made = requests(500) + requests(500, slow=True)
    for number, span in enumerate(made):
        span.status, span.attributes = 2 * (number % 2), {"app.items": number**2}
    with store(made) as reader:
        found = compare(reader, Selection(field("status") == "error")).values
    rows = found.filter(attribute="span.app.items")
    assert 5 <= len(rows) <= 10
    assert (rows["selection"].sum(), rows["baseline"].sum()) == (500, 500)


def test_ks_p_value_of_a_table() -> None:
    same = Counts(Field("", "duration_ns"), buckets={35200 + i: [10, 10] for i in range(50)})
    numbers = numbers_of(same)
    assert numbers is not None
    assert (shift(numbers).ks, shift(numbers).p) == (0, 1.0)
    assert len(binned(numbers)) == 10
    # Kolmogorov's distribution: P(K > 1.3581) = 0.05.
    assert _kolmogorov(1.3581 / 1000, 1e6) == pytest.approx(0.05, abs=1e-3)


def test_published_scores_order_as_their_authors_do() -> None:
    key = Distribution(np.array([10, 0, 600]), np.array([10, 200, 6000]))
    other = Distribution(np.array([100, 500, 10]), np.array([1000, 5000, 210]))
    sentry = SCORES["sentry"]([key, other])
    assert sentry[0] == pytest.approx(0.2 / 61 + 0.8 / 61), "first by entropy and by divergence"
    assert sentry[1] == pytest.approx(0.2 / 62 + 0.8 / 62)
    assert SCORES["grafana"]([key])[0] == pytest.approx(200 / 6210)


def test_every_column_is_documented() -> None:
    for name, schema in (
        ("attributes", tables.ATTRIBUTES),
        ("values", tables.VALUES),
        ("numbers", tables.NUMBERS),
        ("pairs", tables.PAIRS),
    ):
        assert documented(f"store.compare()`: `.{name}") == list(schema)
