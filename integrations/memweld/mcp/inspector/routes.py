"""The routes of the inspector: who may see which page, the form behind each change, and a line in the audit log."""

from __future__ import annotations

import functools
import importlib.util
import json
import time
from collections.abc import Callable, Collection
from typing import Any

from fastmcp.server.auth import AuthProvider
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ...adapters.binding import MemorySource
from ...engine.protocol import EngineAdmin
from ...errors import InvalidInputError, MemoryNotFoundError, MissingExtraError
from ...memory.asynchronous import in_thread
from ...memory.backend import Backend
from ...scope import Scope
from ...urls import is_local
from ..access import TRUSTED, AccessPolicy, memory_opener, restricted
from ..call_records import RECORDED, REFUSED, CallRecord, caller_of, identity_in
from ..principal import Principal, subject_of, token_of
from ..rest import read_error
from ..rest_limits import RefusedError
from .changes import name_of
from .page import link_to, refusal_page, render, static_file
from .registry import ALL_READ, CHANGES, NOTES, PAGES, SECTIONS
from .session import PATH, base_of
from .sign_in import SignIn, read_form
from .visit import Done, Visit

__all__ = ["inspector_routes"]


def inspector_routes(
    source: MemorySource,
    access: AccessPolicy,
    *,
    auth: AuthProvider | None,
    tools: Collection[str] | None = None,
    record: CallRecord | None = None,
) -> list[BaseRoute]:
    """Make the routes below ``/ui``; `InspectorEdge` belongs around the application.

    Args:
        source: Where memory is kept. A `Memory` shows its one scope and no other.
        access: Tells who makes a request.
        auth: Verifies the token of a sign-in; None for a server without authentication.
        tools: The tools that the server serves: pages and forms that do the same are served, and no others. None: all.
        record: Of each request.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise MissingExtraError(
            "The inspector needs Jinja2: pip install 'memweld[mcp]', or leave it out (--no-ui, create_app(ui=False))."
        )
    sign_in = SignIn(auth)
    inspector = _Inspector(source, access, tools=tools, record=record)
    routes: list[BaseRoute] = [
        Route(f"{PATH}/static/{{name}}", static_file),
        Route(f"{PATH}/sign-in", sign_in.sign_in, methods=["GET", "POST"]),
        Route(f"{PATH}/sign-out", sign_in.sign_out, methods=["POST"]),
        Route(PATH, functools.partial(inspector.serve, "users", inspector.users)),
        Route(f"{PATH}/export.json", functools.partial(inspector.serve, "export.json", inspector.export)),
    ]
    for name in PAGES:
        show = functools.partial(inspector.show, name)
        routes.append(Route(f"{PATH}/{name}", functools.partial(inspector.serve, name, show), methods=["GET"]))
    for name in CHANGES:
        change = functools.partial(inspector.change, name)
        routes.append(Route(f"{PATH}/{name}", functools.partial(inspector.serve, name, change), methods=["POST"]))
    return [*routes, Route(f"{PATH}/{{path:path}}", inspector.missing)]


class _Inspector:
    """The endpoints."""

    def __init__(
        self,
        source: MemorySource,
        access: AccessPolicy,
        *,
        tools: Collection[str] | None,
        record: CallRecord | None,
    ) -> None:
        self._open = memory_opener(source)
        self._admin = source.admin if isinstance(source, Backend) else None
        self._access = access
        self._tools = tools
        self._record = record

    async def serve(
        self, name: str, answer: Callable[[Request, Principal, dict[str, Any]], Any], request: Request
    ) -> Response:
        """Answer a request as its principal, errors as pages, and record it."""
        fields: dict[str, Any] = {}
        started_at = time.perf_counter()
        try:
            if self._record is not None:
                self._record.require()
            principal = self._access.identify(request)
            response: Response | None = await answer(request, principal, fields)
            outcome = "ok"
        except ClientDisconnect:
            response, outcome = None, "disconnected"
        except Exception as error:  # noqa: BLE001 - the reader gets a page for every error
            status, message, headers = read_error(error)
            if isinstance(error, MemoryNotFoundError):
                message = "There is nothing of this id in this memory."
            response = refusal_page(request, status, message, back=_back(request, name))
            response.headers.update(headers)
            outcome = str(status)
        if self._record is not None:
            request.scope[RECORDED] = True
            fields["seconds"] = time.perf_counter() - started_at
            self._write(self._record, request, name, outcome, fields)
        return Response() if response is None else response

    @staticmethod
    def _write(record: CallRecord, request: Request, name: str, outcome: str, fields: dict[str, Any]) -> None:
        operation = f"{request.method} {PATH}/{name}"
        caller: dict[str, Any] = {**caller_of(request), **fields}
        if outcome.isdecimal() and int(outcome) in REFUSED:
            record.refused("ui", operation, int(outcome), **caller)
        else:
            record.write("ui", operation, outcome, **caller)

    def _visit(self, request: Request, principal: Principal, fields: dict[str, Any], form: dict[str, str]) -> Visit:
        """The visit of a request that names a memory, or leaves it to the token.

        Raises:
            AccessDeniedError: The principal may not touch it.
        """
        query = dict(request.query_params)
        user = query.get("user", principal.user_id)
        agent = query.get("agent") or None
        fields |= {"user": identity_in(user or None), "agent": identity_in(agent)}
        if not user and agent is None:
            raise _NoMemoryError
        scope = principal.authorize(Scope(user_id=user or None, agent_id=agent or principal.agent_id))
        memory = restricted(self._open(scope), principal)
        return Visit(memory=memory, principal=principal, query=query, form=form, has=self._has)

    def _has(self, tool: str) -> bool:
        return self._tools is None or tool in self._tools

    def _has_all(self, tools: tuple[str, ...]) -> bool:
        return all(map(self._has, tools))

    def _context(self, request: Request, visit: Visit) -> dict[str, Any]:
        """The variables of every page about a memory."""
        memory = visit.memory
        can = {name for name, each in CHANGES.items() if self._has_all(each.tools) and not visit.principal.read_only}
        nav = [
            (name, page.title)
            for name, page in PAGES.items()
            if page.section and self._has_all(page.tools) and (name != "graph" or memory.has_graph)
        ]
        return {
            "agent": memory.agent_id,
            "can": can,
            "done": NOTES.get(visit.query.get("done", "")),
            "has_choice": self._has_choice(visit.principal),
            "name": name_of(memory),
            "nav": nav,
            "owner": "user" if memory.user_id is not None else "agent",
            "scope": _scope_query(visit),
            "subject": _subject(request),
            "timezone": memory.timezone,
            "user": memory.user_id,
        }

    def _has_choice(self, principal: Principal) -> bool:
        return self._admin is not None and not principal.locked

    def _listing(self, request: Request, principal: Principal) -> EngineAdmin | None:
        """The operator's view, for a principal that may list users."""
        if self._admin is None or principal.locked:
            return None
        # Without tokens only a person at this machine is an operator.
        is_here = request.client is not None and is_local(request.client.host)
        return self._admin if principal.verified or (request.scope.get(TRUSTED) and is_here) else None

    async def show(self, name: str, request: Request, principal: Principal, fields: dict[str, Any]) -> Response:
        """A page about a memory."""
        page = PAGES[name]
        if not self._has_all(page.tools):
            raise RefusedError(404, "PathNotFoundError", "This server does not serve this page (--toolsets).")
        try:
            visit = self._visit(request, principal, fields, {})
        except _NoMemoryError:
            return RedirectResponse(base_of(request.scope), 303)
        context = await in_thread(functools.partial(page.view, visit), page.lane)
        fields["count"] = visit.count
        return render(
            request,
            f"{name}.html",
            page=SECTIONS.get(name, name),
            title=page.title,
            **self._context(request, visit),
            **context,
        )

    async def change(self, name: str, request: Request, principal: Principal, fields: dict[str, Any]) -> Response:
        """A form: its change, then the page that says so."""
        change = CHANGES[name]
        if not self._has_all(change.tools):
            raise RefusedError(404, "PathNotFoundError", "This server does not serve this change (--toolsets).")
        visit = self._visit(request, principal, fields, await read_form(request))
        answer = await in_thread(functools.partial(change.make, visit), change.lane)
        fields["count"] = visit.count
        if isinstance(answer, Done):
            query = {**_scope_query(visit), **answer.query, "done": answer.note}
            return RedirectResponse(link_to(request, answer.page, query), 303)
        title, template = change.answer
        section = name.partition("/")[0]
        return render(request, template, page=section, title=title, **self._context(request, visit), **answer)

    async def export(self, request: Request, principal: Principal, fields: dict[str, Any]) -> Response:
        """Everything of a memory, as a file."""
        if not self._has_all(ALL_READ):
            raise RefusedError(404, "PathNotFoundError", "This server does not serve exports (--toolsets).")
        visit = self._visit(request, principal, fields, {})
        exported = await in_thread(lambda: json.dumps(visit.memory.export(), ensure_ascii=False, indent=1))
        headers = {"Content-Disposition": 'attachment; filename="memweld-export.json"', "Cache-Control": "no-store"}
        return Response(exported, headers=headers, media_type="application/json")

    async def users(self, request: Request, principal: Principal, fields: dict[str, Any]) -> Response:
        """The users of the store, for those who may know them; the others go to their own memory."""
        if principal.locked or self._admin is None:
            query = {"user": principal.user_id, "agent": principal.agent_id}
            return RedirectResponse(link_to(request, "overview", query), 303)
        admin = self._listing(request, principal)
        found, further = [] if admin is None else await in_thread(lambda: _people(admin, request)), None
        if len(found) > _PEOPLE:
            last, found = found[_PEOPLE - 1], found[:_PEOPLE]
            further = {"after": last.user_id or "", "after_agent": last.agent_id or ""}
        fields["count"] = len(found)
        people: dict[str | None, list[str]] = {}
        for scope in found:
            agents = people.setdefault(scope.user_id, [])
            if scope.agent_id is not None:
                agents.append(scope.agent_id)
        return render(
            request,
            "users.html",
            page="users",
            title="Users",
            people=people,
            further=further,
            may_list=admin is not None,
            subject=_subject(request),
        )

    async def missing(self, request: Request) -> Response:
        """The answer for a path without a page."""
        try:
            self._access.identify(request)
        except HTTPException as error:
            return refusal_page(request, error.status_code, error.detail)
        return refusal_page(request, 404, "The inspector has no such page.")


