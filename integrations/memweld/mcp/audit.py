"""The audit log: one JSON line for each call and each refused request."""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError
from ..files import open_private
from ..validation import utc_now

__all__ = ["AuditLog"]

_MAX_PENDING = 256 * 1024
_REPEATS = 30
_REPEAT_SECONDS = 60.0
_MAX_REPEATED = 10_000

_log = logging.getLogger("memweld.mcp")


class AuditLog:
    """A file of JSON lines, which only its owner can read. Thread-safe; several processes may share it.

    A file that was moved or deleted (as log rotation does) is made anew. While a line cannot be written, `require`
    refuses calls, and the log says so. The lines of calls that had begun wait in RAM.

    Args:
        path: The file.

    Raises:
        BackendUnavailableError: It cannot be opened for writing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._pending = bytearray()
        self._lost = 0
        self._repeats: dict[tuple[Any, ...], list[float]] = {}
        with self._lock:
            self._reopen()

    def write(self, way: str, operation: str, outcome: str, *, seconds: float = 0.0, **fields: Any) -> None:  # noqa: ARG002
        """Add a line (see `CallRecord.write`), without the time that the call took."""
        known = {name: value for name, value in fields.items() if value is not None}
        with self._lock:
            self._sum_up(time.monotonic() - _REPEAT_SECONDS)
            self._add({"way": way, "operation": operation, **known, "outcome": outcome})

    def refused(self, way: str, operation: str, status: int, **fields: Any) -> None:
        """Add a line about a refused request. Of equal ones in a minute, thirty have a line, the rest their number.

        The number follows with the next line after that minute, or when the server ends.
        """
        key = (way, operation, str(status), fields.get("address"), fields.get("subject"))
        with self._lock:
            now = time.monotonic()
            self._sum_up(now - _REPEAT_SECONDS)
            entry = self._repeats.setdefault(key, [now, 0])
            entry[1] += 1
            if entry[1] > _REPEATS:
                return
        self.write(way, operation, str(status), **fields)

    def require(self) -> None:
        """Make sure that calls can be recorded.

        Raises:
            BackendUnavailableError: A line waits, because the file cannot be written.
        """
        with self._lock:
            self._flush()
            if self._pending:
                raise BackendUnavailableError(
                    f"No call is served while the audit log {self._path} cannot be written: make room for it, or give "
                    "the server another file."
                )

    def close(self) -> None:
        """Write the numbers of repeated refusals, and close the file. A later line opens it again."""
        with self._lock:
            self._sum_up(math.inf)
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _sum_up(self, until: float) -> None:
        """Add the numbers of refusals that began to repeat before a time."""
        while self._repeats:
            key = next(iter(self._repeats))
            since, count = self._repeats[key]
            if since > until and len(self._repeats) < _MAX_REPEATED:
                return
            del self._repeats[key]
            if count > _REPEATS:
                names = ("way", "operation", "outcome", "address", "subject")
                known = {name: value for name, value in zip(names, key, strict=True) if value is not None}
                self._add({**known, "repeated": int(count - _REPEATS)})

    def _add(self, line: Mapping[str, Any]) -> None:
        now = utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = json.dumps({"time": now, **line}).encode() + b"\n"
        if len(self._pending) + len(text) > _MAX_PENDING:
            self._lost += 1
        else:
            self._pending += text
        self._flush()

    def _flush(self) -> None:
        """Write the lines that wait, as far as possible."""
        if not self._pending:
            return
        was_stuck = self._lost > 0
        try:
            self._reopen()
            assert self._descriptor is not None  # noqa: S101 - it is open now
            # A full disk takes a part of a line: the rest follows later, at its place.
            del self._pending[: os.write(self._descriptor, self._pending)]
        except (OSError, BackendUnavailableError) as error:
            _log.error("The audit log cannot be written, so calls are refused: %s", error)
            return
        if was_stuck and not self._pending:
            lost, self._lost = self._lost, 0
            self._add({"way": "audit", "operation": "lost", "outcome": "unwritten", "count": lost})

    def _reopen(self) -> None:
        """Open the file, also where it is another one now."""
        if self._descriptor is not None:
            try:
                named, opened = self._path.stat(), os.fstat(self._descriptor)
                if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino):
                    return
            except FileNotFoundError:
                pass
            os.close(self._descriptor)
            self._descriptor = None
        self._descriptor = open_private(self._path, append=True)
