"""Frames to a file: H.264 or VP9 with PyAV where that is installed, animated pictures with Pillow always."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from tracescape_render.errors import RenderError

#: What the ending of a name means: a codec, and what it is told.
_CODECS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    ".mp4": ("libx264", {"crf": "20", "preset": "medium"}),
    ".mkv": ("libx264", {"crf": "20", "preset": "medium"}),
    ".webm": ("libvpx-vp9", {"crf": "32", "b:v": "0", "row-mt": "1"}),
}
_PICTURES: Final = (".gif", ".webp", ".png")
_SMOOTH: Final = 25
#: Animated pictures hold each frame whole, or nearly.
_THRIFTY: Final = 12

#: Writes frames, RGB rows from the top, to a file; all or nothing of it.
Writer = Callable[[Path, tuple[int, int], Iterable[bytes], int], Path]


def frames_a_second(path: Path) -> int:
    """How many frames a second a file of this name has."""
    return _THRIFTY if path.suffix.lower() in _PICTURES else _SMOOTH


def video_writer(path: Path) -> Writer:
    """Who writes a file of this name. Raises `RenderError` that says what to install or how to name it."""
    ending = path.suffix.lower()
    if ending in _PICTURES:
        return _write_pictures
    if ending not in _CODECS:
        endings = ", ".join([*_CODECS, *_PICTURES])
        raise RenderError(f"A video's name ends in what it shall be: {endings}; {path.name!r} does not.")
    if importlib.util.find_spec("av") is None:
        raise RenderError(
            f"To write {ending[1:]} needs PyAV, which is not installed: pip install 'tracescape[video]'."
            " Without it, --video FILE.gif or FILE.webp writes an animated picture."
        )
    return _write_video


def _write_video(path: Path, size: tuple[int, int], frames: Iterable[bytes], fps: int) -> Path:
    av: Any = importlib.import_module("av")
    numpy: Any = importlib.import_module("numpy")
    codec, options = _CODECS[path.suffix.lower()]
    width, height = size

    def write(draft: Path) -> None:
        with av.open(str(draft), "w") as container:
            stream = container.add_stream(codec, rate=fps, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for pixels in frames:
                rows = numpy.frombuffer(pixels, numpy.uint8).reshape(height, width, 3)
                for packet in stream.encode(av.VideoFrame.from_ndarray(rows, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)

    return _whole(path, write, av.FFmpegError)


def _write_pictures(path: Path, size: tuple[int, int], frames: Iterable[bytes], fps: int) -> Path:
    from PIL import Image

    def write(draft: Path) -> None:
        pictures: Iterator[Image.Image] = (Image.frombytes("RGB", size, pixels) for pixels in frames)
        first = next(pictures)
        how: dict[str, Any] = {"method": 3, "quality": 80} if path.suffix.lower() == ".webp" else {}
        first.save(draft, save_all=True, append_images=pictures, duration=round(1000 / fps), loop=0, **how)

    return _whole(path, write, ValueError)


def _whole(path: Path, write: Callable[[Path], None], others: type[Exception]) -> Path:
    """All of the file, or none; it is called so that the ending still says what it is."""
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(draft)
        draft.replace(path)
    except (OSError, others) as error:
        raise RenderError(f"{path} cannot be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return path
