"""Waiting that a `CancellationToken` ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from autogen_core import CancellationToken

__all__ = ["awaited"]

T = TypeVar("T")


async def awaited(call: Coroutine[Any, Any, T], token: CancellationToken | None) -> T:
    """The call's result.

    Raises:
        asyncio.CancelledError: The token was cancelled. What a thread had begun by then, it carries to its end.
    """
    running = asyncio.ensure_future(call)
    if token is not None:
        token.link_future(running)
    return await running
