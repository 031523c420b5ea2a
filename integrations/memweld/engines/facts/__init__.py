"""Facts by mem0, guarded: our vector store, embedders, extraction and ranking around one mem0 ``Memory``.

Importing this package prepares the import of mem0, which reads its settings at that moment.
"""

import warnings

from .environment import prepare_mem0

prepare_mem0()
with warnings.catch_warnings():
    # mem0 2.2 turns on all DeprecationWarnings of the whole program when it is imported.
    import mem0  # noqa: F401  # pyright: ignore[reportMissingTypeStubs, reportUnusedImport]
