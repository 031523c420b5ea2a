"""The readiness and the numbers of a Postgres store, for the owner of its tables and for a role that sees one user."""

from __future__ import annotations

import psycopg
import pytest
from servers import PostgresServer  # pyright: ignore[reportMissingImports]
from typer.testing import CliRunner

import memweld
from memweld import ConfigurationError
from memweld.cli import app
from memweld.testing import HashEmbedder

pytestmark = pytest.mark.services


def test_each_role_asks_the_store(postgres: PostgresServer) -> None:
    url = postgres.make_database()
    with memweld.connect(url, embedder=HashEmbedder()) as owner:
        owner.user("ana").add("I live in Porto")
        owner.user("ana").search("Porto")
        owner.admin.ping()
        usage = owner.admin.usage()
        assert usage.index_bytes > 0
        assert usage.waiting == {"graph": 0, "mem0": 0}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DO $$ BEGIN CREATE ROLE app4712 LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    done = CliRunner().invoke(app, ["migrate", "--url", url, "--role", "app4712", "--signed"])
    key = done.output.partition("binding_key=")[2].strip()
    secured = f"{url.replace('postgres@', 'app4712@')}?rls=1&binding_key={key}"
    with memweld.connect(secured, embedder=HashEmbedder()) as backend:
        backend.admin.ping()
        assert backend.admin.usage().waiting == {}


def test_a_database_that_is_gone(postgres: PostgresServer) -> None:
    url = postgres.make_database()
    gone = memweld.connect(url.rpartition("/")[0] + "/no_such_database", embedder=HashEmbedder())
    with gone, pytest.raises(ConfigurationError):
        gone.admin.ping()
