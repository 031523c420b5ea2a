"""Acknowledged writes survive kill -9 at any moment; others happened whole or not at all."""

import random
import time
from multiprocessing.connection import Connection

import oracle
import pytest
import writer
from places import Place

pytestmark = pytest.mark.enable_socket  # multiprocessing forks its processes through a Unix socket

USER, BYSTANDER = "ana@example.com", "bob"


def rest(hears: Connection) -> list[tuple[str, dict]]:
    """All that is still to be heard of a process that is dead."""
    heard = []
    try:
        while True:
            heard.append(hears.recv())
    except EOFError:
        return heard


def one_kill(place: Place, chance: random.Random, model: oracle.Model, number: int) -> tuple[list[oracle.Model], int]:
    """Let a writer work and kill it; the states that may be left now, and how many operations were begun."""
    process, hears = writer.start(writer.write, place.url, USER, chance.getrandbits(32), number)
    heard = [hears.recv() for _ in range(chance.randint(1, 40))]
    # Anywhere in an operation.
    time.sleep(chance.random() * place.moment)
    writer.kill(process)
    heard += rest(hears)
    allowed = [model]
    for word, op in heard:
        steps = oracle.foretell(allowed[0], op)
        allowed = [allowed[0], *steps] if word == "begun" else [steps[-1]]
    return allowed, sum(word == "begun" for word, _ in heard)


def kill_often(place: Place, times: int, seed: int) -> int:
    chance = random.Random(seed)
    model, number, unfinished = oracle.empty(), 0, 0
    with place.connect() as backend:
        for part in range(50):
            backend.user(BYSTANDER).add(f"bob's fact {part}")
        before = oracle.read(backend.user(BYSTANDER))
        for each in range(times):
            allowed, begun = one_kill(place, chance, model, number)
            number += begun
            unfinished += len(allowed) > 1
            place.wait_for_the_dead(USER)
            if each % 2:
                place.check()
                held = oracle.read(backend.user(USER))
            else:
                # A first look by a process that was not there: it recovers the log of a file.
                with place.connect() as fresh:
                    held = oracle.read(fresh.user(USER))
                place.check()
            assert held in allowed, (each, held, allowed)
            model = held
            everything = [text for _, _, text in held["items"]]
            for memory in (backend.user(USER), backend.user(USER, agent_id=None)):
                assert sorted(hit.text for hit in memory.search("fact operation", limit=10_000)) == sorted(everything)
        assert oracle.read(backend.user(BYSTANDER)) == before
    return unfinished


def test_a_writer_that_is_killed(place: Place) -> None:
    assert kill_often(place, 25, seed=1) > 3, "the kills must hit operations under way"


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
def test_a_writer_that_is_killed_many_times(place: Place, seed: int) -> None:
    assert kill_often(place, 300, seed=100 + seed) > 30
