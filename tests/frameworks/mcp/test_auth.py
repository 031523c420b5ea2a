"""Callers over HTTP: tokens, their subjects and scopes, and refusals."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import httpx
import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.server.auth import AccessToken, StaticTokenVerifier, TokenVerifier
from fastmcp.server.auth.providers.jwt import RSAKeyPair
from mcp.shared.exceptions import McpError
from mcp.types import ErrorData
from mcp_servers import said, text_of
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from memweld import Backend, ConfigurationError, MemoryNotFoundError
from memweld.cli import app as cli
from memweld.mcp import AGENTS_SCOPE, ANY_USER_SCOPE, ENGINE_SCOPE, create_app, create_server, jwt_auth, token_file_auth
from memweld.mcp.auth import auth_from

T = TypeVar("T")
ISSUER, AUDIENCE = "https://issuer.example", "memweld"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@pytest.fixture(scope="module")
def keys() -> RSAKeyPair:
    return RSAKeyPair.generate()


class Issuer:
    """Makes tokens, and clients that carry them, for an application in this process."""

    def __init__(self, keys: RSAKeyPair, app: Any) -> None:
        self._keys = keys
        self._app = app

    def token(self, subject: str, *scopes: str, **extra: Any) -> str:
        arguments = {"issuer": ISSUER, "audience": AUDIENCE, **extra}
        return self._keys.create_token(subject, scopes=list(scopes), **arguments)

    def _http(self, **arguments: Any) -> httpx.AsyncClient:
        arguments.pop("follow_redirects", None)
        return httpx.AsyncClient(transport=httpx.ASGITransport(self._app), **arguments)

    def use(self, token: str, use: Callable[[Client[Any]], Awaitable[T]]) -> T:
        """Open a session with the token and use it."""

        async def run() -> T:
            transport = StreamableHttpTransport(
                "http://127.0.0.1/mcp", auth=token, httpx_client_factory=cast("Any", self._http)
            )
            async with self._app.lifespan(self._app), Client(transport) as client:
                return await use(client)

        return anyio.run(run)

    def post(self, token: str | None, *messages: Any, **headers: str) -> list[httpx.Response]:
        """The responses to bare messages."""
        headers |= {} if token is None else {"authorization": f"Bearer {token}"}

        async def run() -> list[httpx.Response]:
            async with self._app.lifespan(self._app), self._http(base_url="http://127.0.0.1") as http:
                return [await http.post("/mcp", json=each, headers={**HEADERS, **headers}) for each in messages]

        return anyio.run(run)


def issuer(keys: RSAKeyPair, backend: Backend, *required: str, **arguments: Any) -> Issuer:
    auth = jwt_auth(keys.public_key, issuer=ISSUER, audience=AUDIENCE, required_scopes=required)
    # Stateless, so that a bare message needs no session.
    options: dict[str, Any] = {"stateless": True, **arguments}
    return Issuer(keys, create_app(backend, auth=auth, **options))


async def listed(client: Client[Any], **arguments: Any) -> list[str]:
    found = (await client.call_tool("get_all_memories", arguments)).structured_content
    assert found is not None
    return [memory["text"] for memory in found["memories"]]


async def refused(client: Client[Any], tool: str = "get_all_memories", **arguments: Any) -> ErrorData:
    with pytest.raises(McpError) as caught:
        await client.call_tool(tool, arguments)
    return caught.value.error


class TestTheSubjectIsTheUser:
    def test_it_is_the_default_and_the_only_one(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)
        bobs = backend.user("bob").add("Bob's safe opens with tulip")[0].id

        async def use(client: Client[Any]) -> None:
            await client.call_tool("add_memory", said("Ana keeps bees"))
            assert await listed(client) == await listed(client, user_id="ana") == ["Ana keeps bees"]
            for tool, arguments in (
                ("get_all_memories", {}),
                ("delete_all_memories", {}),
                ("search_memories", {"query": "safe"}),
                ("add_memory", said("planted")),
                ("get_preferences", {}),
                ("get_memory", {"memory_id": bobs}),
                ("delete_memory", {"memory_id": bobs}),
            ):
                error = await refused(client, tool, user_id="bob", **arguments)
                assert (error.code, error.message) == (-32603, "Internal error: Access denied")
                data: Any = error.data
                assert data["type"] == "AccessDeniedError"
                assert ANY_USER_SCOPE in data["details"]
                assert "tulip" not in str(error)
            data = (await refused(client, "get_memory", memory_id=bobs)).data
            assert data == {"type": "MemoryNotFoundError", "details": f"No memory exists with ID {bobs}"}

        tokens.use(tokens.token("ana"), use)
        assert [item.text for item in backend.user("ana").all()] == ["Ana keeps bees"]
        assert [item.text for item in backend.user("bob").all()] == ["Bob's safe opens with tulip"]

    def test_the_schemas_do_not_ask_for_a_user(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)

        async def asks(client: Client[Any]) -> bool:
            return any("user_id" in tool.inputSchema["properties"] for tool in await client.list_tools())

        assert not tokens.use(tokens.token("ana"), asks)
        assert tokens.use(tokens.token("crm", ANY_USER_SCOPE), asks)
        assert tokens.use(tokens.token("fleet", AGENTS_SCOPE), asks)

    def test_what_an_agent_keeps_of_the_user(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)
        backend.user("ana", agent_id="writer").add("Ana likes short words")

        async def use(client: Client[Any]) -> None:
            assert await listed(client, user_id="ana", agent_id="writer") == ["Ana likes short words"]
            assert await listed(client, user_id="ana", agent_id="critic") == []

        tokens.use(tokens.token("ana"), use)

    @pytest.mark.parametrize(
        "subject", ["", " ", "*", "a\u200bb", " ana", "ana\n", "x" * 300, "a\x00b", 7, None, ["ana"]]
    )
    def test_an_unusable_subject_is_refused(self, keys: RSAKeyPair, backend: Backend, subject: Any) -> None:
        tokens = issuer(keys, backend)
        (response,) = tokens.post(tokens.token(subject), INITIALIZE)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer error")
        assert response.headers["www-authenticate"].isascii()

    def test_two_forms_of_one_name_are_one_user(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)
        backend.user("Zo\u00eb").add("Zoë's")
        assert tokens.use(tokens.token("Zoe\u0308"), listed) == ["Zoë's"]


class TestScopes:
    def test_any_user(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)
        bobs = backend.user("bob").add("Bob's")[0].id
        backend.agent("writer").add("the writer's own")

        async def use(client: Client[Any]) -> None:
            assert await listed(client) == []
            assert await listed(client, user_id="bob") == ["Bob's"]
            await client.call_tool("delete_memory", {"memory_id": bobs, "user_id": "bob"})
            assert AGENTS_SCOPE in str(await refused(client, agent_id="writer"))
            assert (await refused(client, user_id="*")).code == -32602

        tokens.use(tokens.token("crm", ANY_USER_SCOPE), use)
        with pytest.raises(MemoryNotFoundError):
            backend.user("bob").get(bobs)

    def test_agents(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)
        own = backend.agent("writer").add("the writer's own")[0].id
        backend.user("bob", agent_id="writer").add("of Bob")

        async def without(client: Client[Any]) -> None:
            for tool, arguments in (
                ("get_all_memories", {}),
                ("add_memory", said("planted")),
                ("delete_all_memories", {}),
                ("get_memory", {"memory_id": own}),
            ):
                error = await refused(client, tool, agent_id="writer", **arguments)
                data: Any = error.data
                assert (error.code, data["type"]) == (-32603, "AccessDeniedError")
            assert (await refused(client, "get_memory", memory_id=own)).message == "Internal error: Memory not found"

        async def having(client: Client[Any]) -> None:
            assert await listed(client, agent_id="writer") == ["the writer's own"]
            got = await client.call_tool("get_memory", {"memory_id": own, "agent_id": "writer"})
            assert "the writer's own" in text_of(got)
            assert ANY_USER_SCOPE in str(await refused(client, user_id="bob", agent_id="writer"))
            assert await listed(client) == []

        tokens.use(tokens.token("ana"), without)
        tokens.use(tokens.token("ana", AGENTS_SCOPE), having)

    def test_scopes_that_every_token_needs(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend, "memory")
        (response,) = tokens.post(tokens.token("ana"), INITIALIZE)
        assert response.status_code == 403
        assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
        (response,) = tokens.post(tokens.token("ana", "memory"), INITIALIZE)
        assert response.status_code == 200

    def test_within_a_session_each_request_has_its_own_rights(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend, stateless=False)
        bobs = backend.user("bob").add("Bob's")[0].id

        async def run() -> None:
            app, http = tokens._app, tokens._http(base_url="http://127.0.0.1")
            async with app.lifespan(app), http:

                async def post(token: str, body: Any, **headers: str) -> httpx.Response:
                    headers = {**HEADERS, "authorization": f"Bearer {token}", **headers}
                    return await http.post("/mcp", json=body, headers=headers)

                def call(name: str, **arguments: Any) -> Any:
                    params = {"name": name, "arguments": arguments}
                    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

                strong, weak = tokens.token("crm", ANY_USER_SCOPE), tokens.token("crm")
                session = {"mcp-session-id": (await post(strong, INITIALIZE)).headers["mcp-session-id"]}
                assert "Bob's" in (await post(strong, call("get_all_memories", user_id="bob"), **session)).text
                assert "Bob's" in (await post(strong, call("get_memory", memory_id=bobs), **session)).text
                # The session has named Bob; a token that may not do so does not profit from it.
                for body in (call("get_all_memories", user_id="bob"), call("get_memory", memory_id=bobs)):
                    answer = (await post(weak, body, **session)).text
                    assert "-32603" in answer
                    assert "Bob's" not in answer
                # And nobody else can use the session, though the token comes from the same client program.
                other = await post(tokens.token("eve", ANY_USER_SCOPE), call("get_preferences"), **session)
                assert (other.status_code, other.json()["error"]["data"]["details"]) == (404, "Session not found")

        anyio.run(run)

    def test_users_of_one_client_program_do_not_share_sessions(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend, stateless=False)
        claims = {"additional_claims": {"client_id": "one program"}}

        async def run() -> None:
            app = tokens._app
            async with app.lifespan(app), tokens._http(base_url="http://127.0.0.1") as http:
                mine = {**HEADERS, "authorization": f"Bearer {tokens.token('ana', **claims)}"}
                theirs = {**HEADERS, "authorization": f"Bearer {tokens.token('eve', **claims)}"}
                session = (await http.post("/mcp", json=INITIALIZE, headers=mine)).headers["mcp-session-id"]
                ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
                statuses = [
                    (await http.post("/mcp", json=ping, headers={**headers, "mcp-session-id": session})).status_code
                    for headers in (mine, theirs)
                ]
                assert statuses == [200, 404]

        anyio.run(run)


class TestTokens:
    def test_no_token(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)
        for body in (INITIALIZE, "{bad", []):
            (response,) = tokens.post(None, body)
            assert (response.status_code, response.json()["error"]["type"]) == (401, "AuthenticationError")
            assert response.headers["www-authenticate"] == "Bearer"

    def test_tokens_that_are_not_valid(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)
        bad = [
            "rubbish",
            tokens.token("ana", issuer="https://evil.example"),
            tokens.token("ana", audience="another service"),
            tokens.token("ana", expires_in_seconds=-60),
            tokens.token("ana", additional_claims={"exp": None}),
            tokens.token("ana", additional_claims={"nbf": time.time() + 600}),
            tokens.token("ana", additional_claims={"nbf": "tomorrow"}),
            Issuer(RSAKeyPair.generate(), None).token("ana"),
        ]
        for token in bad:
            (response,) = tokens.post(token, INITIALIZE)
            assert response.status_code == 401
            assert 'error="invalid_token"' in response.headers["www-authenticate"]
        (response,) = tokens.post(tokens.token("ana"), INITIALIZE)
        assert response.status_code == 200

    def test_health_needs_none_and_sse_does(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend, stateless=False)

        async def run() -> None:
            async with tokens._http(base_url="http://127.0.0.1") as http:
                assert (await http.get("/health")).status_code == 200
                for method, path in (("GET", "/sse"), ("POST", "/messages/"), ("GET", "/mcp"), ("DELETE", "/mcp")):
                    response = await http.request(method, path)
                    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer"), path

        anyio.run(run)

    def test_clients_are_told_where_tokens_come_from(self, keys: RSAKeyPair, backend: Backend) -> None:
        auth = jwt_auth(keys.public_key, issuer=ISSUER, audience=AUDIENCE, public_url="https://memory.example")
        tokens = Issuer(keys, create_app(backend, auth=auth))

        async def run() -> None:
            app = tokens._app
            async with app.lifespan(app), tokens._http(base_url="http://127.0.0.1") as http:
                for path in ("/mcp", "/sse"):
                    challenge = (await http.get(path)).headers["www-authenticate"]
                    place = f"/.well-known/oauth-protected-resource{path}"
                    assert challenge == f'Bearer resource_metadata="https://memory.example{place}"'
                    told = (await http.get(place)).json()
                    assert told["resource"] == f"https://memory.example{path}"
                    assert told["authorization_servers"] == [f"{ISSUER}/"]

        anyio.run(run)

    def test_any_provider_of_fastmcp(self, keys: RSAKeyPair, backend: Backend) -> None:
        auth = StaticTokenVerifier({"anas token": {"client_id": "a program", "sub": "ana"}})
        tokens = Issuer(keys, create_app(backend, auth=auth, stateless=True))
        backend.user("ana").add("Ana's")
        assert tokens.use("anas token", listed) == ["Ana's"]
        nobody = StaticTokenVerifier({"token": {"client_id": "a program"}})
        (response,) = Issuer(keys, create_app(backend, auth=nobody, stateless=True)).post("token", INITIALIZE)
        assert response.status_code == 401

    def test_what_goes_wrong_in_a_provider_lets_nobody_in(self, keys: RSAKeyPair, backend: Backend) -> None:
        class Broken(TokenVerifier):
            async def verify_token(self, token: str) -> AccessToken | None:
                raise OSError("the directory is not reachable")

        async def run() -> None:
            app = create_app(backend, auth=Broken(), stateless=True)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                response = await http.post("/mcp", json=INITIALIZE, headers={**HEADERS, "authorization": "Bearer x"})
                assert response.status_code == 500
                assert "directory" not in response.text

        anyio.run(run)


class TestOtherWaysIn:
    def test_a_server_locked_to_a_user_serves_nobody_else(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend, user_id="ana", lock_user=True)
        backend.user("ana").add("Ana's")
        assert tokens.use(tokens.token("ana"), listed) == ["Ana's"]
        for token in (tokens.token("bob"), tokens.token("bob", ANY_USER_SCOPE, AGENTS_SCOPE)):
            error = tokens.use(token, lambda client: refused(client, user_id="ana"))
            assert error.message == "Internal error: Access denied"
        own = tokens.token("ana", ANY_USER_SCOPE, AGENTS_SCOPE)
        for named in ({"user_id": "bob"}, {"agent_id": "writer"}):
            assert tokens.use(own, lambda client, named=named: refused(client, **named)).code == -32603

    def test_a_server_of_one_memory(self, keys: RSAKeyPair, backend: Backend) -> None:
        auth = jwt_auth(keys.public_key, issuer=ISSUER, audience=AUDIENCE)
        memory = backend.user("ana", agent_id="writer")
        memory.add("the writer's part")
        tokens = Issuer(keys, create_app(memory, auth=auth, stateless=True))
        assert tokens.use(tokens.token("ana"), listed) == ["the writer's part"]
        assert tokens.use(tokens.token("bob"), refused).message == "Internal error: Access denied"

    def test_stdio_and_this_process_have_no_tokens(self, keys: RSAKeyPair, backend: Backend) -> None:
        auth = jwt_auth(keys.public_key, issuer=ISSUER, audience=AUDIENCE)

        async def run() -> None:
            async with Client(create_server(backend, auth=auth, user_id="ana")) as client:
                await client.call_tool("add_memory", said("Ana's"))

        anyio.run(run)
        assert len(backend.user("ana").all()) == 1

    def test_mounted_on_a_server_with_tokens(self, keys: RSAKeyPair, backend: Backend) -> None:
        auth = jwt_auth(keys.public_key, issuer=ISSUER, audience=AUDIENCE)
        outer: FastMCP[Any] = FastMCP("outer", auth=auth)
        # The default user is for calls without a token.
        outer.mount(create_server(backend, user_id="bob"))
        tokens = Issuer(keys, outer.http_app(stateless_http=True))
        backend.user("ana").add("Ana's")
        assert tokens.use(tokens.token("ana"), listed) == ["Ana's"]
        error = tokens.use(tokens.token("ana"), lambda client: refused(client, user_id="bob"))
        assert error.message == "Internal error: Access denied"

    def test_the_tools_for_programs_obey_the_same_rules(self, keys: RSAKeyPair, backend: Backend) -> None:
        tokens = issuer(keys, backend)

        async def use(client: Client[Any]) -> None:
            for scope in ({"user_id": "bob"}, {"agent_id": "writer"}, {"user_id": "bob", "agent_id": "writer"}):
                for tool in ("engine_export", "engine_erase"):
                    assert (await refused(client, tool, **scope)).message == "Internal error: Access denied"
            assert (await refused(client, "engine_export")).code == -32602

        tokens.use(tokens.token("ana", ENGINE_SCOPE), use)

    def test_routes_know_the_caller(self, keys: RSAKeyPair, backend: Backend) -> None:
        def routes(identify: Callable[[Request], Any]) -> Sequence[Route]:
            def whoami(request: Request) -> JSONResponse:
                caller = identify(request)
                return JSONResponse([caller.user_id, caller.locked, caller.agents])

            return [Route("/whoami", whoami)]

        tokens = issuer(keys, backend, "memory", extra_routes=routes)

        async def get(token: str | None) -> tuple[int, str | None, Any]:
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            async with tokens._http(base_url="http://127.0.0.1") as http:
                response = await http.get("/whoami", headers=headers)
            body = response.json() if response.status_code == 200 else None
            return response.status_code, response.headers.get("www-authenticate"), body

        token = tokens.token
        assert anyio.run(get, token("ana", "memory")) == (200, None, ["ana", True, False])
        assert anyio.run(get, token("crm", "memory", ANY_USER_SCOPE))[2] == ["crm", False, False]
        assert anyio.run(get, None)[:2] == (401, "Bearer")
        assert anyio.run(get, "rubbish")[:2] == (401, 'Bearer error="invalid_token"')
        assert anyio.run(get, token("ana"))[:2] == (403, 'Bearer error="insufficient_scope", scope="memory"')


def write(path: Path, content: Any, mode: int = 0o600) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    path.chmod(mode)
    return path


class TestTokenFiles:
    def test_tokens_and_hashes(self, keys: RSAKeyPair, backend: Backend, tmp_path: Path) -> None:
        backend.user("ana").add("Ana's")
        hashed = f"sha256:{hashlib.sha256(b'the token of a service').hexdigest()}".replace(" ", "")
        listing = {"anas-token": {"sub": "ana"}, hashed: {"sub": "crm", "scopes": [ANY_USER_SCOPE]}}
        auth = token_file_auth(write(tmp_path / "tokens.json", listing))
        tokens = Issuer(keys, create_app(backend, auth=auth, stateless=True))
        assert tokens.use("anas-token", listed) == ["Ana's"]
        assert tokens.use("the token of a service", lambda client: listed(client, user_id="ana")) == ["Ana's"]
        assert tokens.use("anas-token", lambda client: refused(client, user_id="bob")).code == -32603
        for wrong in ("anas-toke", "anas-token2", hashed, ""):
            assert tokens.post(wrong, INITIALIZE)[0].status_code == 401

    @pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
    def test_a_file_that_everybody_can_read_holds_hashes_only(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="chmod o-r"):
            token_file_auth(write(tmp_path / "tokens.json", {"anas-token": {"sub": "ana"}}, 0o644))
        token_file_auth(write(tmp_path / "group.json", {"anas-token": {"sub": "ana"}}, 0o640))
        token_file_auth(write(tmp_path / "hashes.json", {f"sha256:{'0' * 64}": {"sub": "ana"}}, 0o644))

    @pytest.mark.parametrize(
        "content",
        [
            "secret-4711",
            "[]",
            "{}",
            {"secret-4711": "ana"},
            {"secret-4711": {}},
            {"secret-4711": {"sub": 7}},
            {"secret-4711": {"sub": "ana", "scopes": "memory:any-user"}},
            {"secret-4711": {"sub": "ana", "scope": []}},
            {"secret-4711": {"sub": "*"}},
            {"": {"sub": "ana"}},
            {"secret 4711": {"sub": "ana"}},
            '{"secret-4711": {"sub": "ana"}, "secret-4711": {"sub": "bob"}}',
        ],
    )
    def test_files_of_another_form_are_refused_without_showing_a_token(self, tmp_path: Path, content: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"tokens\.json") as caught:
            token_file_auth(write(tmp_path / "tokens.json", content))
        assert "4711" not in str(caught.value)

    def test_a_change_counts_from_the_next_request_on(
        self, keys: RSAKeyPair, backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        backend.user("ana").add("Ana's")
        backend.user("bob").add("Bob's")
        file = write(tmp_path / "tokens.json", {"anas-token": {"sub": "ana"}})
        tokens = Issuer(keys, create_app(backend, auth=token_file_auth(file), stateless=True))
        assert tokens.post("bobs-token", INITIALIZE)[0].status_code == 401
        write(tmp_path / "new.json", {"bobs-token": {"sub": "bob"}}).replace(file)
        assert tokens.use("bobs-token", listed) == ["Bob's"]
        assert tokens.post("anas-token", INITIALIZE)[0].status_code == 401
        for broken in (lambda: write(file, '{"bobs-token": '), file.unlink):
            broken()
            assert tokens.post("bobs-token", INITIALIZE)[0].status_code == 401
        assert "No token is accepted" in caplog.text
        assert "bobs-token" not in caplog.text
        write(file, {"anas-token": {"sub": "ana"}})
        assert tokens.use("anas-token", listed) == ["Ana's"]

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="not usable"):
            token_file_auth(tmp_path / "none.json")


class TestSettings:
    def test_what_auth_names(self, keys: RSAKeyPair, tmp_path: Path) -> None:
        names = {"issuer": ISSUER, "audience": AUDIENCE}
        key = write(tmp_path / "key.pem", keys.public_key)
        assert auth_from(f"jwt:{key}", required_scopes=["memory"], **names).required_scopes == ["memory"]
        auth_from("jwt:https://issuer.example/jwks.json", **names)
        auth_from("jwt:http://127.0.0.1:9/jwks.json", **names)
        auth_from(f"tokens:{write(tmp_path / 'tokens.json', {'anas-token': {'sub': 'ana'}})}")
        for words, settings in (
            ("secret-4711", {}),
            ("jwt:", names),
            (f"jwt:{key}", {"issuer": ISSUER}),
            (f"jwt:{key}", {"audience": AUDIENCE}),
            ("jwt:http://issuer.example/jwks.json", names),
            (f"jwt:{tmp_path / 'none.pem'}", names),
            (f"jwt:{key}", {**names, "algorithm": "none"}),
            (f"jwt:{key}", {**names, "algorithm": "HS256"}),
            (f"tokens:{tmp_path / 'tokens.json'}", names),
        ):
            with pytest.raises(ConfigurationError) as caught:
                auth_from(words, **settings)
            assert "4711" not in str(caught.value)

    def test_the_command(self, tmp_path: Path) -> None:
        def failed(*arguments: str) -> str:
            result = CliRunner().invoke(cli, ["serve", "--url", "sqlite://", *arguments])
            assert result.exit_code == 1
            return result.output

        tokens = f"tokens:{write(tmp_path / 'tokens.json', {'anas-token': {'sub': 'ana'}})}"
        assert "stdio has no tokens" in failed("--auth", tokens)
        assert "exclude each other" in failed(
            "--transport", "http", "--auth", tokens, "--insecure-open-to-anyone-who-connects"
        )
        assert "--auth and --generate-token exclude each other" in failed(
            "--transport", "http", "--auth", tokens, "--generate-token"
        )
        assert "--generate-token is for HTTP" in failed("--generate-token")
        assert "--insecure-open-to-anyone-who-connects" in failed(
            "--transport", "http", "--host", "0.0.0.0", "--port", "0"
        )
        assert "--auth-issuer" in failed("--transport", "http", "--auth", "jwt:key.pem")
