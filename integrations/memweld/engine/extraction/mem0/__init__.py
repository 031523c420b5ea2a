"""mem0's pipeline around our store, embedder and LLM.

Importing mem0 takes seconds, and mem0 reads its settings at that moment. So only `memory`, `stores` and `providers`
import it, and other modules import these when they first need mem0.
"""
