"""Readers of other programs' data: botwire, LangChain, mem0."""
