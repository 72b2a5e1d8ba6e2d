"""Spans that failed are evidence whatever their status says: a gRPC code is enough, wherever it is stored."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from memory_reader import stored_span_table
from support.small_shop import HEALTHY, MINUTE, faulty, small_shop
from tracescape_analytics.root_cause import Diagnosis, diagnose
from tracescape_storage.attributes import encode_attributes
from tracescape_storage.duckdb_file import DuckDBStore, open_reader

SINCE = 12 * MINUTE
FAILING = faulty(fails={"bank": 0.5})
OLD, NEW = "rpc.grpc.status_code", "rpc.response.status_code"


def coded(path: Path, key: str, code: object, *, column: bool) -> Path:
    """A store of the shop in which the bank is called by gRPC and no status tells what failed."""

    def codes(row: dict[str, object]) -> dict[str, object]:
        if row["operation"] not in ("call bank", "POST /transfer"):
            return {**row, "status": 0}
        failed = {key: code} if row["status"] == 2 else {}
        return {**row, "status": 0, "rpc_service": "shop.Bank", "attributes": encode_attributes(failed)}

    rows = small_shop(faults=FAILING, change=codes).table.to_pylist()
    spans = stored_span_table(rows)
    if column:
        values = [code if row["attributes"] != "{}" else None for row in rows]
        text = pa.array(["{}"] * len(rows))
        spans = spans.set_column(spans.schema.get_field_index("attributes"), "attributes", text)
        spans = spans.append_column(key, pa.array(values))
    store = DuckDBStore(path)
    store.append({"spans": spans})
    store.close()
    return path


def asked(path: Path) -> Diagnosis:
    reader = open_reader(path)
    try:
        return diagnose(reader, since_ns=SINCE)
    finally:
        reader.close()


@pytest.mark.parametrize("column", [False, True], ids=["in text", "in a column"])
@pytest.mark.parametrize(("key", "code"), [(OLD, 14), (NEW, "UNAVAILABLE"), (NEW, "13")])
def test_a_code_that_is_the_servers_fault_is_an_error(
    tmp_path: Path, key: str, code: object, column: bool
) -> None:
    answer = asked(coded(tmp_path / "t.db", key, code, column=column))
    assert answer.causes.select("service", "kind").rows() == [("bank", "errors")]


@pytest.mark.parametrize(("key", "code"), [(OLD, 5), (NEW, "NOT_FOUND")])
def test_a_code_that_is_the_callers_fault_is_none(tmp_path: Path, key: str, code: object) -> None:
    answer = asked(coded(tmp_path / "t.db", key, code, column=False))
    assert "errors" not in answer.suspects["kind"].to_list()


def test_a_store_without_rpcs_is_not_asked_for_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, queries = small_shop(faults=HEALTHY), list[str]()
    answers = shop.sql
    monkeypatch.setattr(shop, "sql", lambda query: queries.append(query) or answers(query))
    diagnose(shop, since_ns=SINCE)
    assert queries
    assert not [query for query in queries if "FROM spans" in query]
