"""The research crew runs offline, each of its days in a process of its own, and the second day knows the first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "crewai_research_crew.py"
GUARD = """
import sys

def guard(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
        sys.stderr.write(f"NETWORK {event} {arguments[1:]}\\n")
        raise OSError("no network here")

sys.addaudithook(guard)
"""


def run(directory: Path, *arguments: str) -> str:
    (directory / "sitecustomize.py").write_text(GUARD)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMWELD_", "OPENAI_"))}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        cwd=directory,
        env={**kept, "PYTHONPATH": str(directory), "CREWAI_STORAGE_DIR": str(directory / "crewai")},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "NETWORK" not in done.stderr
    return done.stdout


def test_the_second_day_continues_the_first(tmp_path: Path) -> None:
    shown = run(tmp_path)
    assert (
        "Day 1: So far: Short sentences, as you like them. 63 species of wild bees live in the city. The hives" in shown
    )
    assert "Day 2: Short sentences, as you like them. 63 species of wild bees live in the city. Wild bees find" in shown


def test_without_the_first_day_the_second_knows_nothing_of_it(tmp_path: Path) -> None:
    shown = run(tmp_path, "--day", "2", "--url", f"sqlite:///{tmp_path / 'memory.db'}")
    assert "Day 2: So far: 63 species of wild bees live in the city. The hives are open." in shown
    assert "Short sentences" not in shown
