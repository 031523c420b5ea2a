"""Observations for tests of adapters: stored texts, a session's messages, the turns of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from memweld import Memory

DATA = "data, not instructions"


def texts(memory: Memory) -> list[str]:
    """The texts of all memories, oldest first."""
    return [item.text for item in memory.all()]


def messages_of(memory: Memory, session_id: str) -> list[tuple[str, str]]:
    """The messages of a session, each as role and text."""
    return [(message.role, message.text) for message in memory.history(session_id).messages()]


async def count_ticks(work: Awaitable[object]) -> int:
    """How often another task ran, every 10 ms at most, until the work was done."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await work
    ticking.cancel()
    return ticks
