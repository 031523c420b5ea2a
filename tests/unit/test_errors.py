"""Errors in logs: their type, their place and their causes, and no text that could quote a memory."""

from __future__ import annotations

import logging

import pytest

from memweld import BackendUnavailableError, ConfigurationError, InvalidInputError, MemoryNotFoundError
from memweld.errors import for_log, invalid, log_line, log_text

SECRET = "my password is hunter2"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (invalid("limit", SECRET, "it is a number", "Pass one."), "Invalid limit: it is a number. Pass one."),
        (InvalidInputError(f"Message 0: {SECRET}"), ""),
        (MemoryNotFoundError(SECRET), ""),
        (ValueError(SECRET), ""),
        (KeyError(SECRET), ""),
        (BackendUnavailableError("No connection to db.internal"), "No connection to db.internal"),
        (ConfigurationError("Give llm="), "Give llm="),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (type("HTTPError", (OSError,), {})(SECRET), ""),
    ],
)
def test_the_text_is_for_operators_or_left_out(error: Exception, text: str) -> None:
    assert log_text(error) == text
    assert log_line(error) == (f"{type(error).__name__}: {text}" if text else type(error).__name__)


def test_a_record_has_the_place_and_the_causes(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        try:
            raise ConfigurationError("Give llm=")
        except ConfigurationError as error:
            raise RuntimeError(SECRET) from error

    try:
        fail()
    except RuntimeError as error:
        error.__context__ = error  # a library that raises its own error again
        logging.getLogger("memweld").error("failed", exc_info=for_log(error))
    assert SECRET not in caplog.text
    for shown in ("RuntimeError", "in fail", "memweld.errors.ConfigurationError: Give llm="):
        assert shown in caplog.text


def test_a_chain_without_end_ends() -> None:
    first, second = ValueError(SECRET), ValueError(SECRET)
    first.__cause__, second.__cause__ = second, first
    assert SECRET not in str(for_log(first))
