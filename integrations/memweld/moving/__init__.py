"""Moving house: a copy from any backend to any other, and what was kept elsewhere imported.

::

    from memweld import connect
    from memweld.moving import copy

    with connect("sqlite:///old.db") as old, connect("postgresql://…") as new:
        for report in copy(old, new, everybody=True):
            print(report.scope, report.source.counts, report.equal)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .botwire import read_botwire
    from .copying import Copied, copy
    from .langchain import read_langchain, read_langchain_file
    from .mem0 import read_mem0
    from .plan import Plan
    from .walking import Summary

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
    "Copied": "copying",
    "Plan": "plan",
    "Summary": "walking",
    "copy": "copying",
    "read_botwire": "botwire",
    "read_langchain": "langchain",
    "read_langchain_file": "langchain",
    "read_mem0": "mem0",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
