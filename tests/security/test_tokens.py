"""Token files that slip, forged JWTs, key sets that fail: each lets nobody in, and the server goes on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp.server.auth import AuthProvider
from fastmcp.server.auth.providers.jwt import RSAKeyPair
from joserfc import jwk, jwt

from memweld import ConfigurationError, InvalidInputError
from memweld.mcp import jwt_auth, token_file_auth
from memweld.mcp.jwt import LEEWAY_SECONDS
from memweld.mcp.principal import validate_scopes

ISSUER, AUDIENCE = "https://issuer.example", "memweld"
SECRET = "0123456789abcdef0123456789abcdef"
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX modes")


@pytest.fixture(scope="module")
def keys() -> RSAKeyPair:
    return RSAKeyPair.generate()


def subject(auth: AuthProvider, token: str) -> str | None:
    """The user whom the token opens."""
    access = anyio.run(auth.verify_token, token)
    return None if access is None else access.claims["sub"]


def write(path: Path, content: Any, mode: int = 0o600) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    path.chmod(mode)
    return path


def hash_of(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


class TestTokenFiles:
    def test_a_file_that_could_not_be_read_once_is_read_again(self, tmp_path: Path) -> None:
        file = write(tmp_path / "tokens.json", {"anas-token": {"sub": "ana"}})
        auth = token_file_auth(file)
        away = file.rename(tmp_path / "away.json")
        assert subject(auth, "anas-token") is None
        away.rename(file)
        assert subject(auth, "anas-token") == "ana"

    def test_a_change_that_keeps_time_and_size_counts(self, tmp_path: Path) -> None:
        file = write(tmp_path / "tokens.json", {"anas-token": {"sub": "ana"}})
        auth = token_file_auth(file)
        before = file.stat()
        write(file, {"bobs-token": {"sub": "bob"}})
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert file.stat().st_size == before.st_size
        assert [subject(auth, token) for token in ("anas-token", "bobs-token")] == [None, "bob"]

    @posix
    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o622, 0o666])
    def test_a_file_that_others_can_change_is_refused(self, tmp_path: Path, mode: int) -> None:
        file = write(tmp_path / "tokens.json", {hash_of("anas-token"): {"sub": "ana"}}, mode)
        with pytest.raises(ConfigurationError, match="chmod go-w"):
            token_file_auth(file)
        file.chmod(0o640)
        auth = token_file_auth(file)
        file.chmod(mode)
        assert subject(auth, "anas-token") is None

    @posix
    def test_a_file_that_others_can_replace_is_refused(self, tmp_path: Path) -> None:
        file = write(tmp_path / "tokens.json", {"anas-token": {"sub": "ana"}})
        tmp_path.chmod(0o777)
        with pytest.raises(ConfigurationError, match="chmod o-w on its directory"):
            token_file_auth(file)
        tmp_path.chmod(0o1777)
        token_file_auth(file)

    @pytest.mark.parametrize("other", ["bob", "ana"])
    def test_a_token_beside_its_own_hash_is_refused(self, tmp_path: Path, other: str) -> None:
        listing = {"anas-token": {"sub": "ana"}, hash_of("anas-token"): {"sub": other}}
        with pytest.raises(ConfigurationError, match="both as it is and as its hash") as caught:
            token_file_auth(write(tmp_path / "tokens.json", listing))
        assert "anas-token" not in str(caught.value)

    def test_a_mistyped_hash_is_no_token(self, tmp_path: Path) -> None:
        for wrong in (hash_of("anas-token").upper(), hash_of("anas-token")[:-1], "sha256:"):
            with pytest.raises(ConfigurationError, match="64 hexadecimal digits"):
                token_file_auth(write(tmp_path / "tokens.json", {wrong: {"sub": "ana"}}))

    def test_the_hash_itself_opens_nothing(self, tmp_path: Path) -> None:
        auth = token_file_auth(write(tmp_path / "tokens.json", {hash_of("anas-token"): {"sub": "ana"}}))
        assert subject(auth, hash_of("anas-token")) is None
        assert subject(auth, "anas-token") == "ana"

    @pytest.mark.parametrize("damage", ["", "\x00", "[" * 100_000, '{"anas-token": {"sub": "ana"', "\udcff"])
    def test_a_damaged_file_lets_no_token_in_and_says_so_once(
        self, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = write(tmp_path / "tokens.json", {"anas-token": {"sub": "ana"}})
        auth = token_file_auth(file)
        file.write_bytes(damage.encode("utf-8", "surrogateescape"))
        assert [subject(auth, "anas-token") for _ in range(3)] == [None] * 3
        assert caplog.text.count("No token is accepted") == 1
        assert "anas-token" not in caplog.text
        write(file, {"anas-token": {"sub": "ana"}})
        assert subject(auth, "anas-token") == "ana"

    @posix
    def test_a_pipe_does_not_block_the_server(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "tokens.json", 0o600)
        with pytest.raises(ConfigurationError, match="must be a file"):
            token_file_auth(tmp_path / "tokens.json")


def verifier(key: Any, algorithm: str = "RS256") -> AuthProvider:
    return jwt_auth(key, issuer=ISSUER, audience=AUDIENCE, algorithm=algorithm)


def claims(**other: Any) -> dict[str, Any]:
    return {"sub": "ana", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, **other}


def signed(keys: RSAKeyPair, body: Any, **header: Any) -> str:
    key = jwk.import_key(keys.private_key.get_secret_value(), "RSA")
    typ = header.pop("typ", "JWT")
    header = {"alg": "RS256", **header}
    return jwt.encode(header, body, key, algorithms=["RS256"], default_type=typ)


def forged(header: Any, body: Any, secret: bytes = b"") -> str:
    """A token by hand: with an HMAC, or without a signature."""

    def part(data: Any) -> str:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    text = f"{part(header)}.{part(body)}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256')) if secret else ''}"


class TestJwts:
    def test_clocks_may_differ_by_some_seconds(self, keys: RSAKeyPair) -> None:
        auth, now = verifier(keys.public_key), time.time()
        for within in ({"exp": now - 10}, {"nbf": now + 10}, {"iat": now + 10}, {"exp": now + 60.5}):
            assert subject(auth, signed(keys, claims(**within))) == "ana", within
        late = LEEWAY_SECONDS + 10
        for beyond in ({"exp": now - late}, {"nbf": now + late}, {"iat": now + late}):
            assert subject(auth, signed(keys, claims(**beyond))) is None, beyond

    @pytest.mark.parametrize("exp", [None, "9999999999", True, [9999999999], {}, float("inf"), float("nan")])
    def test_every_token_has_an_end(self, keys: RSAKeyPair, exp: Any) -> None:
        assert subject(verifier(keys.public_key), signed(keys, claims(exp=exp))) is None

    def test_typ(self, keys: RSAKeyPair) -> None:
        auth = verifier(keys.public_key)
        for typ in ("JWT", "jwt", "at+jwt", "application/at+jwt", None):
            assert subject(auth, signed(keys, claims(), typ=typ)) == "ana", typ
        for typ in ("id+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE"):
            assert subject(auth, signed(keys, claims(), typ=typ)) is None, typ

    def test_a_public_key_is_no_secret(self, keys: RSAKeyPair) -> None:
        auth = verifier(keys.public_key)
        for secret in (keys.public_key.encode(), keys.public_key.strip().encode(), b"x"):
            for algorithm in ("HS256", "RS256", "none"):
                assert subject(auth, forged({"alg": algorithm, "typ": "JWT"}, claims(), secret)) is None
        with pytest.raises(ConfigurationError, match="a public key is none"):
            verifier(keys.public_key, "HS256")

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "RS512", "ES256", 7, None, ["RS256"]])
    def test_one_algorithm(self, keys: RSAKeyPair, algorithm: Any) -> None:
        assert subject(verifier(keys.public_key), forged({"alg": algorithm, "typ": "JWT"}, claims())) is None

    def test_critical_headers_are_not_passed_over(self, keys: RSAKeyPair) -> None:
        auth = verifier(keys.public_key)
        header = {"alg": "RS256", "typ": "JWT", "crit": ["b64"], "b64": False}
        assert subject(auth, forged(header, claims(), b"x")) is None
        key = jwk.import_key(keys.private_key.get_secret_value(), "RSA")
        header = {"alg": "RS256", "crit": ["kid"], "kid": "k"}
        assert subject(auth, jwt.encode(header, claims(), key, algorithms=["RS256"])) is None

    @pytest.mark.parametrize(
        "token",
        [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "e30.e30.",
            "\x00.\x00.\x00",
            "ü.ü.ü",
            "a" * 1_000_000,
            "." * 20_000,
            forged(b"[" * 8_000, {}),
            forged([], []),
            forged({"alg": "RS256"}, b"\xff"),
            forged({"alg": "RS256"}, []),
        ],
    )
    def test_whatever_a_verifier_raises_is_a_refusal_and_one_line(
        self, keys: RSAKeyPair, token: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        auth = verifier(keys.public_key)
        with caplog.at_level(logging.INFO, "memweld"):
            assert [subject(auth, token) for _ in range(5)] == [None] * 5
        assert len(caplog.records) == 1
        assert len(caplog.text) < 200
        assert caplog.records[0].exc_info is None

    def test_a_log_line_holds_nothing_of_the_token(self, keys: RSAKeyPair, caplog: pytest.LogCaptureFixture) -> None:
        auth = verifier(keys.public_key)
        subject(auth, signed(keys, claims(sub="secret-4711", iss="secret-4711", aud="secret-4711")))
        assert "refused" in caplog.text
        assert "4711" not in caplog.text


class TestKeyFiles:
    def test_a_short_secret_is_refused(self, tmp_path: Path) -> None:
        for number, short in enumerate(("", "hunter2\n", SECRET[:-1], SECRET[:-1] + "\n")):
            with pytest.raises(ConfigurationError, match=r"openssl rand") as caught:
                verifier(write(tmp_path / f"{number}.key", short), "HS256")
            assert "hunter2" not in str(caught.value)
        auth = verifier(write(tmp_path / "key", SECRET + "\n"), "HS256")
        assert subject(auth, forged({"alg": "HS256", "typ": "JWT"}, claims(), SECRET.encode())) == "ana"
        assert subject(auth, forged({"alg": "HS256", "typ": "JWT"}, claims(), SECRET[::-1].encode())) is None

    @posix
    def test_others_neither_read_a_secret_nor_change_a_key(self, keys: RSAKeyPair, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="chmod o-r"):
            verifier(write(tmp_path / "key", SECRET, 0o644), "HS256")
        verifier(write(tmp_path / "public.pem", keys.public_key, 0o644))
        with pytest.raises(ConfigurationError, match="chmod go-w"):
            verifier(write(tmp_path / "public.pem", keys.public_key, 0o664))

    def test_a_key_goes_with_its_algorithm(self, keys: RSAKeyPair, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="no public key for RS256"):
            verifier(write(tmp_path / "rubbish", "hunter2\n"))
        with pytest.raises(ConfigurationError, match="no public key for ES256"):
            verifier(keys.public_key, "ES256")
        with pytest.raises(ConfigurationError, match="private key"):
            verifier(keys.private_key.get_secret_value())
        with pytest.raises(ConfigurationError, match="not known"):
            verifier(keys.public_key, "none")


@contextmanager
def key_server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    """A server of key sets on this machine; its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sending(body: bytes, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        with suppress(OSError):  # The client reads no more.
            handler.wfile.write(body)

    return answer


def key_set(keys: RSAKeyPair, kid: str = "k1") -> bytes:
    return json.dumps(
        {"keys": [{**jwk.import_key(keys.public_key, "RSA").as_dict(private=False), "kid": kid}]}
    ).encode()


class TestKeySets:
    def test_the_key_is_found_by_its_id_in_one_fetch(self, keys: RSAKeyPair) -> None:
        with key_server(sending(key_set(keys))) as (url, asked):
            auth = verifier(url)
            assert [subject(auth, signed(keys, claims(), kid="k1")) for _ in range(3)] == ["ana"] * 3
            for kid in ("../../etc/passwd", "/dev/null", "http://evil.example/", "k2", "' OR 1=1 --", "", "k1\x00"):
                header = {"alg": "HS256", "typ": "JWT", "kid": kid}
                assert subject(auth, forged(header, claims(), b"\x00")) is None
            header = {"alg": "RS256", "jku": "http://127.0.0.1:1/", "jwk": {"kty": "oct", "k": "AA"}, "kid": "k2"}
            assert subject(auth, forged({**header, "x5u": "http://127.0.0.1:1/"}, claims(), b"x")) is None
        assert asked == ["/jwks.json"]

    @pytest.mark.parametrize(
        "answer",
        [
            sending(b"", 500),
            sending(b"[]"),
            sending(b"null"),
            sending(b'{"keys": 7}'),
            sending(b'{"keys": [7, {}, {"kty": "oct", "k": "AA", "kid": "k1"}]}'),
            sending(b"[" * 100_000),
            sending(b"\xff"),
            sending(b" " * 10_000_000),
        ],
        ids=["500", "list", "null", "number", "no key", "deep", "no text", "10 MB"],
    )
    def test_a_broken_key_set_lets_no_token_in(
        self, keys: RSAKeyPair, answer: Callable[[BaseHTTPRequestHandler], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        with key_server(answer) as (url, asked):
            auth = verifier(url)
            assert [subject(auth, signed(keys, claims(), kid="k1")) for _ in range(3)] == [None] * 3
        assert len(asked) == 1
        assert len([record for record in caplog.records if record.name.startswith("memweld")]) <= 2

    def test_a_key_set_that_does_not_come(self, keys: RSAKeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memweld.mcp.jwt._FETCH_SECONDS", 0.3)
        released = threading.Event()

        def drip(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            while not released.wait(0.05):  # Each read of the client succeeds.
                try:
                    handler.wfile.write(b" ")
                except OSError:
                    return

        with key_server(drip) as (url, _):
            # The answer has no end of its own.
            assert subject(verifier(url), signed(keys, claims(), kid="k1")) is None
            released.set()

    def test_a_key_server_that_is_down(self, keys: RSAKeyPair) -> None:
        assert subject(verifier("http://127.0.0.1:9/jwks.json"), signed(keys, claims(), kid="k1")) is None


@pytest.mark.parametrize(
    ("bearer", "fault"),
    [
        ({"sub": "ana", "scopes": ["memory:reed"]}, "the scope 'memory:reed'"),
        ({"sub": "ana", "scope": ["memory:read"]}, 'entry 2 has "scope" for "scopes"'),
        ({"scopes": []}, 'entry 2 lacks "sub"'),
        ({"sub": "ana", "scopes": "memory:read"}, 'entry 2 has a wrong "scopes"'),
        ({"secret-4711": {"sub": "ana"}, "sub": "ana"}, "entry 2 has an unknown field"),
        ("ana", "entry 2 is no object"),
    ],
)
def test_a_slip_in_a_token_file_is_named_without_the_token(tmp_path: Path, bearer: Any, fault: str) -> None:
    file = write(tmp_path / "tokens.json", {"secret-0815": {"sub": "bob"}, "secret-4711": bearer})
    with pytest.raises(ConfigurationError, match=re.escape(fault)) as caught:
        token_file_auth(file)
    assert "secret" not in str(caught.value)


def test_a_scope_of_the_operator_may_be_required(tmp_path: Path) -> None:
    file = write(tmp_path / "tokens.json", {"t": {"sub": "ana", "scopes": ["memory:team", "billing"]}})
    assert subject(token_file_auth(file, required_scopes=["memory:team"]), "t") == "ana"


@pytest.mark.parametrize(
    "scope", ["memory:reed", "Memory:Read", "MEMORY:READ", "memory.read", "memory:", "memory:read\n"]
)
def test_a_scope_that_only_looks_like_ours_is_refused(scope: str) -> None:
    with pytest.raises(InvalidInputError, match="Choose among memory:read"):
        validate_scopes(["billing", scope])


def test_scopes_of_other_services_are_none_of_ours() -> None:
    validate_scopes(["memory:read", "memory", "memories:all", "openid", "memory:team"], required=["memory:team"])
