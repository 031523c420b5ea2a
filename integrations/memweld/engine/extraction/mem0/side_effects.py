"""The process-wide side effects of importing mem0 2.2, and their limits. Importing this module loads nothing.

Process-wide effects of memweld's own, all of them here:

- ``MEM0_TELEMETRY=false`` and ``MEM0_DIR`` in the environment, unless the user has set them: mem0 reads both when it is
  imported, reports usage to its makers, and writes a file in the user's home directory.
- ``mem0.memory.main.MEM0_TELEMETRY`` and its twin: the program may have imported mem0 before the variable was set.
- One entry of ``warnings.filters``: mem0 turns on every DeprecationWarning of the program. memweld takes it out again.
- Two flags of ``mem0.utils.spacy_models``: with spaCy and without its English model, the first add downloads the model,
  and a failed download ends the program with SystemExit. Without spaCy each process warns.
- A filter on the logger ``mem0.memory.main``: mem0 logs the texts that it stores, and logs outlive an erasure.
"""

# mem0 2.2 has no type stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import stat
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from ....errors import missing_extra
from .call_guard import in_a_call

__all__ = ["finds_entities", "load_mem0", "prepare_mem0", "require_mem0"]

_TRUE = ("true", "1", "yes")
_MEM0S_WARNING_FILTER = ("default", None, DeprecationWarning, None, 0)


class _HideTexts(logging.Filter):
    """Drops mem0's messages below WARNING while it works for memweld. A mem0 of the program's own logs as ever."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or not in_a_call()


# One for all backends: a logger keeps its filters, and with them what they refer to, as long as the program runs.
_HIDE_TEXTS = _HideTexts()


@functools.cache
def finds_entities() -> bool:
    """Whether mem0, spaCy and its English model are installed. With them mem0 finds entities and ranks by them."""
    return all(_is_installed(package) for package in ("mem0", "spacy", "en_core_web_sm"))


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # ValueError: the program has put None in its place
        return False


def require_mem0() -> None:
    """Name the remedy where mem0 is missing, without importing it.

    Raises:
        MissingExtraError: mem0 is not installed.
    """
    if not _is_installed("mem0"):
        raise missing_extra("mem0", "mem0ai")


def prepare_mem0() -> None:
    """Set the environment for mem0's import: no telemetry, and no file in the user's home."""
    os.environ.setdefault("MEM0_TELEMETRY", "false")
    if "MEM0_DIR" not in os.environ:
        # mem0 makes this directory when it is imported, and fails where it cannot.
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"memweld-mem0-{user}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            # Another user may have made it before: every user knows this name.
            if hasattr(os, "getuid") and (
                not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or found.st_uid != user
            ):
                raise PermissionError
        except OSError:
            folder = Path(tempfile.mkdtemp(prefix="memweld-mem0-"))
        os.environ["MEM0_DIR"] = str(folder)


def load_mem0() -> None:
    """Import mem0 in the calling thread, and limit its effects even where the program imported it before.

    Only the user's own ``MEM0_TELEMETRY`` turns telemetry on.

    Raises:
        MissingExtraError: mem0 is not installed.
    """
    require_mem0()
    wants_telemetry = os.environ.get("MEM0_TELEMETRY", "").lower() in _TRUE
    prepare_mem0()
    # Not warnings.catch_warnings(), which would undo what other threads change in these seconds.
    was_there = _MEM0S_WARNING_FILTER in warnings.filters
    from mem0.memory import main, telemetry

    if not was_there:
        with contextlib.suppress(ValueError):
            cast("list[Any]", warnings.filters).remove(_MEM0S_WARNING_FILTER)
    if not wants_telemetry:
        main.MEM0_TELEMETRY = telemetry.MEM0_TELEMETRY = False
    logging.getLogger(main.__name__).addFilter(_HIDE_TEXTS)


def keep_spacy_offline() -> None:
    """Tell mem0 that spaCy's model was tried and is not there, where `finds_entities` is false."""
    if not finds_entities():
        models = cast("Any", importlib.import_module("mem0.utils.spacy_models"))
        models._load_failed_full = models._load_failed_lemma = True  # noqa: SLF001 - mem0 has no public switch
