"""How charts look, as CSS: one light and one dark dress, chosen by the page that the chart stands on."""

from __future__ import annotations

import re
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

_STATE_PAINT: Final = tuple(f"rgb({r},{g},{b})" for r, g, b in STATE_COLOURS.tolist())

# Notebooks say on an element above which theme they wear; elsewhere the system's wish counts.
_SAYS_DARK: Final = ('[data-jp-theme-light="false"]', "body.vscode-dark", "html[theme=dark]")
_SAYS_LIGHT: Final = ('[data-jp-theme-light="true"]', "body.vscode-light")


def _paint(selector: str, what: str, name: str, more: str = "") -> str:
    # The plain colour first, for viewers of SVG that know no variables.
    light = _LIGHT[name]
    return f".ts-chart {selector}{{{what}:{light};{what}:var(--ts-{name},{light});{more}}}"


def _dress(selector: str, colours: dict[str, str]) -> str:
    return selector + "{" + "".join(f"--ts-{name}:{colour};" for name, colour in colours.items()) + "}"


def _under(places: tuple[str, ...]) -> str:
    return ",".join(f"{place} .ts-chart" for place in places)


def plain(svg: str, theme: Theme) -> str:
    """``svg`` in the colours of ``theme``, for viewers that know no CSS variables and no outlined text."""
    colours = _DARK if theme.glows else _LIGHT
    svg = re.sub(r"var\(--ts-([\w-]+),[^)]*\)", lambda found: colours[found[1]], svg)
    head, style, rest = re.split(r"<style>|</style>", svg, maxsplit=2)
    rules = [line for line in style.splitlines() if "--ts-" not in line and ".halo" not in line]
    font = ".ts-chart text{font-family:'DejaVu Sans',sans-serif;font-size:12px}"
    for code, (state, mark) in enumerate(zip(theme.states, theme.marks, strict=True)):
        rules.append(f".ts-chart .t{code}{{fill:rgb{state}}}.ts-chart .a{code}{{stroke:rgb{mark}}}")
    return f"{head}<style>{chr(10).join([font, *rules])}</style>{rest}"


STYLE: Final = "\n".join(
    [
        ".ts-chart{font:12px system-ui,'Segoe UI','DejaVu Sans',sans-serif;max-width:100%;height:auto}",
        _paint(".ground", "fill", "ground"),
        _paint("text", "fill", "ink"),
        _paint(".quiet", "fill", "quiet"),
        ".ts-chart .head{font-size:15px;font-weight:600}",
        ".ts-chart .small{font-size:11px}",
        ".ts-chart text{pointer-events:none}",
        _paint(".line", "stroke", "line", "fill:none"),
        _paint(".way", "stroke", "ink", "fill:none;stroke-width:.8;stroke-opacity:.45"),
        _paint(".path", "fill", "ink"),
        _paint(".mark", "fill", "error", f"stroke:{_LIGHT['ground']};stroke:var(--ts-ground,#fff)"),
        _paint(".box", "stroke", "ground", "stroke-width:.7"),
        _paint(".bar", "stroke", "quiet", "stroke-width:.6"),
        _paint(".failed", "stroke", "error", "stroke-width:1.6"),
        _paint(".rest", "fill", "line"),
        *(_paint(f".{name}", "fill", name) for name in (*_SERVICES, *_DENSITIES)),
        _paint(".arc", "stroke", "quiet", "fill:none;stroke-opacity:.55"),
        _paint(".tip", "fill", "quiet"),
        *(
            f".ts-chart .t{code}{{fill:{colour}}}.ts-chart .a{code}{{stroke:{colour}}}"
            for code, colour in enumerate(_STATE_PAINT)
        ),
        ".ts-chart .back{stroke-dasharray:5 4}",
        ".ts-chart .ring{fill:none;stroke-width:1.6}",
        ".ts-chart .hit{fill:none;stroke:transparent;stroke-width:12}",
        _paint(".chosen", "stroke", "ink", "fill:none;stroke-width:2"),
        _paint(".node", "stroke", "ground", "stroke-width:1.5"),
        _paint(f".t{ABSENT}", "stroke", "ink", "stroke-width:1.4;stroke-dasharray:3 2"),
        _paint(".halo", "stroke", "ground", "stroke-width:3;paint-order:stroke;stroke-linejoin:round"),
        ".ts-chart .on-dark{fill:#fff}.ts-chart .on-light{fill:#10131c}",
        "@media(prefers-color-scheme:dark){" + _dress(".ts-chart", _DARK) + "}",
        _dress(_under(_SAYS_DARK), _DARK),
        _dress(_under(_SAYS_LIGHT), dict.fromkeys(_NAMES, "initial")),
    ]
)
