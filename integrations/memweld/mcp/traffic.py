"""Calls and streams under way in an HTTP application, so that it can end without cutting an answer off."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio

__all__ = ["Traffic"]


class Traffic:
    """The calls and streams of one application.

    Attributes:
        closing: Whether the application refuses new calls.
        calls: How many calls it is reading or answering.
    """

    def __init__(self) -> None:
        self.closing = False
        self.calls = 0
        self._streams: set[anyio.CancelScope] = set()

    @contextmanager
    def call(self) -> Generator[None]:
        """Count a call for the length of the block."""
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1

    @contextmanager
    def stream(self) -> Generator[anyio.CancelScope]:
        """Run a stream, which ends when its client leaves or by `close_streams`."""
        with anyio.CancelScope() as scope:
            self._streams.add(scope)
            try:
                yield scope
            finally:
                self._streams.discard(scope)

    def close_streams(self) -> None:
        """End all streams."""
        for scope in list(self._streams):
            scope.cancel()
