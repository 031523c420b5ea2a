"""The demo, as a newcomer runs it: every scene in its own process, then a conversation and questions about it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memweld import InvalidInputError
from memweld.cli.demo.conversation import load_conversation

CONVERSATION = [
    {"role": "user", "name": "Inês", "content": "I am researching tide mills.", "created_at": "2023-05-08T13:56:00"},
    {"role": "assistant", "name": "Rui", "content": "I painted a sunrise over the lake."},
    {"role": "user", "name": "Inês", "content": "My exhibition [bold] opens in June."},
]


def run_demo(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "160"}
    command = [sys.executable, "-m", "memweld", "demo", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=170, check=False, input=typed, env=environment
    )


@pytest.mark.slow
def test_the_demo_tells_its_story(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_text(json.dumps(CONVERSATION))
    done = run_demo("--conversation", str(file), typed="Who is researching mills?\n  \n")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    assert "No OPENAI_API_KEY is set, so the models are scripted" in shown
    assert "4 messages found, written by langchain" in shown
    assert "answer_style: short answers" in shown
    assert shown.count("✓ knew nothing of Ana") == 4
    assert shown.count("✓ as told") == 5
    assert "talk.json: 3 messages read, 3 memories kept." in shown
    table = shown[shown.index("Who is researching mills?") :]
    assert "2023-05-08 13:56" in table
    assert "Inês: I am researching tide mills." in table
    assert "My exhibition [bold] opens in June." in table
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("nothing like JSON", "it is not JSON"),
        ("[]", "no list of messages"),
        ('{"role": "user"}', "no list of messages"),
        ('[{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}]', "Message 1"),
        ('[{"role": "user", "content": "x", "created_at": "yesterday"}]', "Message 0"),
    ],
)
def test_a_conversation_that_cannot_be_read(tmp_path: Path, written: str, said: str) -> None:
    file = tmp_path / "talk.json"
    file.write_text(written)
    with pytest.raises(InvalidInputError, match=said):
        load_conversation(file)


def test_a_missing_conversation_is_one_line_and_plays_nothing(tmp_path: Path) -> None:
    done = run_demo("--conversation", str(tmp_path / "none.json"))
    assert done.returncode == 1
    assert "it cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
