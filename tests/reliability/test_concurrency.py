"""Four processes of four threads on one memory: nothing is lost, doubled or stale."""

import random

import oracle
import pytest
import workers
import writer
from places import Place

pytestmark = pytest.mark.enable_socket  # multiprocessing forks its processes through a Unix socket

PROCESSES, THREADS = 4, 4


def together(place: Place, operations: int) -> None:
    started = [writer.start(workers.work, place.url, number, THREADS, operations) for number in range(PROCESSES)]
    answers = []
    for process, hears in started:
        answers.append(hears.recv())
        process.join(60)
    assert [word for word, _ in answers] == ["reports"] * PROCESSES, answers
    reports = [report for _, each in answers for report in each]
    assert len(reports) == PROCESSES * THREADS
    with place.connect() as backend:
        memory = backend.user("shared")
        held = {item.id: item.text for item in memory.all(limit=10_000)}
        same = {memory_id: text for report in reports for text, memory_id in report["same"].items()}
        expected = same | {memory_id: text for report in reports for memory_id, text in report["items"].items()}
        assert held == expected
        assert len(set(same.values())) == len(same), "two that add the same text at once get the same memory"
        assert {hit.id: hit.text for hit in memory.search("fact changed captured", limit=10_000)} == expected
        assert memory.state("n").get("count", 0) == sum(report["counts"] for report in reports)
        said = [message.text for message in memory.history("s").messages()]
        assert len(said) == sum(len(report["said"]) for report in reports)
        for report in reports:
            assert [text for text in said if text.startswith(f"{report['name']} ")] == report["said"]
            captured = memory.history(f"captured by {report['name']}").messages()
            assert [message.text for message in captured] == report["captured"]
            assert backend.user(report["name"]).export()["items"] == []
        # Words of one turn stand together, whoever else was speaking.
        turns = [text.rsplit(" ", 1) for text in said]
        assert all(one[0] == two[0] for one, two in zip(turns[::2], turns[1::2], strict=True))
    place.check()


def test_mixed_operations(place: Place) -> None:
    together(place, 40)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_many_mixed_operations(place: Place) -> None:
    together(place, 400)


def the_next_read(place: Place, rounds: int) -> None:
    """In turn one process writes, and then every process must see it in its next read and its next search."""
    chance, model = random.Random(7), oracle.empty()
    team = []
    for _ in range(PROCESSES):
        orders, ordered = writer.CONTEXT.Pipe()
        process, hears = writer.start(workers.obey, place.url, orders)
        orders.close()
        team.append((process, ordered, hears))
    for number in range(rounds):
        op = oracle.choose(chance, model, number)
        _, ordered, hears = team[chance.randrange(PROCESSES)]
        ordered.send(op)
        assert hears.recv() == "done"
        model = oracle.foretell(model, op)[-1]
        for _, ordered, _ in team:
            ordered.send({"kind": "look"})
        for _, _, hears in team:
            held, found = hears.recv()
            assert held == model, op
            assert found == sorted(text for _, _, text in model["items"]), op
    for process, ordered, _ in team:
        ordered.send(None)
        process.join(60)
        assert process.exitcode == 0
    place.check()


def test_what_one_process_writes_all_others_read_next(place: Place) -> None:
    the_next_read(place, 80)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_what_one_process_writes_all_others_read_next_for_long(place: Place) -> None:
    the_next_read(place, 1000)
