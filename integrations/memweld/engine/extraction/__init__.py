"""Extraction of facts by an LLM, through mem0."""
