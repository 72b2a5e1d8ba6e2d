"""The system libraries behind VTK and Qt, checked before those find out by crashing.

VTK's wheel brings everything but OpenGL and X11, which it loads when a window is made; without them the
process dies of a segmentation fault. Qt ends it when a library of its plugin for X11 is missing. This module
needs nothing but the standard library, so that it can be run before anything is installed: ``python system.py
[--display]`` prints the Debian packages that are missing, on one line, and exits 1 if there are any.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
from typing import Final, NamedTuple


class Need(NamedTuple):
    """Something that must be there: one of several shared libraries or files, and the package that has it."""

    package: str
    libraries: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def met(self) -> bool:
        """Whether one of the alternatives is there."""
        return any(map(_loads, self.libraries)) or any(map(glob.glob, self.files))


_DRIVERS: Final = (
    "/usr/lib/*/dri/*_dri.so",
    "/usr/lib/dri/*_dri.so",
    "/usr/lib64/dri/*_dri.so",
    "/usr/lib/*/libgallium*.so",
    "/usr/lib64/libgallium*.so",
)

OFF_SCREEN: Final = (
    Need("libegl1", libraries=("libEGL.so.1",)),
    Need("libgl1-mesa-dri", libraries=("libEGL_nvidia.so.0",), files=_DRIVERS),
)
ON_SCREEN: Final = (
    Need("libgl1", libraries=("libGL.so.1",)),
    Need("libgl1-mesa-dri", libraries=("libGLX_nvidia.so.0",), files=_DRIVERS),
    Need("libx11-6", libraries=("libX11.so.6",)),
    Need("libxcursor1", libraries=("libXcursor.so.1",)),
)
#: What Qt's plugin for X11 loads; without one of them Qt ends the process.
QT: Final = (
    Need("libdbus-1-3", libraries=("libdbus-1.so.3",)),
    Need("libfontconfig1", libraries=("libfontconfig.so.1",)),
    Need("libglib2.0-0", libraries=("libglib-2.0.so.0",)),
    Need("libx11-xcb1", libraries=("libX11-xcb.so.1",)),
    Need("libxcb-cursor0", libraries=("libxcb-cursor.so.0",)),
    Need("libxcb-icccm4", libraries=("libxcb-icccm.so.4",)),
    Need("libxcb-image0", libraries=("libxcb-image.so.0",)),
    Need("libxcb-keysyms1", libraries=("libxcb-keysyms.so.1",)),
    Need("libxcb-randr0", libraries=("libxcb-randr.so.0",)),
    Need("libxcb-render-util0", libraries=("libxcb-render-util.so.0",)),
    Need("libxcb-render0", libraries=("libxcb-render.so.0",)),
    Need("libxcb-shape0", libraries=("libxcb-shape.so.0",)),
    Need("libxcb-shm0", libraries=("libxcb-shm.so.0",)),
    Need("libxcb-sync1", libraries=("libxcb-sync.so.1",)),
    Need("libxcb-util1", libraries=("libxcb-util.so.1",)),
    Need("libxcb-xfixes0", libraries=("libxcb-xfixes.so.0",)),
    Need("libxcb-xkb1", libraries=("libxcb-xkb.so.1",)),
    Need("libxkbcommon-x11-0", libraries=("libxkbcommon-x11.so.0",)),
    Need("libxkbcommon0", libraries=("libxkbcommon.so.0",)),
)


def missing_packages(*, display: bool) -> list[str]:
    """The Debian packages that a picture without a display, or a window, still needs."""
    needs = {*OFF_SCREEN, *ON_SCREEN, *QT} if display else set(OFF_SCREEN)
    return sorted({need.package for need in needs if not need.met()})


def display_name() -> str | None:
    """The X display that a window would open on, or None."""
    return os.environ.get("DISPLAY") or None


def display_answers() -> bool:
    """Whether the X server of ``DISPLAY`` takes this process's connections (VTK would abort otherwise)."""
    if display_name() is None or not _loads("libX11.so.6"):
        return False
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(None)
    if not display:
        return False
    x11.XCloseDisplay(display)
    return True


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def main(arguments: list[str]) -> int:
    """Print the missing packages; 1 if there are any."""
    missing = missing_packages(display="--display" in arguments)
    if missing:
        print(*missing)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
