"""Facts: our own vectors, words and ranking, with mem0 for what needs it, guarded.

What an LLM extracts goes through mem0, and everything where mem0 finds entities. Texts that are kept as they stand,
searches and changes do not: mem0 would add nothing to them, and importing it takes seconds. So only ``mem0/`` and
``mirror/`` import it, and both are imported when they are first needed.
"""
