"""A scene as a GLB file (glTF 2.0), for whatever opens one: Blender, viewers, engines.

A node a body, with its name, and its state and figures in ``extras``; connections are tubes, a mesh a colour.
What the page draws travels in a format of its own (`tables`), which has changes; this is to take away.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tracescape_render import meshes
from tracescape_render.arcs import FAINTEST, polylines
from tracescape_render.painting import Paint, paint
from tracescape_render.palette import RGB, STATES, Theme
from tracescape_render.scene import KINDS, Scene

if TYPE_CHECKING:
    import pyvista as pv

_MAGIC: Final = 0x46546C67
_VERSION: Final = 2
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_FLOAT, _WHOLE, _BYTE = 5126, 5125, 5121
_VERTICES, _INDICES = 34962, 34963
#: z is up in a scene, y in a file.
_UPRIGHT: Final = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]
#: Points along a connection.
_STEPS: Final = 12
_OPAQUE: Final = 255

Node: TypeAlias = dict[str, Any]


def glb(scene: Scene, theme: Theme) -> bytes:
    """The file's bytes. Lengths are the scene's, as metres; connections too faint to be seen are left out."""
    file = _File()
    painted = paint(scene, theme)
    children = [*_plates(file, scene, theme), *_bodies(file, scene, theme), *_arcs(file, scene, painted)]
    if scene.cause is not None:
        glow = file.material(theme.cause, glows=True, sheer=True)
        mesh = file.solid(meshes.beacon(scene, theme.cause), glow, sheer=True)
        name, reason = f"likely cause: {scene.cause.name}", {"reason": scene.cause.reason}
        children.append(file.node(name=name, mesh=mesh, extras=reason))
    root: Node = {"name": "Tracescape", "rotation": _UPRIGHT}
    root["extras"] = {"headline": scene.headline, "caption": scene.caption}
    return file.written(root | ({"children": children} if children else {}))


def _bodies(file: _File, scene: Scene, theme: Theme) -> list[int]:
    shapes = meshes.body_shapes(len(scene.services))
    marks = meshes.mark_of(scene)
    worn = meshes.mark_shapes(int((marks >= 0).sum())) if (marks >= 0).any() else []
    nodes = []
    for body, name in enumerate(scene.services):
        kind, mark, state = int(scene.shape[body]), int(marks[body]), int(scene.state[body])
        node: Node = {
            "name": name,
            # Nobody recedes: how a file is lit is not ours to know.
            "mesh": file.solid(shapes[kind], file.material(theme.states[state])),
            "translation": _floats(scene.positions[body]),
            "scale": [float(scene.radii[body])] * 3,
            "extras": {
                "kind": KINDS[kind],
                "state": STATES[state],
                "calls": float(scene.calls[body]),
                "errors": float(scene.errors[body]),
            },
        }
        if mark >= 0:
            # Never colour alone: what the sick wear goes along.
            ring = file.solid(worn[mark], file.material(theme.marks[state], glows=True))
            node["children"] = [file.node(name=f"{STATES[state]}: {name}", mesh=ring)]
        nodes.append(file.node(**node))
    return nodes


def _arcs(file: _File, scene: Scene, painted: Paint) -> list[int]:
    shown = np.flatnonzero(scene.arc_seen >= FAINTEST)
    colours, of = np.unique(painted.arcs[shown, :3], axis=0, return_inverse=True)
    nodes = []
    for number, colour in enumerate(colours):
        mine = shown[of.reshape(-1) == number]
        points = polylines(scene.curves[mine], _STEPS)
        radii = scene.arc_radii[mine] * np.float32(scene.size**0.85)
        tubes = meshes.tubes(points, radii, np.full((len(mine), 4), _OPAQUE, np.uint8))
        opacity = float(np.median(scene.arc_seen[mine]))
        material = file.material(_rgb(colour), opacity=min(1.0, max(opacity, 0.15)))
        nodes.append(file.node(name=f"connections {number + 1}", mesh=file.solid(tubes, material)))
    return nodes


def _plates(file: _File, scene: Scene, theme: Theme) -> list[int]:
    nodes = []
    for number, corners in enumerate(scene.plates):
        material = file.material(theme.plate, two_sided=True)
        points = np.column_stack([corners, np.zeros(len(corners))]).astype(np.float32)
        step = np.arange(1, len(corners) - 1)
        faces = np.column_stack([np.zeros_like(step), step, step + 1])
        name = scene.island_names[number] or f"island {number + 1}"
        nodes.append(file.node(name=name, mesh=file.mesh((number, "plate"), points, faces, material)))
    return nodes


class _File:
    """What a file is put together from: bytes, and what says where in them what is."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._parts: dict[str, list[Any]] = {
            name: [] for name in ("bufferViews", "accessors", "materials", "meshes", "nodes")
        }
        self._known: dict[object, int] = {}
        self._held: list[object] = []

    def node(self, **told: object) -> int:
        return self._put("nodes", dict(told))

    def material(
        self,
        colour: RGB,
        *,
        opacity: float = 1.0,
        glows: bool = False,
        two_sided: bool = False,
        sheer: bool = False,
    ) -> int:
        """What something is made of; ``sheer`` has the colours of its corners."""
        key = ("material", colour, opacity, glows, two_sided, sheer)
        if key not in self._known:
            linear = [_linear(part) for part in colour]
            told: Node = {
                "pbrMetallicRoughness": {
                    "baseColorFactor": [*([1.0] * 3 if sheer else linear), opacity],
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.7,
                }
            }
            told |= {"alphaMode": "BLEND"} if opacity < 1.0 or sheer else {}
            told |= {"emissiveFactor": linear} if glows else {}
            told |= {"doubleSided": True} if two_sided else {}
            self._known[key] = self._put("materials", told)
        return self._known[key]

    def solid(self, shape: pv.PolyData, material: int, *, sheer: bool = False) -> int:
        """A mesh of ``shape``, which is told once; if ``sheer`` with its corners' own colours."""
        key = (id(shape), material)
        if key not in self._known:
            self._held.append(shape)  # or another one might get its id
            triangles = shape.triangulate()
            faces = triangles.faces.reshape(-1, 4)[:, 1:]
            colours = np.asarray(triangles.point_data["rgba"], np.uint8) if sheer else None
            self._known[key] = self.mesh(id(shape), triangles.points, faces, material, colours)
        return self._known[key]

    def mesh(
        self,
        key: object,
        points: NDArray[np.floating],
        faces: NDArray[np.integer],
        material: int,
        colours: NDArray[np.uint8] | None = None,
    ) -> int:
        """Corners ``points`` (c, 3), triangles ``faces`` (t, 3) of them, RGBA ``colours`` (c, 4)."""
        if ("points", key) not in self._known:
            places = np.ascontiguousarray(points, "<f4")
            bounds = {"min": _floats(places.min(axis=0)), "max": _floats(places.max(axis=0))}
            self._known["points", key] = self._accessor(places, _VERTICES, _FLOAT, "VEC3", bounds)
            if colours is not None:
                linear = np.array([round(_OPAQUE * _linear(value)) for value in range(256)], np.uint8)
                light = np.column_stack([linear[colours[:, :3]], colours[:, 3]])
                shade = self._accessor(light, _VERTICES, _BYTE, "VEC4", {"normalized": True})
                self._known["colours", key] = shade
            corners = np.ascontiguousarray(faces, "<u4").reshape(-1)
            self._known["faces", key] = self._accessor(corners, _INDICES, _WHOLE, "SCALAR", {})
        corner = {"POSITION": self._known["points", key]}
        if ("colours", key) in self._known:
            corner["COLOR_0"] = self._known["colours", key]
        part = {
            "attributes": corner,
            "indices": self._known["faces", key],
            "material": material,
        }
        return self._put("meshes", {"primitives": [part]})

    def written(self, root: Node) -> bytes:
        """The whole file, whose only scene is ``root``."""
        document: Node = {
            "asset": {"version": "2.0", "generator": "Tracescape"},
            "scene": 0,
            "scenes": [{"nodes": [self._put("nodes", root)]}],
            **{name: listed for name, listed in self._parts.items() if listed},
        }
        if self._bytes:
            document["buffers"] = [{"byteLength": len(self._bytes)}]
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        chunks = _chunk(_JSON, text.encode("utf-8", "replace"), b" ")
        if self._bytes:
            chunks += _chunk(_BIN, bytes(self._bytes), b"\0")
        return struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks)) + chunks

    def _accessor(
        self,
        values: NDArray[Any],
        target: int,
        component: int,
        kind: str,
        more: Mapping[str, object],
    ) -> int:
        view = {
            "buffer": 0,
            "byteOffset": len(self._bytes),
            "byteLength": values.nbytes,
            "target": target,
        }
        self._bytes += values.tobytes()  # whole multiples of four bytes
        told = {"componentType": component, "count": len(values), "type": kind, **more}
        return self._put("accessors", {"bufferView": self._put("bufferViews", view), **told})

    def _put(self, where: str, what: Node) -> int:
        self._parts[where].append(what)
        return len(self._parts[where]) - 1


def _chunk(kind: int, content: bytes, padding: bytes) -> bytes:
    content += padding * (-len(content) % 4)
    return struct.pack("<II", len(content), kind) + content


def _linear(value: int) -> float:
    """A colour's part as light: files have that, screens not."""
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _rgb(colour: NDArray[np.uint8]) -> RGB:
    red, green, blue = (int(part) for part in colour[:3])
    return red, green, blue


def _floats(values: NDArray[np.floating]) -> list[float]:
    return [float(value) for value in values]
