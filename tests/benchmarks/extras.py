"""What each extra adds to an installation: packages, megabytes, and seconds to install it with uv.

    python tests/benchmarks/extras.py                # each extra of pyproject.toml, into a fresh environment
    python tests/benchmarks/extras.py langchain mcp  # only these

Each environment starts from an empty cache, so the seconds contain the downloads, as fast as the package index is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from document import markdown
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[2]
EXTRAS = ["", "langchain", "crewai", "autogen", "ag2", "agent-framework", "mcp", "postgres", "neo4j", "mem0", "all"]


def uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments, "--quiet"], check=True, cwd=ROOT)


def installed(extra: str) -> tuple[int, float, float]:
    """The packages of an extra, their size in millions of bytes, and the seconds of the installation."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "venv"
        uv("venv", "--python", sys.executable, str(environment))
        started_at = time.perf_counter()
        wanted = f".[{extra}]" if extra else "."
        cache = str(Path(folder) / "cache")
        uv("pip", "install", "--python", str(environment / "bin" / "python"), "--cache-dir", cache, wanted)
        seconds = time.perf_counter() - started_at
        (packages,) = environment.glob("lib/python*/site-packages")
        files = [file for file in packages.rglob("*") if file.is_file()]
        return len(list(packages.glob("*.dist-info"))), sum(file.stat().st_size for file in files) / 1e6, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*", default=EXTRAS)
    options = parser.parse_args()
    table = Table("extra", "packages", "MB", "seconds")
    for column in table.columns[1:]:
        column.justify = "right"
    for extra in track(options.extras, console=Console(stderr=True)):
        packages, size, seconds = installed(extra)
        table.add_row(f"`{extra}`" if extra else "none", str(packages), f"{size:,.0f}", f"{seconds:.0f}")
    sys.stdout.write(f"{markdown(table)}\n")


if __name__ == "__main__":
    main()
