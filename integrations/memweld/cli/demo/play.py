"""One scene in a process of its own: ``python -m memweld.cli.demo.play SCENE URL USER TEXT`` prints it as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from importlib import import_module

__all__ = ["main"]

# Without the frameworks' own telemetry and update checks, the demo makes no network calls.
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "LANGSMITH_TRACING": "false",
    "HF_HUB_OFFLINE": "1",
}


def main() -> None:
    """Play the scene that the command line names."""
    scene, url, user_id, prompt = sys.argv[1:]
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from memweld import connect

    # Frameworks print to stdout, which is for the result alone.
    with contextlib.redirect_stdout(sys.stderr), connect(url) as backend:
        lines = import_module(f"memweld.cli.demo.scenes.{scene}").play(backend, user_id, prompt)
    print(json.dumps(lines))  # noqa: T201 - the result, for the parent process


if __name__ == "__main__":
    main()
