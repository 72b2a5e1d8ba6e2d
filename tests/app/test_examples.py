"""The example notebooks run, top to bottom, on what the demo leaves behind."""

import functools
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def folder(path: Path) -> Path:
    return path.parent


@functools.cache
def executed(notebook: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, after it ran in that folder."""
    document = nbformat.read(notebook, as_version=4)
    NotebookClient(document, timeout=180, resources={"metadata": {"path": str(folder)}}).execute()
    return document


@pytest.mark.filterwarnings("default")  # Jupyter's own libraries warn about each other
@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_runs_and_shows_pictures_and_tables(notebook: Path, folder: Path) -> None:
    committed = nbformat.read(notebook, as_version=4)
    assert not any(cell.get("outputs") for cell in committed.cells), "committed notebooks carry no outputs"
    document = executed(notebook, folder)
    shown = [output.get("data", {}) for cell in document.cells for output in cell.get("outputs", [])]
    assert any("<table" in data.get("text/html", "") for data in shown)
    pages = "".join(data.get("text/html", "") for data in shown)
    assert "<svg" in pages or any("image/png" in data for data in shown)


@pytest.mark.filterwarnings("default")  # as above
def test_the_incident_ends_at_what_the_demo_broke(folder: Path) -> None:
    document = executed(EXAMPLES / "incident.ipynb", folder)
    pages = [
        output.data["text/html"]
        for cell in document.cells
        if "ts.plot(found)" in cell.source
        for output in cell.outputs
    ]
    assert len(pages) == 1 and "typical trace " in pages[0] and "(UPDATE sto" in pages[0]
    printed = "".join(output.get("text", "") for cell in document.cells for output in cell.get("outputs", []))
    assert "1. postgresql inventory@inventory-db (slow calls to it" in printed
    assert (
        "in calls from inventory to postgresql inventory@inventory-db (" in printed.rstrip().splitlines()[-2]
    )
