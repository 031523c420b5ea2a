"""The log of a server: one line a record, as text or as JSON, without texts of errors that could quote a memory."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from enum import Enum

from ..engine.tracing import current_trace_id
from ..errors import for_log

__all__ = ["LogFormat", "LogLevel", "configure_logs"]


class LogFormat(str, Enum):
    """How a record is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(str, Enum):
    """The least severe records that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class _Record(logging.Filter):
    """Takes the texts out of exceptions, and drops DEBUG of libraries, which log messages, prompts and queries."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO and record.name.partition(".")[0] != "memweld":
            return False
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            shown = for_log(error)
            record.exc_info = (type(shown), shown, shown.__traceback__)
            record.exc_text = None
        return True


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # A text of a client cannot begin a line of its own.
        lines = super().format(record).splitlines()
        return "\n  ".join(lines)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "trace_id": current_trace_id(),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in line.items() if value is not None})


def configure_logs(form: LogFormat, level: LogLevel) -> None:
    """Write the records of this process to stderr, in one form.

    Args:
        form: How each is written.
        level: The least severe ones.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_Record())
    handler.setFormatter(
        _Json() if form is LogFormat.JSON else _Text("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.value.upper())
    # FastMCP writes records of its own by a handler of its own.
    for name in ("fastmcp", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
