"""A log that no client can fill: lines that repeat are counted, and the same place writes only some a minute."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from cachetools import LRUCache

__all__ = ["RepeatFilter", "bounded_log"]

_SECONDS = 60.0
_MAX_PLACES = 1_000


class RepeatFilter(logging.Filter):
    """Lets a line of code log some records a minute; the first one of the next minute says how many were left out.

    Args:
        most: How many records a minute.
    """

    def __init__(self, most: int = 20) -> None:
        super().__init__()
        self._most = most
        self._lock = threading.Lock()
        # Place in the code → start of its minute, records in it.
        self._places: LRUCache[tuple[str, int], tuple[float, int]] = LRUCache(_MAX_PLACES)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        with self._lock:
            started, count = self._places.get(place, (now, 0))
            left_out = 0
            if now - started > _SECONDS:
                started, count, left_out = now, 0, count - self._most
            self._places[place] = started, count + 1
        if left_out > 0:
            record.msg, record.args = f"{record.getMessage()} ({left_out:,} more lines like this were left out)", ()
        return count < self._most


@contextmanager
def bounded_log() -> Generator[None]:
    """Bound the log of this process for the block: what every handler writes that exists now."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = {handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers}
    if logging.lastResort is not None:
        handlers.add(logging.lastResort)
    filters = {handler: RepeatFilter() for handler in handlers}
    for handler, bound in filters.items():
        handler.addFilter(bound)
    try:
        yield
    finally:
        for handler, bound in filters.items():
            handler.removeFilter(bound)
