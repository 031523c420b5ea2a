"""docs/reference/openapi.json is what the server does: its paths, methods, answers and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

import memweld
from memweld.mcp import create_app

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "reference" / "openapi.json").read_text(encoding="utf-8")
)
OPERATIONS = [
    (path, method)
    for path, methods in DOCUMENT["paths"].items()
    for method in ("put", "get", "delete")
    if method in methods
]
NAMES = {"{user_id}": "ana", "{namespace}": "crew", "{key}": "plan"}
OF_THE_PROTOCOL = {"ui", "mcp", "sse", "messages"}


@pytest.fixture
def backend():
    with memweld.connect("sqlite://") as backend:
        yield backend


async def call(backend: memweld.Backend, method: str, path: str, **given: Any) -> httpx.Response:
    for name, value in NAMES.items():
        path = path.replace(name, value)
    transport = httpx.ASGITransport(create_app(backend, user_id="ana"))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method.upper(), path, **given)


def check(operation: dict[str, Any], answer: httpx.Response) -> None:
    """The answer is one of those that the document has for the operation."""
    documented = operation["responses"][str(answer.status_code)]
    if "$ref" in documented:
        documented = DOCUMENT["components"]["responses"][documented["$ref"].rpartition("/")[2]]
    schema = documented["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(answer.json())


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
async def test_the_server_answers_as_documented(backend: memweld.Backend, path: str, method: str) -> None:
    operation = DOCUMENT["paths"][path][method]
    backend.user("ana").state("crew")["plan"] = {"by": "train"}
    body = {"json": {"value": [1, None]}} if method == "put" else {}
    answer = await call(backend, method, path, **body)
    assert answer.status_code == 200
    check(operation, answer)


@pytest.mark.parametrize(
    ("method", "path", "given", "status"),
    [
        ("get", "/memory/{namespace}/{key}", {}, 404),
        ("delete", "/memory/{namespace}/{key}", {}, 404),
        ("put", "/memory/{namespace}/{key}", {"json": {"values": 1}}, 400),
        ("put", "/memory/{namespace}/{key}", {"content": b"x" * (4 * 1024 * 1024 + 1)}, 413),
        ("get", "/memory/{namespace}", {"params": {"limit": "0"}}, 400),
    ],
)
async def test_errors_are_as_documented(
    backend: memweld.Backend, method: str, path: str, given: dict[str, Any], status: int
) -> None:
    answer = await call(backend, method, path, **given)
    assert answer.status_code == status
    check(DOCUMENT["paths"][path][method], answer)


@pytest.mark.parametrize("path", DOCUMENT["paths"])
async def test_no_other_method_is_served(backend: memweld.Backend, path: str) -> None:
    for method in {"get", "put", "post", "patch", "delete"} - DOCUMENT["paths"][path].keys():
        assert (await call(backend, method, path)).status_code == 405, method


async def test_a_page_of_keys_names_the_next(backend: memweld.Backend) -> None:
    backend.user("ana").state("crew").update({"a": 1, "b": 2})
    answer = await call(backend, "get", "/memory/{namespace}", params={"limit": "1"})
    check(DOCUMENT["paths"]["/memory/{namespace}"]["get"], answer)
    assert answer.json()["next_cursor"]


def test_the_version_is_the_package_s() -> None:
    assert DOCUMENT["info"]["version"] == memweld.__version__


def test_every_route_is_documented(backend: memweld.Backend) -> None:
    routes = {getattr(route, "path", "").split("/")[1] for route in create_app(backend).routes}
    assert routes - OF_THE_PROTOCOL == {path.split("/")[1] for path in DOCUMENT["paths"]}
