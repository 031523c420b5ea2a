"""Values of a botwire server, read over its HTTP API as its client reads them (botwire 0.2.1)."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Any, cast
from urllib.parse import quote, urlsplit

from ...engine.export_data import ExportedValue
from ...errors import AccessDeniedError, BackendUnavailableError, InvalidInputError, invalid
from ...models import JSON
from ...progress import progress_bar
from ...scope import Scope
from ...urls import is_local, public_url
from ...validation import utc_now, validate_key
from ..import_plan import Plan, validated
from .langchain import is_history, plan_session

__all__ = ["CHATS", "read_botwire"]

CHATS = "langchain-sessions"
"""The default namespace of ``BotWireChatHistory``; its keys are session ids."""

_TIMEOUT = 30.0
_ATTEMPTS = 5  # for a request that the server answers with "too many"
_MOST_SECONDS = 60


def read_botwire(
    url: str,
    namespaces: Sequence[str],
    *,
    scope: Scope,
    token: str | None = None,
    sessions: bool = True,
) -> Plan:
    """Plan to store the values of namespaces as state, and the chat histories among them as sessions.

    A botwire server lists the keys of a namespace, but not its namespaces. Values are as its client reads them:
    objects and lists come back as such, everything else is the text that it has become.

    Args:
        url: The server, e.g. ``https://botwire.dev``, or ``http://host:8710/users/ana`` of a memweld server.
        namespaces: Which namespaces.
        scope: The scope that gets them.
        token: The bearer token, if the server needs one.
        sessions: Whether a chat history of LangChain becomes a session. Its id is the key, after the namespace and a
            slash where that is not botwire's own. Otherwise the history stays a value.

    Raises:
        AccessDeniedError: The server refuses the token, or needs one.
        BackendUnavailableError: The server cannot be reached, or answers what a botwire server does not.
        InvalidInputError: A value breaks a rule (the message names it); or ``namespaces`` is empty.
    """
    if not namespaces:
        raise invalid(
            "namespaces", namespaces, "a botwire server does not list them", "Name at least one (--namespace)."
        )
    server = _Server(url, token)
    plan = Plan()
    for namespace in dict.fromkeys(namespaces):
        if "/" in validate_key("namespace", namespace):
            raise invalid("namespace", namespace, "botwire's have no slashes", "Name it as its client does.")
        keys = server.keys(namespace)
        with progress_bar(f"Reading {namespace}") as report:
            for number, key in enumerate(keys, 1):
                _read(server, plan, namespace, key, scope, sessions=sessions)
                report(number, len(keys))
    return plan


def _read(server: _Server, plan: Plan, namespace: str, key: str, scope: Scope, *, sessions: bool) -> None:
    answer = server.value(namespace, key)
    place = f"Key {key!a} of namespace {namespace!a}"
    if answer is None:
        plan.skipped["keys that are gone meanwhile"] += 1
        return
    value = _decoded(answer[0])
    if sessions and is_history(value):
        session_id = key if namespace == CHATS else f"{namespace}/{key}"
        validated(place, lambda: plan_session(plan, cast("list[object]", value), scope=scope, session_id=session_id))
        return
    now = utc_now()
    row = validated(
        place, lambda: ExportedValue(namespace=namespace, key=key, value=value, created_at=now, updated_at=now)
    )
    plan.add(scope, row)


def _decoded(value: JSON) -> JSON:
    """The value as botwire's ``Memory.get`` returns it: its ``set`` writes all but strings as JSON."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


class _BusyError(BackendUnavailableError):
    """The server asks for a later repetition."""

    def __init__(self, text: str, seconds: int) -> None:
        super().__init__(text)
        self.seconds = seconds


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, so that the token reaches the named server only."""

    def redirect_request(  # noqa: PLR0917 - as it is called
        self,
        req: Any,
        fp: Any,
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> None:
        """Follow nothing."""


class _Server:
    """A botwire server."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise invalid(
                "url", public_url(url), "it must be an http:// or https:// URL", "Pass what the client has as base_url."
            )
        self._base = url.rstrip("/")
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._name = public_url(url)
        # A proxy of the environment does not know this machine's own servers.
        direct = [urllib.request.ProxyHandler({})] if is_local(parts.hostname) else []
        self._opener = urllib.request.build_opener(_NoRedirect, *direct)

    def keys(self, namespace: str) -> list[str]:
        """The keys of a namespace, as the server lists them."""
        answer = self._get(f"/memory/{quote(namespace, safe='')}")
        keys: object = [] if answer is None else answer.get("keys", [])
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in cast("list[object]", keys)):
            raise BackendUnavailableError(f"{self._name} does not list keys as a botwire server does.")
        return cast("list[str]", keys)

    def value(self, namespace: str, key: str) -> tuple[JSON] | None:
        """The value of a key; None where there is none."""
        answer = self._get(f"/memory/{quote(namespace, safe='')}/{quote(key, safe='/')}")
        return None if answer is None else (answer.get("value"),)

    def _get(self, path: str) -> Mapping[str, Any] | None:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._once(path)
            except _BusyError as busy:
                time.sleep(busy.seconds)
        return self._once(path)

    def _once(self, path: str) -> Mapping[str, Any] | None:
        request = urllib.request.Request(self._base + path, headers=self._headers)  # noqa: S310 - http(s) was checked
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                answer: object = json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return self._failed(error)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise BackendUnavailableError(f"{self._name} cannot be reached: {reason}") from error
        except (ValueError, RecursionError) as error:
            raise BackendUnavailableError(f"{self._name} does not answer in JSON, as a botwire server does.") from error
        if not isinstance(answer, Mapping):
            raise BackendUnavailableError(f"{self._name} does not answer with an object, as a botwire server does.")
        return cast("Mapping[str, Any]", answer)

    def _failed(self, error: urllib.error.HTTPError) -> None:
        if error.code == 404:
            return
        if error.code in (401, 403):
            raise AccessDeniedError(f"{self._name} refuses to show its memory (HTTP {error.code}): it wants a token.")
        if error.code == 400:
            text = error.read(500).decode("utf-8", "replace")
            raise InvalidInputError(f"{self._name} refuses the request: {text}")
        text = f"{self._name} answers with HTTP {error.code}."
        if error.code == 429:
            wait = error.headers.get("Retry-After", "")
            raise _BusyError(text, min(int(wait), _MOST_SECONDS) if wait.isdigit() else 1)
        raise BackendUnavailableError(text)
