"""Copying: everything of a user, of an agent or of all, from one backend to another, compared when it is done.

A copy that was interrupted is continued by the next: both sides are read in step, and what the target has already is
neither embedded nor stored again. What is on a page is stored in one transaction, so that no half of anything is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from ..engine.operations import Restore
from ..engine.protocol import Engine
from ..errors import ConfigurationError, InvalidInputError, invalid
from ..memory.backend import Backend, redacted
from ..scope import Scope
from .reader import Summary, Walk

__all__ = ["PAGE", "Copied", "copy", "scopes_of"]

PAGE = 500

# A session that goes over several pages is new or changed on each of them.
_COUNTED = ("items", "values", "messages")


@dataclass(slots=True, kw_only=True)
class Copied:
    """What came of the copy of one scope.

    Attributes:
        scope: Whose memory; a user's contains what agents keep of the user.
        source: What the source holds.
        target: What the target holds afterwards; None where nothing was to be written.
        stored: How many items, values and messages were new or changed in the target.
        problem: Why the scope was not copied to its end, if it was not.
    """

    scope: Scope
    source: Summary
    target: Summary | None = None
    stored: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    problem: str | None = None

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same: as many of each, with the same content."""
        return self.problem is None and self.source == self.target


def copy(
    source: Backend,
    target: Backend,
    *,
    user_id: str | None = None,
    agent_id: str | None = None,
    everybody: bool = False,
    dry_run: bool = False,
    progress: Callable[[Copied], object] | None = None,
    page: int = PAGE,
) -> Iterator[Copied]:
    """Copy memories with ids, times, keys, sessions, dumps and ends; nothing is taken away from either side.

    The vectors are made anew by the target's embedder; the source needs none. Where the target has something under
    the same id, key or place, the one that was changed last stays (see `Memory.restore`). After each scope both sides
    are read and compared; they differ if the target held more, or the source was written to meanwhile. To run it
    again is always safe, and copies what is missing.

    Args:
        source: Where to read.
        target: Where to write.
        user_id: Copy this user, with what agents keep of the user.
        agent_id: Copy this agent's own memory; with ``user_id``, the agent's part of the user's.
        everybody: Copy all users and agents, one after the other, instead.
        dry_run: Count what the source holds, and touch the target in no way.
        progress: Called after each page with what is done of the scope so far.
        page: How many rows are read and written at once.

    Yields:
        A report for each scope, once it is done. A scope that breaks a rule of the target has a ``problem``, and the
        others are copied nevertheless.

    Raises:
        InvalidInputError: It is not said whom to copy, or an id breaks a rule.
        AccessDeniedError: The source does not show who has memories there.
        BackendUnavailableError: A side cannot be reached. What was copied stays; run it again.
        ConfigurationError: Source and target are the same.
    """
    if everybody == (user_id is not None or agent_id is not None):
        raise invalid("user_id", user_id, "it is one user, one agent or everybody", "Say whom to copy.")
    if source is target or source.url == target.url != "sqlite://":
        raise ConfigurationError(f"{redacted(source.url)} is both source and target: name another target.")
    scopes = scopes_of(source) if everybody else iter([Scope(user_id=user_id, agent_id=agent_id)])
    return _copies(engine_of(source), engine_of(target), scopes, dry_run=dry_run, progress=progress, page=page)


def engine_of(backend: Backend) -> Engine:
    """What keeps the memory of a backend."""
    return backend._engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def scopes_of(backend: Backend, *, page: int = PAGE) -> Iterator[Scope]:
    """All users, and all agents with memories of their own, of a backend. For those who run it.

    Raises:
        AccessDeniedError: A server does not show them to this caller.
    """
    after: Scope | None = None
    while listed := backend.admin.list_scopes(after=after, limit=page):
        # What an agent keeps of a user is copied with the user.
        yield from (scope for scope in listed if scope.user_id is None or scope.agent_id is None)
        after = listed[-1]


def _copies(
    source: Engine,
    target: Engine,
    scopes: Iterator[Scope],
    *,
    dry_run: bool,
    progress: Callable[[Copied], object] | None,
    page: int,
) -> Iterator[Copied]:
    for scope in scopes:
        walk = Walk(source, scope, limit=page)
        report = Copied(scope=scope, source=walk.summary)
        tell = (lambda report=report: progress(report)) if progress is not None else (lambda: None)
        if dry_run:
            for _ in walk.pages():
                tell()
        else:
            _copy(walk, Walk(target, scope, limit=page), target, report, tell)
            _compare(source, target, report, page)
        yield report


def _copy(walk: Walk, held: Walk, target: Engine, report: Copied, tell: Callable[[], object]) -> None:
    """Store each page that the target does not have at the same place; if it has them all, note what it holds."""
    there = held.digests()
    in_step = True
    for data, digests in walk.pages():
        in_step = in_step and list(islice(there, len(digests))) == digests
        if not in_step:
            try:
                stored = target.run(report.scope, Restore(data=data))
            except InvalidInputError as error:
                report.problem = f"{report.scope} was copied in part: {error}"
                return
            for store in _COUNTED:
                report.stored[store] += stored[store]
        tell()
    if in_step:
        for _ in there:
            pass
        report.target = held.summary


def _compare(source: Engine, target: Engine, report: Copied, page: int) -> None:
    """Read what the target holds; where it differs both sides once more, because values end in between."""
    if report.problem is not None:
        return
    for attempt in range(2):
        if report.target is None or attempt:
            report.target = _summary(target, report.scope, page)
        if report.equal:
            return
        report.source = _summary(source, report.scope, page)
        if report.equal:
            return


def _summary(engine: Engine, scope: Scope, page: int) -> Summary:
    walk = Walk(engine, scope, limit=page)
    for _ in walk.pages():
        pass
    return walk.summary
