"""docs/explanation/architecture.md draws the import contract, and names files that exist."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "integrations" / "memweld"
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
PATHS = sorted(set(re.findall(r"`([\w./-]+(?:\.py|/))`", PAGE)))


CONTRACTS: list[dict[str, Any]] = [
    contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
]


def picture(contract: dict[str, Any]) -> str:
    """The layers of an import contract, the highest first, as a code block."""
    rows = [" · ".join(re.findall(r"(?:memweld\.)?(\w+)", layer)) for layer in contract["layers"]]
    width = max(map(len, rows))
    lines = "\n".join("\n".join((row.center(width).rstrip(), "↓".center(width).rstrip())) for row in rows)
    return f"```text\n{lines.rpartition(chr(10))[0]}\n```"


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_the_picture_is_the_contract(contract: dict[str, Any]) -> None:
    assert picture(contract) in PAGE, f"Put this into docs/explanation/architecture.md:\n{picture(contract)}"


@pytest.mark.parametrize("path", PATHS)
def test_named_files_exist(path: str) -> None:
    found = [path, *(f"{room.relative_to(PACKAGE)}/{path}" for room in PACKAGE.rglob("*") if room.is_dir())]
    assert (ROOT / path).exists() or any((PACKAGE / each).exists() for each in found)
