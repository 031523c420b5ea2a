"""The pages and forms of the inspector, and the tools that a server must serve for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from . import changes, consolidation, timeline, views
from .visit import Done, Visit

__all__ = ["ALL_READ", "CHANGES", "NOTES", "PAGES", "SECTIONS", "Change", "Page"]

Lane = Literal["quick", "search", "write", "llm"]

NOTES = {
    "updated": "The memory is updated.",
    "decided": "The other memory is now an earlier version of the true one.",
    "both": "Both are true, and no conflict any more.",
    "pinned": "It is now in the profile.",
    "unpinned": "Its pin is gone.",
    "deleted": "It is deleted.",
    "gone": "It was gone already.",
    "stored": "It is stored.",
    "superseded": "This memory replaces the earlier one.",
    "undone": "It is as it was before.",
    "partly": "It is as it was before, but for memories that were changed meanwhile.",
}
"""What a page says after a change."""

SECTIONS = {"memory": "memories", "session": "sessions"}
"""The section that the navigation marks on pages that it does not have."""

ALL_READ = ("get_all_memories", "get_preferences", "get_state", "get_messages")
_TIDYING = ("update_memory", "delete_memory")
_ALL_DELETED = ("delete_all_memories", "delete_state", "clear_messages")


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        title: Its heading, and its name in the navigation.
        view: Reads what it shows.
        tools: The tools that do the same: a server without all of them (``toolsets``) has no such page.
        lane: The reason why it may wait.
        section: Whether the navigation has it.
    """

    title: str
    view: Callable[[Visit], dict[str, Any]]
    tools: tuple[str, ...] = ()
    lane: Lane = "quick"
    section: bool = True


PAGES: Mapping[str, Page] = {
    "overview": Page("Overview", views.overview),
    "memories": Page("Memories", views.memories, ("get_all_memories",), "search"),
    "timeline": Page("Timeline", timeline.timeline, ("get_all_memories",)),
    "conflicts": Page("Conflicts", views.conflicts, ("get_all_memories",)),
    "profile": Page("Profile", views.profile, ("get_profile",)),
    "preferences": Page("Preferences", views.preferences, ("get_preferences",)),
    "tasks": Page("Tasks", views.tasks, ("get_task_context",)),
    "state": Page("State", views.state, ("get_state", "list_state_keys")),
    "sessions": Page("Sessions", views.sessions, ("get_messages",)),
    "graph": Page("Graph", views.graph, ("search_memories",), "search"),
    "recall": Page("Recall", views.recall, ("search_memories",), "search"),
    "memory": Page("Memory", views.memory, ("get_memory",), section=False),
    "session": Page("Session", views.session, ("get_messages",), section=False),
    "consolidate": Page("Tidy up", consolidation.plan, ("get_all_memories",), "search"),
    "erase": Page("Export and erase", views.erase, ALL_READ),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A form.

    Attributes:
        make: Makes the change.
        tools: The tools that do the same.
        lane: The reason why it may wait.
        answer: The title of the page that shows what it answers, and its template, if it does not go on to a page.
    """

    make: Callable[[Visit], Done | dict[str, Any]]
    tools: tuple[str, ...]
    lane: Lane = "quick"
    answer: tuple[str, str] = ("", "")


CHANGES: Mapping[str, Change] = {
    "memory/update": Change(changes.update_memory, ("update_memory",), "write"),
    "memory/supersede": Change(changes.supersede_memory, ("add_memory",), "write"),
    "conflicts/decide": Change(changes.decide_conflict, ("update_memory",)),
    "memory/pin": Change(changes.pin_memory, ("update_memory",)),
    "memory/delete": Change(changes.delete_memory, ("delete_memory",)),
    "preferences/set": Change(changes.set_preference, ("set_preference",), "write"),
    "tasks/record": Change(changes.record_task, ("record_task_outcome",), "write"),
    "state/set": Change(changes.set_value, ("set_state",), "write"),
    "state/delete": Change(changes.delete_value, ("delete_state",)),
    "session/delete": Change(changes.delete_session, ("clear_messages",), "write"),
    "consolidate/apply": Change(consolidation.apply, _TIDYING, "llm", ("Tidied up", "consolidated.html")),
    "consolidate/undo": Change(consolidation.undo, _TIDYING, "write"),
    "erase": Change(changes.erase, _ALL_DELETED, "write", ("Erased", "receipt.html")),
}
