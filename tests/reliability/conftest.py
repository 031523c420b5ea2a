"""Shared helpers of the reliability tests lie beside them, their servers among the tests of services."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "services")]


@pytest.fixture(scope="session")
def make_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """An empty place of a kind: ``ram``, ``file``, ``postgres``, or ``secured`` (by row-level security)."""
    import places

    return places.maker(lambda: tmp_path_factory.mktemp("home"), lambda: request.getfixturevalue("postgres"))


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.services)])
def place(request: pytest.FixtureRequest, make_place: Callable[[str], Any]) -> Any:
    """An empty file, and an empty schema on Postgres."""
    return make_place(request.param)
