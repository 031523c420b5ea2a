"""Notebooks are kept without outputs, with ids that stay, and for the kernel that every environment has."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_holds_no_outputs(path: Path) -> None:
    notebook: dict[str, Any] = json.loads(path.read_text())
    nbformat.validate(notebook)
    for number, cell in enumerate(notebook["cells"], 1):
        assert cell["id"] == f"cell-{number:02d}"
        assert cell["metadata"] == {}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_its_kernel_comes_with_ipykernel(path: Path) -> None:
    kernel = json.loads(path.read_text())["metadata"]["kernelspec"]["name"]
    assert kernel == "python3"
    assert kernel in KernelSpecManager().find_kernel_specs()
