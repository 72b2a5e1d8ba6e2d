"""The table of docs/receiving.md that says which test proves what: none is missing, and each exists."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs" / "receiving.md"


def test_every_rule_of_a_receiver_names_a_test_that_exists() -> None:
    table = PAGE.read_text().partition("## What is tested where")[2]
    rows = re.findall(r"^\| *(\d*) *\| .+ \| `(.+)::(.+)` \|$", table, re.MULTILINE)
    assert [int(number) for number, _, _ in rows if number] == list(range(1, 22))
    assert len(rows) == table.count("\n|") - 2, "a row is not understood"
    for _, file, name in rows:
        tree = ast.parse((TESTS / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (
            f"{file}::{name}"
        )
