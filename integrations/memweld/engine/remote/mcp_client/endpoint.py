"""The way to one HTTP endpoint: its proxy, its query, its redirects, and why it cannot be reached."""

from __future__ import annotations

import os
import ssl
import urllib.request
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from ....urls import is_local

__all__ = ["EndpointTransport", "proxy_of", "reason_of", "stays"]

_REASON_CHARACTERS = 200


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for a URL. This machine needs none, whatever NO_PROXY says."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_local(host) or urllib.request.proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return None if not found else found if "://" in found else f"http://{found}"


@cache
def _trusted(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """The certificate authorities of this environment. To read them takes longer than all else at a connection."""
    return httpx.create_ssl_context()


class EndpointTransport(httpx.AsyncBaseTransport):
    """Sends the requests of one endpoint. It adds the query, which may hold a key, below all that logs URLs.

    Args:
        query: The query of the endpoint.
        proxy: The URL of the proxy, if there is one.
        socket: The path of a Unix socket instead of the endpoint's host.
    """

    def __init__(self, query: str, proxy: str | None, socket: str | None = None) -> None:
        self._query = query.encode()
        trusted = _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        self._inner = httpx.AsyncHTTPTransport(verify=trusted, proxy=proxy, uds=socket)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        if not self._query:
            return await self._inner.handle_async_request(request)
        request = httpx.Request(
            request.method,
            request.url.copy_with(query=self._query),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        response = await self._inner.handle_async_request(request)
        # A server repeats the query where it redirects.
        location = response.headers.get("location")
        if location is not None:
            response.headers["location"] = location.partition("?")[0]
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def stays(sent: httpx.Request, following: httpx.Request) -> bool:
    """Whether a redirect leads to the same endpoint's server with the whole request, and from TLS not out of it."""
    one, other = sent.url, following.url
    secured = one.scheme == "http" and other.scheme == "https" and one.port is None and other.port is None
    return (
        sent.method == following.method
        and one.host == other.host
        and not other.userinfo
        and (secured or (one.scheme == other.scheme and one.port == other.port))
    )


def reason_of(error: BaseException) -> str:
    """The innermost reason in words: ``ConnectError: Connection refused``."""
    inner: BaseException = error
    while following := _cause(inner):
        inner = following
    number = getattr(inner, "errno", None)
    # asyncio puts the address in the place of the reason. Look-ups of names have negative numbers and a text.
    known = os.strerror(number) if isinstance(number, int) and number > 0 else getattr(inner, "strerror", None)
    text = known or str(inner) or str(error)
    line = " ".join(str(text).split())[:_REASON_CHARACTERS]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _cause(error: BaseException) -> BaseException | None:
    grouped: Any = getattr(error, "exceptions", None)  # an ExceptionGroup, which Python 3.10 does not know
    return grouped[0] if grouped else error.__cause__ or error.__context__
