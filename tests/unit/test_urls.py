"""What may be shown and saved of a URL, and which hosts are this machine's own."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memweld.urls import is_local, public_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite://", "sqlite://"),
        ("sqlite:///team.db", "sqlite:///team.db"),
        ("sqlite:////data/a b@home.db", "sqlite:////data/a b@home.db"),
        ("sqlite:////data/m.db?key=s3cret", "sqlite:////data/m.db"),
        ("sqlite://me:s3cret@host/m.db", "sqlite://…"),
        ("postgresql://app:s3cret@db:5432/m?sslmode=require&password=s3cret", "postgresql://db:5432/m"),
        ("postgresql://a:s3cret@h1:1,h2:2/m", "postgresql://h1:1,h2:2/m"),
        ("postgresql:///m?host=db&password=s3cret", "postgresql:///m"),
        ("http://[::1]:8710/mcp#s3cret", "http://[::1]:8710/mcp"),
        ("HTTPS://s3cret@gateway.example/mcp?api_key=s3cret", "HTTPS://gateway.example/mcp"),
        ("neo4j+s://neo4j:s3cret@graph:7687", "neo4j+s://graph:7687"),
        ("stdio:memweld serve --token s3cret", "stdio:memweld …"),
        ("stdio:'/opt/my programs/memweld' serve", "stdio:/opt/my programs/memweld …"),
        ("stdio:TOKEN=s3cret memweld", "stdio:…"),
        ("stdio:memweld 's3cret", "stdio:…"),
        ("stdio:", "stdio:…"),
        ("http://me:1/s3cret@host/mcp", "http://…"),
        ("http://host:s3cret/mcp", "http://…"),
        ("host=db password=s3cret", "…"),
        ("me:s3cret@host/db", "…"),
    ],
)
def test_what_is_shown(url: str, shown: str) -> None:
    assert public_url(url) == shown


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=12).map(lambda text: f"s3{text}cr3t"), st.booleans())
def test_no_password_is_shown(password: str, encoded: bool) -> None:
    written = quote(password, safe="") if encoded else password
    for url in (f"postgresql://app:{written}@db/m", f"https://h/mcp?key={written}", f"stdio:memweld --token {written}"):
        assert "cr3t" not in public_url(url)
        assert "s3" not in public_url(url)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("LocalHost.", True),
        ("localhost.evil.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_this_machine(host: str, local: bool) -> None:
    assert is_local(host) is local
