"""The Postgres engine passes the backend suite on a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from emptying import empty
from servers import PostgresServer

import memweld
from memweld import Backend
from memweld.testing import BackendSuite

pytestmark = pytest.mark.services


class TestPostgres(BackendSuite):
    """One schema, emptied before each test, because tables take longer to make than most tests take."""

    @pytest.fixture(autouse=True)
    def _where(self, database: str) -> None:
        empty(database, "memweld")
        self.url = f"{database}?pool_size=8"

    def connect(self, place: Path, **options: Any) -> Backend:
        return memweld.connect(self.url, **options)


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    return postgres.make_database()
