"""Extraction by an LLM, guarded: an answer is either a well-formed list of facts or an error of ours.

mem0 2.2 takes malformed answers for "no facts" and loses the message, or dies with a stranger's error. So mem0 gets a
`GuardedLLM`: it asks the real model within a time limit, and lets nothing but well-formed answers through.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import queue
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from ...errors import ConfigurationError, InvalidInputError
from ...validation import fold_text, validate_text
from ..cancellation import on_cancel

__all__ = ["ExtractionFailedError", "GuardedLLM", "load_llm"]

Ask: TypeAlias = "Callable[[list[dict[str, str]], Any], object]"

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^```[a-zA-Z0-9]*\s*\n(.*?)\n?```$", re.DOTALL)
# An LLM that never answers leaves a thread behind for each call: so many at most.
_MOST_WAITING = 64
_slots = threading.BoundedSemaphore(_MOST_WAITING)


def _renew_slots() -> None:
    # In a forked child: the threads that would give the slots back are the parent's.
    global _slots  # noqa: PLW0603 - all extractions of the process share it
    _slots = threading.BoundedSemaphore(_MOST_WAITING)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_slots)


class ExtractionFailedError(Exception):
    """The LLM failed, or its answer is no list of facts. The message is one line for the item stored instead."""


class _Cancelled(Exception):  # noqa: N818 - a signal that is never raised
    """In the place of an answer for which the caller does not wait any more."""


def load_llm(llm: Any) -> Ask | None:
    """Make a function that asks the LLM which `connect` was given.

    Args:
        llm: A mem0 LLM configuration, a LangChain chat model, or None.

    Raises:
        ConfigurationError: It is none of these, or mem0 cannot make it.
        MissingExtraError: It is a mem0 configuration, and mem0 is not installed.
    """
    if llm is None:
        return None
    if isinstance(llm, Mapping):
        from .mem0.providers import make_llm

        model = make_llm(cast("Mapping[str, Any]", llm))
        return lambda messages, response_format: model.generate_response(
            messages=messages, response_format=response_format
        )
    if callable(getattr(llm, "invoke", None)):
        return lambda messages, _format: llm.invoke([(message["role"], message["content"]) for message in messages])
    raise ConfigurationError(
        f"llm= is a {type(llm).__name__}: pass a mem0 configuration {{'provider': …, 'config': {{…}}}} "
        "or a LangChain chat model."
    )


# reading answers


def _text_of(answer: object) -> str:
    """The text of a model's answer: a string, a message, or content blocks."""
    content = getattr(answer, "content", answer)
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [_block_text(block) for block in cast("list[object]", content)]
        return "".join(text for text in texts if isinstance(text, str))
    raise ExtractionFailedError(f"the LLM answered a {type(answer).__name__} instead of text")


def _block_text(block: object) -> object:
    if isinstance(block, Mapping):
        return cast("Mapping[str, object]", block).get("text")
    return block if isinstance(block, str) else getattr(block, "text", None)


def _parse(answer: str) -> object:
    text = _THOUGHTS.sub("", answer).strip()
    fenced = _FENCE.match(text)
    text = fenced.group(1).strip() if fenced else text
    if not text:
        raise ExtractionFailedError("the LLM answered nothing")
    start, end = text.find("{"), text.rfind("}")
    for candidate in (text, text[start : end + 1] if 0 <= start < end else ""):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(candidate, strict=False)
    raise ExtractionFailedError("the LLM's answer is not JSON")


def _facts_of(parsed: object) -> list[str]:
    """The facts of an answer in mem0's form ``{"memory": [{"text": …}, …]}``; an empty list is a good answer."""
    listed = cast("Mapping[str, object]", parsed).get("memory") if isinstance(parsed, Mapping) else None
    if not isinstance(listed, list):
        raise ExtractionFailedError('the LLM\'s answer has no list under "memory"')
    facts: list[str] = []
    for entry in cast("list[object]", listed):
        fact = cast("dict[str, object]", entry if isinstance(entry, dict) else {})
        try:
            facts.append(fold_text(validate_text("fact", fact.get("text"))))
        except InvalidInputError as error:
            raise ExtractionFailedError("the LLM listed a fact without a usable text") from error
    return facts


