"""The reference is what the code says: command line, settings, MCP tools, the public names, the HTTP API."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SETTING = re.compile(r"MEMWELD_[A-Z0-9_]*[A-Z0-9]")


def _pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("memweld_reference_pages", Path(__file__).with_name("pages.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


pages = _pages()


@pytest.mark.parametrize("page", pages.PAGES)
def test_the_page_is_what_the_code_says(page: str) -> None:
    text = (pages.DOCS / page).read_text(encoding="utf-8")
    assert text == pages.written(page), f"Write {page} anew: make docs-reference"


def test_every_setting_stands_on_the_page_of_settings() -> None:
    page = set(SETTING.findall((pages.DOCS / "settings.md").read_text(encoding="utf-8")))
    files = [*(ROOT / "integrations").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    named = {name for file in files for name in SETTING.findall(file.read_text(encoding="utf-8"))}
    assert sorted(named - page) == []
