"""Processes that work on one memory at once, and what each of them must see all the while."""

import random
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import oracle
import writer

import memweld
from memweld.models import ValueWrite

SAME = 12
"""How many texts everybody adds."""


def work(url: str, process: int, threads: int, operations: int, says: Connection) -> None:
    """Work in some threads; say what each has acknowledged, or what it saw that must not be."""
    try:
        with writer.connect(url) as backend, ThreadPoolExecutor(threads) as pool:
            names = [f"p{process}t{thread}" for thread in range(threads)]
            says.send(("reports", list(pool.map(lambda name: Worker(backend, name).run(operations), names))))
    except BaseException as error:
        says.send(("failed", repr(error)))
        raise


class Worker:
    """One thread: mixed operations on what all share, and a record of what was acknowledged."""

    def __init__(self, backend: memweld.Backend, name: str) -> None:
        self.backend = backend
        self.memory = backend.user("shared")
        self.name = name
        self.chance = random.Random(name)
        self.mine: dict[str, str] = {}
        self.report: dict[str, Any] = {"name": name, "counts": 0, "said": [], "same": {}, "captured": []}

    def run(self, operations: int) -> dict[str, Any]:
        steps = [self.add, self.add, self.change, self.remove, self.count, self.say, self.same, self.pair, self.look]
        for number in range(operations):
            self.chance.choice([*steps, self.own, self.capture])(number)
        return {**self.report, "items": self.mine}

    def add(self, number: int) -> None:
        (item,) = self.memory.add(f"{self.name} fact {number}", session_id=self.name)
        self.mine[item.id] = item.text

    def change(self, number: int) -> None:
        if self.mine:
            memory_id = self.chance.choice(list(self.mine))
            self.mine[memory_id] = self.memory.update(memory_id, f"{self.name} changed {number}").text

    def remove(self, _: int) -> None:
        if self.mine:
            memory_id = self.chance.choice(list(self.mine))
            self.memory.delete(memory_id)
            del self.mine[memory_id]

    def count(self, _: int) -> None:
        self.memory.state("n").update("count", lambda value: value + 1, default=0)
        self.report["counts"] += 1

    def say(self, number: int) -> None:
        texts = [f"{self.name} says {number} {part}" for part in range(2)]
        self.memory.history("s").append([{"role": "user", "content": text} for text in texts])
        self.report["said"] += texts

    def same(self, _: int) -> None:
        text = f"everybody adds fact {self.chance.randrange(SAME)}"
        (item,) = self.memory.add(text)
        assert self.report["same"].setdefault(text, item.id) == item.id, "a text has one id for good"

    def pair(self, number: int) -> None:
        """Two values that are written together are read together."""
        value = f"{self.name} {number}"
        self.memory.values.write([ValueWrite(namespace="pair", key=key, value=value) for key in "ab"])
        one, other = self.memory.values.read([("pair", "a"), ("pair", "b")])
        assert one is not None
        assert other is not None
        assert one.value == other.value

    def look(self, _: int) -> None:
        """Own writes are seen at once, by the list and by the search; nothing is seen twice."""
        assert {i.id: i.text for i in self.memory.all(limit=10_000) if i.text.startswith(self.name)} == self.mine
        hits = self.memory.search(f"{self.name} fact changed", limit=10_000)
        assert {hit.id: hit.text for hit in hits if hit.text.startswith(self.name)} == self.mine
        assert len({hit.text for hit in hits}) == len({hit.id for hit in hits}) == len(hits)

    def own(self, number: int) -> None:
        """A user of this thread alone comes and goes: nobody else's rows do."""
        memory = self.backend.user(self.name)
        memory.add([{"role": "user", "content": f"own {number} {part}"} for part in range(3)])
        memory.state("n").set("k", number, text=f"the text of {number}")
        assert len(memory.search("own text", limit=100)) == 4
        assert memory.erase().counts["items"] == 4
        assert memory.search("own text") == []

    def capture(self, number: int) -> None:
        text = f"{self.name} was captured {number}"
        (item,) = self.memory.capture([{"role": "user", "content": text}], session_id=f"captured by {self.name}")
        self.mine[item.id] = item.text
        self.report["captured"].append(text)


def obey(url: str, orders: Any, says: Connection) -> None:
    """Do or read what the parent orders, one after the other."""
    with writer.connect(url) as backend:
        memory = backend.user("ana")
        while (op := orders.recv()) is not None:
            if op["kind"] == "look":
                found = sorted(hit.text for hit in memory.search("fact operation", limit=10_000))
                says.send((oracle.read(memory), found))
            else:
                oracle.perform(memory, op)
                says.send("done")
