"""memweld over MCP: a FastMCP server with the shared tools and with JSON-RPC error objects.

::

    import memweld
    from memweld.mcp import create_server

    create_server(memweld.connect(), user_id="ana", lock_user=True).run()

Needs the extra ``mcp``.
"""

from ..errors import missing_extra
from ..tools import DEFAULT_TOOLSETS

try:
    import fastmcp as _fastmcp  # pyright: ignore[reportUnusedImport]  # noqa: F401
    import mcp as _mcp  # pyright: ignore[reportUnusedImport]  # noqa: F401
except ImportError as error:
    raise missing_extra("mcp", "fastmcp") from error

from .auth import jwt_auth
from .dependency import current_memory, use_backend
from .generated_token import GeneratedToken
from .limits import Limits
from .principal import AGENTS_SCOPE, ANY_USER_SCOPE, ENGINE_SCOPE, READ_SCOPE, WRITE_SCOPE
from .server import create_app, create_server
from .token_file import token_file_auth

__all__ = [
    "AGENTS_SCOPE",
    "ANY_USER_SCOPE",
    "DEFAULT_TOOLSETS",
    "ENGINE_SCOPE",
    "READ_SCOPE",
    "WRITE_SCOPE",
    "GeneratedToken",
    "Limits",
    "create_app",
    "create_server",
    "current_memory",
    "jwt_auth",
    "token_file_auth",
    "use_backend",
]
