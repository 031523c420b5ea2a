"""The lease of the process that delivers the changes of an outbox: one process at a time for each target.

A lease has a number, the fence, that grows with each holder. A target that knows fences refuses a holder that another
one has overtaken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .outbox import Change, Outbox
from .ttl import now

__all__ = ["Claim", "DeliveryLease", "LeaseState"]


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The state of the delivery to a target.

    Attributes:
        fence: Grows with each holder.
        expires_at: When another process may take over, in seconds since 1970.
        problem: Why the target takes nothing now; None if it does.
        failing_since: When it began to fail.
        retry_at: When the holder tries again; 0 if it does not rest.
    """

    fence: int
    expires_at: float
    problem: str | None
    failing_since: float | None
    retry_at: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease that this process holds.

    Attributes:
        fence: Its number.
        unfinished_up_to: The holder before ended without giving its lease back. It may have delivered changes up to
            this version, or may still be about to. None: it gave the lease back.
    """

    fence: int
    unfinished_up_to: int | None = None


class DeliveryLease:
    """The lease of one outbox.

    Args:
        outbox: The changes that its holder delivers.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def state(self) -> LeaseState:
        """The state of the delivery."""
        with self._outbox.reading() as connection:
            row = connection.execute(
                "SELECT fence, expires_at, problem, failing_since, retry_at FROM outbox_lease WHERE target = ?",
                (self._outbox.target,),
            ).fetchone()
        return LeaseState(*row) if row is not None else LeaseState(0, 0.0, None, None, 0.0)

    def claim(self, holder: str, seconds: float, *, urgent: bool = False) -> Claim | None:
        """Get the lease, or keep it; None where another process has it.

        Args:
            holder: The deliverer that wants it.
            seconds: How long no other may take it.
            urgent: Take it also from a holder that rests after a failure.
        """
        target = self._outbox.target
        with self._outbox.writing() as connection:
            connection.execute(
                "INSERT INTO outbox_lease (target, holder, fence, expires_at, retry_at) VALUES (?, '', 0, 0, 0) "
                "ON CONFLICT DO NOTHING",
                (target,),
            )
            before, fence, expires_at, retry_at = connection.execute(
                "SELECT holder, fence, expires_at, retry_at FROM outbox_lease WHERE target = ?", (target,)
            ).fetchone()
            moment = now()
            if not (before == holder or expires_at <= moment or (urgent and retry_at > moment)):
                return None
            fence += before != holder
            # On a server another process may have been faster since.
            taken = connection.execute(
                "UPDATE outbox_lease SET holder = ?, fence = ?, expires_at = ?, retry_at = 0 "
                "WHERE target = ? AND holder = ? AND expires_at = ?",
                (holder, fence, moment + seconds, target, before, expires_at),
            ).rowcount
            if not taken:
                return None
            # A holder that gave the lease back left 0, one that rests left the time of its next attempt.
            if before in (holder, "") or expires_at == 0 or retry_at:
                return Claim(int(fence))
            last = connection.execute("SELECT max(version) FROM outbox WHERE target = ?", (target,)).fetchone()[0]
            return Claim(int(fence), last)

    def renew(self, holder: str, seconds: float) -> None:
        """Keep the lease for so many seconds, unless another process took it meanwhile, even if that gave it back."""
        with self._outbox.writing() as connection:
            connection.execute(
                "UPDATE outbox_lease SET expires_at = ? WHERE target = ? AND holder = ?",
                (now() + seconds, self._outbox.target, holder),
            )

    def release(self) -> None:
        """Take the lease from its holder, which is known to be dead or to have ended."""
        with self._outbox.writing() as connection:
            connection.execute("UPDATE outbox_lease SET expires_at = 0 WHERE target = ?", (self._outbox.target,))

    def overtake(self, holder: str, fence: int) -> None:
        """Give the holder's lease a number above one that the target has seen."""
        with self._outbox.writing() as connection:
            connection.execute(
                "UPDATE outbox_lease SET fence = ? WHERE target = ? AND holder = ?",
                (fence + 1, self._outbox.target, holder),
            )

    def done(self, holder: str, changes: Sequence[Change], *, seconds: float, is_all: bool = True) -> bool:
        """Take out what was delivered, and keep the lease for so many seconds; 0 gives it back.

        Args:
            holder: The deliverer.
            changes: What was delivered.
            seconds: How long no other may take the lease.
            is_all: Whether the target took all that it was given, so that there is no problem any more.

        Returns:
            False if another process took the lease meanwhile. Then nothing is taken out.
        """
        cleared = "problem = NULL, failing_since = NULL, " if is_all else ""
        with self._outbox.writing() as connection:
            still_held = connection.execute(
                f"UPDATE outbox_lease SET expires_at = ?, {cleared}retry_at = 0 WHERE target = ? AND holder = ?",
                (now() + seconds if seconds else 0, self._outbox.target, holder),
            ).rowcount
            if still_held:
                rows = [(change.version,) for change in changes]
                connection.executemany("DELETE FROM outbox WHERE version = ?", rows)
            return bool(still_held)

    def failed(self, holder: str, problem: str, *, retry_in: float) -> None:
        """Record for all processes what is wrong. Others may try before the holder does."""
        with self._outbox.writing() as connection:
            connection.execute(
                "UPDATE outbox_lease SET problem = ?, failing_since = coalesce(failing_since, ?), retry_at = ?, "
                "expires_at = ? WHERE target = ? AND holder = ?",
                (problem, now(), now() + retry_in, now() + retry_in, self._outbox.target, holder),
            )
