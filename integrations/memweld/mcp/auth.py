"""Bearer tokens: providers that verify them with a key, with the key set of an issuer, or against a file.

Each gives an `AuthProvider` of FastMCP for ``create_server(backend, auth=…)``; any other provider of FastMCP's goes
there as it is. Whose memory a verified token opens is decided in `identity`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from fastmcp.server.auth import AccessToken, AuthProvider, RemoteAuthProvider, TokenVerifier
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import ConfigurationError, InvalidInputError
from ..scope import validate_identity

if TYPE_CHECKING:
    from fastmcp.server.auth import JWTVerifier

__all__ = ["auth_from", "is_loopback", "jwt_auth", "token_file_auth"]

logger = logging.getLogger("memweld.mcp")

_HASHED = re.compile(r"sha256:[0-9a-f]{64}")


def is_loopback(address: str) -> bool:
    """Whether an IP address, not a name, is this machine's own."""
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


class _ScopedVerifier(TokenVerifier):
    """A verifier that leaves scopes to the endpoint, so that a token which lacks one is answered 403 and not 401."""

    def __init__(self, required_scopes: Sequence[str]) -> None:
        super().__init__(required_scopes=list(required_scopes))


class _Jwt(_ScopedVerifier):
    def __init__(self, verifier: JWTVerifier, required_scopes: Sequence[str]) -> None:
        super().__init__(required_scopes)
        self._verifier = verifier

    async def verify_token(self, token: str) -> AccessToken | None:
        found = await self._verifier.verify_token(token)
        # FastMCP 3.4 lets a token live for ever that does not say when it ends, and does not look at its beginning.
        if found is None or found.expires_at is None:
            return None
        begins = found.claims.get("nbf", 0)
        return found if isinstance(begins, (int, float)) and begins <= time.time() else None


def _key_arguments(key: str | Path) -> dict[str, str]:
    """The verifier's argument for a key: the address of a key set, the text of a PEM, or a file with one."""
    text = str(key)
    if "-----BEGIN" in text:
        return {"public_key": text}
    if "://" in text:
        parts = urlsplit(text)
        if parts.scheme != "https" and not (
            parts.scheme == "http" and (parts.hostname == "localhost" or is_loopback(parts.hostname or ""))
        ):
            raise ConfigurationError(f"Keys are fetched over https only, and {text!r} is something else.")
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

    A token must be signed with the key, by this issuer, for this audience, and must say when it ends. There is one
    issuer because a subject is unique only with the one who issued it: of two, each could name the other's users.

    Args:
        key: A public key: a file with a PEM, its text, or the ``https`` address of a JSON Web Key Set.
        issuer: What ``iss`` must be.
        audience: What ``aud`` must be or hold: the name of this server, lest tokens for other services open it.
        required_scopes: Scopes that every token must have; a valid token without them is answered with 403.
        algorithm: The one algorithm that is accepted.
        public_url: Where clients reach the server, without ``/mcp``. If given, and the issuer is a URL, they are told
            where to get a token (RFC 9728).

    Raises:
        ConfigurationError: The key cannot be read or does not go with the algorithm.
    """
    if not issuer or not audience:
        raise ConfigurationError("JWTs need an issuer and an audience: without them, anybody's tokens would be taken.")
    # It loads a library of cryptography, which a server on stdio has no use for.
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


class _Bearer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sub: str
    scopes: list[str] = Field(default_factory=list)


class _TokenFile(_ScopedVerifier):
    """The tokens of a file as it is now, as SHA-256, so that a look-up takes the same time for every token."""

    def __init__(self, file: Path, required_scopes: Sequence[str]) -> None:
        super().__init__(required_scopes)
        self._file = file
        self._seen = self._look()
        self._bearers = _bearers_in(file)

    async def verify_token(self, token: str) -> AccessToken | None:
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            self._read_again()
        bearer = self._bearers.get(_sha256(token))
        if bearer is None:
            return None
        return AccessToken(
            token=token,
            client_id=bearer.sub,
            scopes=list(bearer.scopes),
            subject=bearer.sub,
            claims={"sub": bearer.sub},
        )

    def _look(self) -> tuple[int, ...] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode

    def _read_again(self) -> None:
        try:
            self._bearers = _bearers_in(self._file)
        except ConfigurationError as error:
            # Whose token was taken away cannot be told from such a file: nobody's is accepted.
            self._bearers = {}
            logger.error("No token is accepted until this is mended: %s", error)
        else:
            logger.info("The token file %s has changed: %d tokens are accepted.", self._file, len(self._bearers))


def _sha256(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"


def token_file_auth(path: str | Path, *, required_scopes: Sequence[str] = ()) -> AuthProvider:
    """Accept the tokens that a file lists, for small teams. A change counts from the next request on.

    The file is a JSON object ``{"<token>": {"sub": "ana", "scopes": ["memory:any-user"]}}``; ``scopes`` may be left
    out. Instead of a token it may hold the token's hash, ``sha256:<64 hexadecimal digits>``. A file that everybody on
    the machine can read may hold hashes only. While a changed file is not usable no token is accepted, so replace it in
    one step (``mv``).

    Args:
        path: The file.
        required_scopes: Scopes that every token must have.

    Raises:
        ConfigurationError: The file cannot be read, is readable by everybody, is not of this form, or a subject
            breaks a rule of `validate_identity`.
    """
    return _TokenFile(Path(path), required_scopes)


def _bearers_in(file: Path) -> dict[str, _Bearer]:
    try:
        mode = file.stat().st_mode
        raw = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_without_doubles)
        listed = TypeAdapter(dict[str, _Bearer]).validate_python(raw)
        for token, bearer in listed.items():
            validate_identity("sub", bearer.sub)
            if not token or not token.isascii() or not token.isprintable() or " " in token:
                raise InvalidInputError("a token consists of printable ASCII characters without spaces")
    except ValidationError as error:
        # Not with the error's own text, which quotes what it found: that may be a token.
        raise ConfigurationError(
            f'The token file {file} must be a JSON object of the form {{"<token>": {{"sub": "ana", "scopes": []}}}}; '
            f"{error.error_count()} thing(s) in it are not."
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The token file {file} is not usable: {error}") from error
    if not listed:
        raise ConfigurationError(f"The token file {file} lists no token, so nobody could connect.")
    plain = any(_HASHED.fullmatch(token) is None for token in listed)
    if plain and os.name == "posix" and mode & stat.S_IROTH:
        raise ConfigurationError(
            f"Everybody on this machine can read the tokens in {file}: run chmod o-r on it, "
            "or keep their hashes (sha256:…) instead."
        )
    return {token if _HASHED.fullmatch(token) else _sha256(token): bearer for token, bearer in listed.items()}


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInputError("a key occurs twice")
    return found


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
    # Not with the words themselves: they may be a token that somebody took this option for.
    raise ConfigurationError("--auth is tokens:FILE, jwt:FILE or jwt:https://… (a public key, or a key set's address).")
