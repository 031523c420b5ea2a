"""Transfer of memories: copies from any backend to any other, and imports from other programs.

::

    from memweld import connect
    from memweld.transfer import copy

    with connect("sqlite:///old.db") as old, connect("postgresql://…") as new:
        for report in copy(old, new, everybody=True):
            print(report.scope, report.source.counts, report.equal)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_exports

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

# Lazy: the command line imports this package at every start.
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        ".copier": ["Copied", "copy"],
        ".import_plan": ["Plan"],
        ".importers.botwire": ["read_botwire"],
        ".importers.langchain": ["read_langchain", "read_langchain_file"],
        ".importers.mem0": ["read_mem0"],
        ".reader": ["Summary"],
    },
)
