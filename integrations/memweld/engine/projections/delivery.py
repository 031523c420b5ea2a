"""The deliverer: takes changes out of an outbox and brings them to its target, in order, until the target has them.

A thread of the process delivers. It begins with the first change or search, and ends with the `Deliverer` or with
`stop`. Callers only wake it, and wait for it where they promise that the target has a change.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import random
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Generator, Sequence

from ...errors import BackendUnavailableError, ConfigurationError, MemweldError, for_log, log_line
from ..fork import BackgroundThread
from ..sql.delivery_lease import Claim, DeliveryLease
from ..sql.outbox import Change, Entry, Outbox
from .protocol import NewerLeaseError, RefusedError, Target

__all__ = ["Deliverer"]

_LEASE_SECONDS = 9.0  # renewed during a delivery: so long the others wait for a process that was killed
_POLL_SECONDS = 2.0
_CONTENDED_SECONDS = 0.1
_RETRY_SECONDS = (0.25, 5.0)
# A server that refuses a login locks its user out after some attempts, and with it other programs.
_REFUSED_LOGIN_SECONDS = (5.0, 60.0)
_MOST_REFUSED = 3  # of single entries, after which it is not the entries
_EARLY_SECONDS = (0.5, 30.0)
_REPEAT_SECONDS = 300.0  # longer than the process that was overtaken can need for its batch
_WAIT_SECONDS = 0.02
_URGE_SECONDS = 0.5
_NAMES = {"graph": "graph", "mem0": "mem0 store"}


class Deliverer:
    """Delivers the changes of one outbox.

    Args:
        outbox: The changes.
        target: The store that receives them.
        lease_seconds: How long the others wait for this process when it is killed.
    """

    def __init__(self, outbox: Outbox, target: Target, *, lease_seconds: float = _LEASE_SECONDS) -> None:
        self.outbox = outbox
        self.lease = DeliveryLease(outbox)
        self._target = target
        self._lease_seconds = lease_seconds
        self._logger = logging.getLogger(f"memweld.{outbox.target}")
        self.start_anew()

    def start_anew(self) -> None:
        """Begin as a new deliverer: in a forked child, whose parent goes on delivering."""
        self._holder = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._urged = threading.Event()
        self._attempted = threading.Condition()
        self._failures_in_a_row = 0
        self._repeat_up_to = 0
        self._refused: list[Change] = []
        self.failures = 0
        self.is_refused = False

    @property
    def is_started(self) -> bool:
        """Whether this process delivers."""
        return self._thread is not None

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures_in_a_row > 0

    # the thread

    def begin(self) -> None:
        """Start the thread, unless it was started or stopped before."""
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                work = functools.partial(_run, weakref.ref(self), self._woken, self._urged, self._stopped)
                thread = BackgroundThread(work, self.outbox.target)
                if thread.try_start():
                    self._thread = thread
                    # The end of the program closes the tables, which were opened before, after this.
                    weakref.finalize(self, self._stopped.set)

    def wake(self) -> None:
        """Look at the outbox now."""
        self._woken.set()
        self.begin()

    def urge(self) -> None:
        """Try at once, also if the last attempt failed and the next one is due later, here or in another process."""
        self._urged.set()
        self.wake()

    def stop(self, seconds: float) -> None:
        """End the thread, and wait so long for the delivery that is under way."""
        self._stopped.set()
        self._woken.set()
        self._urged.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    # waiting

    def settle(
        self,
        *,
        owners: Sequence[int] | None = None,
        timeout: float,
        urge: bool = False,
        give_up: Callable[[], bool] | None = None,
    ) -> bool:
        """Wait until the target has all changes that wait now.

        Args:
            owners: Only the changes of these owners; None: of all.
            timeout: Seconds to wait at most.
            urge: Try meanwhile also where the last attempt failed.
            give_up: Asked now and then whether to stop waiting. None: stop where the target is known to fail.

        Returns:
            Whether the target has them. Changes that are put off to a later time do not count.
        """
        last = self.outbox.pending(owners, due=True).last
        if not last:
            return True
        self.wake()
        give_up = give_up or (lambda: self.lease.state().problem is not None)
        deadline, urge_at = time.monotonic() + timeout, 0.0 if urge else math.inf
        while self.outbox.pending(owners, up_to=last, due=True).count:
            if time.monotonic() >= deadline or give_up():
                return False
            if time.monotonic() >= urge_at:
                self.urge()
                urge_at = time.monotonic() + _URGE_SECONDS
            with self._attempted:
                self._attempted.wait(_WAIT_SECONDS)
        return True

    def settle_or_fail(self, timeout: float) -> None:
        """Have the target receive all changes that wait now, and try at once.

        Raises:
            BackendUnavailableError: An attempt failed, or the time is over. The changes go on waiting.
        """
        # The failure of an attempt that was under way already tells nothing of how the target is now.
        before = self.failures
        is_settled = self.settle(timeout=timeout, urge=True, give_up=lambda: self.failures > before + 1)
        problem = self.lease.state().problem
        if not is_settled or (self.failures > before and problem is not None):
            raise BackendUnavailableError(problem or f"Not all was delivered in {timeout:g} s.")

    # one attempt

    def turn(self) -> float:
        """Deliver a batch; how many seconds to wait before the next one, unless a caller wakes the thread."""
        urgent = self._urged.is_set()
        self._urged.clear()
        try:
            wait = self._deliver(urgent=urgent)
        except NewerLeaseError as error:
            # A newer holder delivers; or the memories come from a backup that is older than the target.
            self.lease.overtake(self._holder, error.fence)
            return _CONTENDED_SECONDS
        except MemweldError as error:
            if self._stopped.is_set():
                return 0.0  # the target and the tables are being closed: neither fails
            self.is_refused = isinstance(error, ConfigurationError)
            first, longest = _REFUSED_LOGIN_SECONDS if self.is_refused else _RETRY_SECONDS
            wait = min(first * 2**self._failures_in_a_row, longest)
            wait *= random.uniform(0.8, 1.2)  # noqa: S311 - no secret
            if not self._failures_in_a_row:
                self._logger.warning("memweld: the %s is behind: %s", _NAMES[self.outbox.target], log_line(error))
            self._failures_in_a_row = min(self._failures_in_a_row + 1, 10)
            self.failures += 1
            self.lease.failed(self._holder, str(error), retry_in=wait)
            # Behind the others, and behind the problem: callers that wait must see it first.
            refused, self._refused = self._refused, []
            self.outbox.postpone(refused)
        with self._attempted:
            self._attempted.notify_all()
        return wait

    def _deliver(self, *, urgent: bool) -> float:
        if not self.outbox.take(1):
            self._failures_in_a_row = 0
            return _POLL_SECONDS
        claim = self.lease.claim(self._holder, self._lease_seconds, urgent=urgent)
        if claim is None:
            return _CONTENDED_SECONDS
        self._note_overtaken(claim)
        with self._renewing():
            changes = self.outbox.take(self._target.batch)
            items = list(dict.fromkeys(change.item for change in changes))
            entries = self.outbox.entries(items)
            deleted = [item for item in items if item not in entries]
            try:
                early = set(self._target.deliver(claim.fence, list(entries.values()), deleted))
            except RefusedError:
                early = self._deliver_one_by_one(claim.fence, changes, entries, deleted)
        self._failures_in_a_row = 0
        self._finish(changes, early)
        return 0.0

    def _note_overtaken(self, claim: Claim) -> None:
        """Remember which changes an overtaken holder may deliver after this process, with what they said before."""
        if claim.unfinished_up_to is not None and not self._target.knows_fences:
            self._repeat_up_to = max(claim.unfinished_up_to, self._repeat_up_to)

    def _finish(self, changes: Sequence[Change], early: set[int], *, is_all: bool = True) -> None:
        """Take delivered changes out of the outbox, and put off those that are to be delivered (again) later."""
        done = [change for change in changes if change.item not in early]
        for change in changes:
            if change.item in early:
                least, most = _EARLY_SECONDS
                self.outbox.postpone([change], seconds=min(max((time.time() - change.made_at) / 4, least), most))
        repeated = [change for change in done if change.version <= self._repeat_up_to]
        self.outbox.postpone(repeated, seconds=_REPEAT_SECONDS)
        is_last = len(changes) < self._target.batch
        seconds = 0.0 if is_last else self._lease_seconds
        if not self.lease.done(self._holder, done, seconds=seconds, is_all=is_all):
            # Another process took over, and may have delivered newer states before this one: deliver them once more.
            with self.outbox.writing():
                if self.outbox.is_in_use():  # or the target was detached
                    self.outbox.put([change.item for change in done])

    def _deliver_one_by_one(
        self, fence: int, changes: Sequence[Change], entries: dict[int, Entry], deleted: Sequence[int]
    ) -> set[int]:
        """Deliver a refused batch entry by entry, so that one that the target refuses does not keep others waiting.

        Returns:
            The items for which it is too early.

        Raises:
            RefusedError: The target refuses some. They wait behind all others.
        """
        early: set[int] = set()
        delivered: set[int] = set()
        refused: dict[int, RefusedError] = {}
        for item in [*deleted, *entries]:
            if len(refused) == _MOST_REFUSED:
                break
            entry = [entries[item]] if item in entries else []
            try:
                early |= set(self._target.deliver(fence, entry, [] if entry else [item]))
                delivered.add(item)
            except RefusedError as error:
                refused[item] = error
        if refused:
            self._finish([change for change in changes if change.item in delivered], early, is_all=False)
            self._refused = [change for change in changes if change.item in refused]
            raise next(iter(refused.values()))
        return early

    @contextlib.contextmanager
    def _renewing(self) -> Generator[None]:
        """Keep the lease during a delivery, however long the target takes."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self._lease_seconds / 3):
                with contextlib.suppress(MemweldError):
                    self.lease.renew(self._holder, self._lease_seconds)

        thread = BackgroundThread(renew, f"{self.outbox.target}-lease")
        is_started = thread.try_start()
        try:
            yield
        finally:
            ended.set()
            if is_started:
                thread.join()


def _run(
    reference: weakref.ref[Deliverer], woken: threading.Event, urged: threading.Event, stopped: threading.Event
) -> None:
    wait, failing, refused = 0.0, False, False
    while True:
        if failing:
            # New changes are no reason to ask a server that is down more often. A caller that waits is.
            (stopped if refused else urged).wait(wait)
        elif wait:
            woken.wait(wait)
        if stopped.is_set():
            return
        deliverer = reference()
        if deliverer is None:
            return
        woken.clear()
        try:
            wait = deliverer.turn()
            failing, refused = deliverer.is_failing, deliverer.is_refused
        except MemweldError:
            # The tables cannot be read: the callers hear of it themselves.
            wait = _POLL_SECONDS
        except Exception as error:
            logging.getLogger("memweld").error("memweld: a delivery failed", exc_info=for_log(error))
            wait = _POLL_SECONDS
        del deliverer
