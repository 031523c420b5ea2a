"""Parsing of Postgres URLs, without a server: options, secrets, and missing parts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from memweld import ConfigurationError, connect
from memweld.engine.postgres.connection import _numbered
from memweld.engine.postgres.transactions import lock_number
from memweld.engine.postgres.url import address_of
from memweld.engine.sql.database import root_of
from memweld.scope import Scope
from memweld.urls import public_url


def test_our_options_are_taken_out_and_the_rest_is_libpqs() -> None:
    address = address_of(
        "postgres://ana:p%40ss@db:6543/app?schema=two&rls=1&pool_size=3&exact_below=0&sslmode=require&options=-c%20x%3D1"
    )
    assert (address.schema, address.secured, address.pool_size, address.exact_below) == ("two", True, 3, 0)
    assert address.where == "Postgres at db:6543/app"
    for said in ("user=ana", "password=p@ss", "sslmode=require", r"options='-c x=1'", "connect_timeout=10"):
        assert said in address.conninfo
    assert "schema" not in address.conninfo
    assert "connect_timeout=3" in address_of("postgresql://db/app?connect_timeout=3").conninfo


@pytest.mark.parametrize(
    "options", ["schema=A", "schema=a-b", "schema=", "rls=2", "pool_size=x", "pool_size=0", "binding_key=secret"]
)
def test_an_option_that_is_wrong(options: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect(f"postgresql://db/app?{options}")
    assert "secret" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    url = f"postgresql://ana:secret@db/app?sslpassword=secret&binding_key={'ab' * 32}&rls=1"
    shown = f"{public_url(url)} {connect(url)!r} {address_of(url)!r}"
    assert "abab" not in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    "url",
    [
        *(
            f"postgresql://owner:{password}@host/db"
            for password in ("sec/ret", "sec@ret", "sec#ret", "sec?ret", "sec[ret")
        ),
        *(
            f"postgresql://owner:{password}@host/db"
            for password in ("12/sec-ret", "12?sec=ret", "sec?a=ret", "sec%ret")
        ),
        "postgres:owner:sec-ret@host/db",
        "postgresql://owner:x@host:sec-ret/db",
        "postgresql://host/db?port=sec-ret",
        "host=db user=owner password=sec-ret",
        "owner:sec-ret@host/db",
        "mysql://owner:sec-ret@host/db",
    ],
)
def test_what_cannot_be_read_is_not_shown(url: str) -> None:
    """A part of the password would else be taken for a host, a port or a database."""
    with pytest.raises(ConfigurationError) as caught:
        connect(url)
    assert "sec" not in str(caught.value)
    assert "ret" not in str(caught.value)
    assert "sec" not in public_url(url)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://owner:a%2Fb%40c:d@host/db", "host:5432/db"),
        ("postgresql://h1:1,h2:2/db?user=ana@corp", "h1,h2:1,2/db"),
        ("postgresql://ana@[::1]:5433/db", "::1:5433/db"),
        ("postgresql:///db?host=/run/postgresql", "/run/postgresql:5432/db"),
        ("postgresql://host/db?ssl=true", "host:5432/db"),
    ],
)
def test_what_can_be_read(url: str, where: str) -> None:
    assert address_of(url).where == f"Postgres at {where}"


def test_an_option_that_nobody_knows() -> None:
    with pytest.raises(ConfigurationError, match=r"option 'shema', .*Did you mean schema\?"):
        connect("postgresql://db/app?shema=foo")


def test_connecting_opens_nothing() -> None:
    """Not even to a server that does not exist, and without loading what an open connection needs."""
    code = (
        "import sys, memweld; memweld.connect('postgresql://nowhere.invalid/app'); "
        "print([name for name in ('sqlalchemy', 'alembic', 'mem0') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_a_missing_extra_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "import memweld\n"
        "try: memweld.connect('postgresql://db/app')\n"
        "except memweld.MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "psycopg is not installed; run: pip install 'memweld[postgres]'\n"


@pytest.mark.parametrize("option", ["token", "mem0", "durability"])
def test_what_does_not_go_with_postgres(option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option}= does not go with Postgres.*leave it out.$"):
        connect("postgresql://db/app", **{option: {"version": "v1.1"} if option == "mem0" else "full"})  # type: ignore[arg-type]


def test_a_mem0_store_of_the_environment_does_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_MEM0", '{"vector_store": {"provider": "qdrant", "config": {"path": "q"}}}')
    with pytest.raises(ConfigurationError, match=r"keeps the vectors itself \(pgvector\)"):
        connect("postgresql://db/app")


def test_the_lock_is_that_of_the_user() -> None:
    """All that agents keep of a user has the user's lock; an agent's own memory has another, also of the same name."""
    ana = root_of(Scope(user_id="ana"))
    assert root_of(Scope(user_id="ana", agent_id="r")) == ana
    assert len({lock_number("memweld", *root_of(scope)) for scope in (Scope(user_id="r"), Scope(agent_id="r"))}) == 2
    assert lock_number("one", *ana) != lock_number("two", *ana)


def test_sql_is_translated() -> None:
    assert _numbered("a = ? AND b LIKE '%' LIMIT ?") == "a = $1 AND b LIKE '%' LIMIT $2"
