"""A sign of life while a question takes more than a second: a line in a notebook, a spinner in a terminal."""

from __future__ import annotations

import contextvars
import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import Final, ParamSpec, TypeAlias, TypeVar

from rich.console import Console
from rich.errors import LiveError

from tracescape.view import in_notebook

P = ParamSpec("P")
R = TypeVar("R")

_AFTER_S: Final = 1.0
_EVERY_S: Final = 0.5

Sign: TypeAlias = Callable[[str], AbstractContextManager[Callable[[float], None]]]


def patiently(label: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Show ``label`` and the seconds while the function takes longer than one."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def asked(*args: P.args, **kwargs: P.kwargs) -> R:
            with patience(label):
                return function(*args, **kwargs)

        return asked

    return decorate


@contextmanager
def patience(label: str, *, sign: Sign | None = None, after_s: float = _AFTER_S) -> Iterator[None]:
    """Show ``label`` from ``after_s`` on until the block ends. Only the main thread speaks to people."""
    shown = sign or _sign()
    if shown is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    done = threading.Event()
    # A notebook knows by the context to which cell an output belongs.
    context = contextvars.copy_context()
    watch = threading.Thread(
        target=context.run, args=(_watch, label, shown, done, after_s), daemon=True, name="patience"
    )
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _watch(label: str, sign: Sign, done: threading.Event, after_s: float) -> None:
    begin = time.monotonic()
    if done.wait(after_s):
        return
    try:
        with sign(label) as update:
            while not done.wait(_EVERY_S):
                update(time.monotonic() - begin)
    except LiveError:
        return  # somebody's own progress is on the screen already


def _sign() -> Sign | None:
    if in_notebook():
        return _in_cell
    return _in_terminal if Console(stderr=True).is_terminal else None


@contextmanager
def _in_terminal(label: str) -> Iterator[Callable[[float], None]]:
    with Console(stderr=True).status(f"{label} …") as status:
        yield lambda seconds: status.update(f"{label} … {seconds:.0f} s")


@contextmanager
def _in_cell(label: str) -> Iterator[Callable[[float], None]]:
    from IPython.display import HTML, display

    def words(seconds: float) -> HTML:
        bar = '<progress style="width:8em"></progress>'
        return HTML(f"{bar} {escape(label)} … {seconds:.0f} s")  # type: ignore[no-untyped-call]  # IPython is untyped

    handle = display(words(_AFTER_S), display_id=True)  # type: ignore[no-untyped-call]  # IPython is untyped
    try:
        yield lambda seconds: handle.update(words(seconds))
    finally:
        handle.update(HTML(""))  # type: ignore[no-untyped-call]  # IPython is untyped
