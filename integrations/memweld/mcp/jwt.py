"""JSON Web Tokens: one issuer, one audience, one algorithm, and keys from a file or a key set."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import anyio
import httpx
from cachetools import TTLCache
from fastmcp.server.auth import AccessToken, JWTVerifier
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from ..engine.remote.mcp_client.endpoint import EndpointTransport, proxy_of
from ..engine.remote.mcp_client.url import read_address
from .token_file import NO_CLIENT, ScopedVerifier

__all__ = ["LEEWAY_SECONDS", "JwtVerifier", "import_key"]

LEEWAY_SECONDS = 30
"""By how many seconds the clocks of the issuer and of this machine may differ."""

_TYPES = (None, "jwt", "at+jwt", "application/jwt", "application/at+jwt")
_MAX_KEY_SET_BYTES = 256 * 1024
_FETCH_SECONDS = 10.0
_MAX_TOKEN_CHARACTERS = 16 * 1024
_QUIET_SECONDS = 60.0

_log = logging.getLogger("memweld.mcp")


class _RefusedTokenError(Exception):
    """A rule that a token breaks; the text holds nothing of the token."""


def import_key(key: str | bytes, algorithm: str) -> Any:
    """The key for an algorithm, from a PEM or a shared secret.

    Raises:
        ValueError: It is no such key.
        JoseError: The same.
    """
    families: dict[str, Literal["oct", "RSA", "EC"]] = {"H": "oct", "R": "RSA", "P": "RSA", "E": "EC"}
    return cast("Any", jwk).import_key(key, families[algorithm[0]])


class _Keys(JWTVerifier):
    """FastMCP's verifier, for its key sets: a cache of an hour, and one fetch in half a minute at most."""

    async def key_for(self, token: str) -> str | bytes:
        """The key of a token, by its ``kid``."""
        return await self._get_verification_key(token)

    async def _fetch_jwks(self) -> dict[str, Any]:
        # FastMCP 3.4 limits each read, but neither the whole fetch nor the size.
        body = bytearray()
        with anyio.fail_after(_FETCH_SECONDS):
            # httpx logs each URL at INFO: neither login nor query, which may hold a key, is in the one that it sees.
            address = read_address(str(self.jwks_uri), None, kind="key")
            transport = EndpointTransport(address.query, proxy_of(address.url))
            async with (
                httpx.AsyncClient(
                    auth=address.login, timeout=_FETCH_SECONDS, transport=transport, trust_env=False
                ) as client,
                client.stream("GET", address.url) as response,
            ):
                response.raise_for_status()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_KEY_SET_BYTES:
                        raise ValueError(f"the key set has more than {_MAX_KEY_SET_BYTES} bytes")
        found = json.loads(body)
        if not isinstance(found, dict):
            raise ValueError("the key set is no JSON object")
        return cast("dict[str, Any]", found)


class JwtVerifier(ScopedVerifier):
    """Verifies tokens. Any failure refuses the token and logs one short line, once a minute for each kind.

    Args:
        key: ``public_key`` or ``jwks_uri``, as FastMCP's verifier takes them.
        issuer: The required ``iss``.
        audience: What ``aud`` must be or contain.
        algorithm: The one accepted algorithm.
        required_scopes: Scopes that every token needs.

    Raises:
        ValueError: The algorithm is not known or does not go with the key.
    """

    def __init__(
        self, key: Mapping[str, Any], *, issuer: str, audience: str, algorithm: str, required_scopes: Sequence[str]
    ) -> None:
        super().__init__(required_scopes)
        self._keys = _Keys(algorithm=algorithm, **key)
        self._algorithm = algorithm
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        self._logged: TTLCache[str, None] = TTLCache(100, ttl=_QUIET_SECONDS)

    async def verify_token(self, token: str) -> AccessToken | None:
        """The verified token; None if it is refused, for whatever reason."""
        try:
            return await self._verify(token)
        except Exception as error:  # noqa: BLE001 - what cannot be verified is refused
            # Not with the text of a library, which may quote the token.
            reason = str(error) if isinstance(error, _RefusedTokenError) else type(error).__name__
            if reason not in self._logged:
                self._logged[reason] = None
                _log.warning("A token was refused: %s.", reason)
            return None

    async def _verify(self, token: str) -> AccessToken:
        if len(token) > _MAX_TOKEN_CHARACTERS or not token.isascii():
            raise _RefusedTokenError("it is no JWT of a usual size")
        key = import_key(await self._keys.key_for(token), self._algorithm)
        registry = jws.JWSRegistry(algorithms=[self._algorithm], strict_check_header=False)
        decoded = jwt.decode(token, key, algorithms=[self._algorithm], registry=registry)
        kind = decoded.header.get("typ")
        if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            raise _RefusedTokenError("its typ is neither JWT nor at+jwt")
        if "crit" in decoded.header:
            raise _RefusedTokenError("it has critical headers, and none is known here")
        claims = decoded.claims
        subject = claims.get("sub")
        try:
            self._claims.validate(claims)
        except JoseError as error:
            raise _RefusedTokenError(f"{type(error).__name__} ({getattr(error, 'claim', None) or 'claims'})") from error
        return AccessToken(
            token=token,
            client_id=str(claims.get("client_id") or claims.get("azp") or NO_CLIENT),
            subject=subject if isinstance(subject, str) else None,
            scopes=_scopes(claims),
            # FastMCP compares it with the clock once more.
            expires_at=int(claims["exp"]) + LEEWAY_SECONDS,
            claims=claims,
        )


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """The scopes in ``scope`` or ``scp``: a text with spaces, or a list."""
    found: Any = next((claims[name] for name in ("scope", "scp") if name in claims), None)
    if isinstance(found, str):
        return found.split()
    return [word for word in cast("list[Any]", found) if isinstance(word, str)] if isinstance(found, list) else []
