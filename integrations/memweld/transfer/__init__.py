"""Moving house: a copy from any backend to any other, and what was kept elsewhere imported.

::

    from memweld import connect
    from memweld.transfer import copy

    with connect("sqlite:///old.db") as old, connect("postgresql://…") as new:
        for report in copy(old, new, everybody=True):
            print(report.scope, report.source.counts, report.equal)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .copier import Copied, copy
    from .import_plan import Plan
    from .importers.botwire import read_botwire
    from .importers.langchain import read_langchain, read_langchain_file
    from .importers.mem0 import read_mem0
    from .reader import Summary

__all__ = [
    "Copied",
    "Plan",
    "Summary",
    "copy",
    "read_botwire",
    "read_langchain",
    "read_langchain_file",
    "read_mem0",
]

# The command line looks in here for its commands at every start.
_PLACES = {
    "Copied": "copier",
    "Plan": "import_plan",
    "Summary": "reader",
    "copy": "copier",
    "read_botwire": "importers.botwire",
    "read_langchain": "importers.langchain",
    "read_langchain_file": "importers.langchain",
    "read_mem0": "importers.mem0",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
