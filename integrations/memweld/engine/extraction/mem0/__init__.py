"""Around one mem0 ``Memory``: our store, embedder and LLM as mem0 calls them.

Importing this package imports mem0, which takes seconds and reads its settings at that moment. So nothing imports it
before mem0 is needed.
"""

from .environment import load_mem0

load_mem0()
