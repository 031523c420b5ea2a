"""Examples with the documented setting for a real model, against a server that speaks OpenAI's protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openai_server import OpenAIServer

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def environment(openai_server: OpenAIServer) -> dict[str, str]:
    """Variables that name the model's server."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MEMWELD_")}
    return own | openai_server.environment | {"MEMWELD_EXAMPLE_MODEL": "openai:gpt-5.5"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one_conversation"])
@pytest.mark.exhaustive
def test_every_framework_takes_the_documented_name(
    name: str, environment: dict[str, str], openai_server: OpenAIServer
) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("A real model says so.") >= 4
    assert {request["model"] for request in openai_server.asked} == {"gpt-5.5"}
