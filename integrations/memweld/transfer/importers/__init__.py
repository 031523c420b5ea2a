"""Readers of what other programs keep: botwire, LangChain, mem0."""
