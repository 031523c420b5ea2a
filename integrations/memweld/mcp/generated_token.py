"""`GeneratedToken`: one token for one run of a server, as Jupyter has it. It is in RAM only."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence

from fastmcp.server.auth import AccessToken

from ..scope import validate_identity
from .principal import AGENTS_SCOPE, ANY_USER_SCOPE, ENGINE_SCOPE, validate_scopes
from .token_file import ScopedVerifier, access_token

__all__ = ["OPERATOR_SCOPES", "GeneratedToken"]

OPERATOR_SCOPES = (ANY_USER_SCOPE, AGENTS_SCOPE, ENGINE_SCOPE)
"""What a server without tokens lets programs of its machine do."""


class GeneratedToken(ScopedVerifier):
    """Accepts one token, made now. For a server on this machine that other accounts shall not use.

    ::

        auth = GeneratedToken("ana")
        create_server(backend, auth=auth).run(transport="http")  # prints the token on stderr, once

    Args:
        user_id: The user of calls that name none.
        scopes: What else the token may do; all that an operator may, if not given.

    Attributes:
        token: The token: 43 characters that may stand in a URL.

    Raises:
        InvalidInputError: The user or a scope breaks a rule.
    """

    def __init__(self, user_id: str = "local", *, scopes: Sequence[str] = OPERATOR_SCOPES) -> None:
        super().__init__(())
        validate_scopes(scopes)
        self._user_id = validate_identity("user_id", user_id)
        self._scopes = tuple(scopes)
        self.token = secrets.token_urlsafe(32)

    async def verify_token(self, token: str) -> AccessToken | None:
        """The verified token; None for another."""
        is_same = hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self.token.encode())
        return access_token(token, self._user_id, self._scopes) if is_same else None
