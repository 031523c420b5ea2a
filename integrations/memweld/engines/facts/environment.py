"""What mem0 2.2 reads from the environment when it is imported: set before, so that its traps stay closed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["prepare_mem0", "telemetry_wanted"]

_TRUE = ("true", "1", "yes")
_wanted = os.environ.get("MEM0_TELEMETRY", "").lower() in _TRUE


def telemetry_wanted() -> bool:
    """Whether the user asked for mem0's telemetry in so many words; it is off otherwise."""
    return _wanted


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
