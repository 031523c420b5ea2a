"""A real PgBouncer in transaction mode, as Supabase and others put one in front of Postgres."""

from __future__ import annotations

import os
import shutil
from typing import Any

from servers import PostgresServer, ServerMissingError, _free_port, _Server

__all__ = ["PoolerServer"]


class PoolerServer(_Server):
    """PgBouncer over a server; two transactions of a client are often two sessions of Postgres."""

    name = "pgbouncer"

    def __init__(self, postgres: PostgresServer) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise ServerMissingError("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
        super().__init__()
        self._program = program
        self.port = _free_port()
        users = self.folder / "users.txt"
        users.write_text('"postgres" ""\n"app" ""\n')
        self._settings = self.folder / "pgbouncer.ini"
        self._settings.write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={postgres.port}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = trust\n"
            f"auth_file = {users}\n"
            "pool_mode = transaction\n"
            "default_pool_size = 4\n"
            "max_client_conn = 200\n"
            # A fresh session for every other transaction: what one keeps in a session is lost at once.
            "server_round_robin = 1\n"
            "server_reset_query = DISCARD ALL\n"
            "server_reset_query_always = 1\n"
        )
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")

    def command(self) -> list[str]:
        """The pooler, which does not run as root."""
        return [self._program, str(self._settings)]

    def options(self) -> dict[str, Any]:
        """As a user who is not root."""
        return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}

    def url_of(self, url: str) -> str:
        """The same database through the pooler."""
        head, _, tail = url.rpartition(":")
        return f"{head}:{self.port}/{tail.partition('/')[2]}"
