"""The fixtures of the suite: backends at one place, and two users' memories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ... import Backend, Memory
from ..embedding import HashEmbedder

__all__ = ["BackendFixtures"]


class BackendFixtures:
    """How the suite gets its backends and memories."""

    def connect(self, place: Path, **options: Any) -> Backend:
        """A backend that keeps its data at ``place``; two of them with the same place share it.

        ``options`` are keywords of `memweld.connect`: an ``embedder`` always, an ``llm`` in some tests.
        """
        raise NotImplementedError

    @pytest.fixture
    def make(self, tmp_path: Path) -> Iterator[Callable[..., Backend]]:
        """Connects to one place, and closes all at the end."""
        made: list[Backend] = []

        def make(**options: Any) -> Backend:
            made.append(self.connect(tmp_path, **{"embedder": HashEmbedder(), **options}))
            return made[-1]

        yield make
        for backend in made:
            backend.close()

    @pytest.fixture
    def backend(self, make: Callable[..., Backend]) -> Backend:
        """A fresh backend."""
        return make()

    @pytest.fixture
    def ana(self, backend: Backend) -> Memory:
        """One user's memory."""
        return backend.user("ana")

    @pytest.fixture
    def bob(self, backend: Backend) -> Memory:
        """Another user's memory."""
        return backend.user("bob")
