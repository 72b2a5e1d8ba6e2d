"""docs/demo.md lists the faults that there are."""

import re
from pathlib import Path

from tracescape.shop import KINDS, parsed

PAGE = (Path(__file__).parents[2] / "docs" / "demo.md").read_text(encoding="utf-8")


def test_every_fault_has_a_row_and_no_other() -> None:
    assert re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE) == list(KINDS)


def test_the_faults_of_its_examples_exist() -> None:
    examples = re.findall(r"--fault (\S+)|parsed\(\"([^\"]+)\"", PAGE)
    assert len(examples) == 3
    for text in examples:
        parsed("".join(text))