class _NoMemoryError(InvalidInputError):
    """The address names no memory, and there is no token that does."""

    def __init__(self) -> None:
        super().__init__("The address names no user: choose one among the users.")


_PEOPLE = 200


def _people(admin: EngineAdmin, request: Request) -> list[Scope]:
    """A page of scopes, and one more where others follow."""
    query = request.query_params
    user, agent = query.get("after") or None, query.get("after_agent") or None
    after = Scope(user_id=user, agent_id=agent) if user or agent else None
    return list(admin.list_scopes(after=after, limit=_PEOPLE + 1))


def _subject(request: Request) -> str | None:
    token = token_of(request)
    return None if token is None else subject_of(token)


def _scope_query(visit: Visit) -> dict[str, str | None]:
    # A user that is named and blank is none: the own memory of an agent.
    return {"user": visit.memory.user_id or "", "agent": visit.memory.agent_id}


def _back(request: Request, name: str) -> tuple[str, str] | None:
    """The page to which the reader of an error may go back: of a form's memory its own, else the section.

    None for a request that names no memory.
    """
    query = {key: request.query_params[key] for key in ("user", "agent") if key in request.query_params}
    section = name.partition("/")[0]
    if query and request.method == "POST" and section == "memory" and "id" in request.query_params:
        return "the memory", link_to(request, section, {**query, "id": request.query_params["id"]})
    section = SECTIONS.get(section, section)
    page = PAGES.get(section)
    if not query or page is None or not page.section:
        return None
    return page.title, link_to(request, section, query)
