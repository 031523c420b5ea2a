"""SECURITY.md and docs/explanation/security.md name tests that exist, and settings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import memweld
from memweld.mcp import principal

ROOT = Path(memweld.__file__).parents[2]
PAGES = [ROOT / "SECURITY.md", ROOT / "docs" / "explanation" / "security.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_tests_exist(page: Path) -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", page.read_text()))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_scope_has_its_row() -> None:
    page = (ROOT / "docs" / "explanation" / "security.md").read_text()
    scopes = [getattr(principal, name) for name in principal.__all__ if name.endswith("_SCOPE")]
    assert len(scopes) == 6
    assert [scope for scope in scopes if f"`{scope}`" not in page] == []
