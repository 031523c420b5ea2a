"""Failures of the memory during a run: logged, or raised."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..errors import (
    AccessDeniedError,
    ConfigurationError,
    for_log,
    invalid,
    log_line,
)
from ..memory.content import program_ends

__all__ = ["FailurePolicy", "OnError", "validate_on_error"]

OnError: TypeAlias = Literal["warn", "raise"]
"""The policy for failures of the memory during a run: log them and go on without memory, or end the run."""

# Mistakes in the program, and all that touches on whose memory it is, end a run always.
_NEVER_TOLERATED = (ConfigurationError, AccessDeniedError)


def validate_on_error(on_error: OnError) -> OnError:
    """Return the word if it is one.

    Raises:
        InvalidInputError: It is neither ``warn`` nor ``raise``.
    """
    if on_error in ("warn", "raise"):
        return on_error
    raise invalid("on_error", on_error, "it must be 'warn' or 'raise'", "Leave it out for 'warn'.")


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """The policy for failures of the memory while an agent runs.

    Attributes:
        on_error: ``warn`` or ``raise``.
        logger: Where warnings go: ``memweld.`` and the name of the framework.
        passing: Exceptions with which the framework steers its runs: they pass whatever ``on_error`` says.
    """

    on_error: OnError
    logger: logging.Logger
    passing: tuple[type[BaseException], ...] = field(default=())

    def tolerates(self, error: BaseException) -> bool:
        """Whether the run goes on after this error."""
        if self.on_error == "raise" or isinstance(error, (*_NEVER_TOLERATED, *self.passing)):
            return False
        return not isinstance(error, program_ends())

    @contextlib.contextmanager
    def guard(self, what: str) -> Generator[None]:
        """Run the block; where it fails and the run goes on, log that ``what`` failed.

        Raises:
            BaseException: An error that the policy does not tolerate.
        """
        try:
            yield
        except BaseException as error:
            if not self.tolerates(error):
                raise
            line, shown = log_line(error), for_log(error)
            self.logger.warning("memweld: %s failed; the run goes on without it: %s", what, line, exc_info=shown)

    @contextlib.contextmanager
    def rescue(self, what: str) -> Generator[None]:
        """Run the block in a run that fails already: an error in it is logged, and the run's own error goes on."""
        try:
            yield
        except program_ends():
            raise
        except BaseException as error:
            self.logger.warning("memweld: %s could not be kept in a failing run", what, exc_info=for_log(error))
