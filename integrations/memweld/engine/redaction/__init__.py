"""Redaction: what must not be stored leaves all texts before an engine, an LLM or an embedder reads them."""
