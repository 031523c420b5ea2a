"""The example of a right call in an error of a tool."""

from __future__ import annotations

from typing import Any

import pytest

from memweld import connect
from memweld.errors import InvalidInputError
from memweld.tools import TOOLS


@pytest.mark.parametrize(
    ("tool", "arguments", "example"),
    [
        ("delete_all_memories", {"session_id": ""}, 'Example: {"session_id":'),
        ("delete_all_memories", {"filters": "x"}, '"filters":{'),
        ("get_all_memories", {"filters": "x"}, 'Example: {"filters":{'),
        ("get_all_memories", {"limit": 0}, "limit"),
    ],
)
def test_an_example_shows_what_was_wrong(tool: str, arguments: dict[str, Any], example: str) -> None:
    with connect("sqlite://") as backend, pytest.raises(InvalidInputError) as raised:
        TOOLS[tool](backend.user("ana"), arguments)
    assert example in str(raised.value)
    assert "Example: {}" not in str(raised.value)
