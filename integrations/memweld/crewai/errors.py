"""Which failures of a memory stop a crew, and how: CrewAI swallows every exception but one kind."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Generator
from typing import Any, cast

from crewai.hooks.dispatch import HookAborted

from ..adapters.failures import TOLERATED, OnError
from ..errors import MemweldError

__all__ = ["stopping", "stopping_errors"]

_log = logging.getLogger("memweld.crewai")


@contextlib.contextmanager
def stopping_errors(what: str, on_error: OnError) -> Generator[None, None, None]:
    """Let the errors of the block stop the crew, or log that ``what`` failed.

    With ``warn`` a store that cannot be reached and a text that it refuses do not: CrewAI goes on without memory. What
    is a mistake in the program or touches on whose memory it is always stops.
    """
    try:
        yield
    except MemweldError as error:
        if on_error == "raise" or not isinstance(error, TOLERATED):
            raise stopping(error) from error
        # CrewAI, which swallows it, shows it to nobody unless it is verbose.
        _log.warning("%s: %s", what, error)
        raise
    except Exception:
        _log.exception("%s", what)
        raise


def stopping(error: MemweldError) -> MemweldError:
    """The same error, also as a `HookAborted`: only as one CrewAI (1.15.22 and later) lets it out of a kickoff."""
    kind = _stopping_kind(type(error))
    stopped = cast("Any", kind.__new__(kind, *error.args))
    stopped.args, stopped.reason, stopped.source = error.args, str(error), "memweld"
    stopped.__dict__.update({**error.__dict__, **stopped.__dict__})
    return stopped


@functools.cache
def _stopping_kind(kind: type[MemweldError]) -> type[MemweldError]:
    return (
        kind if issubclass(kind, HookAborted) else type(kind.__name__, (kind, HookAborted), {"__doc__": kind.__doc__})
    )
