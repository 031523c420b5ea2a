"""The lock that a thread holds while it imports mem0. The end of the program waits for it.

An interpreter that ends stops its daemon threads. A thread that is stopped inside a C++ extension module aborts the
whole process (glibc: "FATAL: exception not rethrown"), and mem0 loads such modules for seconds.
"""

from __future__ import annotations

from .fork import RenewedLock

__all__ = ["MEM0_IMPORT", "wait_for_mem0_import"]

MEM0_IMPORT = RenewedLock()

_SECONDS = 60.0


def wait_for_mem0_import() -> None:
    """Wait until no thread imports mem0, for a minute at most."""
    MEM0_IMPORT.wait(_SECONDS)
