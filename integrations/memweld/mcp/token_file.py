"""Bearer tokens listed in a file, and `ScopedVerifier`, the base of memweld's token verifiers."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from fastmcp.server.auth import AccessToken, AuthProvider, TokenVerifier
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import ConfigurationError, InvalidInputError
from ..files import ProtectedFile, read_protected
from ..scope import validate_identity
from .principal import validate_scopes

__all__ = ["NO_CLIENT", "ScopedVerifier", "access_token", "token_file_auth"]

NO_CLIENT = "unknown"
"""The client of a token that names none. The user would do for sessions, but FastMCP's spans have it."""

_log = logging.getLogger("memweld.mcp")

_KIND = "token file"
_HASHED = re.compile(r"sha256:[0-9a-f]{64}")


class ScopedVerifier(TokenVerifier):
    """A verifier that leaves scopes to the endpoint: it answers 403, not 401, to a token that lacks them."""

    def __init__(self, required_scopes: Sequence[str]) -> None:
        super().__init__(required_scopes=list(required_scopes))


def access_token(token: str, subject: str, scopes: Sequence[str]) -> AccessToken:
    """A verified token of a subject, for the endpoints."""
    return AccessToken(token=token, client_id=NO_CLIENT, scopes=list(scopes), subject=subject, claims={"sub": subject})


class _Bearer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sub: str
    scopes: list[str] = Field(default_factory=list)


class _TokenFile(ScopedVerifier):
    """Verifies tokens against the current file, by hash: a look-up takes the same time for every token."""

    def __init__(self, file: Path, required_scopes: Sequence[str]) -> None:
        super().__init__(required_scopes)
        self._file = file
        self._read = read_protected(file, _KIND)
        self._bearers = _parse(file, self._read, required_scopes)
        self._problem = ""

    async def verify_token(self, token: str) -> AccessToken | None:
        self._reload()
        bearer = self._bearers.get(_sha256(token))
        if bearer is None:
            return None
        return access_token(token, bearer.sub, bearer.scopes)

    def _reload(self) -> None:
        # With every request: the time and size of a file do not show all changes, and its mode may have changed.
        try:
            read = read_protected(self._file, _KIND)
            if read == self._read and not self._problem:
                return
            self._bearers, self._read = _parse(self._file, read, self.required_scopes), read
        except ConfigurationError as error:
            # An unusable file does not show which tokens were revoked, so none is accepted.
            self._bearers = {}
            if str(error) != self._problem:
                _log.error("No token is accepted until this is mended: %s", error)
            self._problem = str(error)
        else:
            self._problem = ""
            _log.info("The token file %s has changed: %d tokens are accepted.", self._file, len(self._bearers))


def _sha256(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"


def token_file_auth(path: str | Path, *, required_scopes: Sequence[str] = ()) -> AuthProvider:
    """Accept the tokens that a file lists, for small teams. A change holds from the next request on.

    The file is a JSON object ``{"<token>": {"sub": "ana", "scopes": ["memory:any-user"]}}``; ``scopes`` may be left
    out. Instead of a token it may hold the token's hash, ``sha256:<64 hexadecimal digits>``. A file that all users of
    the machine can read may hold hashes only; one that others can change is refused. While a changed file is not usable
    no token is accepted, so replace it in one step (``mv``).

    Args:
        path: The file.
        required_scopes: Scopes that every token needs.

    Raises:
        ConfigurationError: The file cannot be read, shows plain tokens to all users of the machine, can be changed by
            others, is not of this form, or a subject breaks a rule of `validate_identity`.
    """
    return _TokenFile(Path(path), required_scopes)


def _parse(file: Path, read: ProtectedFile, required_scopes: Collection[str]) -> dict[str, _Bearer]:
    """The bearers by the hashes of their tokens."""
    raw: Any = None
    try:
        raw = json.loads(read.content.decode(), object_pairs_hook=_unique_keys)
        listed = TypeAdapter(dict[str, _Bearer]).validate_python(raw)
        for token, bearer in listed.items():
            validate_identity("sub", bearer.sub)
            _validate_token(token)
            try:
                validate_scopes(bearer.scopes, required_scopes)
            except InvalidInputError as error:
                raise InvalidInputError(f"of {bearer.sub!r}, {error}") from None
    except ValidationError as error:
        # Not with the error's own text, which quotes its input: that may be a token.
        raise ConfigurationError(
            f'The token file {file} must be a JSON object of the form {{"<token>": {{"sub": "ana", "scopes": []}}}}; '
            f"{_faults(error, raw)}."
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "it is no JSON in UTF-8" if isinstance(error, (UnicodeError, RecursionError)) else error
        raise ConfigurationError(f"The token file {file} is not usable: {reason}") from None
    if not listed:
        raise ConfigurationError(f"The token file {file} lists no token, so no client could connect.")
    if read.is_public and not all(_HASHED.fullmatch(token) for token in listed):
        raise ConfigurationError(
            f"Everybody on this machine can read the tokens in {file}: run chmod o-r on it, "
            "or keep their hashes (sha256:…) instead."
        )
    bearers = {token if _HASHED.fullmatch(token) else _sha256(token): bearer for token, bearer in listed.items()}
    if len(bearers) != len(listed):
        raise ConfigurationError(
            f"The token file {file} lists a token both as it is and as its hash, so it is not clear whose it is: "
            "remove one of the two."
        )
    return bearers


def _validate_token(token: str) -> None:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInputError("a token consists of printable ASCII characters without spaces")
    # Else a mistyped hash would be a token that everybody with the file could present.
    if token.lower().startswith("sha256:") and _HASHED.fullmatch(token) is None:
        raise InvalidInputError("a hash is sha256: and 64 hexadecimal digits in small letters")


def _faults(error: ValidationError, raw: Any) -> str:
    """The entries that are wrong, by their number: neither a token nor an unknown name, which may be one, is shown."""
    numbers = (
        {token: number for number, token in enumerate(cast("dict[str, Any]", raw), start=1)}
        if isinstance(raw, dict)
        else {}
    )
    faults = list[str]()
    for fault in error.errors(include_input=False, include_url=False):
        location = fault["loc"]
        if not location or location[0] not in numbers:
            return "it is no such object"
        entry, field = f"entry {numbers[location[0]]}", str(location[1]) if len(location) > 1 else ""
        if fault["type"] == "extra_forbidden":
            meant = get_close_matches(field, _Bearer.model_fields, n=1)
            faults.append(f'{entry} has "{field}" for "{meant[0]}"' if meant else f"{entry} has an unknown field")
        elif fault["type"] == "missing":
            faults.append(f'{entry} lacks "{field}"')
        else:
            faults.append(f'{entry} has a wrong "{field}"' if field else f"{entry} is no object")
    return ", ".join(faults)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise InvalidInputError("a key occurs twice")
    return mapping
