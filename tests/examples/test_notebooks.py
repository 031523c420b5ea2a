"""Notebooks are saved with their outputs, which hold no error, no warning and no path of the machine that ran them.

That each runs from a fresh kernel, nbmake tests: it collects the notebooks themselves.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [
    "01_one_memory",
    "02_langchain",
    "03_crewai",
    "04_autogen",
    "05_mcp_and_tools",
    "06_search_explained",
    "07_moving_and_erasing",
    "08_memory_that_changes",
]
MOST_BYTES = 60_000
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def outputs(path: Path) -> Iterator[dict[str, Any]]:
    for cell in code_cells(path):
        yield from cell["outputs"]


def pictures(path: Path) -> list[bytes]:
    return [
        base64.b64decode(each["data"]["image/png"]) for each in outputs(path) if "image/png" in each.get("data", {})
    ]


def test_there_is_one_for_each_subject() -> None:
    assert [path.stem for path in NOTEBOOKS] == NAMES


@EACH
def test_it_was_saved_after_a_run_from_a_fresh_kernel(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert [cell["id"] for cell in notebook["cells"]] == [f"cell-{n:02d}" for n in range(1, len(notebook["cells"]) + 1)]
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    assert [cell["execution_count"] for cell in code_cells(path)] == list(range(1, len(code_cells(path)) + 1))
    assert sum(bool(cell["outputs"]) for cell in code_cells(path)) >= len(code_cells(path)) / 2


@EACH
def test_its_outputs_are_clean(path: Path) -> None:
    """No error, nothing on stderr, and no path, address or escape sequence of the machine."""
    for output in outputs(path):
        assert output["output_type"] in {"stream", "execute_result", "display_data"}
        assert output.get("name", "stdout") == "stdout"
        shown = {kind: data for kind, data in output.get("data", {}).items() if kind != "image/png"}
        text = json.dumps([shown, output.get("text", "")])
        assert re.search(r"/(tmp|home|root|work|Users|var)/|0x[0-9a-f]{6,}|\\u001b|Warning", text) is None


@EACH
def test_its_pictures_are_small(path: Path) -> None:
    found = pictures(path)
    assert all(len(picture) < MOST_BYTES for picture in found)
    assert len(found) == (4 if path.stem == "06_search_explained" else 0)


@EACH
def test_its_first_cell_says_what_it_is_for_and_how_to_install(path: Path) -> None:
    first = read(path)["cells"][0]
    text = "".join(first["source"])
    assert (first["cell_type"], text[:2]) == ("markdown", "# ")
    assert "pip install '.[examples]'" in text
    if path.stem in NAMES[:4]:
        assert "MEMWELD_EXAMPLE_MODEL" in text


@EACH
def test_its_links_lead_somewhere(path: Path) -> None:
    text = "\n".join("".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)#]+)", text)
    assert links
    assert all((path.parent / link).exists() for link in links)


@EACH
def test_its_kernel_comes_with_ipykernel(path: Path) -> None:
    kernel = read(path)["metadata"]["kernelspec"]["name"]
    assert kernel == "python3"
    assert kernel in KernelSpecManager().find_kernel_specs()
