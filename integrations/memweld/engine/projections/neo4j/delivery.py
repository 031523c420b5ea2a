"""Delivery: what waits in the outbox is told to the graph, in order, by one process at a time, until it is told."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import uuid
import weakref
from collections.abc import Callable, Generator, Sequence

from ....errors import ConfigurationError, MemweldError
from ...sql.outbox import Change, Entry, Outbox
from .client import GraphClient
from .entity_extraction import Finding
from .errors import GraphRefusedError
from .projection import Found, OvertakenError, deliver

__all__ = ["Delivery"]

logger = logging.getLogger("memweld.graph")

_BATCH = 200
_SLOW_BATCH = 8  # where an LLM reads each memory first
_LEASE_SECONDS = 9.0  # renewed while a batch is told: so long others wait for one that was killed
_POLL_SECONDS = 2.0
_OTHER_SECONDS = 0.1
_RETRY_SECONDS = (0.25, 5.0)
# A server that refuses a login locks its user out after some attempts, and with it other programs.
_REFUSED_SECONDS = (5.0, 60.0)


class Delivery:
    """Delivers the changes of one database. `wake` starts its thread, which ends with this object or with `stop`.

    Attributes:
        told: Notified after each attempt.
        is_refused: Whether what went wrong last is for somebody to correct: the login, the database.

    Args:
        outbox: What waits.
        store: Gives the name of the database of the memories.
        client: The graph.
        finding: Finds what memories mention.
        lease_seconds: How long nothing is heard of this process before another takes over.
    """

    def __init__(
        self,
        outbox: Outbox,
        store: Callable[[], str],
        client: GraphClient,
        finding: Finding,
        *,
        lease_seconds: float = _LEASE_SECONDS,
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._client = client
        self._finding = finding
        self._lease_seconds = lease_seconds
        self.start_anew()

    def start_anew(self) -> None:
        """As if nothing had been begun: in a forked child, whose parent goes on delivering."""
        self._holder = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._urged = threading.Event()
        self.told = threading.Condition()
        self._failed = 0
        self._failures = 0
        self.is_refused = False
        self._found: dict[tuple[str, str], Found] = {}

    @property
    def is_started(self) -> bool:
        """Whether this process delivers."""
        return self._thread is not None

    @property
    def failures(self) -> int:
        """How often the graph could not be told anything, since this process began."""
        return self._failed

    @property
    def is_failing(self) -> bool:
        """Whether the graph could not be told anything when it was tried last."""
        return self._failures > 0

    def wake(self) -> None:
        """Something may have changed."""
        self._woken.set()
        self.begin()

    def urge(self) -> None:
        """Somebody waits: where the graph could not be told, it is tried at once, whoever is to try next."""
        self._urged.set()
        self.wake()

    def begin(self) -> None:
        """Start the thread, if it was not started."""
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                arguments = (weakref.ref(self), self._woken, self._urged, self._stopped)
                self._thread = threading.Thread(target=_run, args=arguments, name="memweld-graph", daemon=True)
                self._thread.start()

    def stop(self, seconds: float) -> None:
        """End the thread; what it is telling at this moment is waited for, for so long."""
        self._stopped.set()
        self._woken.set()
        self._urged.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def turn(self) -> float:
        """Deliver a batch; how many seconds to wait before the next one, if nobody wakes us."""
        urgent = self._urged.is_set()
        self._urged.clear()
        try:
            wait = self._deliver(urgent=urgent)
        except OvertakenError as error:
            # A newer holder is at it; or the memories come from a back-up that is older than the graph.
            self._outbox.overtake(self._holder, error.fence)
            return _OTHER_SECONDS
        except MemweldError as error:
            self.is_refused = isinstance(error, ConfigurationError)
            first, longest = _REFUSED_SECONDS if self.is_refused else _RETRY_SECONDS
            wait = min(first * 2**self._failures, longest)
            wait *= random.uniform(0.8, 1.2)  # noqa: S311 - no secret
            if not self._failures:
                logger.warning("memweld: the graph is behind: %s", error)
            self._failures = min(self._failures + 1, 10)
            self._failed += 1
            self._outbox.failed(self._holder, str(error), retry_in=wait)
        with self.told:
            self.told.notify_all()
        return wait

    def _deliver(self, *, urgent: bool) -> float:
        limit = _SLOW_BATCH if self._finding.is_slow else _BATCH
        if not self._outbox.take(1):
            self._failures = 0
            return _POLL_SECONDS
        fence = self._outbox.claim(self._holder, self._lease_seconds, urgent=urgent)
        if fence is None:
            return _OTHER_SECONDS
        with self._renewing():
            changes = self._outbox.take(limit)
            told, gone = self._read(changes)
            try:
                self._tell(fence, told, gone)
            except GraphRefusedError:
                self._tell_one_by_one(fence, changes, told, gone)
        self._failures = 0
        self._found.clear()
        last = len(changes) < limit
        self._outbox.done(self._holder, changes, seconds=0.0 if last else self._lease_seconds)
        return 0.0

    @contextlib.contextmanager
    def _renewing(self) -> Generator[None]:
        """Keep the lease while something is told, however long the graph or an LLM takes for it."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self._lease_seconds / 3):
                with contextlib.suppress(MemweldError):
                    self._outbox.claim(self._holder, self._lease_seconds)

        thread = threading.Thread(target=renew, name="memweld-graph-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _read(self, changes: Sequence[Change]) -> tuple[list[tuple[Entry, Found]], list[str]]:
        """What the changed items say now, with what they mention, and which are gone."""
        items = list(dict.fromkeys(change.item for change in changes))
        before = self._outbox.entries(items)
        found: dict[str, Found] = {}
        for item, entry in before.items():
            found[item] = self._find(entry)
        # An LLM takes its time, and what was deleted meanwhile must not be told.
        now = self._outbox.entries(items) if self._finding.is_slow else before
        told = [(entry, self._fitting(entry, before, found)) for entry in now.values()]
        return told, [item for item in items if item not in now]

    def _fitting(self, entry: Entry, before: dict[str, Entry], found: dict[str, Found]) -> Found:
        seen = before.get(entry.id)
        return found[entry.id] if seen is not None and seen.text == entry.text else self._find(entry)

    def _find(self, entry: Entry) -> Found:
        """What an item mentions; an LLM that has said it is not asked again because the graph is down."""
        key = entry.id, entry.hash
        if key not in self._found:
            self._found[key] = self._finding(entry)
        return self._found[key]

    def _tell(self, fence: int, told: Sequence[tuple[Entry, Found]], gone: Sequence[str]) -> None:
        store = self._store()
        begin = self._begin_anew
        self._client.write(lambda transaction: deliver(transaction, store, fence, told, gone, when_new=begin))

    def _begin_anew(self) -> None:
        """Another server, or one that lost its data, needs all; where nobody has come so far yet, all waits anyway."""
        self._client.prepare_again()
        if self._outbox.fill(missing=True):
            logger.warning("memweld: the graph is new: it is told of all memories")

    def _tell_one_by_one(
        self, fence: int, changes: Sequence[Change], told: Sequence[tuple[Entry, Found]], gone: Sequence[str]
    ) -> None:
        """One item that the server does not take must not keep the others waiting.

        Raises:
            GraphRefusedError: It takes none of them, or the one that there is.
        """
        self._tell(fence, [], gone)
        refused: dict[str, GraphRefusedError] = {}
        for entry, found in told:
            try:
                self._tell(fence, [(entry, found)], [])
            except GraphRefusedError as error:
                refused[entry.id] = error
        if refused:
            done = [change for change in changes if change.item not in refused]
            self._outbox.done(self._holder, done, seconds=self._lease_seconds)
            self._outbox.postpone([change for change in changes if change.item in refused])
            raise next(iter(refused.values()))


def _run(
    reference: weakref.ref[Delivery], woken: threading.Event, urged: threading.Event, stopped: threading.Event
) -> None:
    wait, failing, refused = 0.0, False, False
    while True:
        if failing:
            # New changes are no reason to ask a server that is down more often; somebody who waits is.
            (stopped if refused else urged).wait(wait)
        elif wait:
            woken.wait(wait)
        if stopped.is_set():
            return
        delivery = reference()
        if delivery is None:
            return
        woken.clear()
        try:
            wait = delivery.turn()
            failing, refused = delivery.is_failing, delivery.is_refused
        except MemweldError:
            # The memory itself cannot be read: its own callers hear of it.
            wait = _POLL_SECONDS
        except Exception:
            logger.exception("memweld: delivery to the graph failed")
            wait = _POLL_SECONDS
        del delivery
