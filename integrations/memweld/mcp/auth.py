"""Bearer tokens: JWTs that are verified with a key or an issuer's key set, and the ``--auth`` of the command line.

Each function makes an `AuthProvider` of FastMCP for ``create_server(backend, auth=…)``, which also takes any other
provider of FastMCP's. `memweld.mcp.access` decides which memories a verified token opens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from fastmcp.server.auth import AccessToken, AuthProvider, RemoteAuthProvider, TokenVerifier
from pydantic import AnyHttpUrl

from ..errors import ConfigurationError
from ..urls import is_local, public_url
from .token_file import ScopedVerifier, token_file_auth

if TYPE_CHECKING:
    from fastmcp.server.auth import JWTVerifier

__all__ = ["auth_from", "jwt_auth"]


class _Jwt(ScopedVerifier):
    def __init__(self, verifier: JWTVerifier, required_scopes: Sequence[str]) -> None:
        super().__init__(required_scopes)
        self._verifier = verifier

    async def verify_token(self, token: str) -> AccessToken | None:
        access = await self._verifier.verify_token(token)
        # FastMCP 3.4 takes a token without an end for ever, and one with a beginning before it.
        if access is None or access.expires_at is None:
            return None
        not_before = access.claims.get("nbf", 0)
        return access if isinstance(not_before, (int, float)) and not_before <= time.time() else None


def _key_arguments(key: str | Path) -> dict[str, str]:
    """The verifier's argument for a key: the address of a key set, or the text of a PEM, which a file may hold."""
    text = str(key)
    if "-----BEGIN" in text:
        return {"public_key": text}
    if "://" in text:
        parts = urlsplit(text)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local(parts.hostname or "")):
            raise ConfigurationError(f"Keys are fetched over https only, and {public_url(text)} is something else.")
        return {"jwks_uri": text}
    try:
        return {"public_key": Path(text).read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Cannot read the public key {text}: {error}") from error


def jwt_auth(
    key: str | Path,
    *,
    issuer: str,
    audience: str,
    required_scopes: Sequence[str] = (),
    algorithm: str = "RS256",
    public_url: str | None = None,
) -> AuthProvider:
    """Accept the JWTs of one issuer; their subject is the user.

    A token must be signed with the key, by this issuer, for this audience, and must have an end. There is one issuer,
    because subjects are unique only within an issuer: of two, each could name the other's users.

    Args:
        key: A public key: a file with a PEM, its text, or the ``https`` address of a JSON Web Key Set.
        issuer: The required ``iss``.
        audience: The name of this server, which ``aud`` must be or contain, so that tokens for other services do not
            open it.
        required_scopes: Scopes that every token needs; the server answers a valid token without them with 403.
        algorithm: The one accepted algorithm.
        public_url: Where clients reach the server, without ``/mcp``. With it, and an issuer that is a URL, the server
            tells clients where to get a token (RFC 9728).

    Raises:
        ConfigurationError: The key cannot be read or does not go with the algorithm.
    """
    if not issuer or not audience:
        raise ConfigurationError("JWTs need an issuer and an audience: without them, anybody's tokens would be taken.")
    # Imported here: it loads a library of cryptography, which a server on stdio does not need.
    from fastmcp.server.auth import JWTVerifier

    try:
        verifier = JWTVerifier(
            issuer=issuer, audience=audience, algorithm=algorithm, **cast("Any", _key_arguments(key))
        )
        provider: AuthProvider = _Jwt(verifier, required_scopes)
        if public_url is not None:
            provider = RemoteAuthProvider(
                cast("TokenVerifier", provider), authorization_servers=[AnyHttpUrl(issuer)], base_url=public_url
            )
    except ValueError as error:
        raise ConfigurationError(f"The settings of the JWTs do not go together: {error}") from error
    return provider


def auth_from(
    words: str,
    *,
    issuer: str | None = None,
    audience: str | None = None,
    required_scopes: Sequence[str] = (),
    algorithm: str = "RS256",
    public_url: str | None = None,
) -> AuthProvider:
    """Make the provider that ``--auth`` names: ``tokens:FILE``, ``jwt:FILE`` or ``jwt:https://…``.

    Raises:
        ConfigurationError: It names none, or its settings are not complete.
    """
    kind, _, source = words.partition(":")
    if kind == "tokens" and source:
        if issuer is not None or audience is not None:
            raise ConfigurationError("Tokens from a file have no issuer and no audience; leave them out.")
        return token_file_auth(source, required_scopes=required_scopes)
    if kind == "jwt" and source:
        if issuer is None or audience is None:
            raise ConfigurationError("JWTs need --auth-issuer and --auth-audience: who makes them, and for whom.")
        return jwt_auth(
            source,
            issuer=issuer,
            audience=audience,
            required_scopes=required_scopes,
            algorithm=algorithm,
            public_url=public_url,
        )
    # Not with the given value, which may be a token in the wrong option.
    raise ConfigurationError("--auth is tokens:FILE, jwt:FILE or jwt:https://… (a public key, or a key set's address).")
