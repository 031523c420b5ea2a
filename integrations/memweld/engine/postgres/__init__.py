"""The Postgres engine: the embedded engine's tables and facts in one database that many servers share.

psycopg is imported with it; `memweld.connect` says what to install where it is missing.
"""

from .engine import PostgresEngine

__all__ = ["PostgresEngine"]
