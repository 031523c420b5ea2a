"""The guard of a call: whose it is, and what was said before it, for everything that mem0 calls back.

mem0 2.2 checks no owner when it reads, changes or deletes by id, lets a caller's filters replace the user, and swallows
what its store raises. Our stores ask the guard: outside a call they refuse, inside one they serve its scope alone, and
what they raise is kept for whoever made the call.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Sequence

from ....errors import AccessDeniedError
from ....scope import Scope

__all__ = ["Guard", "in_a_call"]


class _Calls(threading.local):
    """How many calls, one inside another, the current thread is in, of whichever guard."""

    open = 0


_calls = _Calls()


def in_a_call() -> bool:
    """Whether the current thread works for a memory of ours."""
    return _calls.open > 0


class Guard(threading.local):
    """The call that the current thread is in."""

    _scope: Scope | None = None
    earlier: Sequence[dict[str, str]] = ()
    extracting: bool = False
    wanted: int | None = None
    refused: Exception | None = None

    @property
    def scope(self) -> Scope:
        """Whose rows this call may touch.

        Raises:
            AccessDeniedError: There is no call: somebody uses mem0 past the guard.
        """
        if self._scope is None:
            raise AccessDeniedError("The vector store is memweld's own: use it through a Memory.")
        return self._scope

    @property
    def is_acting(self) -> bool:
        """Whether the current thread is in a call."""
        return self._scope is not None

    def check(self, scope: Scope) -> Scope:
        """The scope that mem0 names, which must be the one of the call.

        mem0 2.2 lets a caller's ``AND`` and ``*`` replace the user in its filters: nothing gets past here with them.

        Raises:
            AccessDeniedError: It is another's.
        """
        if scope != self.scope:
            raise AccessDeniedError(f"The call is for {self.scope}, and mem0 asked for rows of {scope}.")
        return scope

    @contextlib.contextmanager
    def acting_for(
        self,
        scope: Scope,
        *,
        earlier: Sequence[dict[str, str]] = (),
        extracting: bool = False,
        wanted: int | None = None,
    ) -> Generator[None]:
        """Let what mem0 does inside touch this scope, and nothing else.

        Args:
            scope: Whose call it is.
            earlier: The messages of the session before this turn, as context for the extraction.
            extracting: Whether mem0 is to store facts that an LLM found.
            wanted: How many rows the caller of a search gets; None where mem0 may still reorder them.

        Raises:
            Exception: What a store raised inside, whatever mem0 made of it.
        """
        before = self._scope, self.earlier, self.extracting, self.wanted, self.refused
        self._scope, self.earlier, self.extracting, self.wanted, self.refused = scope, earlier, extracting, wanted, None
        _calls.open += 1
        try:
            yield
            if self.refused is not None:
                raise self.refused
        except Exception as error:
            if self.refused is not None and error is not self.refused:
                raise self.refused from error
            raise
        finally:
            self._scope, self.earlier, self.extracting, self.wanted, self.refused = before
            _calls.open -= 1

    @contextlib.contextmanager
    def keeping_errors(self) -> Generator[None]:
        """Remember the first error of a store in this call, because mem0 2.2 logs it and goes on."""
        try:
            yield
        except Exception as error:
            self.refused = self.refused or error
            raise

    def __deepcopy__(self, memo: dict[int, object]) -> Guard:
        # mem0 copies the configuration of its vector store for its entities: they must ask the same guard.
        return self
