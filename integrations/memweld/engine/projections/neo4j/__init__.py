"""A graph beside the memory: users, memories and what they mention, in Neo4j, told of every change by an outbox.

The package ``neo4j`` is imported when the server is first asked; `memweld.connect` says what to install without it.
"""

from .client import require_neo4j
from .engine import GraphEngine, with_graph
from .url import address_of

__all__ = ["GraphEngine", "address_of", "require_neo4j", "with_graph"]
