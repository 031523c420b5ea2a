"""The options of the adapters: the same names and defaults in every framework."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import memweld
from memweld.adapters.options import TurnOptions

NAMES = (
    "recall_limit",
    "recall_budget",
    "min_score",
    "recency",
    "kinds",
    "sources",
    "profile",
    "capture",
    "infer",
    "on_error",
)
HISTORY = ("history_limit", "history_budget")
RECALL = ("recall_limit", "recall_budget", "min_score", "recency", "kinds", "sources", "profile", "on_error")
DEFAULTS = {name: field.default for name, field in TurnOptions.__dataclass_fields__.items()}
CLASSES: list[tuple[str, str, tuple[str, ...], dict[str, Any]]] = [
    ("langchain", "MemweldMiddleware", (*NAMES, *HISTORY), {}),
    ("autogen", "MemweldChatCompletionContext", (*NAMES, *HISTORY), {}),
    ("autogen", "MemweldMemory", NAMES, {}),
    # CrewAI itself says how many memories it wants.
    ("crewai", "MemweldMemory", NAMES, {"recall_limit": 10_000}),
    # A flow gets its state back, which is more than what a model is shown.
    ("crewai", "MemweldFlowPersistence", HISTORY, {"history_limit": None}),
    ("ag2", "MemweldPlugin", (*NAMES, *HISTORY), {}),
    ("ag2", "MemweldRecall", RECALL, {}),
    ("ag2", "MemweldCapture", ("capture", "infer", "on_error"), {}),
    ("agent_framework", "MemweldContextProvider", NAMES, {}),
    ("agent_framework", "MemweldHistoryProvider", HISTORY, {}),
]


@pytest.mark.parametrize(("framework", "name", "options", "other"), CLASSES)
def test_an_option_has_one_name_and_one_default(
    framework: str, name: str, options: tuple[str, ...], other: dict[str, Any]
) -> None:
    module = pytest.importorskip(f"memweld.{framework}")
    parameters = inspect.signature(getattr(module, name)).parameters
    shown = {option: parameters[option].default for option in parameters if option in DEFAULTS}
    assert shown == {option: other.get(option, DEFAULTS[option]) for option in options}


@pytest.mark.parametrize("framework", sorted({framework for framework, *_ in CLASSES}))
def test_a_framework_has_every_option(framework: str) -> None:
    offered = {option for each, _, options, _ in CLASSES for option in options if each == framework}
    assert offered == set(DEFAULTS)


def test_an_unknown_option_names_the_class_and_its_options() -> None:
    autogen = pytest.importorskip("memweld.autogen")
    with memweld.connect("sqlite://") as backend, pytest.raises(TypeError) as caught:
        autogen.MemweldMemory(backend.user("ana"), recall_limits=3)
    assert "MemweldMemory has no option 'recall_limits'. It has memory, user_names, recall_limit" in str(caught.value)
