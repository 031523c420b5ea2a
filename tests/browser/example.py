"""Memories to look at, as an assistant of four frameworks would leave them."""

from __future__ import annotations

from memweld import Backend, ChatMessage

FACTS = (
    ("I live in Porto and work at the harbour", "2026-01-12", "s-moving"),
    ("I am allergic to peanuts", "2026-02-03", "s-dinner"),
    ("My sister Marta lives in Braga", "2026-02-03", "s-dinner"),
    ("I cook fish on Fridays, mostly sardines", "2026-03-20", "s-dinner"),
    ("I am learning to sail, on the boat of my neighbour Rui", "2026-04-02", "s-moving"),
    ("I prefer trains to planes", "2026-04-18", "s-travel"),
    ("My passport ends in May 2027", "2026-04-18", "s-travel"),
)


def fill(backend: Backend) -> None:
    """Give the user ana a memory."""
    ana = backend.user("ana")
    for text, day, session in FACTS:
        ana.add(text, created_at=f"{day}T18:30:00Z", session_id=session, metadata={"topic": session[2:]})
    ana.preferences.set("theme", "dark")
    ana.preferences.set("answers", {"length": "short", "language": "en"})
    ana.tasks.record("book-train-lisbon", outcome="Booked for Friday, 08:30, window seat", success=True)
    ana.state("crew-research")["plan"] = {"steps": ["compare ferries", "ask Rui"], "done": 1}
    call = {"id": "c1", "name": "find_trains", "arguments": {"to": "Lisbon", "day": "Friday"}}
    said = [
        ("langchain", {"role": "user", "content": "How do I get to Lisbon on Friday?"}),
        ("langchain", {"role": "assistant", "content": "Let me look for trains.", "tool_calls": [call]}),
        ("langchain", {"role": "tool", "content": "08:30, 10:30, 14:00", "tool_call_id": "c1"}),
        ("crewai", {"role": "assistant", "content": "There is one at 08:30. Shall I book a window seat?"}),
        ("autogen", {"role": "user", "content": "Yes, please. And remember that I prefer trains."}),
        ("autogen", {"role": "assistant", "content": "Booked, and noted."}),
    ]
    for framework, message in said:
        native = {"framework": framework, "message": {}}
        ana.history("s-travel").append({**message, "native": native})
    assert isinstance(ana.history("s-travel").messages()[0], ChatMessage)
