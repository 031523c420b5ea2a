"""What was acknowledged survives kill -9 at any moment, and what was not happened whole or not at all."""

import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import oracle
import pytest
import writer
from sound import check_file

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


def one_kill(file: Path, chance: random.Random, model: oracle.Model, number: int) -> tuple[list[oracle.Model], int]:
    """Let a writer work and kill it; the states that the file may have now, and how many operations were begun."""
    process, hears = writer.start(writer.write, str(file), USER, chance.getrandbits(32), number)
    heard = [hears.recv() for _ in range(chance.randint(1, 40))]
    # Anywhere in an operation: most take about a millisecond.
    time.sleep(chance.random() * 0.003)
    writer.kill(process)
    heard += rest(hears)
    allowed = [model]
    for word, op in heard:
        steps = oracle.foretell(allowed[0], op)
        allowed = [allowed[0], *steps] if word == "begun" else [steps[-1]]
    return allowed, sum(word == "begun" for word, _ in heard)


def kill_often(file: Path, times: int, seed: int) -> int:
    chance = random.Random(seed)
    model, number, unfinished = oracle.empty(), 0, 0
    with writer.connect(str(file)) as backend:
        for part in range(50):
            backend.user(BYSTANDER).add(f"bob's fact {part}")
        before = oracle.read(backend.user(BYSTANDER))
        for each in range(times):
            allowed, begun = one_kill(file, chance, model, number)
            number += begun
            unfinished += len(allowed) > 1
            if each % 2:
                check_file(file)
                held = oracle.read(backend.user(USER))
            else:
                # A first look by a process that was not there: it recovers the log.
                with writer.connect(str(file)) as fresh:
                    held = oracle.read(fresh.user(USER))
                check_file(file)
            assert held in allowed, (each, held, allowed)
            model = held
            everything = [text for _, _, text in held["items"]]
            for memory in (backend.user(USER), backend.user(USER, agent_id=None)):
                assert sorted(hit.text for hit in memory.search("fact operation", limit=10_000)) == sorted(everything)
        assert oracle.read(backend.user(BYSTANDER)) == before
    return unfinished


def test_a_writer_that_is_killed(tmp_path: Path) -> None:
    assert kill_often(tmp_path / "memory.db", 25, seed=1) > 3, "the kills must hit operations under way"


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
def test_a_writer_that_is_killed_many_times(tmp_path: Path, seed: int) -> None:
    assert kill_often(tmp_path / "memory.db", 300, seed=100 + seed) > 30
