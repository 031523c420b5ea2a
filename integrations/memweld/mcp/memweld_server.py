"""`MemweldServer`: a FastMCP server with validated messages on every transport and a guarded HTTP."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, cast

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.context import reset_transport, set_transport
from fastmcp.server.http import HostOriginProtection, StarletteWithLifespan
from fastmcp.server.server import Transport
from fastmcp.utilities.logging import temporary_log_level
from fastmcp.utilities.versions import VersionSpec
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.streamable_http import EventStore
from starlette.middleware import Middleware as ASGIMiddleware
from starlette.routing import BaseRoute

from ..engine.protocol import EngineAdmin
from ..errors import ConfigurationError
from ..library_logs import hide_server_texts
from .access import AccessPolicy, new_session
from .budget import CURRENT
from .call_records import CallRecord
from .engine_tools import EngineTool
from .generated_token import GeneratedToken
from .health import Readiness
from .http import build_app
from .http_connections import Connections
from .http_messages import SSE_PATH
from .http_protocol import guarded
from .http_server import HttpServer, ShutdownWatchdog, close_sockets, fitting, listen, listen_unix, require_loopback
from .jsonrpc import METHODS, CountingWriter, ValidatingReader
from .limits import Limits
from .log_limits import bounded_log
from .profile_resource import PROFILE_URI, ProfileResource
from .spans import resource_span, tool_span
from .stdio import stdio_streams
from .tools import ServedTool

if TYPE_CHECKING:
    from .metrics import Metrics

__all__ = ["MemweldServer"]

DEFAULT_PORT = 8710


class MemweldServer(FastMCP[Any]):
    """A FastMCP server whose sessions answer errors as the protocol has them, on every transport.

    Over HTTP it is never open by accident: see `run_http_async` and `http_app`.

    Attributes:
        access: Decides whose memory a request may touch, for every tool and route.
        limits: What one user, address and connection may take over HTTP.
    """

    def __init__(
        self,
        *args: Any,
        access: AccessPolicy,
        open_to_anyone: bool,
        limits: Limits | None = None,
        admin: Callable[[], EngineAdmin] = EngineAdmin,
        record: CallRecord | None = None,
        metrics: Metrics | None = None,
        inspector: Callable[[], Sequence[BaseRoute]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        hide_server_texts()
        self.access = access
        self.limits = limits or Limits()
        self._admin = admin
        self._record = record
        self._metrics = metrics
        self._inspector = inspector
        self._open_to_anyone = open_to_anyone
        self._writers: set[CountingWriter] = set()
        self._watchdog: ShutdownWatchdog | None = None
        # Every transport of FastMCP 3.4 hands a session's streams to the low-level server's `run`.
        self._run_session = self._mcp_server.run
        self._mcp_server.run = self._run_validated
        self._handle_request = self._mcp_server._handle_request  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._mcp_server._handle_request = self._handle_cancellable  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def _handle_cancellable(
        self, message: Any, req: Any, session: Any, lifespan_context: Any, raise_exceptions: bool
    ) -> None:
        """Answer a request, unless its client has cancelled it meanwhile.

        A thread at work is not cancelled, and mcp 1.30 ends the whole session if its answer comes afterwards.
        """
        try:
            await self._handle_request(message, req, session, lifespan_context, raise_exceptions)
        except AssertionError:
            if not message.cancelled:
                raise

    async def _run_validated(
        self,
        read_stream: Any,
        write_stream: Any,
        initialization_options: Any,
        raise_exceptions: bool = False,
        stateless: bool = False,
    ) -> None:
        handled = self._mcp_server.request_handlers
        served = {method for method, kind in METHODS.items() if kind in handled} | {"initialize", "ping"}
        writer = CountingWriter(write_stream)
        budget = None if stateless else CURRENT.get()
        most = None if budget is None else budget.calls_in_flight
        reader = ValidatingReader(read_stream, writer, served, initialized=stateless, most_pending=most)
        self._writers.add(writer)
        try:
            with new_session(), nullcontext() if budget is None else budget.session(writer):
                await self._run_session(
                    cast("Any", reader), cast("Any", writer), initialization_options, raise_exceptions, stateless
                )
        finally:
            self._writers.discard(writer)

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        version: VersionSpec | None = None,
        run_middleware: bool = True,
        task_meta: Any = None,
    ) -> Any:
        """Call a tool, as FastMCP does; a tool of the memory has a span and log lines without texts."""
        if not run_middleware and task_meta is None:
            tool = await self.get_tool(name, version)
            if isinstance(tool, (ServedTool, EngineTool)):
                with tool_span(name):
                    return await tool.run(arguments or {})
        return await super().call_tool(
            name, arguments, version=version, run_middleware=run_middleware, task_meta=task_meta
        )

    async def read_resource(
        self,
        uri: str,
        *,
        version: VersionSpec | None = None,
        run_middleware: bool = True,
        task_meta: Any = None,
    ) -> Any:
        """Read a resource, as FastMCP does; the profile has a span and log lines without texts."""
        if str(uri) == PROFILE_URI and not run_middleware and task_meta is None:
            resource = await self.get_resource(PROFILE_URI, version)
            if isinstance(resource, ProfileResource):
                with resource_span(PROFILE_URI):
                    return resource.convert_result(await resource.read())
        return await super().read_resource(uri, version=version, run_middleware=run_middleware, task_meta=task_meta)

    def run(self, transport: Transport | None = None, show_banner: bool | None = None, **transport_kwargs: Any) -> None:
        """Serve until stdin ends, or over HTTP until a signal; see `run_stdio_async` and `run_http_async`."""
        with ShutdownWatchdog() as self._watchdog:
            super().run(transport, show_banner, **transport_kwargs)

    async def run_stdio_async(
        self,
        show_banner: bool = False,  # noqa: ARG002
        log_level: str | None = None,
        stateless: bool = False,
    ) -> None:
        """Serve this process's stdin and stdout until stdin ends, or SIGTERM or SIGINT comes.

        Calls under way are answered first, for at most `GRACE_SECONDS`.

        There is never a banner: FastMCP's looks for a newer version on the network.
        """
        token = set_transport("stdio")
        options = self._mcp_server.create_initialization_options(NotificationOptions(tools_changed=True))
        received: list[signal.Signals] = []

        def end(number: signal.Signals) -> None:
            received.append(number)
            if self._watchdog is not None:
                self._watchdog.arm()

        try:
            with temporary_log_level(log_level):
                async with self._lifespan_manager(), stdio_streams(end) as (reader, writer):
                    await self._mcp_server.run(reader, writer, options, stateless=stateless)
        finally:
            reset_transport(token)
        if signal.SIGINT in received:
            raise KeyboardInterrupt

    def http_app(  # noqa: PLR0917 - the signature is FastMCP's
        self,
        path: str | None = None,
        middleware: list[ASGIMiddleware] | None = None,
        json_response: bool | None = None,
        stateless_http: bool | None = None,
        transport: Literal["http", "streamable-http", "sse"] = "http",
        event_store: EventStore | None = None,
        retry_interval: int | None = None,
        host_origin_protection: HostOriginProtection | None = None,
        allowed_hosts: list[str] | None = None,
        allowed_origins: list[str] | None = None,
    ) -> StarletteWithLifespan:
        """Make the Starlette application: streamable HTTP at ``path``, SSE at ``/sse``, ``/health``.

        Without authentication it serves programs on its own machine only, at every address.

        Args:
            path: Where streamable HTTP is; ``/mcp`` if not given.
            middleware: ASGI middleware around the endpoints, behind the guard and the verification of tokens.
            json_response: Whether answers are plain JSON rather than a stream of one event. Then a tool of yours cannot
                report progress or ask the client back.
            stateless_http: Whether any replica may serve any request; there is no SSE then.
            transport: The transport that clients will use. The application is the same for all.
            event_store: Keeps events for clients that come back.
            retry_interval: When these should come back, in milliseconds.
            host_origin_protection: Cannot be turned off.
            allowed_hosts: Names, besides this machine's, that the Host header may have.
            allowed_origins: Origins of web pages that may call.

        Raises:
            ConfigurationError: SSE is asked for without state, no guard, or hosts without authentication.
        """
        if host_origin_protection is False:
            raise ConfigurationError("The guard of the Host header stays on; name hosts in allowed_hosts instead.")
        if allowed_hosts and self.auth is None and not self._open_to_anyone:
            # A proxy on this machine that calls the server by such a name would admit clients from anywhere.
            raise ConfigurationError(
                "allowed_hosts are names by which other machines call this server, and it has no authentication: pass "
                "auth, or leave allowed_hosts out."
            )
        if transport == "sse" and stateless_http:
            raise ConfigurationError("SSE keeps its sessions in one process and cannot be stateless; use http.")
        app = build_app(
            self,
            auth=self.auth,
            open_to_anyone=self._open_to_anyone,
            path=path or "/mcp",
            stateless=bool(stateless_http),
            json_response=bool(json_response),
            event_store=event_store,
            retry_interval=retry_interval,
            allowed_hosts=allowed_hosts or (),
            allowed_origins=allowed_origins or (),
            middleware=middleware or (),
            limits=self.limits,
            readiness=Readiness(self._admin),
            routes=[] if self._metrics is None else [self._metrics.route(self.access.identify)],
            inspector=() if self._inspector is None else self._inspector(),
            record=self._record,
        )
        if self._metrics is not None:
            traffic = app.state.traffic
            self._metrics.watch("memweld_sessions", "Open MCP sessions.", lambda: len(self._writers))
            self._metrics.watch("memweld_calls_in_flight", "Calls that are read or answered.", lambda: traffic.calls)
        if transport == "sse":
            app.state.path = SSE_PATH
        return app

    def _audience(self) -> str:
        """The clients that the server serves over HTTP, for the operator."""
        if self.auth is not None:
            return "for clients with a token"
        return (
            "WITHOUT TOKENS FOR ANYONE WHO CONNECTS"
            if self._open_to_anyone
            else "without tokens, for this machine only"
        )

    def _announce(self, host: str, port: int | None, path: str) -> None:
        shown = f"[{host}]" if ":" in host else host
        where = f"http://{shown}:{port}{path}" if port else f"unix:{host}"
        sys.stderr.write(f"memweld: {self._audience()}, serving {where}\n")
        if isinstance(self.auth, GeneratedToken):
            sys.stderr.write(f"memweld: the token of this run, for MEMWELD_TOKEN: {self.auth.token}\n")
        # For a person alone: programs read the lines before this one.
        if self._inspector is not None and port and sys.stderr.isatty():
            sys.stderr.write(f"memweld: see and correct memories at http://{shown}:{port}/ui\n")
        sys.stderr.flush()

    async def run_http_async(
        self,
        show_banner: bool = True,
        *_: Any,
        host: str | None = None,
        port: int | None = None,
        log_level: str | None = None,
        uvicorn_config: dict[str, Any] | None = None,
        stateless_http: bool | None = None,
        stateless: bool | None = None,
        sockets: list[socket.socket] | None = None,
        uds: str | None = None,
        **app_options: Any,
    ) -> None:
        """Serve HTTP until SIGINT or SIGTERM; then calls under way are answered, for at most ten seconds.

        Args:
            show_banner: Whether to print on stderr where the server is, once it answers.
            host: The name or address to listen on; ``127.0.0.1`` if not given.
            port: The port; 8710 if not given, any free one if 0.
            log_level: Of FastMCP and uvicorn.
            uvicorn_config: Further settings of uvicorn.
            stateless_http: As in `http_app`.
            stateless: The same.
            sockets: Sockets that are bound already, instead of host and port.
            uds: The path of a Unix socket, which is made, instead of host and port. Only this user can connect.
            app_options: Further options of `http_app`.

        Raises:
            ConfigurationError: There is no authentication, and other machines could connect.
            BackendUnavailableError: The port is taken.
        """
        self.limits = fitting(self.limits)
        app = self.http_app(stateless_http=stateless_http if stateless_http is not None else stateless, **app_options)
        name = uds or host or "127.0.0.1"
        if sockets is None:
            sockets = [listen_unix(uds)] if uds else listen(name, DEFAULT_PORT if port is None else port)
        opened = sockets
        connections = Connections(self.limits)
        if self._metrics is not None:
            self._metrics.watch("memweld_connections", "Open connections.", lambda: len(connections))
        try:
            if self.auth is None and not self._open_to_anyone:
                require_loopback(opened)
            server = HttpServer(
                uvicorn.Config(app, **_uvicorn_settings(log_level, connections, uvicorn_config)),
                traffic=app.state.traffic,
                has_pending=lambda: any(writer.pending for writer in self._writers),
                announce=lambda at: self._announce(name, at, app.state.path) if show_banner else None,
                watchdog=self._watchdog,
            )
            with temporary_log_level(log_level), bounded_log():
                await server.serve(sockets=opened)
        finally:
            close_sockets(opened, uds)


def _uvicorn_settings(log_level: str | None, connections: Connections, given: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "http": guarded(connections),
        "h11_max_incomplete_event_size": connections.limits.header_bytes,
        "timeout_keep_alive": connections.limits.idle_seconds,
        # asyncio accepts that many connections in a row, and logs as many failures where it cannot.
        "backlog": 128,
        "log_level": None if logging.root.handlers else (log_level or "warning").lower(),
        # uvicorn's own handlers are for programs that have none.
        **({"log_config": None} if logging.root.handlers else {}),
        "access_log": False,
        # The address that a proxy reports is not the one that has connected.
        "proxy_headers": False,
        "server_header": False,
        "timeout_graceful_shutdown": 1,
        "lifespan": "on",
        "ws": "none",
        **(given or {}),
    }
