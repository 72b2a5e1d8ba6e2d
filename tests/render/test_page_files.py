"""The page's own files: what ships is what was built, looks as the palette says, and asks nobody else."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from support.page import SOURCES, page_sources
from tracescape_render.palette import (
    CHART_DARK,
    CHART_LIGHT,
    COLOUR_BLIND,
    DARK,
    DENSITY_DARK,
    DENSITY_LIGHT,
    LIGHT,
    RGB,
    SERVICE_COLOURS,
    SERVICE_COLOURS_DARK,
    STATES,
    THEMES,
    Theme,
    in_the_past,
)
from tracescape_render.renderer import profile_of
from tracescape_render.web import page_paths, page_routes
from tracescape_render.web.files import BUILT

STYLE = (SOURCES / "src" / "style.css").read_text(encoding="utf-8")
FILES = sorted(file for file in BUILT.rglob("*") if file.is_file())


def got(path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=list(page_routes())))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


def test_what_ships_is_a_fresh_build(tmp_path: Path) -> None:
    sources = page_sources(tmp_path)
    command = ["npm", "run", "build"]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    fresh = tmp_path / "tracescape_render" / "web" / "built"
    built = {file.relative_to(fresh): file.read_bytes() for file in fresh.rglob("*") if file.is_file()}
    shipped = {file.relative_to(BUILT): file.read_bytes() for file in FILES}
    assert built.keys() == shipped.keys()
    stale = [str(name) for name, content in built.items() if content != shipped[name]]
    assert not stale, f"{stale}: run npm run build in render/web"


def test_every_built_file_is_served_and_nothing_else() -> None:
    assert len(page_paths()) == len(FILES)
    for path in page_paths():
        assert got(path).status_code == 200
    for path in ("/page/", "/page/../files.py", "/page/files.py", "/page/%2e%2e/files.py"):
        assert got(path).status_code == 404


def test_nothing_is_loaded_from_elsewhere_and_nothing_stands_inline() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
        assert all(address.startswith("http://www.w3.org/") for address in addresses), (file, addresses)
    index = (BUILT / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>([^<]+)", index) == []
    assert not re.search(r"<style|style=|\son\w+=", index)


def test_a_browser_is_told_to_load_nothing_else() -> None:
    headers = got("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_an_unchanged_file_is_not_sent_again() -> None:
    first = got("/page/index.js")
    again = got("/page/index.js", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert got("/", "HEAD").headers["content-type"].startswith("text/html")


def test_the_lock_names_no_registry() -> None:
    assert '"resolved"' not in (SOURCES / "package-lock.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", list(THEMES.values()), ids=list(THEMES))
def test_the_page_keeps_the_colour_law(theme: Theme) -> None:
    colours = declared(theme.name)
    states = {STATES[code]: colour for code, colour in enumerate(theme.states)}
    wanted = {**states, "cause": theme.cause, "selection": theme.selection, "text": theme.text}
    assert {name: colours[name] for name in wanted} == {name: as_hex(rgb) for name, rgb in wanted.items()}


@pytest.mark.parametrize(
    ("theme", "services", "densities", "error"),
    [
        (DARK, SERVICE_COLOURS_DARK, DENSITY_DARK, CHART_DARK[4]),
        (LIGHT, SERVICE_COLOURS, DENSITY_LIGHT, CHART_LIGHT[4]),
        (COLOUR_BLIND, SERVICE_COLOURS_DARK, DENSITY_DARK, None),
    ],
)
def test_services_and_densities_look_as_in_charts(
    theme: Theme, services: tuple[str, ...], densities: tuple[str, ...], error: str | None
) -> None:
    colours = declared(theme.name)
    assert [colours[f"s{slot}"] for slot in range(len(services))] == list(services)
    assert [colours[f"d{level}"] for level in range(len(densities))] == list(densities)
    assert error is None or colours["error"] == error


@pytest.mark.parametrize("theme", list(THEMES.values()), ids=list(THEMES))
def test_the_world_keeps_the_colour_law(theme: Theme) -> None:
    past = in_the_past(theme)
    wanted = {f"{STATES[code]}-mark": colour for code, colour in enumerate(theme.marks)}
    wanted |= {"sky-0": theme.ground[0], "sky-1": theme.ground[1], "floor": theme.plate, "lines": theme.grid}
    wanted |= {"stem": theme.stem, "way": theme.arc, "light": theme.light, "label": theme.label_ground}
    wanted |= {"quiet-label": theme.text_quiet, "past": theme.past, "past-ink": theme.past_ink}
    wanted |= {"past-sky-0": past.ground[0], "past-sky-1": past.ground[1]}
    wanted |= {"past-floor": past.plate, "past-lines": past.grid, "cause-ink": theme.cause_ink}
    colours = declared(theme.name)
    assert {name: colours[name] for name in wanted} == {name: as_hex(rgb) for name, rgb in wanted.items()}
    assert float(colours["fading"]) == theme.fading


def test_the_page_knows_the_same_renderers_for_slow() -> None:
    source = (SOURCES / "src" / "world" / "graphics.ts").read_text(encoding="utf-8")
    listed = re.search(r"const SOFTWARE = \[([^\]]*)\]", source)
    assert listed is not None
    words = re.findall(r'"([^"]+)"', listed[1])
    assert words
    for word in words:
        assert profile_of(f"ANGLE ({word.title()} 5.1)").software
    for known in (
        "llvmpipe (LLVM 15.0.6)",
        "SwiftShader Device",
        "Microsoft Basic Render Driver",
        "softpipe",
    ):
        assert any(word in known.lower() for word in words)


def declared(theme: str) -> dict[str, str]:
    """The custom properties of a theme: those of every page, and its own over them."""
    found: dict[str, str] = {}
    for selector, body in re.findall(r"^(:root[^{]*)\{([^}]*)\}", STYLE, re.MULTILINE):
        places = [place.strip() for place in selector.split(",")]
        if ":root" in places or f':root[data-theme="{theme}"]' in places:
            found |= dict(re.findall(r"--([\w-]+):\s*([^;]+);", body))
    return found


def as_hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
