"""Files of other programs: JSON or JSON lines, read as rows; errors name the row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from ...errors import BackendUnavailableError, InvalidInputError

__all__ = ["Row", "changed_at", "load", "objects"]

Row = tuple[str, Mapping[str, Any]]
"""The name of the row in errors (``Row 17``), and the row."""


def load(path: Path) -> object:
    """The content of a JSON file; of JSON lines the list of the lines.

    Raises:
        BackendUnavailableError: It cannot be read.
        InvalidInputError: It is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BackendUnavailableError(f"Cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not text in UTF-8.") from error
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InvalidInputError(f"{path} is nested too deep.") from error
    except ValueError as error:
        if "\n" not in text.strip() or not text.lstrip().startswith("{"):
            raise InvalidInputError(f"{path} is neither JSON nor JSON lines: {error}") from error
        return list(_lines(path, text))


def _lines(path: Path, text: str) -> Iterator[object]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InvalidInputError(f"{path} is neither JSON nor JSON lines: line {number}: {error}") from error


def changed_at(path: Path) -> datetime:
    """When the file was last changed (UTC): the time of rows without one.

    Raises:
        BackendUnavailableError: It cannot be read.
    """
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    except OSError as error:
        raise BackendUnavailableError(f"Cannot read {path}: {error.strerror}") from error


def objects(rows: Sequence[object], what: str) -> Iterator[Row]:
    """The rows, numbered from 1.

    Raises:
        InvalidInputError: One is no JSON object.
    """
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise InvalidInputError(f"Row {number} is no {what}: it must be an object, not {type(row).__name__}.")
        yield f"Row {number}", cast("Mapping[str, Any]", row)
