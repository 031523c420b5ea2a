"""Scenarios of one agent object that many users and event loops share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ... import Backend
from .driver import Scenarios, Talk

__all__ = ["SharingScenarios"]


class SharingScenarios(Scenarios):
    """Scenarios of one agent object with many users, one after the other and at once."""

    def _shared_agents(self, backend: Backend) -> list[Talk]:
        driver: Any = self.driver
        if not hasattr(driver, "shared_agents"):
            pytest.skip("the driver shares no agent among users")
        return driver.shared_agents(backend)

    def test_one_agent_serves_many_users_at_once(self, backend: Backend) -> None:
        """Each user's turns show the model the memories and the session of that user alone."""
        for way, talk in enumerate(self._shared_agents(backend)):
            users = [f"user-{way}-{number}" for number in range(20)]
            for user in users:
                backend.user(user).add(f"The secret of {user} is buried")

            async def converse(user: str, talk: Talk = talk) -> str:
                await talk(user, f"I am {user}.")
                return await talk(user, "Which secret is buried?")

            async def converse_at_once(users: list[str] = users) -> list[str]:
                return await asyncio.gather(*map(converse, users))

            for user, seen in zip(users, asyncio.run(converse_at_once()), strict=True):
                assert f"I am {user}." in seen
                assert f"The secret of {user} is buried" in seen
                assert {other for other in users if f"of {other} is" in seen or f"am {other}." in seen} == {user}
                assert [session.messages for session in backend.user(user).sessions()] == [4]

    def test_an_agent_goes_from_loop_to_loop(self, backend: Backend) -> None:
        """Nothing of an agent belongs to the event loop of its first turn."""
        for way, talk in enumerate(self._shared_agents(backend)):
            for number in range(2):
                asyncio.run(talk(f"user-{way}", f"Hello {number}"))
            assert [session.messages for session in backend.user(f"user-{way}").sessions()] == [4]
