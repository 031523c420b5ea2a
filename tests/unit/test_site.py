"""The documentation site builds strictly: no dead link, no page outside of the navigation, nothing from elsewhere.

Its reference has every public name.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r'<(?:script|img|iframe)[^>]* src="https?:|<link(?=[^>]*rel="(?:stylesheet|preload|icon))[^>]*https?:'
)

PACKAGES = ("langchain", "crewai", "autogen", "ag2", "agent_framework", "mcp", "tools", "transfer", "testing")


def build(folder: Path, *, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    # Not --quiet: it silences the warnings that a strict build counts.
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    done = build(built)
    assert done.returncode == 0, done.stderr
    return built


def test_a_dead_link_and_an_orphan_fail(tmp_path: Path) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    shutil.copy(ROOT / "docs" / "_site.py", pages)
    (pages / "index.md").write_text("# Start\n\n[a](missing.md) [b](#missing) [c](../examples/missing.py)\n")
    (pages / "orphan.md").write_text("# Orphan\n")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        (tmp_path / name).write_text(f"# {name}\n")
    whole = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(
        whole.partition("nav:\n")[0] + "nav: [index.md, CHANGELOG.md, CONTRIBUTING.md, SECURITY.md]\n"
    )
    done = build(tmp_path / "site", config=tmp_path / "mkdocs.yml")
    assert done.returncode == 1
    for text in ("missing.md", "#missing", "examples/missing.py", "orphan.md"):
        assert text in done.stderr


def test_a_browser_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    assert [page.relative_to(site) for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []


PUBLIC = ("memweld", *(f"memweld.{name}" for name in PACKAGES))


@pytest.mark.slow
@pytest.mark.parametrize("module", PUBLIC)
def test_the_reference_has_every_public_name(site: Path, module: str) -> None:
    reference = "".join(page.read_text(encoding="utf-8") for page in (site / "reference" / "api").rglob("*.html"))
    names = importlib.import_module(module).__all__
    at = {"memweld.connect": "memweld.connect.connect"}  # the function, and not its module
    places = [at.get(f"{module}.{name}", f"{module}.{name}") for name in names]
    missing = [place for place in places if f'id="{place}"' not in reference]
    assert missing == [], "Name them in a page of docs/reference/api"


def test_the_search_knows_every_page(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    pages = [page.parent.relative_to(site).as_posix() for page in site.rglob("index.html") if page.parent != site]
    assert [page for page in pages if f'"{page}/' not in index] == []
