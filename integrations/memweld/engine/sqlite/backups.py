"""A copy of the file before it is migrated, beside it: named after its schema and the time, with its permissions."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from ...errors import BackendUnavailableError
from ...validation import utc_now

__all__ = ["back_up"]


def back_up(path: str, version: int) -> Path:
    """Copy what is committed in a file, also while a transaction is open on another connection.

    Whoever calls holds the file's write lock, so that no two copies are made at once.

    Args:
        path: The file.
        version: The schema that it has.

    Returns:
        The copy: ``memory.db.schema-1.20261121T101500123456Z.backup``. It appears when it is complete.

    Raises:
        BackendUnavailableError: There is no room for it, or its directory cannot be written.
    """
    copy = Path(f"{path}.schema-{version}.{utc_now():%Y%m%dT%H%M%S%fZ}.backup")
    partial = Path(f"{path}.backup-partial")
    try:
        partial.unlink(missing_ok=True)
        mode = Path(path).stat().st_mode & 0o777
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        partial.chmod(mode)
        _copy(path, partial)
        partial.replace(copy)
        _sync(copy.parent)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise BackendUnavailableError(
            f"{path} is of an older memweld and is copied before it is migrated, which failed: {error}. It was left as "
            "it is: make room on its disk, or check the permissions of its directory, and try again."
        ) from error
    return copy


def _copy(path: str, partial: Path) -> None:
    # A connection of its own: SQLite does not copy from one that has a write transaction open.
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(partial)) as target:
        target.execute("PRAGMA synchronous = FULL")
        source.backup(target)
        # One file, readable wherever it is moved: not with a log beside it.
        target.execute("PRAGMA journal_mode = DELETE")


def _sync(directory: Path) -> None:
    """Make the new name survive a power loss, where directories can be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
