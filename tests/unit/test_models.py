"""The data classes as a user sees them in a console."""

from __future__ import annotations

from datetime import datetime, timezone

from memweld.models import ChatMessage, Hit

MOMENT = datetime(2026, 11, 28, 13, 12, 5, 587_811, tzinfo=timezone.utc)


def test_a_repr_leaves_out_what_says_nothing() -> None:
    message = ChatMessage(role="user", content="Hi", id="m", created_at=MOMENT, native={"framework": "crewai"})
    assert repr(message) == "ChatMessage(role='user', content='Hi', id='m', created_at=2026-11-28 13:12:05+00:00)"
    hit = Hit(id="a", text="I love tea", created_at=MOMENT, updated_at=MOMENT, score=0.5, message_id="m")
    assert repr(hit) == "Hit(id='a', text='I love tea', created_at=2026-11-28 13:12:05+00:00, score=0.5)"
