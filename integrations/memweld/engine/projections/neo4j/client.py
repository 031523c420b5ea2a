"""The Neo4j driver, opened at the first use: bounded in time, its errors translated, a parent's sockets left alone."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ....errors import BackendUnavailableError, MemweldError, missing_extra
from .errors import quiet, translation
from .url import GraphAddress

if TYPE_CHECKING:
    from neo4j import ManagedTransaction

__all__ = ["GraphClient", "Row", "require_neo4j"]

T = TypeVar("T")
Row = Mapping[str, Any]
_parents_drivers: list[Any] = []  # kept, because collecting one would close the parent's sockets

_CONNECT_SECONDS = 3.0
_WRITE_SECONDS = 60.0
# After a failed `glance` the next ones leave the server alone for a while, longer each time.
_REST_SECONDS = (1.0, 30.0)
_MOST_READERS = 16

# The property carries our name, because the database may hold nodes of other programs with these labels.
_SCHEMA = (
    *(
        f"CREATE CONSTRAINT memweld_{label.lower()} IF NOT EXISTS FOR (n:{label}) REQUIRE n.memweld_id IS UNIQUE"
        for label in ("User", "Agent", "Memory", "Entity", "Session", "MemweldStore")
    ),
    *(
        f"CREATE INDEX memweld_space_of_{label.lower()} IF NOT EXISTS FOR (n:{label}) ON (n.space)"
        for label in ("Memory", "Entity", "Agent", "Session", "User")
    ),
    "CREATE INDEX memweld_id_in_space IF NOT EXISTS FOR (n:Memory) ON (n.space, n.id)",
    "CREATE INDEX memweld_relation IF NOT EXISTS FOR ()-[r:RELATED_TO]-() ON (r.memory)",
)


class GraphClient:
    """One Neo4j server. Thread-safe; connects at the first use.

    Args:
        address: Where it is, and who logs in.
    """

    def __init__(self, address: GraphAddress) -> None:
        self.address = address
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._readers = threading.BoundedSemaphore(_MOST_READERS)
        self._driver: Any = None  # its own types are partly unknown
        self._sessions = 0
        self._finalizer: weakref.finalize[..., GraphClient] | None = None
        self._prepared = False
        self._rest, self._resting_until = 0.0, 0.0

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def forget(self) -> None:
        """In a forked child: neither use nor close the parent's sockets."""
        if self._finalizer is not None:
            self._finalizer.detach()
            _parents_drivers.append(self._driver)
        self._start()

    def close(self) -> None:
        """Close all connections; with a session at work, its end closes them."""
        with self._lock:
            self._closed = True
        self._close_unused()

    def _close_unused(self) -> None:
        # The driver (6.4) raises BufferError and leaves sockets open where another thread uses a connection meanwhile.
        with self._lock:
            if not self._closed or self._sessions or self._driver is None:
                return
            driver, self._driver = self._driver, None
            if self._finalizer is not None:
                self._finalizer.detach()
        driver.close()

    def write(self, work: Callable[[ManagedTransaction], T]) -> T:
        """Run the work in one transaction.

        Raises:
            BackendUnavailableError: The server cannot be reached, or refuses the work.
            ConfigurationError: It refuses the login or does not know the database.
        """
        with self._session() as session:
            from neo4j import unit_of_work

            self._prepare(session)
            return session.execute_write(unit_of_work(timeout=_WRITE_SECONDS)(work))

    def read(self, query: str, *, seconds: float, **parameters: Any) -> list[Row]:
        """Run a query, and wait so many seconds for its rows.

        Rows with a null are left out: Neo4j reads null of a node or edge that another transaction deletes meanwhile.

        Raises:
            BackendUnavailableError: It cannot be reached, or does not answer in time.
            ConfigurationError: It refuses the login or does not know the database.
        """

        def run() -> list[Row]:
            # One trip to the server, where a transaction of its own would be three.
            with self._session(default_access_mode="READ") as session:
                from neo4j import Query

                # The driver's types want literal strings. Ours are constants; values travel as parameters.
                answer = session.run(Query(cast("Any", query), timeout=seconds), parameters)
                return [record.data() for record in answer if None not in record.values()]

        return self._within(run, seconds)

    def glance(self, query: str, *, seconds: float, **parameters: Any) -> list[Row]:
        """As `read`, for a caller that can do without: after a failure the server is left alone for a while.

        Raises:
            BackendUnavailableError: It does not answer in time, or did not a moment ago.
            ConfigurationError: It refuses the login or does not know the database.
        """
        if time.monotonic() < self._resting_until:
            raise BackendUnavailableError(f"{self.address.where} did not answer a moment ago; it is tried again soon.")
        try:
            rows = self.read(query, seconds=seconds, **parameters)
        except MemweldError:
            self._rest = min(max(self._rest * 2, _REST_SECONDS[0]), _REST_SECONDS[1])
            self._resting_until = time.monotonic() + self._rest
            raise
        self._rest = 0.0
        return rows

    def _within(self, work: Callable[[], T], seconds: float) -> T:
        """Run the work in a thread, and leave it behind when the time is over: a server that hangs never answers."""
        if not self._readers.acquire(blocking=False):
            raise BackendUnavailableError(f"{self.address.where} leaves {_MOST_READERS} queries unanswered.")
        answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
        readers = self._readers

        def run() -> None:
            try:
                answers.put((work(), None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                answers.put((None, error))
            finally:
                readers.release()

        threading.Thread(target=run, name="memweld-graph-read", daemon=True).start()
        try:
            answer, error = answers.get(timeout=seconds)
        except queue.Empty:
            raise BackendUnavailableError(f"{self.address.where} did not answer within {seconds:g} s.") from None
        if error is not None:
            raise error
        return answer  # pyright: ignore[reportReturnType] - there is one where there is no error

    @contextlib.contextmanager
    def _session(self, **options: Any) -> Any:
        require_neo4j()
        from neo4j.exceptions import DriverError, Neo4jError

        try:
            with quiet(), self._taken() as driver, driver.session(database=self.address.database, **options) as session:
                yield session
        except MemweldError:
            raise  # some are OSErrors, too
        except (DriverError, Neo4jError, OSError) as error:
            raise translation(error, self.address) from error

    @contextlib.contextmanager
    def _taken(self) -> Any:
        """The driver, which is closed behind this block at the earliest."""
        with self._lock:
            driver = self._opened()
            self._sessions += 1
        try:
            yield driver
        finally:
            with self._lock:
                self._sessions -= 1
            self._close_unused()

    def _opened(self) -> Any:
        if self._closed:
            raise BackendUnavailableError("The backend is closed: connect anew.")
        if self._driver is None:
            from neo4j import GraphDatabase

            self._driver = cast("Any", GraphDatabase).driver(
                self.address.uri,
                auth=self.address.auth,
                connection_timeout=_CONNECT_SECONDS,
                connection_acquisition_timeout=2 * _CONNECT_SECONDS,
                max_transaction_retry_time=0.0,  # the outbox tries again, and a search does not wait
                liveness_check_timeout=5.0,
                notifications_min_severity="OFF",
                user_agent="memweld",
            )
            self._finalizer = weakref.finalize(self, self._driver.close)
            self._finalizer.atexit = False  # a daemon thread may be using it
        return self._driver

    def _prepare(self, session: Any) -> None:
        if not self._prepared:
            for statement in _SCHEMA:
                session.run(statement).consume()
            session.run("CALL db.awaitIndexes(30)").consume()
            self._prepared = True

    def prepare_again(self) -> None:
        """Create constraints and indexes anew with the next write: the database may be another one."""
        self._prepared = False


def require_neo4j() -> None:
    """Name the remedy where the driver is missing.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import neo4j  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as error:
        raise missing_extra("neo4j", "neo4j") from error
