"""How charts look, as CSS: one light and one dark dress, chosen by the page that the chart stands on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from tracescape_render.palette import (
    ABSENT,
    CHART_DARK,
    CHART_LIGHT,
    DENSITY_DARK,
    DENSITY_LIGHT,
    SERVICE_COLOURS,
    SERVICE_COLOURS_DARK,
    STATE_COLOURS,
    Theme,
)

_SERVICES: Final = tuple(f"s{i}" for i in range(len(SERVICE_COLOURS)))
_DENSITIES: Final = tuple(f"d{i}" for i in range(len(DENSITY_LIGHT)))
_NAMES: Final = ("ground", "ink", "quiet", "line", "error", *_DENSITIES, *_SERVICES)
_LIGHT: Final = dict(zip(_NAMES, (*CHART_LIGHT, *DENSITY_LIGHT, *SERVICE_COLOURS), strict=True))
_DARK: Final = dict(zip(_NAMES, (*CHART_DARK, *DENSITY_DARK, *SERVICE_COLOURS_DARK), strict=True))

_STATES: Final = tuple((r, g, b) for r, g, b in STATE_COLOURS.tolist())

# Notebooks say on an element above which theme they wear; elsewhere the system's wish counts.
_SAYS_DARK: Final = ('[data-jp-theme-light="false"]', "body.vscode-dark", "html[theme=dark]")
_SAYS_LIGHT: Final = ('[data-jp-theme-light="true"]', "body.vscode-light")


def _paints(colours: Callable[[str], str]) -> list[str]:
    # What is painted in colours of the dress: later ones win.
    def paint(selector: str, what: str, name: str) -> str:
        return f".ts-chart {selector}{{{what}:{colours(name)}}}"

    return [
        paint(".ground", "fill", "ground"),
        paint("text", "fill", "ink"),
        paint(".quiet", "fill", "quiet"),
        paint(".line", "stroke", "line"),
        paint(".way", "stroke", "ink"),
        paint(".path", "fill", "ink"),
        paint(".mark", "fill", "error"),
        paint(".mark", "stroke", "ground"),
        paint(".box", "stroke", "ground"),
        paint(".bar", "stroke", "quiet"),
        paint(".failed", "stroke", "error"),
        paint(".rest", "fill", "line"),
        *(paint(f".{name}", "fill", name) for name in (*_SERVICES, *_DENSITIES)),
        paint(".arc", "stroke", "quiet"),
        paint(".tip", "fill", "quiet"),
        paint(".chosen", "stroke", "ink"),
        paint(".node", "stroke", "ground"),
        paint(f".t{ABSENT}", "stroke", "ink"),
    ]


def _states(fills: Sequence[object], strokes: Sequence[object]) -> list[str]:
    return [
        f".ts-chart .t{code}{{fill:rgb{fill}}}.ts-chart .a{code}{{stroke:rgb{stroke}}}"
        for code, (fill, stroke) in enumerate(zip(fills, strokes, strict=True))
    ]


def _dress(selector: str, colours: dict[str, str]) -> str:
    return selector + "{" + "".join(f"--ts-{name}:{colour};" for name, colour in colours.items()) + "}"


def _under(places: tuple[str, ...]) -> str:
    return ",".join(f"{place} .ts-chart" for place in places)


def plain(svg: str, theme: Theme) -> str:
    """``svg`` in the colours of ``theme``, for viewers that know no CSS variables and no outlined text."""
    colours = _DARK if theme.glows else _LIGHT
    font = ".ts-chart text{font-family:'DejaVu Sans',sans-serif;font-size:12px}"
    rules = [font, *_SHAPES, *_paints(colours.__getitem__), *_states(theme.states, theme.marks)]
    head, _, rest = re.split(r"<style>|</style>", svg, maxsplit=2)
    return f"{head}<style>{chr(10).join(rules)}</style>{rest}"


_SHAPES: Final = (
    ".ts-chart .head{font-size:15px;font-weight:600}",
    ".ts-chart .small{font-size:11px}",
    ".ts-chart text{pointer-events:none}",
    ".ts-chart .line,.ts-chart .way,.ts-chart .arc,.ts-chart .ring,.ts-chart .chosen{fill:none}",
    ".ts-chart .way{stroke-width:.8;stroke-opacity:.45}",
    ".ts-chart .box{stroke-width:.7}",
    ".ts-chart .bar{stroke-width:.6}",
    ".ts-chart .failed,.ts-chart .ring{stroke-width:1.6}",
    ".ts-chart .arc{stroke-opacity:.55}",
    ".ts-chart .back{stroke-dasharray:5 4}",
    ".ts-chart .hit{fill:none;stroke:transparent;stroke-width:12}",
    ".ts-chart .chosen{stroke-width:2}",
    ".ts-chart .node{stroke-width:1.5}",
    f".ts-chart .t{ABSENT}{{stroke-width:1.4;stroke-dasharray:3 2}}",
    ".ts-chart .on-dark{fill:#fff}.ts-chart .on-light{fill:#10131c}",
)

_HALO: Final = "stroke-width:3;paint-order:stroke;stroke-linejoin:round"

# Some viewers of SVG take a colour that is a variable for black, and draw an outline over its text: plain
# colours first, and what they do not know where they do not look. They skip @media, too.
STYLE: Final = "\n".join(
    [
        ".ts-chart{max-width:100%;height:auto}",
        ".ts-chart text{font-family:system-ui,'Segoe UI','DejaVu Sans',sans-serif;font-size:12px}",
        *_paints(_LIGHT.__getitem__),
        "@supports(fill:var(--ts-ink)){",
        *_paints(lambda name: f"var(--ts-{name},{_LIGHT[name]})"),
        "}",
        "@supports(paint-order:stroke){",
        f".ts-chart .halo{{stroke:{_LIGHT['ground']};stroke:var(--ts-ground,{_LIGHT['ground']});{_HALO}}}",
        "}",
        *_SHAPES,
        *_states(_STATES, _STATES),
        "@media(prefers-color-scheme:dark){" + _dress(".ts-chart", _DARK) + "}",
        _dress(_under(_SAYS_DARK), _DARK),
        _dress(_under(_SAYS_LIGHT), dict.fromkeys(_NAMES, "initial")),
    ]
)
