"""The user of the current context."""

import asyncio
import threading

import pytest

import memweld
from memweld.scope import Scope, current_user


def test_there_is_no_default_user() -> None:
    with pytest.raises(memweld.ConfigurationError, match="user_scope"):
        current_user()


def test_the_block_names_the_user() -> None:
    with memweld.user_scope("ana"):
        assert current_user() == Scope(user_id="ana")
        with memweld.user_scope("bob", agent_id="writer"):
            assert current_user() == Scope(user_id="bob", agent_id="writer")
        assert current_user() == Scope(user_id="ana")
    with pytest.raises(memweld.ConfigurationError):
        current_user()


def test_the_name_travels_with_tasks_and_their_threads() -> None:
    async def who() -> str | None:
        await asyncio.sleep(0)
        return (await asyncio.to_thread(current_user)).user_id

    async def scenario() -> list[str | None]:
        async def serve(user: str) -> str | None:
            with memweld.user_scope(user):
                return await asyncio.create_task(who())

        return list(await asyncio.gather(*(serve(f"user {number}") for number in range(20))))

    assert asyncio.run(scenario()) == [f"user {number}" for number in range(20)]


def test_a_task_that_outlives_the_block_has_no_user() -> None:
    async def scenario() -> None:
        ended = asyncio.Event()

        async def worker() -> None:
            assert current_user().user_id == "ana"
            await ended.wait()
            with pytest.raises(memweld.ConfigurationError, match="has ended"):
                current_user()

        with memweld.user_scope("ana"):
            task = asyncio.create_task(worker())
            await asyncio.sleep(0)
        ended.set()
        await task

    asyncio.run(scenario())


def test_a_bare_thread_has_no_user() -> None:
    refused: list[bool] = []

    def work() -> None:
        try:
            current_user()
        except memweld.ConfigurationError:
            refused.append(True)

    with memweld.user_scope("ana"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert refused == [True]


def test_a_scope_contains_what_agents_keep_of_its_user() -> None:
    ana, noted, own = Scope(user_id="ana"), Scope(user_id="ana", agent_id="r"), Scope(agent_id="r")
    assert ana.contains(ana)
    assert ana.contains(noted)
    assert not noted.contains(ana)
    assert not own.contains(noted)
    assert not noted.contains(own)
    assert not Scope(user_id="bob").contains(ana)
    assert [str(scope) for scope in (ana, noted, own)] == ["user ana", "user ana and agent r", "agent r"]
    with pytest.raises(memweld.InvalidInputError, match="no default user"):
        Scope()
