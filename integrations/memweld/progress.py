"""Progress of long work: a bar in a terminal or a notebook. Pipes, tests, servers and async code see nothing."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol

from .display import is_notebook

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Report", "progress_bar"]

# Shorter work shows no bar.
_SECONDS = 1.0


class Report(Protocol):
    """Tells how far work is."""

    def __call__(self, done: int, total: int | None = None) -> object:
        """Report ``done`` of ``total`` steps, where the total is known."""
        ...


@contextlib.contextmanager
def progress_bar(title: str) -> Generator[Report]:
    """A bar on stderr, from one second on, which goes when the work ends.

    Only the main thread shows one, and outside of notebooks only without an event loop, so that servers and async code
    show none. In a notebook it needs ipywidgets.

    Args:
        title: What is done, e.g. ``"Embedding"``.
    """
    is_watched, started_at = _is_watched(), time.monotonic()
    bar: Progress | None = None
    with contextlib.ExitStack() as stack:

        def report(done: int, total: int | None = None) -> None:
            nonlocal bar
            if bar is None and is_watched and time.monotonic() - started_at >= _SECONDS:
                bar = stack.enter_context(_make_bar())
                bar.add_task(title, total=total)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done, total=total)

        yield report


def _is_watched() -> bool:
    """Whether a person sees what the main thread writes to stderr."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if is_notebook():
        return importlib.util.find_spec("ipywidgets") is not None
    if (loaded := sys.modules.get("asyncio")) is not None and loaded._get_running_loop() is not None:  # noqa: SLF001
        return False
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        # A program without a console has no stderr, or has closed it.
        return False


def _make_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    title = TextColumn("{task.description}", markup=False)
    columns = (title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