# asking


class _Result(threading.local):
    facts: list[str] | None = None


class GuardedLLM:
    """An LLM as mem0 calls it. It keeps the facts of the current thread's last answer until `take_facts`.

    Args:
        ask: Asks the real model; None where there is none, because mem0 demands an LLM even so.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, ask: Ask | None, *, timeout: float) -> None:
        self._ask = ask
        self._timeout = timeout
        self._result = _Result()
        self.config: Any = None

    def take_facts(self) -> list[str]:
        """The facts of the last good answer. They leave the RAM with this call."""
        facts, self._result.facts = self._result.facts, None
        return facts or []

    def generate_response(
        self,
        messages: Sequence[Mapping[str, str]],
        response_format: Any = None,
        **_: Any,
    ) -> str:
        """Ask the model for facts; its answer in canonical form.

        Raises:
            ExtractionFailedError: The model raised, timed out, or answered no list of facts.
        """
        self._result.facts = None
        answer = self._answer([dict(message) for message in messages], response_format)
        try:
            facts = _facts_of(_parse(_text_of(answer)))
        except ExtractionFailedError:
            raise
        except Exception as error:
            raise ExtractionFailedError(f"the LLM's answer cannot be read: {type(error).__name__}") from error
        self._result.facts = facts
        # mem0 looks for tags and fences in the answer and edits them out, also out of the facts.
        canonical = json.dumps({"memory": [{"text": fact} for fact in facts]})
        return canonical.replace("<", "\\u003c").replace("`", "\\u0060")

    def ask_json(self, messages: Sequence[Mapping[str, str]]) -> object:
        """Ask the model another question that it answers in JSON; its answer, parsed and not validated.

        Raises:
            ExtractionFailedError: The model raised, timed out, or did not answer JSON.
        """
        answer = self._answer([dict(message) for message in messages], {"type": "json_object"})
        return _parse(_text_of(answer))

    def _answer(self, messages: list[dict[str, str]], response_format: Any) -> object:
        """Ask in a thread, and leave it behind after the time limit or a cancellation.

        It is a daemon thread: an LLM that never answers keeps neither the caller nor the end of the program waiting.
        """
        if self._ask is None:
            raise ExtractionFailedError("no LLM is configured")
        ask, slots = self._ask, _slots
        if not slots.acquire(blocking=False):
            raise ExtractionFailedError(f"{_MOST_WAITING} answers of the LLM are still outstanding")
        answers: queue.SimpleQueue[tuple[object, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                _leave_run()
                answers.put((ask(messages, response_format), None))
            except BaseException as error:  # noqa: BLE001 - SystemExit too: whatever a model's client raises
                answers.put((None, error))
            finally:
                slots.release()

        context = contextvars.copy_context()
        try:
            threading.Thread(target=context.run, args=(work,), name="memweld-extraction", daemon=True).start()
        except (RuntimeError, MemoryError) as error:  # the system has no more threads
            slots.release()
            raise ExtractionFailedError("no thread could be started to ask the LLM") from error
        try:
            with on_cancel(lambda: answers.put((None, _Cancelled()))):
                answer, error = answers.get(timeout=self._timeout)
        except queue.Empty:
            raise ExtractionFailedError(f"the LLM did not answer within {self._timeout:g} s") from None
        if isinstance(error, _Cancelled):
            raise ExtractionFailedError("the program ended before the LLM answered")
        if error is not None:
            # The exception's text may quote the prompt or a key; its type says what to look for in the logs.
            raise ExtractionFailedError(f"the LLM raised {type(error).__name__}") from error
        return answer


def _leave_run() -> None:
    """Take the running thread's context out of the agent's run that asked for the extraction.

    A chat model of langchain-core 1.x that is called in a run joins it: the facts would be streamed to the user as if
    the agent had said them.
    """
    config = sys.modules.get("langchain_core.runnables.config")
    if config is not None:
        config.var_child_runnable_config.set(None)
