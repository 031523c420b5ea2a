"""Importing mem0 2.2 with its traps closed: what it reads from the environment, and what it leaves in the program."""

# mem0 2.2 has no type stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

__all__ = ["finds_entities", "load_mem0", "prepare_mem0"]

_TRUE = ("true", "1", "yes")
# mem0 2.2 turns on all DeprecationWarnings of the whole program when it is imported.
_INTRUSION = ("default", None, DeprecationWarning, None, 0)


@functools.cache
def finds_entities() -> bool:
    """Whether spaCy and its English model are installed, by which mem0 finds entities and ranks by them."""
    return find_spec("spacy") is not None and find_spec("en_core_web_sm") is not None


def prepare_mem0() -> None:
    """No telemetry and no file in the user's home, unless the environment says otherwise."""
    os.environ.setdefault("MEM0_TELEMETRY", "false")
    if "MEM0_DIR" not in os.environ:
        # Its import makes this directory, and fails where it cannot.
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"memweld-mem0-{user}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            folder = Path(tempfile.mkdtemp(prefix="memweld-mem0-"))
        os.environ["MEM0_DIR"] = str(folder)


def load_mem0() -> None:
    """Import mem0, in whichever thread needs it first; it is silent from then on, whoever imported it before.

    Only the user's own ``MEM0_TELEMETRY`` turns telemetry on.
    """
    wanted = os.environ.get("MEM0_TELEMETRY", "").lower() in _TRUE
    prepare_mem0()
    # Not warnings.catch_warnings(), which would undo what other threads change in these seconds.
    held = _INTRUSION in warnings.filters
    from mem0.memory import main, telemetry

    if not held:
        with contextlib.suppress(ValueError):
            cast("list[Any]", warnings.filters).remove(_INTRUSION)
    if not wanted:
        # The program may have imported mem0 first, when the variable was not set yet.
        main.MEM0_TELEMETRY = telemetry.MEM0_TELEMETRY = False
