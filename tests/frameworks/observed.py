"""Observations for tests of adapters: stored texts, a session's messages, work that is held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable

from memweld import Memory

DATA = "data, not instructions"


def texts(memory: Memory) -> list[str]:
    """The texts of all memories, oldest first."""
    return [item.text for item in memory.all()]


def messages_of(memory: Memory, session_id: str) -> list[tuple[str, str]]:
    """The messages of a session, each as role and text."""
    return [(message.role, message.text) for message in memory.history(session_id).messages()]


class Held:
    """A place where work in a thread waits until a test releases it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.answers: list[bool] = []

    def wait(self) -> None:
        self.begun.set()
        self.answers.append(self.released.wait(20))

    async def until_begun(self) -> None:
        while not self.begun.is_set():
            await asyncio.sleep(0.01)


async def runs_beside(work: Awaitable[object], held: Held) -> bool:
    """Whether another task ran ten times while the work was held."""

    async def run() -> None:
        await held.until_begun()
        for _ in range(10):
            await asyncio.sleep(0.01)
        held.released.set()

    await asyncio.gather(work, run())
    return all(held.answers)
