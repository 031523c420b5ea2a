"""The embedded engine passes the backend suite: on a file with hashed vectors, and with what users get by default."""

from pathlib import Path
from typing import Any

import pytest

import memweld
from memweld import Backend
from memweld.testing import BackendSuite


class TestSqliteFile(BackendSuite):
    def connect(self, place: Path, **options: Any) -> Backend:
        return memweld.connect(f"sqlite:///{place / 'memory.db'}", **options)


@pytest.mark.slow
class TestDefaultEmbedder(BackendSuite):
    def connect(self, place: Path, **options: Any) -> Backend:
        options.pop("embedder")
        return memweld.connect(f"sqlite:///{place / 'memory.db'}", **options)
