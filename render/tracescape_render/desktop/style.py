"""How the panels look, from the same theme as the world."""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QColor

from tracescape_render.palette import HEALTHY, IDLE, RGB, Theme

_SHEET: Final = """
* {{ font-family: "Inter", "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; color: {text}; }}
#window, #stack, #inside {{ background: {ground}; }}
#bar {{ background: {panel}; border-bottom: 1px solid {line}; }}
#timeline {{ background: {panel}; border-top: 1px solid {line}; }}
#banner {{ background: {past}; color: {past_ink}; font-size: 13px; font-weight: 600; padding: 5px 14px;
  border-radius: 5px; }}
QLabel[badge="true"] {{ font-weight: 700; padding: 3px 8px; border-radius: 4px; color: {past_ink};
  background: {quiet}; }}
QLabel[badge="true"][state="now"] {{ background: {live}; }}
QLabel[badge="true"][state="past"], QLabel[badge="true"][state="trace"] {{ background: {past}; }}
QPushButton[play="true"] {{ padding: 4px 6px; min-width: 16px; }}
#status {{ background: {panel}; border-top: 1px solid {line}; }}
#status QLabel {{ color: {quiet}; font-size: 11px; }}
#status QLabel[warning="true"] {{ color: {warning}; }}
#panel, #panel QScrollArea, #panelBody {{ background: {panel}; border: none; }}
#panel {{ border-left: 1px solid {line}; }}
QLabel {{ background: transparent; }}
QLabel[quiet="true"] {{ color: {quiet}; }}
QLabel[title="true"] {{ font-size: 17px; font-weight: 600; }}
QLabel[section="true"] {{ color: {quiet}; font-size: 10px; font-weight: 600; }}
#sentence {{ background: {raised}; border-left: 3px solid {cause}; padding: 8px 10px; }}
#suspicion {{ background: {raised}; border-left: 3px dashed {quiet}; padding: 8px 10px; }}
QPushButton {{ background: transparent; border: 1px solid transparent; border-radius: 4px;
  padding: 4px 9px; }}
QPushButton:hover {{ background: {raised}; }}
QPushButton:focus {{ border-color: {accent}; }}
QPushButton:checked {{ background: {raised}; border-color: {line}; color: {text}; }}
QPushButton[choice="true"] {{ color: {quiet}; }}
QPushButton:disabled {{ color: {line}; }}
QPushButton[row="true"] {{ padding: 2px 0; text-align: left; border-radius: 3px; }}
QLineEdit {{ background: {ground}; border: 1px solid {line}; border-radius: 5px; padding: 4px 9px;
  selection-background-color: {accent}; }}
QLineEdit:focus {{ border-color: {accent}; }}
QListWidget {{ background: {panel}; border: 1px solid {line}; border-radius: 5px; outline: none; }}
QListWidget::item {{ padding: 5px 9px; }}
QListWidget::item:selected {{ background: {raised}; color: {text}; }}
QTableView {{ background: {ground}; alternate-background-color: {panel}; border: none; outline: none;
  gridline-color: {line}; selection-background-color: {raised}; selection-color: {text}; }}
QTableView::item {{ padding: 0 8px; }}
QHeaderView {{ background: {panel}; border: none; }}
QHeaderView::section {{ background: {panel}; color: {quiet}; border: none; border-bottom: 1px solid {line};
  padding: 6px 8px; font-weight: 600; }}
#tip, #help {{ background: {tip}; border: 1px solid {line}; border-radius: 5px; padding: 7px 10px; }}
#help {{ font-family: "DejaVu Sans Mono", monospace; padding: 18px 24px; }}
QScrollBar:vertical {{ background: transparent; width: 9px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 9px; margin: 0; }}
QScrollBar::handle {{ background: {line}; border-radius: 4px; min-height: 28px; min-width: 28px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QMenu {{ background: {panel}; border: 1px solid {line}; }}
QMenu::item {{ padding: 5px 18px; }}
QMenu::item:selected {{ background: {raised}; }}
QToolTip {{ background: {panel}; color: {text}; border: 1px solid {line}; }}
"""


def style_sheet(theme: Theme) -> str:
    """Qt's style sheet for ``theme``."""
    ground = theme.ground[0] if theme.glows else theme.ground[1]
    panel = _mixed(ground, theme.plate, 0.55)
    return _SHEET.format(
        text=_hex(theme.text),
        quiet=_hex(theme.text_quiet),
        ground=_hex(ground),
        panel=_hex(panel),
        raised=_hex(_mixed(panel, theme.arc, 0.16)),
        line=_hex(_mixed(panel, theme.arc, 0.32)),
        tip=_hex(_mixed(theme.label_ground, theme.plate, 0.4)),
        accent=_hex(theme.arc),
        warning=_hex(theme.marks[1]),
        cause=_hex(theme.cause),
        live=_hex(theme.states[HEALTHY]),
        past=_hex(theme.past),
        past_ink=_hex(theme.past_ink),
    )


def state_colour(theme: Theme, state: int) -> QColor:
    """The colour of a state for words and signs on a panel."""
    return QColor(*(theme.states[state] if state in (HEALTHY, IDLE) else theme.marks[state]))


def _mixed(first: RGB, second: RGB, part: float) -> RGB:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
