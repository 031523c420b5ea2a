"""Errors for rows whose contents cannot be read: each names the row and its repair."""

from __future__ import annotations

import json

from ...errors import BackendUnavailableError
from ...models import JSON

__all__ = ["damaged", "read_value"]


def damaged(what: str, repair: str, error: Exception) -> BackendUnavailableError:
    """The error of a row that another program, or a failing disk, has damaged.

    Args:
        what: The row, as the subject of a sentence.
        repair: A call that removes or replaces it.
        error: The reason why it cannot be read.
    """
    return BackendUnavailableError(f"{what} is damaged in the database ({error}). Restore a backup, or {repair}.")


def read_value(value: str, namespace: str, key: str) -> JSON:
    """The state value that a row holds.

    Raises:
        BackendUnavailableError: The row is damaged.
    """
    try:
        return json.loads(value)
    except (TypeError, ValueError) as error:
        state = f"state({namespace!r})"
        raise damaged(f"The value {key!r} of {state}", f"remove it with {state}.delete({key!r})", error) from error
