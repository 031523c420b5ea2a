"""The remote engine: the primitives, asked of a memweld server over MCP."""

from .engine import RemoteEngine

__all__ = ["RemoteEngine"]
