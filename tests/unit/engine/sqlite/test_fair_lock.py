"""The lock of a file's writers: reentrant, in order, and never left behind."""

from __future__ import annotations

import threading
import time

from memweld.engine.sqlite.fair_lock import FairLock


def start(lock: FairLock, order: list[int], number: int) -> threading.Thread:
    def work() -> None:
        with lock:
            order.append(number)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while len(lock._queue) <= number:
        time.sleep(0.001)
    return thread


def test_threads_get_it_in_the_order_in_which_they_came() -> None:
    lock, order = FairLock(), list[int]()
    with lock, lock:
        threads = [start(lock, order, number) for number in range(5)]
        assert order == []
    for thread in threads:
        thread.join(60)
    assert order == list(range(5))


def test_a_busy_thread_lets_the_others_in() -> None:
    """It takes the lock again and again, and holds it nearly all the time."""
    lock, busy = FairLock(), True

    def work() -> None:
        while busy:
            with lock:
                time.sleep(0.001)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    waits: list[float] = []
    for _ in range(20):
        started_at = time.monotonic()
        assert lock.acquire(timeout=60)
        waits.append(time.monotonic() - started_at)
        lock.release()
    busy = False
    thread.join(60)
    assert sorted(waits)[len(waits) // 2] < 1, "the machine may stall in one of them"


def test_who_waits_in_vain_leaves_the_queue() -> None:
    lock, found = FairLock(), list[bool]()

    def give_up(timeout: float) -> None:
        found.append(lock.acquire(timeout=timeout))

    with lock:
        assert not any(thread.join(60) for thread in [_started(give_up, 0.05), _started(give_up, 0.0)])
        last = _started(give_up, 60.0)
        time.sleep(0.05)
    last.join(60)
    assert found == [False, False, True]
    assert not lock.acquire(blocking=False)  # the last thread has ended with it


def _started(work: object, timeout: float) -> threading.Thread:
    thread = threading.Thread(target=work, args=(timeout,), daemon=True)  # pyright: ignore[reportArgumentType]
    thread.start()
    return thread
