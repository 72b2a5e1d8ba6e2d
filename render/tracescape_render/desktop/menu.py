"""The menu under the right mouse button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from tracescape_render.contrast import name_of

if TYPE_CHECKING:
    from tracescape_render.desktop.main import Desktop


def show_menu(desktop: Desktop, where: QPoint) -> None:
    """Offer what can be done at ``where`` in the world; what is there gets selected."""
    menu = QMenu(desktop)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    hovered = desktop.world.hovered
    key = None if hovered is None else desktop.world.stage.service_of(hovered)
    name = None if key is None else name_of(key)
    if name is not None:
        desktop.select(name)
        menu.addAction("Go there", lambda: desktop.going.to(name))
        menu.addAction("Only 1 hop around it", lambda: desktop.choice.set_hops(1))
        menu.addAction("Only 2 hops around it", lambda: desktop.choice.set_hops(2))
        menu.addAction("Ride its worst request", lambda: desktop.riding.ride())
        menu.addAction("Copy numbers", desktop.taking.copy_told)
        menu.addAction("Copy name", lambda: QGuiApplication.clipboard().setText(name))
        menu.addSeparator()
    menu.addAction("See everything", desktop.going.see_everything)
    stereo = "One picture" if desktop.world.stereo else "Two pictures, for two eyes"
    menu.addAction(stereo, desktop.toggle_stereo)
    menu.addAction("Copy command for this view", desktop.taking.copy_command)
    menu.popup(desktop.world.canvas.mapToGlobal(where))
