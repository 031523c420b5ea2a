"""The guard of a call: whose it is, and what was said before it, for everything that mem0 calls back.

mem0 2.2 checks no owner when it reads, changes or deletes by id, and keeps its own copy of raw messages. Our stores
ask the guard instead: outside a call they answer nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Sequence

from ...errors import AccessDeniedError
from ...scope import Scope

__all__ = ["Guard"]


class Guard(threading.local):
    """The call that the current thread is in."""

    _scope: Scope | None = None
    earlier: Sequence[dict[str, str]] = ()

    @property
    def scope(self) -> Scope:
        """Whose rows this call may touch.

        Raises:
            AccessDeniedError: There is no call: somebody uses mem0 past the guard.
        """
        if self._scope is None:
            raise AccessDeniedError("The vector store is memweld's own: use it through a Memory.")
        return self._scope

    @contextlib.contextmanager
    def acting_for(self, scope: Scope, *, earlier: Sequence[dict[str, str]] = ()) -> Generator[None]:
        """Let what mem0 does inside touch this scope, and nothing else.

        Args:
            scope: Whose call it is.
            earlier: The messages of the session before this turn, as context for the extraction.
        """
        before = self._scope, self.earlier
        self._scope, self.earlier = scope, earlier
        try:
            yield
        finally:
            self._scope, self.earlier = before

    def __deepcopy__(self, memo: dict[int, object]) -> Guard:
        # mem0 copies the configuration of its vector store for its entities: they must ask the same guard.
        return self
