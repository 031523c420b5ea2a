"""Copies of memory items in other stores: a Neo4j graph, a vector store of mem0."""
