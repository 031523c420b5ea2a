"""The examples of agents of several frameworks run offline, each in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
GUARD = """
import sys

def guard(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
        sys.stderr.write(f"NETWORK {event} {arguments[1:]}\\n")
        raise OSError("no network here")

sys.addaudithook(guard)
"""

SHOWN = {
    "autogen_team": [
        # Both members know what Ana said in another conversation, each its own trade, and Bob's team nothing of her.
        r"\(summer\)\n  researcher +I know: The railway .* closed in January; .*seasick.*\n"
        r"  booker +I know: Seats in the last coach are quiet; .*seasick",
        r"Bob: Plan .*\n  researcher +I know: The railway along the Douro is closed in January\.\n"
        r"  booker +I know: Seats in the last coach are quiet\.\n",
        r"as any framework reads it\n  user .*\n  researcher .*\n  booker .*\n\n",
        r"by whom\n  shared +Ana: I get seasick, and I want a window seat\n  booker +Book her a window seat\n",
        r"the researcher's own notes on her: \[\]",
    ],
    "one_conversation": [
        r"CrewAI here\. Before this you said: My sister comes to dinner\. She is allergic to peanuts\.",
        r"LangChain here\. Before this you said: .* peanuts\. She likes it hot\.",
        r"written by\n(  langchain .*\n){2}(  autogen .*\n){2}(  crewai .*\n){2}(  langchain .*\n){2}\n",
    ],
}


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_it_runs_offline(name: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    dropped = ("_API_KEY", "MEMWELD_EXAMPLE_MODEL", "MEMWELD_URL")
    environment = {key: value for key, value in os.environ.items() if not key.endswith(dropped)}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "NETWORK" not in done.stderr
    for shown in SHOWN[name]:
        assert re.search(shown, done.stdout), f"{shown}\n\nin\n\n{done.stdout}"
