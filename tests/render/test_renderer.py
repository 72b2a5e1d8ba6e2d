"""What the renderer's name decides."""

import pytest

from tracescape_render.renderer import UNKNOWN, profile_of, renderer_named


@pytest.mark.parametrize(
    "name",
    [
        "llvmpipe (LLVM 15.0.6, 256 bits)",
        "softpipe",
        "Google SwiftShader",
        "Software Rasterizer",
        UNKNOWN,
        "",
    ],
)
def test_software_and_what_nobody_knows_get_a_small_budget(name: str) -> None:
    profile = profile_of(name)
    assert profile.software and not profile.smooth
    assert profile.budget == (2_000, 8_000)
    assert profile.renderer == name


@pytest.mark.parametrize("name", ["NVIDIA H100/PCIe/SSE2", "Mesa Intel(R) UHD Graphics 620", "Apple M2"])
def test_a_graphics_card_gets_more_of_everything(name: str) -> None:
    card, software = profile_of(name), profile_of("llvmpipe")
    assert not card.software and card.smooth
    assert card.budget.bodies > software.budget.bodies and card.budget.arcs > software.budget.arcs
    assert card.tubes > software.tubes and card.lights > software.lights


def test_the_name_is_read_from_what_vtk_reports() -> None:
    report = "OpenGL vendor string:  Mesa\nOpenGL renderer string:  llvmpipe (LLVM 15.0.6)\nOpenGL version: 4"
    assert renderer_named(report) == "llvmpipe (LLVM 15.0.6)"
    assert renderer_named("") == renderer_named("OpenGL renderer string:   ") == UNKNOWN
