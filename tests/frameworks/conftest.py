"""A backend on a file of the test's own, and the memory of one user."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import memweld
from memweld import Backend, Memory
from memweld.testing import HashEmbedder

sys.path.insert(0, str(Path(__file__).parent))  # for mcp_servers


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        yield backend


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Backend]]:
    """Makes a backend on a file of the test's own, with the keywords of `connect`."""
    with contextlib.ExitStack() as stack:

        def connect(**options: Any) -> Backend:
            url = f"sqlite:///{tmp_path / 'made.db'}"
            return stack.enter_context(memweld.connect(url, embedder=HashEmbedder(), **options))

        yield connect


@pytest.fixture
def ana(backend: Backend) -> Memory:
    return backend.user("ana")
