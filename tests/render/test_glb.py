"""The scene as a GLB file: an independent validator finds nothing in it, and it is the scene."""

from __future__ import annotations

import json
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from support.page import page_sources
from tracescape_render.palette import COLOUR_BLIND, DARK, FAILING, THEMES, Theme
from tracescape_render.scene import KINDS, Scene, build_scene
from tracescape_render.verdict import Cause
from tracescape_render.web.glb import glb

HOSTILE = '"}]<img src=x onerror=1>\n\0'
VALIDATE = """
const { validateBytes } = require("gltf-validator");
const files = process.argv.slice(1).map((file) => new Uint8Array(require("fs").readFileSync(file)));
Promise.all(files.map((bytes) => validateBytes(bytes))).then((found) => console.log(JSON.stringify(found)));
"""


def scene_of(names: list[str], causes: pl.DataFrame | None = None) -> Scene:
    count = len(names)
    states = ["healthy", "degraded", "failing", "idle", "absent"]
    nodes = pl.DataFrame(
        {
            "service": names,
            "kind": [KINDS[row % len(KINDS)] for row in range(count)],
            "calls": [100 * (row + 1) for row in range(count)],
            "errors": list(range(count)),
            **{f"{name}_ns": [1e6] * count for name in ("p50", "p95", "p99")},
            "state": [states[row % len(states)] for row in range(count)],
        },
        schema_overrides={"service": pl.String, "kind": pl.String, "state": pl.String},
    )
    edges = pl.DataFrame(
        {
            "source": names[:-1],
            "target": names[1:],
            "connection": ["http"] * max(count - 1, 0),
            "calls": [50] * max(count - 1, 0),
            "errors": [0] * max(count - 1, 0),
            "client_p95_ns": [1e6] * max(count - 1, 0),
            "server_p95_ns": [1e6] * max(count - 1, 0),
            "state": (states * count)[: max(count - 1, 0)],
        },
        schema_overrides={"source": pl.String, "target": pl.String, "state": pl.String},
    )
    return build_scene(nodes, edges, seconds=60.0, causes=causes)


def with_cause() -> Scene:
    scene = scene_of(named(12))
    alone = np.zeros(0, np.int64)
    cause = Cause(HOSTILE, "slow calls", 2, None, [2], alone, alone)
    return replace(scene, cause=cause, beacon=scene.positions[2].copy())


def named(count: int) -> list[str]:
    return [f"service-{row}" for row in range(count)]


def document(content: bytes) -> dict[str, Any]:
    magic, version, whole, length, kind = struct.unpack_from("<IIIII", content)
    assert (magic, version, whole, kind) == (0x46546C67, 2, len(content), 0x4E4F534A)
    found: dict[str, Any] = json.loads(content[20 : 20 + length])
    return found


def bodies(content: bytes) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in document(content)["nodes"] if "kind" in node.get("extras", {})}


def test_a_validator_finds_nothing(tmp_path: Path) -> None:
    sources = page_sources(tmp_path)
    files = {
        "empty": glb(scene_of([]), DARK),
        "alone": glb(scene_of(["alone"]), DARK),
        "hostile": glb(scene_of([HOSTILE, "web", "cart"]), DARK),
        "incident": glb(with_cause(), DARK),
        **{name: glb(scene_of(named(60)), theme) for name, theme in THEMES.items()},
        "crowd": glb(scene_of(named(1_500)), DARK),
    }
    for name, content in files.items():
        (tmp_path / f"{name}.glb").write_bytes(content)
    command = ["node", "-e", VALIDATE, *(str(tmp_path / f"{name}.glb") for name in files)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for name, report in zip(files, json.loads(done.stdout), strict=True):
        issues = report["issues"]
        assert [issues[f"num{kind}"] for kind in ("Errors", "Warnings", "Infos", "Hints")] == [0] * 4, (
            name,
            issues["messages"][:5],
        )


def test_everybody_is_a_node_with_a_name_a_place_and_a_state() -> None:
    scene = scene_of(named(30))
    found = bodies(glb(scene, DARK))
    assert list(found) == scene.services
    for body, node in enumerate(found.values()):
        assert node["translation"] == pytest.approx(scene.positions[body].tolist())
        assert node["scale"] == pytest.approx([float(scene.radii[body])] * 3)
        assert node["extras"]["calls"] == scene.calls[body]
        assert node["extras"]["kind"] == KINDS[int(scene.shape[body])]


@pytest.mark.parametrize("theme", [DARK, COLOUR_BLIND], ids=lambda theme: theme.name)
def test_states_have_the_themes_colours_and_more_than_a_colour(theme: Theme) -> None:
    content = glb(scene_of(named(10)), theme)
    told, found = document(content), bodies(content)
    failing = [node for node in found.values() if node["extras"]["state"] == "failing"]
    assert failing
    for node in failing:
        part = told["meshes"][node["mesh"]]["primitives"][0]
        colour = told["materials"][part["material"]]["pbrMetallicRoughness"]["baseColorFactor"]
        screen = [255 * (1.055 * value ** (1 / 2.4) - 0.055) for value in colour[:3] if value > 0.0031308]
        wanted = [value for value in theme.states[FAILING] if value > 10]
        assert screen == pytest.approx(wanted, abs=0.01)
        assert [told["nodes"][child]["name"].partition(":")[0] for child in node["children"]] == ["failing"]


def test_bodies_of_one_kind_share_their_corners() -> None:
    scene = scene_of(named(400))
    told = document(glb(scene, DARK))
    assert len(told["accessors"]) < 2 * len(scene.plates) + 50
    assert len(told["nodes"]) > 400


def test_what_is_up_in_the_scene_is_up_in_the_file() -> None:
    told = document(glb(scene_of(named(3)), DARK))
    root = told["nodes"][told["scenes"][0]["nodes"][0]]
    x, y, z, w = root["rotation"]
    up = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    assert up == pytest.approx([0, 1, 0])
