"""The oracle of a memory: operations as data, done to a memory and predicted by a model."""

import copy
import random
from typing import Any, TypeAlias

from memweld import Backend, Memory
from memweld.models import ValueWrite

Model: TypeAlias = dict[str, Any]
"""``items``: (kind, key, text) sorted; ``state``: place to value; ``sessions``: id to contents."""

SESSIONS = ("monday", "tuesday")
KEYS = ("a", "b", "c")


def empty() -> Model:
    return {"items": [], "state": {}, "sessions": {}}


def read(memory: Memory) -> Model:
    """The contents of a memory, in the form of the model."""
    exported = memory.export()
    model = empty()
    model["items"] = sorted(
        [item["kind"], item.get("key") or "", item["text"]]
        for item in exported["items"]
        if item.get("superseded_by") is None
    )
    model["state"] = {f"{row['namespace']}/{row['key']}": row["value"] for row in exported["state"]}
    for message in exported["messages"]:
        model["sessions"].setdefault(message["session_id"], []).append(message["content"])
    return model


def choose(chance: random.Random, model: Model, number: int) -> dict[str, Any]:
    """The next operation: of all kinds, on what is there."""
    texts = [text for kind, _, text in model["items"] if kind == "item"]
    session, key = chance.choice(SESSIONS), chance.choice(KEYS)
    kinds = {"add": 6, "append": 3, "capture": 3, "set": 3, "text": 3, "write": 2, "unset": 2, "count": 2}
    kinds |= {"preference": 2, "task": 1, "forget": 1, "restore": 1, "erase": 0.5, "clear": 0.3}
    kinds |= {"update": 4, "delete": 3} if texts else {}
    (kind,) = chance.choices(list(kinds), list(kinds.values()))
    old = chance.choice(texts) if texts else ""
    return {"kind": kind, "number": number, "session": session, "key": key, "old": old}


def words(op: dict[str, Any], part: int = 0) -> str:
    return f"fact {op['number']} part {part} of the operation {op['kind']} in {op['session']}"


def perform(memory: Memory, op: dict[str, Any]) -> None:
    """Do the operation."""
    kind, key = op["kind"], op["key"]
    if kind == "add":
        memory.add([{"role": "user", "content": words(op, part)} for part in range(3)], session_id=op["session"])
    elif kind == "update":
        memory.update(_find(memory, op["old"]), words(op))
    elif kind == "delete":
        memory.delete(_find(memory, op["old"]))
    elif kind == "append":
        memory.history(op["session"]).append([{"role": "user", "content": words(op, part)} for part in range(3)])
    elif kind == "capture":
        turn = [{"role": "user", "content": words(op, part)} for part in range(2)]
        memory.capture([*turn, {"role": "assistant", "content": "noted"}], session_id=op["session"])
    elif kind == "set":
        memory.state("n")[key] = op["number"]
    elif kind == "text":
        memory.state("n").set(key, op["number"], text=words(op), ttl=9_000)
    elif kind == "write":
        memory.values.write([ValueWrite(namespace="n", key=each, value=op["number"]) for each in KEYS])
    elif kind == "unset":
        memory.state("n").delete(key)
    elif kind == "count":
        memory.state("n").update("count", lambda value: value + 1, default=0)
    elif kind == "preference":
        memory.preferences.set(key, op["number"])
    elif kind == "task":
        memory.tasks.record(key, outcome=words(op))
    elif kind == "forget":
        memory.history(op["session"]).clear()
    elif kind == "restore":
        exported = memory.export()
        memory.erase()
        memory.restore(exported)
    elif kind == "erase":
        memory.erase()
    elif kind == "clear":
        memory.clear()


def _find(memory: Memory, text: str) -> str:
    (found,) = (item.id for item in memory.all(limit=10_000) if item.text == text)
    return found


def foretell(model: Model, op: dict[str, Any]) -> list[Model]:
    """The states through which the operation goes, the last one being the one that was acknowledged."""
    after = copy.deepcopy(model)
    steps = [after]
    items, state, sessions = after["items"], after["state"], after["sessions"]
    kind, key = op["kind"], op["key"]
    if kind == "add":
        items += [["item", "", words(op, part)] for part in range(3)]
    elif kind in ("update", "delete"):
        items.remove(["item", "", op["old"]])
        items += [["item", "", words(op)]] if kind == "update" else []
    elif kind == "append":
        sessions.setdefault(op["session"], []).extend(words(op, part) for part in range(3))
    elif kind == "capture":
        # A capture is two steps: the history comes first.
        sessions.setdefault(op["session"], []).extend([words(op, 0), words(op, 1), "noted"])
        steps.insert(0, copy.deepcopy(after))
        items += [["item", "", words(op, part)] for part in range(2)]
    elif kind in ("set", "text", "unset"):
        _unset(after, key)
        if kind != "unset":
            state[f"n/{key}"] = op["number"]
        if kind == "text":
            items.append(["record", f'["n","{key}"]', words(op)])
    elif kind == "write":
        for each in KEYS:
            _unset(after, each)
            state[f"n/{each}"] = op["number"]
    elif kind == "count":
        state["n/count"] = state.get("n/count", 0) + 1
    elif kind in ("preference", "task"):
        items[:] = [item for item in items if item[:2] != [kind, key]]
        items.append([kind, key, f"{key}: {op['number'] if kind == 'preference' else words(op)}"])
    elif kind == "forget":
        sessions.pop(op["session"], None)
    elif kind == "erase":
        after.update(empty())
    elif kind == "restore":
        steps.insert(0, empty())
    elif kind == "clear":
        # State stays, with the items of its texts.
        items[:] = [item for item in items if item[0] == "record"]
    for step in steps:
        step["items"].sort()
    return steps


def _unset(model: Model, key: str) -> None:
    model["state"].pop(f"n/{key}", None)
    model["items"][:] = [item for item in model["items"] if item[:2] != ["record", f'["n","{key}"]']]


def known(backend: Backend, users: list[str]) -> dict[str, Model]:
    """The contents of each user's memory."""
    return {user: read(backend.user(user)) for user in users}
