"""`copy`: all data of a user, of an agent or of everybody, from one backend to another, with a comparison.

The next copy continues an interrupted one: it reads both sides in step, and neither embeds nor stores again what the
target has. It stores a page in one transaction, so that nothing is left half stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from ..display import Displayed, html_fields
from ..engine.operations import Restore
from ..engine.protocol import Engine
from ..errors import ConfigurationError, InvalidInputError, invalid
from ..memory.backend import Backend
from ..progress import Report, progress_bar
from ..scope import Scope
from .reader import ScopeReader, Summary

__all__ = ["PAGE", "Copied", "copy", "scopes_of"]

PAGE = 500

# Without sessions: one that spans several pages is new or changed on each.
_COUNTED = ("items", "values", "messages")


@dataclass(slots=True, kw_only=True, repr=False)
class Copied(Displayed):
    """The report on the copy of one scope.

    Attributes:
        scope: The scope; a user's includes what agents keep of the user.
        source: The content of the source.
        target: The content of the target after the copy; None after a dry run.
        stored: How many items, values and messages were new or changed in the target.
        problem: Why the copy of the scope is not complete; None if it is.
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

    def _shown(self) -> dict[str, object]:
        shown: dict[str, object] = {
            "scope": str(self.scope),
            "source": self.source.counts,
            "stored": self.stored,
            "equal": self.equal,
        }
        return shown if self.problem is None else shown | {"problem": self.problem}

    def __repr__(self) -> str:
        return f"Copied({', '.join(f'{name}={value!r}' for name, value in self._shown().items())})"

    def _html(self) -> str:
        return html_fields(self._shown())


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
    """Copy memories with ids, times, keys, sessions, dumps and expiry; nothing is removed on either side.

    The target's embedder makes the vectors anew; the source needs none. Where both sides have the same id or key, the
    version that was changed last stays (see `Memory.restore`). After each scope `copy` reads and compares both sides;
    they differ if the target held more, or if the source changed meanwhile. A second run is always safe and copies
    what is missing.

    Args:
        source: The backend to read.
        target: The backend to write.
        user_id: Copy this user, with what agents keep of the user.
        agent_id: Copy this agent's own memory; with ``user_id``, the agent's part of the user's.
        everybody: Copy all users and agents, one after the other, instead.
        dry_run: Count the rows of the source, and leave the target alone.
        progress: Called after each page with the scope's report so far. If not given, a terminal or a notebook shows a
            bar.
        page: How many rows to read and write at once.

    Yields:
        A report for each finished scope. A scope that breaks a rule of the target has a ``problem``; the copy goes on
        with the others.

    Raises:
        InvalidInputError: The arguments do not say whom to copy, or an id breaks a rule.
        AccessDeniedError: The source does not list its scopes to this caller.
        BackendUnavailableError: A side cannot be reached. Copied pages stay; run it again.
        ConfigurationError: Source and target are the same.
    """
    if everybody == (user_id is not None or agent_id is not None):
        raise invalid("user_id", user_id, "it is one user, one agent or everybody", "Say whom to copy.")
    if source.is_same_store(target):
        raise ConfigurationError(f"{source.url} is both source and target: name another target.")
    scopes = scopes_of(source) if everybody else iter([Scope(user_id=user_id, agent_id=agent_id)])
    return _copies(engine_of(source), engine_of(target), scopes, dry_run=dry_run, progress=progress, page=page)


def engine_of(backend: Backend) -> Engine:
    """The engine of a backend."""
    return backend._engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def scopes_of(backend: Backend, *, page: int = PAGE) -> Iterator[Scope]:
    """All users of a backend, and all agents with memories of their own. For operators.

    Raises:
        AccessDeniedError: A server does not list them to this caller.
    """
    after: Scope | None = None
    while listed := backend.admin.list_scopes(after=after, limit=page):
        # The copy of a user includes what agents keep of the user.
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
        reader = ScopeReader(source, scope, limit=page)
        report = Copied(scope=scope, source=reader.summary)
        with progress_bar(f"Copying {scope}") as bar:

            def notify(report: Copied = report, bar: Report = bar) -> None:
                bar(sum(report.source.counts.values())) if progress is None else progress(report)

            if dry_run:
                for _ in reader.pages():
                    notify()
            else:
                if _copy(reader, ScopeReader(target, scope, limit=page), target, report, notify):
                    # Earlier texts on later pages name the id that a merged memory had.
                    again, existing = (ScopeReader(engine, scope, limit=page) for engine in (source, target))
                    _copy(again, existing, target, report, notify)
                _compare(source, target, report, page)
        yield report


def _copy(
    source: ScopeReader, existing: ScopeReader, target: Engine, report: Copied, notify: Callable[[], object]
) -> bool:
    """Store each page that the target does not have at the same place; a target that has them all is summed up.

    Returns:
        Whether the target merged a memory into one with an equal text.
    """
    existing_digests = existing.digests()
    in_step, has_merged = True, False
    for data, digests in source.pages():
        in_step = in_step and list(islice(existing_digests, len(digests))) == digests
        if not in_step:
            try:
                stored = target.run(report.scope, Restore(data=data))
            except InvalidInputError as error:
                report.problem = f"{report.scope} was copied in part: {error}"
                return False
            has_merged = has_merged or "merged" in stored
            for store in _COUNTED:
                report.stored[store] += stored[store]
        notify()
    if in_step:
        for _ in existing_digests:
            pass
        report.target = existing.summary
    return has_merged


def _compare(source: Engine, target: Engine, report: Copied, page: int) -> None:
    """Sum up the target, and on a difference both sides once more, because values may expire in between."""
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
    reader = ScopeReader(engine, scope, limit=page)
    for _ in reader.pages():
        pass
    return reader.summary
