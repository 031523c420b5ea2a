"""The Cypher statements: they project items, remove them, and ask about them.

Every read names the space (see ``projection.py``) whose memories it may see, and the agent if the scope has one.
"""

from __future__ import annotations

import re

__all__ = [
    "CLEAN",
    "COUNT_SPACE",
    "FENCE",
    "FORGET",
    "MENTIONED",
    "NODES",
    "NODES_OF",
    "PROJECT",
    "RELATE",
    "RELATED",
    "RELATIONS_OF",
    "SIMILAR_NAMES",
    "TIES_OF",
    "UNTIE",
    "for_agent",
]

# The number of a lease that was overtaken is smaller. Setting a property locks the node until the transaction ends, so
# that deliveries take turns. The number is read behind that: one read before would be of before the wait for the lock.
FENCE = """
MERGE (store:MemweldStore {memweld_id: $store})
SET store.name = 'memweld'
WITH store, coalesce(store.fence, -1) AS before
SET store.fence = CASE WHEN before <= $fence THEN $fence ELSE before END
RETURN before
"""

# Deletes the edges of an item and returns its neighbours, some of which may have no edge left.
UNTIE = """
UNWIND $ids AS id
MATCH (m:Memory {memweld_id: id})
OPTIONAL MATCH (m)-[tie:REMEMBERS|KEEPS|MENTIONS|SAID_IN]-(neighbour)
DELETE tie
WITH collect(DISTINCT neighbour.memweld_id) AS neighbours
OPTIONAL MATCH ()-[r:RELATED_TO]->() WHERE r.memory IN $ids
DELETE r
RETURN DISTINCT neighbours
"""

FORGET = "UNWIND $ids AS id MATCH (m:Memory {memweld_id: id}) DETACH DELETE m"

# Each item has one row, and UNTIE has deleted its edges: so this creates edges and merges none. It restores the
# properties of neighbours that other programs have changed.
PROJECT = """
UNWIND $rows AS row
MERGE (m:Memory {memweld_id: row.properties.memweld_id})
SET m = row.properties
FOREACH (user IN row.users | MERGE (u:User {memweld_id: user.memweld_id})
    SET u = user CREATE (u)-[:REMEMBERS]->(m))
FOREACH (agent IN row.owning_agents | MERGE (a:Agent {memweld_id: agent.memweld_id})
    SET a = agent CREATE (a)-[:REMEMBERS]->(m))
FOREACH (agent IN row.keeping_agents | MERGE (a:Agent {memweld_id: agent.memweld_id})
    SET a = agent CREATE (a)-[:KEEPS]->(m))
FOREACH (session IN row.sessions | MERGE (s:Session {memweld_id: session.memweld_id})
    SET s = session CREATE (m)-[:SAID_IN]->(s))
FOREACH (entity IN row.entities | MERGE (e:Entity {memweld_id: entity.memweld_id})
    SET e = entity CREATE (m)-[:MENTIONS]->(e))
"""

RELATE = """
UNWIND $relations AS relation
MATCH (one:Entity {memweld_id: relation.one}), (other:Entity {memweld_id: relation.other})
CREATE (one)-[:RELATED_TO {name: relation.name, memory: relation.memory}]->(other)
"""

CLEAN = """
UNWIND $ids AS id
CALL {
    WITH id MATCH (n:Entity {memweld_id: id}) WHERE NOT (n)<-[:MENTIONS]-() DETACH DELETE n
    UNION ALL
    WITH id MATCH (n:Session {memweld_id: id}) WHERE NOT (n)<-[:SAID_IN]-() DETACH DELETE n
    UNION ALL
    WITH id MATCH (n:Agent {memweld_id: id}) WHERE NOT (n)-[:KEEPS|REMEMBERS]->() DETACH DELETE n
    UNION ALL
    WITH id MATCH (n:User {memweld_id: id}) WHERE NOT (n)-[:REMEMBERS]->() DETACH DELETE n
}
"""

