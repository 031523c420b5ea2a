"""A graph beside the memory: users, memories and the entities that they mention, in Neo4j.

The client imports the package ``neo4j`` at its first use; `memweld.connect` names the remedy where it is missing.
"""

from .client import require_neo4j
from .graph import GraphProjection
from .url import parse_graph_url

__all__ = ["GraphProjection", "parse_graph_url", "require_neo4j"]
