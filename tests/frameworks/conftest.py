"""A backend on a file of the test's own, and the memory of one user."""

import sys
from collections.abc import Iterator
from pathlib import Path

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
def ana(backend: Backend) -> Memory:
    return backend.user("ana")