# Entities of memories that the caller may see, with how many memories mention each.
MENTIONED = """
UNWIND $ids AS id
MATCH (m:Memory {space: $space, id: id})-[:MENTIONS]->(e:Entity)
WHERE ($agent IS NULL OR m.agent = $agent)
RETURN m.id AS item, m.hash AS hash, e.memweld_id AS entity, e.name AS name, e.key AS key,
       COUNT { (e)<-[:MENTIONS]-() } AS mentions
"""

SIMILAR_NAMES = """
MATCH (e:Entity {space: $space})
WHERE e.key = $key OR all(word IN $words WHERE word IN e.words)
RETURN e.memweld_id AS entity
ORDER BY e.key = $key DESC, size(e.key) LIMIT 20
"""

# One step over a memory to another entity, and on to its memories. An entity that very many memories mention leads
# nowhere. A memory that mentions the entity itself is found via itself.
RELATED = """
UNWIND $entities AS id
MATCH (e:Entity {memweld_id: id})<-[:MENTIONS]-(m:Memory)
WHERE m.space = $space AND ($agent IS NULL OR m.agent = $agent)
WITH e, m, COUNT { (e)<-[:MENTIONS]-() } AS mentions
ORDER BY mentions, m.created_at DESC LIMIT $most
CALL {
    WITH e, m, mentions
    RETURN m AS found, m AS via, e AS over, 0 AS further
    UNION ALL
    WITH e, m, mentions
    WITH e, m WHERE mentions <= $crowd
    MATCH (m)-[:MENTIONS]->(f:Entity)
    WHERE f <> e AND NOT f.memweld_id IN $entities AND COUNT { (f)<-[:MENTIONS]-() } <= $crowd
    MATCH (f)<-[:MENTIONS]-(other:Memory)
    WHERE other <> m AND other.space = $space AND ($agent IS NULL OR other.agent = $agent)
    RETURN other AS found, m AS via, f AS over, COUNT { (f)<-[:MENTIONS]-() } AS further
}
RETURN found.id AS item, found.hash AS hash, e.name AS name, mentions,
       via.id AS via, via.hash AS via_hash, over.name AS over, further
ORDER BY further LIMIT $rows
"""

_MENTIONS = re.compile(r"COUNT \{ \((\w)\)<-\[:MENTIONS\]-\(\) \}")


def for_agent(query: str) -> str:
    """The query as an agent asks it: how often something is mentioned is counted among its own memories.

    Otherwise the scores would show what other agents keep. The count of all mentions is a number that Neo4j has at
    hand, which is why there are two queries.
    """
    return _MENTIONS.sub(r"COUNT { (\1)<-[:MENTIONS]-(own:Memory) WHERE own.agent = $agent }", query)


COUNT_SPACE = """
CALL {
    MATCH (n:Memory {space: $space}) RETURN count(n) AS nodes
    UNION ALL MATCH (n:Entity {space: $space}) RETURN count(n) AS nodes
    UNION ALL MATCH (n:Session {space: $space}) RETURN count(n) AS nodes
    UNION ALL MATCH (n:Agent {space: $space}) RETURN count(n) AS nodes
    UNION ALL MATCH (n:User {space: $space}) RETURN count(n) AS nodes
}
RETURN sum(nodes) AS nodes
"""

NODES = """
MATCH (m:Memory) WHERE m.memweld_id > $after AND m.memweld_id STARTS WITH $prefix
RETURN m.memweld_id AS node ORDER BY m.memweld_id LIMIT $limit
"""

NODES_OF = """
UNWIND $ids AS id MATCH (m:Memory {memweld_id: id})
RETURN m.memweld_id AS node, properties(m) AS properties
"""

TIES_OF = """
UNWIND $ids AS id MATCH (m:Memory {memweld_id: id})-[tie:REMEMBERS|KEEPS|MENTIONS|SAID_IN]-(n)
RETURN m.memweld_id AS node, type(tie) AS kind, n {.memweld_id, .space, .key, .name} AS neighbour
"""

RELATIONS_OF = """
MATCH (one)-[r:RELATED_TO]->(other) WHERE r.memory IN $ids
RETURN r.memory AS node, one.memweld_id AS one, r.name AS name, other.memweld_id AS other
"""
