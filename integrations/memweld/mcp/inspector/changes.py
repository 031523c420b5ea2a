"""What each form changes: functions from a visit to the page that follows. Routes have checked the form's origin."""

from __future__ import annotations

from typing import Any

from ...errors import invalid
from ...memory.memory import Memory
from .visit import Done, Visit, number_in, value_in

__all__ = [
    "decide_conflict",
    "delete_memory",
    "delete_session",
    "delete_value",
    "erase",
    "name_of",
    "pin_memory",
    "record_task",
    "set_preference",
    "set_value",
    "supersede_memory",
    "update_memory",
]

_LISTS = {"preference": "preferences", "task": "tasks", "record": "state"}


def update_memory(visit: Visit) -> Done:
    """Replace the text of a memory, and its metadata."""
    memory_id = visit.required("id")
    metadata = value_in(visit.text("metadata") or "{}", as_json=True, name="metadata")
    visit.memory.update(memory_id, visit.text("text"), metadata=metadata)
    return Done("memory", "updated", {"id": memory_id})


def supersede_memory(visit: Visit) -> Done:
    """Put a new memory in the place of one that is no longer true."""
    (item,) = visit.memory.add(visit.text("text"), supersedes=visit.required("id"), infer=False)
    return Done("memory", "superseded", {"id": item.id})


def pin_memory(visit: Visit) -> Done:
    """Pin a memory, or take its pin away."""
    memory_id = visit.required("id")
    is_pinned = visit.form.get("pinned") == "yes"
    item = visit.memory.pin(memory_id) if is_pinned else visit.memory.unpin(memory_id)
    note = "pinned" if is_pinned else "unpinned"
    return Done("profile", note) if visit.query.get("on") == "profile" else Done("memory", note, {"id": item.id})


def decide_conflict(visit: Visit) -> Done:
    """Say which of two memories is true, or that both are.

    Raises:
        InvalidInputError: The form says something else.
    """
    newer, older = visit.required("newer"), visit.required("older")
    answer = visit.form.get("true", "")
    if answer == "both":
        visit.memory.keep_both(newer, older)
        return Done("conflicts", "both")
    if answer not in ("newer", "older"):
        raise invalid("true", answer, "it is newer, older or both", "Press one of the buttons.")
    is_newer = answer == "newer"
    visit.memory.supersede(older if is_newer else newer, by=newer if is_newer else older)
    return Done("conflicts", "decided")


def delete_memory(visit: Visit) -> Done:
    """Delete a memory of any kind."""
    item = visit.memory.get(visit.required("id"))
    visit.memory.delete(item.id)
    return Done(_LISTS.get(item.kind, "memories"), "deleted")


def set_preference(visit: Visit) -> Done:
    """Store a preference."""
    value = value_in(visit.text("value"), as_json=visit.form.get("as") == "json")
    visit.memory.preferences.set(visit.form.get("key", ""), value)
    return Done("preferences", "stored")


def record_task(visit: Visit) -> Done:
    """Record what came of a task."""
    verdicts = {"yes": True, "no": False}
    visit.memory.tasks.record(
        visit.form.get("key", ""),
        outcome=visit.text("outcome"),
        success=verdicts.get(visit.form.get("success", "")),
    )
    return Done("tasks", "stored")


def set_value(visit: Visit) -> Done:
    """Store a state value: a new one perhaps with an end, a known one with the end and the text that it has."""
    state = visit.memory.state(visit.query.get("namespace") or visit.form.get("namespace", ""))
    key = visit.query.get("key") or visit.form.get("key", "")
    value = value_in(visit.text("value"), as_json=visit.form.get("as") == "json")
    seconds = number_in(visit.form, "ttl", 0, 10**9)
    if seconds:
        state.set(key, value, ttl=seconds)
    else:
        state.modify(key, lambda _: value)
    return Done("state", "stored", {"namespace": state.namespace})


def delete_value(visit: Visit) -> Done:
    """Delete a state value."""
    namespace = visit.required("namespace")
    deleted = visit.memory.state(namespace).delete(visit.required("key"))
    return Done("state", "deleted" if deleted else "gone", {"namespace": namespace})


def delete_session(visit: Visit) -> Done:
    """Delete the messages of a session, and if the form says so the memories of it."""
    facts = "facts" in visit.form
    if facts and not visit.has("delete_memory"):
        raise invalid("facts", "on", "this server does not serve delete_memory (--toolsets)", "Leave the memories.")
    visit.count = visit.memory.history(visit.required("id")).clear(facts=facts)
    return Done("sessions", "deleted" if visit.count else "gone")


def name_of(memory: Memory) -> str:
    """The name that a person types to erase the memory: the user's, and of an agent's part the agent's."""
    return str(memory.agent_id or memory.user_id)


def erase(visit: Visit) -> dict[str, Any]:
    """Erase everything of the scope; the answer is the receipt.

    Raises:
        InvalidInputError: The typed name is another.
    """
    typed = visit.form.get("confirm", "").strip()
    if typed != name_of(visit.memory):
        raise invalid("name", typed, "it is not the name of this memory, so nothing was erased", "Type it exactly.")
    receipt = visit.memory.erase()
    visit.count = receipt.total
    return {"receipt": receipt}
