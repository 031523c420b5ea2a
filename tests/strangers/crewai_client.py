"""The view of crewai-tools' MCPServerAdapter on a server, as JSON on stdout.

It runs in a process of its own, because crewai-tools lies beside the environment. Its arguments are JSON: the server's
parameters for the adapter, then a tool and its arguments.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from crewai import Agent, Crew, Task
from crewai_tools import MCPServerAdapter  # pyright: ignore[reportMissingImports]
from mcp import StdioServerParameters

from memweld.testing.crewai import ScriptedLLM, tool_call


def crew_that_calls(tool: Any, arguments: dict[str, Any], *, natively: bool) -> dict[str, Any]:
    """The course of a crew's call: its model has tools natively, or writes calls as text."""
    written = f"Thought: a tool\nAction: {tool.name}\nAction Input: {json.dumps(arguments)}\n"
    script = (
        [tool_call(tool.name, arguments), "Done."]
        if natively
        else [written, "Thought: that is it\nFinal Answer: Done."]
    )
    model = ScriptedLLM(script, function_calling=natively)
    agent = Agent(role="Helper", goal="Help", backstory="You help.", llm=model, tools=[tool])
    task = Task(description="Go on.", expected_output="An answer", agent=agent)
    runs: list[dict[str, Any]] = []
    kind, run = type(tool), type(tool)._run
    kind._run = lambda self, **given: (runs.append(given), run(self, **given))[1]
    try:
        said = str(Crew(agents=[agent], tasks=[task]).kickoff())
    finally:
        kind._run = run
    return {"said": said, "runs": len(runs), "seen": model.calls[-1].text}


def main(server: dict[str, Any], tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call the tool by itself, then let crews call it."""
    parameters = StdioServerParameters(**server) if "command" in server else server
    with MCPServerAdapter(parameters) as tools:
        chosen = {each.name: each for each in tools}[tool]
        report: dict[str, Any] = {
            "native": crew_that_calls(chosen, arguments, natively=True),
            "text": crew_that_calls(chosen, arguments, natively=False),
        }
        try:
            report["answer"] = chosen.run(**arguments)
        except Exception as error:
            report["raised"] = {"type": type(error).__name__, "text": str(error)}
    return report


if __name__ == "__main__":
    told = main(json.loads(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
    sys.stdout.write(f"\n{json.dumps(told)}\n")
