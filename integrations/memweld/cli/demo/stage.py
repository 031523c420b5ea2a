"""The stage: plays each scene in a process of its own, shows and checks it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from ...errors import MemweldError
from ...safe_text import safe_for_terminal
from .models import is_real
from .story import Scene

__all__ = ["perform"]

_TOO_LONG = 180


class SceneFailedError(MemweldError):
    """A scene's process failed, or showed another user's memory."""


def _play(scene: Scene, url: str) -> list[tuple[str, str]]:
    command = [sys.executable, "-m", "memweld.cli.demo.play", scene.name, url, scene.user_id, scene.prompt]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TOO_LONG, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise SceneFailedError(f"The scene {scene.title!r} took more than {_TOO_LONG} s.") from error
    if done.returncode:
        errors = done.stderr.strip().splitlines() or ["it said nothing"]
        hint = " Unset OPENAI_API_KEY to play it with scripted models." if is_real() else ""
        raise SceneFailedError(f"The scene {scene.title!r} failed: {errors[-1][:500]}.{hint}")
    return [(who, text) for who, text in json.loads(done.stdout)]


def _check(scene: Scene, lines: Sequence[tuple[str, str]]) -> str:
    """The outcome of the scene, in a few words.

    A real model chooses its own words, so only forbidden texts are checked in its answers.
    """
    came_back = "\n".join(text for _, text in lines if text != scene.prompt)
    for word in scene.forbidden:
        if word.lower() in came_back.lower():
            raise SceneFailedError(f"{scene.user_id} was shown {word!r}, which is another user's.")
    if scene.expected.lower() not in came_back.lower():
        if not is_real():
            raise SceneFailedError(f"Nothing like {scene.expected!r} came back in {scene.title!r}: {came_back}")
        return "the model answered otherwise"
    return "knew nothing of Ana" if scene.forbidden else "as told"


def perform(story: Sequence[Scene], url: str, console: Console) -> None:
    """Play all scenes on one backend.

    Raises:
        SceneFailedError: A process failed, or a user saw another user's memory.
    """
    outcomes = Table(title="One memory, nine processes", show_lines=False)
    for column in ("", "Scene", "User", "Outcome", "Seconds"):
        outcomes.add_column(column, justify="right" if column == "Seconds" else "left")
    for number, scene in enumerate(story, 1):
        start = time.perf_counter()
        with console.status(f"{number}/{len(story)} {scene.title} …"):
            lines = _play(scene, url)
        outcome = _check(scene, lines)
        seconds = time.perf_counter() - start
        body = "\n".join(f"[bold]{escape(who)}[/bold]  {escape(safe_for_terminal(text))}" for who, text in lines)
        style = "blue" if scene.user_id == "ana" else "magenta"
        console.print(Panel(body, title=f"{number}. {scene.title}", title_align="left", border_style=style))
        outcomes.add_row(str(number), scene.title, scene.user_id, f"[green]✓[/green] {outcome}", f"{seconds:.1f}")
    console.print(outcomes)
