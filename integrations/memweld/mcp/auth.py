"""Bearer tokens: JWTs that are verified with a key or an issuer's key set, and the ``--auth`` of the command line.

Each function makes an `AuthProvider` of FastMCP for ``create_server(backend, auth=…)``, which also takes any other
provider of FastMCP's. `memweld.mcp.access` decides which memories a verified token opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from fastmcp.server.auth import AuthProvider, RemoteAuthProvider, TokenVerifier
from pydantic import AnyHttpUrl

from ..errors import ConfigurationError
from ..files import read_protected, read_secret
from ..urls import is_local, public_url
from .token_file import token_file_auth

__all__ = ["auth_from", "jwt_auth"]

_ALGORITHMS = tuple(f"{family}{bits}" for family in ("RS", "ES", "PS", "HS") for bits in (256, 384, 512))
_MIN_SECRET_BYTES = 32


def _key_arguments(key: str | Path, algorithm: str) -> dict[str, str]:
    """The verifier's argument for a key: the address of a key set, or the text of a key, which a file may hold."""
    text = str(key)
    if "-----BEGIN" not in text and "://" in text:
        parts = urlsplit(text)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local(parts.hostname or "")):
            raise ConfigurationError(f"Keys are fetched over https only, and {public_url(text)} is something else.")
        return {"jwks_uri": text}
    is_secret = algorithm.startswith("HS")
    if "-----BEGIN" not in text:
        # A public key may be read by everybody, but a writer of it makes tokens for every user.
        content = read_secret(text, "key file") if is_secret else read_protected(text, "key file").content
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"The key file {key} is not text in UTF-8.") from error
        if is_secret:
            text = text.removesuffix("\n").removesuffix("\r")  # Of an editor, or of echo.
    _validate_key(text, algorithm)
    return {"public_key": text}


def _validate_key(text: str, algorithm: str) -> None:
    from .jwt import import_key

    if algorithm.startswith("HS"):
        if "-----BEGIN" in text:
            raise ConfigurationError(f"{algorithm} needs a secret, and a public key is none: everybody may know it.")
        if len(text.encode()) < _MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"The secret for {algorithm} has {len(text.encode())} bytes, and a shorter one than "
                f"{_MIN_SECRET_BYTES} can be guessed. Make one: openssl rand -hex 32."
            )
        return
    if "PRIVATE KEY" in text:
        raise ConfigurationError("The key is a private key: a server verifies tokens with the public one. Give that.")
    try:
        import_key(text, algorithm)
    except Exception as error:  # noqa: BLE001 - of two libraries
        # Not with the library's text, which may quote the key.
        raise ConfigurationError(f"The key is no public key for {algorithm} in PEM ({type(error).__name__}).") from None


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

    A token must be signed with the key, by this issuer, for this audience, and must have an end. Its ``typ``, if any,
    is ``JWT`` or ``at+jwt``. Clocks may differ by 30 seconds. There is one issuer, because subjects are unique only
    within an issuer: of two, each could name the other's users.

    Args:
        key: A public key: a file with a PEM, its text, or the ``https`` address of a JSON Web Key Set. With ``HS256``,
            a file with a secret of 32 bytes or more, which only the server can read.
        issuer: The required ``iss``.
        audience: The name of this server, which ``aud`` must be or contain, so that tokens for other services do not
            open it.
        required_scopes: Scopes that every token needs; the server answers a valid token without them with 403.
        algorithm: The one accepted algorithm.
        public_url: Where clients reach the server, without ``/mcp``. With it, and an issuer that is a URL, the server
            tells clients where to get a token (RFC 9728).

    Raises:
        ConfigurationError: The key cannot be read, can be changed by others, or does not go with the algorithm.
    """
    if not issuer or not audience:
        raise ConfigurationError("JWTs need an issuer and an audience: without them, anybody's tokens would be taken.")
    if algorithm not in _ALGORITHMS:
        raise ConfigurationError(f"The algorithm {algorithm!r} is not known: it is one of {', '.join(_ALGORITHMS)}.")
    # Imported here: it loads a library of cryptography, which a server on stdio does not need.
    from .jwt import JwtVerifier

    try:
        provider: AuthProvider = JwtVerifier(
            _key_arguments(key, algorithm),
            issuer=issuer,
            audience=audience,
            algorithm=algorithm,
            required_scopes=required_scopes,
        )
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
