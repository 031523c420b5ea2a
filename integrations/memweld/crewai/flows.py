"""MemweldFlowPersistence: the state of CrewAI's flows and their conversations, one user's each."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, cast

from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.flow_events import ConversationTurnFailedEvent
from crewai.flow.async_feedback.types import PendingFeedbackContext
from crewai.flow.persistence import FlowPersistence
from pydantic import BaseModel, Field, PrivateAttr, field_serializer

from ..adapters.binding import MemorySource
from ..adapters.locks import lock_for
from ..adapters.options import TurnOptions
from ..adapters.saved_config import SavedMemory
from ..errors import invalid
from ..memory.content import storable
from ..memory.history import History
from ..memory.state import State
from ..memory.transcript import DEFAULT_HISTORY_BUDGET
from ..models import JSON
from ..validation import validate_key
from .binding import MemoryBinding
from .conversation import Limits, View, is_chat, read_messages, save_messages, to_json
from .flow_state import dump_state, load_state

__all__ = ["MemweldFlowPersistence"]


class MemweldFlowPersistence(FlowPersistence):
    """Keeps what ``@persist`` saves, on the class, on a method or as a flow's ``persistence=``.

    A flow's id belongs to its user: another user finds nothing under it. The id is also the session of a conversation.
    The chat messages of a state (``messages`` of a `ConversationState`, or a list of dicts with role and content) are
    the history ``memory.history(flow_id)``, which every framework reads. They stand there once, and not in the state. A
    flow that is given the id of a session from elsewhere continues it. It is given back whole exchanges, with a result
    for every tool call, as models require.

    Args:
        memory: One user's memory; or a backend, then the user is the one that ``memweld.user_scope`` names around the
            kickoff, and without one the kickoff fails.
        namespace: The namespace of the user's state that holds the states of flows.
        history: Whether conversations are kept as histories. If not, their messages stay in the state.
        history_limit: How many messages of a conversation at most a flow is given back, the latest; all if None. The
            session keeps all.
        history_budget: How many characters of them at most, an image counted as 4,000; any number if None.

    Raises:
        InvalidInputError: ``memory`` is neither a memory nor a backend, or another argument breaks a rule.
    """

    persistence_type: str = Field(default="MemweldFlowPersistence")
    namespace: str = "crewai-flows"
    history: bool = True
    history_limit: int | None = None
    history_budget: int | None = DEFAULT_HISTORY_BUDGET
    source: SavedMemory | None = None

    _binding: MemoryBinding = PrivateAttr()

    def __init__(
        self,
        memory: MemorySource | None = None,
        *,
        namespace: str = "crewai-flows",
        history: bool = True,
        history_limit: int | None = None,
        history_budget: int | None = DEFAULT_HISTORY_BUDGET,
        source: Any = None,
        **fields: Any,
    ) -> None:
        # Pydantic calls this with the fields of a checkpoint: a reference instead of a memory.
        TurnOptions(history_limit=history_limit, history_budget=history_budget)
        fields |= {"namespace": validate_key("namespace", namespace), "history": history}
        fields |= {"history_limit": history_limit, "history_budget": history_budget}
        fields |= {"source": source} if memory is None else {}
        super().__init__(**fields)
        self._binding = MemoryBinding(cast("MemorySource", memory) if self.source is None else self.source)

    @field_serializer("source")
    def _dump_source(self, _source: SavedMemory | None) -> dict[str, JSON]:
        return self._binding.saved.model_dump(exclude_none=True)

    def init_db(self) -> None:
        """Do nothing: the backend has its tables."""

    def save_state(self, flow_uuid: str, method_name: str, state_data: dict[str, Any] | BaseModel) -> None:
        """Keep the state of a flow, in place of an earlier one under its id.

        Raises:
            ConfigurationError: The memory is a backend's, and no user is named.
            InvalidInputError: A field of the state would come back changed; the error names it.
        """
        flow_id = str(flow_uuid)
        with self._saving(flow_id):
            self._states()[flow_id] = self._record(flow_id, method_name, state_data)

    def load_state(self, flow_uuid: str) -> dict[str, Any] | None:
        """The state of a flow of the user; None where there is none under this id.

        A session with a history and no state is a conversation that another framework began.

        Raises:
            ConfigurationError: The memory is a backend's, and no user is named.
        """
        flow_id = str(flow_uuid)
        record = self._states().get(flow_id)
        if record is not None:
            return self._state(flow_id, record)
        messages = read_messages(self._history(flow_id), None, self._limits) if self.history else []
        return {"id": flow_id, "messages": messages} if messages else None

    def save_pending_feedback(
        self, flow_uuid: str, context: PendingFeedbackContext, state_data: dict[str, Any] | BaseModel
    ) -> None:
        """Keep the state of a flow that waits for a human, and for what it waits.

        Raises:
            ConfigurationError: The memory is a backend's, and no user is named.
            InvalidInputError: A field of the state would come back changed; the error names it.
        """
        flow_id = str(flow_uuid)
        waiting = to_json("What a flow waits for", context.to_dict())
        with self._saving(flow_id):
            record = self._record(flow_id, context.method_name, state_data)
            self._states()[flow_id] = record
            self._waiting()[flow_id] = {**record, "context": waiting}

    def load_pending_feedback(self, flow_uuid: str) -> tuple[dict[str, Any], PendingFeedbackContext] | None:
        """The state of a waiting flow of the user, and for what it waits; None where none waits under this id.

        Raises:
            ConfigurationError: The memory is a backend's, and no user is named.
        """
        flow_id = str(flow_uuid)
        record = self._waiting().get(flow_id)
        if record is None:
            return None
        return self._state(flow_id, record), PendingFeedbackContext.from_dict(record["context"])

    def clear_pending_feedback(self, flow_uuid: str) -> None:
        """Forget that a flow waits; its state stays."""
        self._waiting().delete(str(flow_uuid))

    def keep_messages(self, state_data: dict[str, Any] | BaseModel) -> None:
        """Append to the session what a conversation has in its live state, and leave the saved state as it is.

        Raises:
            ConfigurationError: The memory is a backend's, and no user is named.
        """
        live = _fields(state_data)
        messages = live.get("messages")
        if self.history and messages and is_chat(messages):
            flow_id = str(live["id"])
            with self._saving(flow_id):
                save_messages(self._history(flow_id), cast("list[object]", messages))

    def _saving(self, flow_id: str) -> threading.Lock:
        # Methods of a flow run side by side, and each saves the messages of all: two would keep one message twice.
        return lock_for((self._binding.resolve(), flow_id))

    def _states(self) -> State:
        return self._binding.resolve().state(self.namespace)

    def _waiting(self) -> State:
        return self._binding.resolve().state(f"{self.namespace}-waiting")

    def _history(self, flow_id: str) -> History:
        return self._binding.resolve().history(flow_id)

    @property
    def _limits(self) -> Limits:
        return Limits(self.history_limit, self.history_budget)

    def _record(self, flow_id: str, method_name: str, state_data: object) -> dict[str, JSON]:
        live = _fields(state_data)
        messages = live.get("messages")
        if not self.history or not is_chat(messages):
            return {"method": method_name, "state": dump_state(state_data, live)}
        del live["messages"]
        # First the state, which may be refused: nothing is written then. CrewAI notes in it what the user said, and a
        # character that no store takes must not cost the turn.
        state = storable(dump_state(state_data, live))
        view = save_messages(self._history(flow_id), cast("list[object]", messages))
        return {"method": method_name, "state": state, "chat": view.model_dump()}

    def _state(self, flow_id: str, record: Mapping[str, JSON]) -> dict[str, Any]:
        state = load_state(cast("Mapping[str, JSON]", record["state"]))
        chat = record.get("chat")
        if chat is not None:
            state["messages"] = read_messages(self._history(flow_id), View.model_validate(chat), self._limits)
        return state


@crewai_event_bus.on(ConversationTurnFailedEvent)
def _keep_messages(flow: Any, _event: object) -> None:
    """Keep the messages of a turn that failed, perhaps before CrewAI saved any state; its caller waits for this."""
    persistence = getattr(flow, "persistence", None)
    if isinstance(persistence, MemweldFlowPersistence):
        persistence.keep_messages(flow.state)


def _fields(state_data: object) -> dict[str, Any]:
    if isinstance(state_data, BaseModel):
        # Not a dump: the messages must stay the objects of the live state.
        names = [*type(state_data).model_fields, *(state_data.model_extra or {})]
        return {name: getattr(state_data, name) for name in names}
    if isinstance(state_data, Mapping):
        return dict(cast("Mapping[str, Any]", state_data))
    rule = f"it must be a dict or a pydantic model, not {type(state_data).__name__}"
    raise invalid("state", state_data, rule, "Use one of them as the state of the flow.")
