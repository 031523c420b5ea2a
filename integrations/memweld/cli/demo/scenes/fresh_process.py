"""A program that knows no framework at all, started after every other process has ended."""

from __future__ import annotations

from .... import Backend

__all__ = ["play"]


def play(backend: Backend, user_id: str, prompt: str) -> list[tuple[str, str]]:
    """The program searches, and lists preferences and sessions."""
    memory = backend.user(user_id)
    found = [(f"found, score {hit.score:.2f}", hit.text) for hit in memory.search(prompt, limit=2)]
    sessions = [(f"session {session.session_id}", f"{session.messages} messages") for session in memory.sessions()]
    preferences = [(f"preference {key}", str(value)) for key, value in memory.preferences.all().items()]
    return [(user_id, prompt), *found, *preferences, *sessions]
