"""The arrows of ARCHITECTURE.md, read from the imports themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: package: (its folder, the packages of ours it may import)
PACKAGES = {
    "tracescape_native": ("native", set()),
    "tracescape_storage": ("storage", {"tracescape_native"}),
    "tracescape_ingest": ("ingest", {"tracescape_storage", "tracescape_native"}),
    "tracescape_analytics": ("analytics", {"tracescape_storage", "tracescape_native"}),
    "tracescape_render": ("render", {"tracescape_analytics", "tracescape_storage", "tracescape_native"}),
    "tracescape": (
        "app",
        {
            "tracescape_native",
            "tracescape_storage",
            "tracescape_ingest",
            "tracescape_analytics",
            "tracescape_render",
        },
    ),
}

#: library: the packages of ours that may know it. grpc and protobuf are also the clients' in app.
OWNERS = {
    "duckdb": {"tracescape_storage"},
    "vtkmodules": {"tracescape_render"},
    "vtk": {"tracescape_render"},
    "pyvista": {"tracescape_render"},
    "pyvistaqt": {"tracescape_render"},
    "PySide6": {"tracescape_render"},
    "grpc": {"tracescape_ingest", "tracescape"},
    "google": {"tracescape_ingest", "tracescape"},
    "opentelemetry": {"tracescape_ingest", "tracescape"},
    "numba": {"tracescape_native"},
}

#: What a collector on a server never needs, and so must not load.
NOT_FOR_A_COLLECTOR = {"vtk", "vtkmodules", "pyvista", "PySide6", "matplotlib", "numba", "polars"}


def imports(package: str) -> Iterator[tuple[Path, str]]:
    folder = ROOT / PACKAGES[package][0] / package
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: a relative import hides where it points"
                yield path, str(node.module)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_arrows_between_our_packages_point_one_way(package: str) -> None:
    allowed = PACKAGES[package][1] | {package}
    seen = 0
    for path, name in imports(package):
        seen += 1
        top = name.split(".")[0]
        assert top not in PACKAGES or top in allowed, f"{path.relative_to(ROOT)} imports {name}"
    assert seen, f"no import was found in {package}: this test looks in the wrong place"


@pytest.mark.parametrize("package", PACKAGES)
def test_each_library_has_its_owner(package: str) -> None:
    for path, name in imports(package):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or package in owners, f"{path.relative_to(ROOT)} imports {name}"


def test_a_collector_loads_neither_graphics_nor_analysis() -> None:
    import subprocess
    import sys

    code = "import sys, tracescape.cli, tracescape.collector; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "tracescape_ingest.grpc_server" in loaded
    assert not NOT_FOR_A_COLLECTOR & set(loaded)


def test_the_command_line_loads_no_library_before_a_command_needs_it() -> None:
    import subprocess
    import sys

    code = "import sys, tracescape.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "tracescape.cli" in loaded
    heavy = NOT_FOR_A_COLLECTOR | {"duckdb", "pyarrow", "grpc", "starlette", "uvicorn", "opentelemetry"}
    assert not heavy & set(loaded)


def test_every_package_is_in_the_distribution_and_typed() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for package, (folder, _) in PACKAGES.items():
        assert f'"{folder}/{package}"' in pyproject
        assert (ROOT / folder / package / "py.typed").exists()
