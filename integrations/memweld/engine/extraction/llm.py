"""The LLM of an extraction, guarded: it answers within a time limit, or an error of ours says why not.

mem0 2.2 takes malformed answers for "no facts" and loses the message, or dies with a stranger's error. So mem0 gets a
`GuardedLLM`, too, which lets nothing but well-formed answers through.
"""

from __future__ import annotations

import contextvars
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from ...errors import ConfigurationError, MissingExtraError, missing_extra
from ..cancellation import on_cancel
from .answers import answer_text, parse_json, read_facts
from .failures import ExtractionFailedError, explain_failure, status_of

__all__ = ["GuardedLLM", "load_llm"]

Ask: TypeAlias = "Callable[[list[dict[str, str]], Any], object]"

_JSON_OBJECT = {"response_format": {"type": "json_object"}}
# The parameters of JSON mode, by the types that LangChain's classes name.
_JSON_MODES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("openai-chat", "azure-openai-chat", "groq-chat", "mistralai-chat", "chat-deepseek"), _JSON_OBJECT),
    **dict.fromkeys(("fireworks-chat", "together-chat", "xai-chat"), _JSON_OBJECT),
    "chat-ollama": {"format": "json"},
    "chat-google-generative-ai": {"response_mime_type": "application/json"},
}
# An LLM that never answers leaves a thread behind for each call: so many at most.
_MOST_WAITING = 64
_slots = threading.BoundedSemaphore(_MOST_WAITING)


def _renew_slots() -> None:
    # In a forked child: the threads that would give the slots back are the parent's.
    global _slots  # noqa: PLW0603 - all extractions of the process share it
    _slots = threading.BoundedSemaphore(_MOST_WAITING)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_slots)


class _Cancelled(Exception):  # noqa: N818 - a signal that is never raised
    """In the place of an answer for which the caller does not wait any more."""


def load_llm(llm: Any) -> Ask | None:
    """Make a function that asks the LLM which `connect` was given.

    Args:
        llm: The name of a model (``openai:gpt-4o-mini``), a LangChain chat model, a mem0 LLM configuration or LLM, or
            None.

    Raises:
        ConfigurationError: It is none of these, or it cannot be made.
        MissingExtraError: LangChain or mem0 is needed and not installed.
    """
    if llm is None:
        return None
    if isinstance(llm, str):
        llm = _make_chat_model(llm)
    if isinstance(llm, Mapping):
        from .mem0.providers import make_llm

        llm = make_llm(cast("Mapping[str, Any]", llm))
    if callable(getattr(llm, "generate_response", None)):
        return lambda messages, response_format: llm.generate_response(
            messages=messages, response_format=response_format
        )
    if callable(getattr(llm, "invoke", None)):
        return _ChatModel(llm)
    raise ConfigurationError(
        f"llm= is a {type(llm).__name__}: pass the name of a model such as 'openai:gpt-4o-mini', a LangChain chat "
        "model, or a mem0 configuration {'provider': …, 'config': {…}}."
    )


def _make_chat_model(name: str) -> Any:
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise missing_extra("langchain", "langchain") from error
    try:
        return init_chat_model(name)
    except ImportError as error:
        # LangChain's text names the package and the command.
        raise MissingExtraError(f"llm={name!r}: {' '.join(str(error).split())}", name=error.name) from error
    except Exception as error:
        if ":" not in name:
            # Without the cause, which repeats the text: it may be a key.
            raise ConfigurationError(
                "llm= names no provider. Write it as LangChain's init_chat_model takes it: 'openai:gpt-4o-mini'."
            ) from None
        raise ConfigurationError(
            f"The LLM {name!r} cannot be made: {explain_failure(error, ())}. Write it as LangChain's init_chat_model "
            "takes it, 'provider:model', and set the key of the provider."
        ) from error


class _ChatModel:
    """Asks a LangChain chat model, in JSON mode where it has one."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._json_mode = _JSON_MODES.get(str(getattr(model, "_llm_type", "")))

    def __call__(self, messages: list[dict[str, str]], response_format: Any) -> object:
        prompt = [(message["role"], message["content"]) for message in messages]
        if response_format is None or self._json_mode is None:
            return self._model.invoke(prompt)
        try:
            return self._model.invoke(prompt, **self._json_mode)
        except Exception as error:
            # A server that speaks OpenAI's protocol need not have its JSON mode.
            if status_of(error) not in (400, 422):
                raise
        answer = self._model.invoke(prompt)
        self._json_mode = None
        return answer


# asking


class _Result(threading.local):
    facts: list[str] | None = None


class GuardedLLM:
    """An LLM as mem0 calls it. It keeps the facts of the current thread's last answer until `take_facts`.

    Args:
        ask: Asks the real model; None where there is none, because mem0 demands an LLM even so.
        timeout: Seconds to wait for an answer.
        redact: Takes out of the answers what must not be stored.
    """

    def __init__(self, ask: Ask | None, *, timeout: float, redact: Callable[[str], str] = str) -> None:
        self._ask = ask
        self._timeout = timeout
        self._redact = redact
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
            facts = [fact.text for fact in read_facts(self._redact(answer_text(answer)))]
        except (ExtractionFailedError, ConfigurationError):
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
        return parse_json(self.ask(messages))

    def ask(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The text of the model's answer, in JSON mode where it has one.

        Raises:
            ExtractionFailedError: The model raised, timed out, or did not answer text.
        """
        answer = self._answer([dict(message) for message in messages], {"type": "json_object"})
        return self._redact(answer_text(answer))

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
            raise ExtractionFailedError(explain_failure(error, [each["content"] for each in messages])) from error
        return answer


def _leave_run() -> None:
    """Take the running thread's context out of the agent's run that asked for the extraction.

    A chat model of langchain-core 1.x that is called in a run joins it: the facts would be streamed to the user as if
    the agent had said them.
    """
    config = sys.modules.get("langchain_core.runnables.config")
    if config is not None:
        config.var_child_runnable_config.set(None)
